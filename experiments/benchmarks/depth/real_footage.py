"""Real footage, which has no truth: photometric error, flicker, confirmed share, loop closure.

    python experiments/benchmarks/depth/real_footage.py --clips=VIDEO[,VIDEO...]
        [--methods=networks,bundle,sweep,panoramas,rig] [--height=256] [--frames=100]
        [--output=FOLDER]

`networks`, `bundle` and `sweep` are the stages of a reconstruction. `panoramas` and `rig` take the
path of COLMAP (see against_colmap.py) and sweep depth along it. scores_without_truth.py says what
the columns are.

`--output` gets real_footage.md and .jsonl; the same command goes on from there.
"""

import pathlib
import sys
import tempfile
import time

# Works from a checkout, from any directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3]))

import numpy as np
from absl import flags as absl_flags

from common import runtime
from experiments import entry, flags
from experiments.benchmarks.depth import colmap_paths
from experiments.benchmarks.depth.support import clips, jobs, scores
from experiments.benchmarks.depth.support.scores_without_truth import figures
from pano_depth import ReconstructConfig, reconstruct
from pano_depth.footage import geometry
from pano_depth.footage.clip import Clip
from pano_depth.kernels.rigid import Motion

COLMAP = {'panoramas': False, 'rig': True}
CLIPS = absl_flags.DEFINE_list('clips', ['sample'], clips.HELP)
METHODS = absl_flags.DEFINE_list('methods', [*jobs.STAGES, *COLMAP], 'Which are run.')
_COLUMNS = {
    'registered': 0,
    'photometric': 4,
    'flicker': 4,
    'confirmed': 2,
    'closure_percent': 2,
    'seconds': 0,
}


def along_colmap(clip: Clip, as_rig: bool, base: ReconstructConfig) -> dict[str, float]:
    """The row of depth that is swept along COLMAP's path, if it has every frame."""
    found, _ = colmap_paths.colmap(clip, as_rig)
    if len(found) < len(clip.frames):
        return {'registered': len(found)}
    poses = Motion(*(np.stack([found[i][part] for i in sorted(found)]) for part in (0, 1)))
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / 'colmap.txt'
        geometry.write_tum(path, np.arange(len(found)) / clip.fps, poses)
        config = jobs.configured(base, **jobs.STAGES['sweep'], poses=str(path))
        return figures(reconstruct(clip.frames, config=config), clip.frames)


def measure(clip: Clip, method: str, base: ReconstructConfig) -> dict[str, float]:
    """The row of a clip and a method; it has `error` where there is no result."""
    start, row = time.monotonic(), {'frames': len(clip.frames)}
    try:
        if method in COLMAP:
            row |= along_colmap(clip, COLMAP[method], base)
        else:
            config = jobs.configured(base, **jobs.STAGES[method])
            row |= figures(reconstruct(clip.frames, config=config), clip.frames)
    except ValueError as error:
        return row | {'error': str(error)}
    return row | {'seconds': time.monotonic() - start}


def table(rows: list[dict]) -> str:
    """A Markdown table of all rows."""
    lines = [f'| clip | method | {" | ".join(_COLUMNS)} |', '|---' * (2 + len(_COLUMNS)) + '|']
    for row in rows:
        cells = [
            '-' if row.get(name) is None else f'{row[name]:.{digits}f}'
            for name, digits in _COLUMNS.items()
        ]
        lines.append(f'| {" | ".join([row["clip"], row["method"], *cells])} |')
    return '\n'.join(lines)


def main() -> None:
    """Runs all methods on all clips and prints the table."""
    values = absl_flags.FLAGS
    unknown = sorted(set(METHODS.value) - {*jobs.STAGES, *COLMAP})
    if unknown:
        accepted = ', '.join([*jobs.STAGES, *COLMAP])
        raise ValueError(f'--methods has {unknown[0]!r}; accepted are {accepted}')
    config = flags.build(ReconstructConfig, output_height=values.height, max_frames=values.frames)
    runtime.start(flags.build(runtime.RuntimeConfig), join=False)
    folder = pathlib.Path(values.output) if values.output else None
    rows, found = scores.Rows(folder and folder / 'real_footage.jsonl'), []
    for group in clips.expand(CLIPS.value):
        for name, make in clips.find(group, values.frames, values.height).items():
            clip = make()
            for method in METHODS.value:
                key = {'clip': name, 'method': method, 'options': jobs.changes(config)}
                if rows.find(key) is None:
                    rows.add(key | measure(clip, method, config))
                found.append(rows.find(key))
    text = table(found)
    print(text)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / 'real_footage.md').write_text(text + '\n')


absl_flags.DEFINE_integer('frames', 100, 'At most so many frames a clip.', lower_bound=3)
absl_flags.DEFINE_integer('height', 256, 'Rows of frames and results.', lower_bound=64)
absl_flags.DEFINE_string('output', None, 'Folder of the results; none without it.')
flags.define(
    ReconstructConfig,
    skip=('adjust', 'refine', 'ordered', 'mask', 'output_height', 'max_frames', 'every', 'poses'),
)
flags.define(runtime.RuntimeConfig)

if __name__ == '__main__':
    entry.run(main)
