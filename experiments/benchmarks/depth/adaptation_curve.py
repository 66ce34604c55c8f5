"""How much learning from the clip pays before geometry: final error and seconds by steps.

    python experiments/benchmarks/depth/adaptation_curve.py [--clips=sample,rooms:10]
        [--steps=0,100,200,400,800,1700] [--starts=package,fresh] [--stages=bundle,sweep]
        [--frames=24] [--height=256] [--output=FOLDER]

The networks of the package adapt with the options of `video_cpu.flags`, fresh ones learn with those
of `clip_cpu.flags`; both are then sharpened. Fresh networks without a step say nothing, so that
point is left out. `--output` gets adaptation_curve.md, .png and .jsonl; the same command goes on
from there.
"""

import pathlib
import sys

# Works from a checkout, from any directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3]))

import numpy as np
from absl import flags as absl_flags

from common import options, runtime
from experiments import entry, flags
from experiments.benchmarks.depth.support import clips, jobs, scores
from pano_depth import ReconstructConfig

STARTS = {'package': ('default', 'video_cpu.flags'), 'fresh': ('none', 'clip_cpu.flags')}
FLAGFILES = pathlib.Path(__file__).resolve().parents[2] / 'flagfiles'

CLIPS = absl_flags.DEFINE_list('clips', ['sample'], clips.HELP)
FRAMES = absl_flags.DEFINE_integer('frames', 24, 'At most so many frames a clip.', lower_bound=3)
HEIGHT = absl_flags.DEFINE_integer('height', 256, 'Rows of frames and results.', lower_bound=64)
STEPS = absl_flags.DEFINE_list(
    'steps', ['0', '100', '200', '400', '800', '1700'], 'Steps of adaptation.'
)
START_NAMES = absl_flags.DEFINE_list('starts', list(STARTS), 'Networks to start from.')
STAGE_NAMES = absl_flags.DEFINE_list('stages', None, 'Which are run; default: the last one.')
OUTPUT = absl_flags.DEFINE_string('output', None, 'Folder of the results; none without it.')


def points(starts, numbers, stages, height):
    """The points of the curve: (start, steps, stage, options of the reconstruction)."""
    for start in starts:
        checkpoint, name = STARTS[start]
        base = options.from_flagfile(ReconstructConfig, (FLAGFILES / name).read_text())
        for steps in numbers:
            if checkpoint == 'none' and not steps:
                continue
            for stage, values in stages.items():
                values = values | {'checkpoint': checkpoint, 'adapt': steps}
                yield start, steps, stage, jobs.configured(base, output_height=height, **values)


def check_flags() -> list[int]:
    """The numbers of steps. Raises ValueError for a flag that names no start or no number."""
    unknown = sorted(set(START_NAMES.value) - set(STARTS))
    if unknown:
        raise ValueError(f'--starts has {unknown[0]!r}; accepted are {", ".join(STARTS)}')
    for text in STEPS.value:
        if not text.isdigit():
            raise ValueError(f'--steps has {text!r}; whole numbers from 0 on are accepted')
    return [int(text) for text in STEPS.value]


CURVES = {'abs_rel': 'AbsRel', 'direction_deg': 'direction error, degrees', 'seconds': 'seconds'}


def plot(rows: list[dict], path: pathlib.Path) -> None:
    """Draws medians over clips against steps: one line for each start and stage."""
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, len(CURVES), figsize=(13, 4), layout='constrained')
    lines = {}
    for row in rows:
        lines.setdefault((row['clips'], row['start'], row['stage']), []).append(row)
    for axis, (name, label) in zip(axes, CURVES.items()):
        for line, mine in lines.items():
            values = {}
            for row in mine:
                if row.get(name) is not None:
                    values.setdefault(row['steps'], []).append(row[name])
            steps = sorted(values)
            middles = [np.median(values[number]) for number in steps]
            axis.plot(steps, middles, marker='o', label=', '.join(line))
        axis.set(xlabel='steps of adaptation', ylabel=label)
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
    axes[0].legend()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main() -> None:
    """Runs all points on all clips; prints the table and draws the curve."""
    numbers = check_flags()
    chosen = jobs.stages(STAGE_NAMES.value or list(jobs.STAGES))
    if STAGE_NAMES.value is None:
        chosen = dict([list(chosen.items())[-1]])
    runtime.start(flags.build(runtime.RuntimeConfig), join=False)
    folder = pathlib.Path(OUTPUT.value) if OUTPUT.value else None
    rows = scores.Rows(folder and folder / 'adaptation_curve.jsonl')
    found = []
    for group in clips.expand(CLIPS.value):
        for name, make in clips.find(group, FRAMES.value, HEIGHT.value).items():
            for start, steps, stage, config in points(
                START_NAMES.value, numbers, chosen, HEIGHT.value
            ):
                key = {'clips': group, 'clip': name, 'start': start, 'steps': steps}
                key |= {'stage': stage, 'frames': FRAMES.value, 'height': HEIGHT.value}
                found.append(jobs.measure(rows, key, make, config))
    text = scores.table(found, ('clips', 'start', 'steps', 'stage'))
    print(text)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / 'adaptation_curve.md').write_text(text + '\n')
        plot(found, folder / 'adaptation_curve.png')


flags.define(runtime.RuntimeConfig)

if __name__ == '__main__':
    entry.run(main)
