"""Draws a sheet of rendered rooms, to be looked at: images, and under each its depth.

    python experiments/benchmarks/depth/rooms_sheet.py [--style=wide] [--seed=1] [--count=100]
        [--height=64] [--columns=10] [--places=perch,hall] [--output=rooms.png]

Near is red, far is blue, black has no depth (the sky, what a tripod hides). All depths share one
scale, 0.3 to 20 m. A table says how near and how far things are in each kind of place.
"""

import pathlib
import sys

# Works from a checkout, from any directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3]))

import numpy as np
from absl import app, flags
from PIL import Image

from common.run import atomic_path
from experiments.benchmarks.depth.support.sheets import chosen, sheet, table
from pano_depth.results import panels
from pano_depth.rooms.rooms import render_clip
from pano_depth.rooms.wide import shots

NEAR, FAR = 0.3, 20.0  # metres: the ends of the scale of colours

STYLE = flags.DEFINE_enum('style', shots.WIDE, shots.STYLES, 'Style of the rooms.')
SEED = flags.DEFINE_integer('seed', 1, 'Family of the scenes.', lower_bound=0)
COUNT = flags.DEFINE_integer('count', 100, 'How many scenes.', lower_bound=1)
HEIGHT = flags.DEFINE_integer('height', 64, 'Rows of each image.', lower_bound=16)
COLUMNS = flags.DEFINE_integer('columns', 10, 'Images side by side.', lower_bound=1)
PLACES = flags.DEFINE_list('places', [], 'Kinds of places of the wide style; default: all.')
OUTPUT = flags.DEFINE_string('output', 'rooms.png', 'The picture.')


def main(_) -> None:
    """Renders one frame of each scene and writes the sheet."""
    height, tiles, rows = HEIGHT.value, [], []
    try:
        scenes = chosen(STYLE.value, SEED.value, COUNT.value, PLACES.value)
    except ValueError as error:
        raise app.UsageError(str(error)) from None
    for index, place in scenes:
        clip = render_clip(
            SEED.value, index, frames=1, height=height, width=2 * height, batch=1, style=STYLE.value
        )
        depth = clip.depth[0]
        colours = panels.depth_colors(depth, low=NEAR, high=FAR)
        tiles.append(np.concatenate([clip.frames[0], colours]))
        rows.append((place, depth))
    with atomic_path(OUTPUT.value) as temporary, open(temporary, 'wb') as file:
        Image.fromarray(sheet(tiles, COLUMNS.value)).save(file, format='png')
    print(table(rows))
    print(f'{OUTPUT.value}: {len(tiles)} scenes')


if __name__ == '__main__':
    app.run(main)
