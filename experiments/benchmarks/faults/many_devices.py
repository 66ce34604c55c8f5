"""Trains both halves on one device, four devices and two processes of two; compares results.

    python experiments/benchmarks/faults/many_devices.py
        [--trainers=depth,cells] [--steps=20] [--output=FOLDER]

The depth half trains the networks that come with the package on the rendered sample clip. The
search half trains a cell of CondenseNet on the smallest skeleton and the digits. The devices are
simulated on the CPU and share its cores, so that steps/s say nothing about scaling; only the
agreement counts. Parameters are not compared, since Adam turns the rounding of gradients near zero
into whole steps.
"""

import dataclasses
import functools
import pathlib
import sys

# Works from a checkout, from any directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3]))

from absl import flags as absl_flags

from common.run import write_json
from experiments import entry
from experiments.benchmarks.kernels import layouts
from experiments.benchmarks.kernels.layouts import LAYOUTS, Trained
from experiments.benchmarks.search import tables
from nas.cells.cell import Cell
from nas.cells.plan import build
from nas.cells.skeleton import tiny
from nas.datasets.open_images import open_images
from nas.training import batches
from nas.training.recipe import RecipeConfig
from pano_depth.learning import checkpoints
from pano_depth.learning.objective import LossConfig
from pano_depth.learning.sources import ClipSource
from pano_depth.learning.train import RecipeConfig as DepthRecipe
from pano_depth.rooms import rooms

FLAGS = absl_flags.FLAGS
CELL, BATCH = 'bn_relu-lgconv1x1-bn_relu-gconv3x3', 32
HEADER = ('trainer', 'layout', 'gradient of step 1', 'losses', 'steps/s')


def define_flags() -> None:
    """Defines the flags, at a call only: other programs have flags of the same names."""
    absl_flags.DEFINE_list('trainers', list(TRAINERS), 'What is trained.')
    absl_flags.DEFINE_integer('steps', 20, 'Steps of each training.', lower_bound=3)
    absl_flags.DEFINE_string(
        'output',
        None,
        'Folder for many_devices.json and many_devices.md; none are written without it.',
    )


def train_depth(steps: int) -> Trained:
    """Adapts the networks of the package to the sample clip."""
    params, model = checkpoints.load_model('default')
    config = DepthRecipe(steps=steps, depth_start=0, warmup=1)
    clip = rooms.sample_clip(height=2 * model.face_size, width=4 * model.face_size)
    source = ClipSource(clip, stride=1, batch_size=config.batch_size)
    return layouts.train_depth(source, config, model, LossConfig(), params)


def train_cells(steps: int) -> Trained:
    """Trains a cell on the digits."""
    skeleton = dataclasses.replace(tiny, channels=1)
    train = open_images('digits', size=skeleton.size, channels=skeleton.channels).train
    train = train.take(range(steps * BATCH), train.name)
    data = batches.place(train, train.statistics())
    config = RecipeConfig(epochs=1, batch_size=BATCH, crop=1, mirror=False)
    return layouts.train_cells(build(Cell.parse(CELL), skeleton), config, data, seed=0)


TRAINERS = {'depth': train_depth, 'cells': train_cells}


def measure(trainers: list[str], steps: int, say) -> list[dict]:
    """Trains on every layout; a dict for each trainer and layout, the first layout as reference."""
    rows = []
    for trainer in trainers:
        reference = None
        for name, layout in LAYOUTS.items():
            say(f'{trainer} on {name}')
            found = layouts.run_on(layout, TRAINERS[trainer], steps, timeout=1800)
            reference = reference or found[0]
            gaps = [layouts.differences(one, reference) for one in found]
            rows.append(
                {
                    'trainer': trainer,
                    'layout': name,
                    'gradient': max(gap[0] for gap in gaps),
                    'losses': max(gap[1] for gap in gaps),
                    'steps_per_second': 1 / found[0].seconds,
                    'first_loss': found[0].losses[0],
                    'last_loss': found[0].losses[-1],
                }
            )
    return rows


def as_markdown(rows: list[dict]) -> str:
    """The table; differences are relative to the first layout."""
    difference = lambda row, name: (
        '-' if row['layout'] == next(iter(LAYOUTS)) else f'{row[name]:.1e}'
    )
    lines = [
        (
            row['trainer'],
            row['layout'],
            difference(row, 'gradient'),
            difference(row, 'losses'),
            f'{row["steps_per_second"]:.3g}',
        )
        for row in rows
    ]
    return tables.markdown([HEADER, *lines], texts=HEADER[:2])


def main() -> None:
    """Measures, prints, and writes what the flags ask for."""
    unknown = [name for name in FLAGS.trainers if name not in TRAINERS]
    if unknown:
        raise ValueError(f'--trainers has {unknown[0]}; accepted: {", ".join(TRAINERS)}')
    rows = measure(
        FLAGS.trainers, FLAGS.steps, functools.partial(print, file=sys.stderr, flush=True)
    )
    table = as_markdown(rows)
    print(table)
    if FLAGS.output:
        folder = pathlib.Path(FLAGS.output)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / 'many_devices.json', {'steps': FLAGS.steps, 'rows': rows})
        tables.write_text(folder / 'many_devices.md', table + '\n')


if __name__ == '__main__':
    # The processes that it starts cannot import a script by the name __main__.
    from experiments.benchmarks.faults import many_devices

    define_flags()
    entry.run(many_devices.main)
