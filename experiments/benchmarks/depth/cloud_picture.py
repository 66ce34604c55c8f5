"""Point clouds of reconstructions seen from above, side by side.

    python experiments/benchmarks/depth/cloud_picture.py --clouds=A/cloud.ply,B/cloud.ply
        --titles='networks alone,refined' --output=cloud.png

The clouds have the axes of `pano-depth` (y up); the ceiling is left out.
"""

import pathlib
import sys

# Works from a checkout, from any directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3]))

import numpy as np
from absl import app, flags

from common.run import atomic_path
from pano_depth.results import ply

FLAGS = flags.FLAGS
flags.DEFINE_list('clouds', None, 'PLY files.', required=True)
flags.DEFINE_list('titles', [], 'A title for each.')
flags.DEFINE_string('output', None, 'Picture to write.', required=True)

CEILING = 0.3  # part of the height that is left out at the top


def draw(axes, points, colours, title):
    """Draws a cloud from above, higher points over lower ones."""
    low, high = np.quantile(points[:, 1], [0.02, 0.98])
    points, colours = (x[points[:, 1] < high - CEILING * (high - low)] for x in (points, colours))
    order = np.argsort(points[:, 1])
    x, z = points[order, 0], -points[order, 2]
    axes.scatter(x, z, c=colours[order], s=0.2, linewidths=0)
    axes.set(title=title, aspect='equal', xticks=[], yticks=[])


def main(argv):
    """Writes the picture."""
    del argv
    import matplotlib

    matplotlib.use('Agg')
    import matplotlib.pyplot as plt

    figure, all_axes = plt.subplots(1, len(FLAGS.clouds), figsize=(6 * len(FLAGS.clouds), 6))
    titles = FLAGS.titles or [''] * len(FLAGS.clouds)
    if len(titles) != len(FLAGS.clouds):
        raise app.UsageError(f'--titles has {len(titles)} and --clouds {len(FLAGS.clouds)} entries')
    for axes, path, title in zip(np.atleast_1d(all_axes), FLAGS.clouds, titles, strict=True):
        points, colours = ply.read_ply(path)[:2]
        draw(axes, points, colours / 255, title)
    figure.tight_layout()
    with atomic_path(FLAGS.output) as temporary:
        figure.savefig(temporary, dpi=80, format='png')


if __name__ == '__main__':
    app.run(main)
