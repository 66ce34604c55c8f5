"""One reconstruction of a benchmark: run, timed and scored, or read from an earlier run."""

import time
from collections.abc import Callable

from common import options
from experiments.benchmarks.depth.support import scores
from pano_depth import ReconstructConfig, reconstruct
from pano_depth.footage.clip import Clip

# The clips of the benchmarks show one camera that moves, and nothing that moves along with it.
_KNOWN = {'ordered': 'yes', 'mask': 'none'}
STAGES = {
    'networks': {'adjust': False, 'refine': 'off', **_KNOWN},
    'bundle': {'adjust': True, 'refine': 'off', **_KNOWN},
    'sweep': {'adjust': True, 'refine': 'auto', **_KNOWN},
}


def stages(names: list[str]) -> dict[str, dict]:
    """The options of the stages of these names.

    Raises:
        ValueError: there is no such stage.
    """
    unknown = sorted(set(names) - set(STAGES))
    if unknown:
        raise ValueError(f'--stages has {unknown[0]!r}; accepted are {", ".join(STAGES)}')
    return {name: STAGES[name] for name in names}


def configured(config: ReconstructConfig, **values) -> ReconstructConfig:
    """A configuration with other values of some options, by their names as flags."""
    return options.make(ReconstructConfig, options.values_of(config) | values)


def changes(config: ReconstructConfig) -> str:
    """The options that differ from their defaults, as flags in one line."""
    defaults = options.values_of(ReconstructConfig())
    lines = [
        line
        for name, value in options.values_of(config).items()
        if value != defaults[name]
        for line in options.flag_lines(name, value)
    ]
    return ' '.join(sorted(lines))


def measure(
    rows: scores.Rows, key: dict, make: Callable[[], Clip], config: ReconstructConfig
) -> dict:
    """The row of one clip and one configuration.

    The time is from frames in memory to depth and confidence of every frame, compilation included.

    Args:
        rows: where it is looked up and kept.
        key: fields that name the row, beside the options.
        make: function that makes the clip.
        config: of the reconstruction.

    Returns:
        The row; it has `error` where the reconstruction is refused.
    """
    key = key | {'options': changes(config)}
    found = rows.find(key)
    if found is not None:
        return found
    clip = make()
    start = time.monotonic()
    try:
        result = reconstruct(clip.frames, config=config)
        for i in range(len(result)):
            result.depth(i)
            result.confidence(i)
        seconds = time.monotonic() - start
        rows.add(key | scores.clip_scores(result, clip) | {'seconds': seconds})
    except ValueError as error:
        rows.add(key | {'error': str(error)})
    return rows.rows[-1]
