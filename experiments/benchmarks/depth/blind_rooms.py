"""Makes the image-blind predictor of the package from the rooms that its networks were trained on.

    python experiments/benchmarks/depth/blind_rooms.py [--scenes=256]
        [--output=pano_depth/weights/blind.npz]

The rooms are the training scenes of PanoRooms `64x128_roomy`, four frames of each walk.
"""

import pathlib
import sys

# Works from a checkout, from any directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3]))

from absl import app, flags

from common.logs import Progress
from common.run import atomic_path
from pano_depth.rooms import blind, pano_rooms
from pano_depth.rooms.rooms import render_clip

HEIGHT, FRAMES, EVERY = 64, 16, 4
SCENES = flags.DEFINE_integer('scenes', 256, 'Number of rooms.', lower_bound=1)
OUTPUT = flags.DEFINE_string(
    'output', str(pathlib.Path(blind.__file__).parents[1] / 'weights' / 'blind.npz'), 'The file.'
)


def depths(scenes: int, roominess: tuple[float, float]):
    """True depth of some frames of the first training scenes."""
    with Progress(scenes, unit='room', description='rendering') as progress:
        for index in range(scenes):
            clip = render_clip(
                pano_rooms.FAMILIES['train'],
                index,
                frames=FRAMES,
                height=HEIGHT,
                width=2 * HEIGHT,
                roominess=roominess,
            )
            yield from clip.depth[::EVERY]
            progress.update()


def main(_) -> None:
    """Renders the rooms and writes their median."""
    configs = {config.name: config for config in pano_rooms.PanoRooms.BUILDER_CONFIGS}
    roominess = configs[f'{HEIGHT}x{2 * HEIGHT}_roomy'].roominess
    prior = blind.blind_prior(depths(SCENES.value, roominess), HEIGHT)
    with atomic_path(OUTPUT.value) as temporary:
        blind.write_prior(temporary, prior)
    print(f'{OUTPUT.value}: {prior.min():.2f} to {prior.max():.2f} m')


if __name__ == '__main__':
    app.run(main)
