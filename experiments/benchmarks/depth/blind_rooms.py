"""Makes the image-blind predictor of the package from rooms as its networks were trained on.

    python experiments/benchmarks/depth/blind_rooms.py [--rooms=1024] [--style=wide]
        [--output=pano_depth/weights/blind.npz]

The rooms are the first live ones of the style, one frame each: those of `--train_data=live`.
"""

import pathlib
import sys

# Works from a checkout, from any directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3]))

import jax
import numpy as np
from absl import app, flags

from common.logs import Progress
from common.run import atomic_path
from pano_depth.learning.sources import LiveSource
from pano_depth.rooms import blind
from pano_depth.rooms.wide import shots

HEIGHT, BATCH = 64, 16
ROOMS = flags.DEFINE_integer('rooms', 1024, 'Number of rooms.', lower_bound=1)
STYLE = flags.DEFINE_enum('style', shots.WIDE, shots.STYLES, 'Which rooms.')
OUTPUT = flags.DEFINE_string(
    'output', str(pathlib.Path(blind.__file__).parents[1] / 'weights' / 'blind.npz'), 'The file.'
)


def depths(rooms: int, style: str):
    """True depth [H, 2H] of the first live rooms, as a training sees them, in metres."""
    source = LiveSource(height=HEIGHT, batch_size=BATCH, style=style, alone=True)
    look = jax.jit(lambda batch: source.sample(batch, {})[1].depth)
    with Progress(rooms, unit='room', description='rendering') as progress:
        for step in range(-(-rooms // BATCH)):
            # The last batch is a whole one, too, so that everything compiles once.
            count = min(BATCH, rooms - step * BATCH)
            yield from np.asarray(look(source.batch(step, range(BATCH))))[:count]
            progress.update(count)


def main(_) -> None:
    """Renders the rooms and writes their median."""
    prior = blind.blind_prior(depths(ROOMS.value, STYLE.value), HEIGHT)
    with atomic_path(OUTPUT.value) as temporary:
        blind.write_prior(temporary, prior)
    print(f'{OUTPUT.value}: {prior.min():.2f} to {prior.max():.2f} m')


if __name__ == '__main__':
    app.run(main)
