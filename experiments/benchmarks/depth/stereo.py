"""Predicted depth against the depth that a vertical stereo pair implies.

    python experiments/benchmarks/depth/stereo.py --baseline=0.2
        --pairs=room_up.png:room_down.png,hall_up.png:hall_down.png [--output=FOLDER]

Two panoramas, with one camera straight above the other, give depth without learning (a sphere
sweep): each pixel of the upper image is tried at many depths, and the depth at which the lower
image matches best is taken. Pixels whose best depth is not clearly better than the others are left
out. The prediction uses the upper image alone and is scaled to the sweep by the median, as
everywhere; a constant depth is scored beside it. The refinement of reconstructions
(`reconstruction.sweep`) gets both images, their poses and the prediction; what it is sure of is
scored too.
"""

import pathlib
import sys

sys.path.insert(
    0, str(pathlib.Path(__file__).resolve().parents[3])
)  # works from a checkout, from any directory

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags

from common.run import write_json
from pano_depth.footage import media
from pano_depth.kernels import sphere, warp
from pano_depth.kernels.rigid import Motion
from pano_depth.learning import checkpoints, losses
from pano_depth.learning.model import make_grid
from pano_depth.learning.networks import equirect_pad
from pano_depth.reconstruction import evaluate, infer
from pano_depth.reconstruction import sweep as refinement
from pano_depth.results import panels

FLAGS = flags.FLAGS
flags.DEFINE_list('pairs', None, 'upper.png:lower.png, comma-separated.', required=True)
flags.DEFINE_float(
    'baseline', 0.2, 'How far the lower camera is below the upper one, metres.', lower_bound=1e-3
)
flags.DEFINE_string('checkpoint', 'default', 'Networks, as for depth_main.')
flags.DEFINE_integer('height', 256, 'Rows at which images are compared.', lower_bound=32)
flags.DEFINE_string(
    'output', None, 'Folder for stereo.json and panels; none are written without it.'
)

# Metres, and the number of depths between them, spaced evenly in disparity.
NEAREST = 0.4
FARTHEST = 10.0
HYPOTHESES = 96
# By this part the best cost of a pixel has to be below the median cost of its hypotheses.
MARGIN = 0.15
TYPICAL = 2.0  # metres, the median depth that the refinement starts from


@jax.jit
def sweep(upper, lower, baseline):
    """Depth of the upper view by trying depths.

    Args:
        upper, lower: [H, W, 3] float in [0, 1].
        baseline: distance in metres of the lower camera below the upper one (y down).

    Returns:
        (depth [H, W], confidence [H, W]): range in metres, and by which part the best cost of a
        pixel is below the median of its costs.
    """
    height, width = upper.shape[:2]
    rays, pad = sphere.ray_directions(height, width), lambda image: equirect_pad(image, 1)
    depths = 1 / jnp.linspace(1 / FARTHEST, 1 / NEAREST, HYPOTHESES)

    def cost(depth):
        # A point of the upper camera lies `baseline` higher in the lower one.
        view = warp.synthesize(
            lower,
            rays,
            jnp.full((height, width), depth),
            jnp.eye(3),
            jnp.array([0.0, -baseline, 0.0]),
        )
        error = losses.photometric_error(view[None], upper[None], pad=pad, ssim_weight=0.5)[0]
        rows = jnp.pad(error, ((2, 2), (0, 0)), 'edge')
        return sum(rows[i : i + height] for i in range(5)) / 5

    costs = jax.lax.map(cost, depths)
    best, typical = costs.min(axis=0), jnp.median(costs, axis=0)
    return depths[costs.argmin(axis=0)], 1 - best / jnp.maximum(typical, 1e-6)


def refined(upper, lower, prediction):
    """(depth in metres, confidence) of the upper view by the refinement of reconstructions."""
    poses = Motion(
        np.broadcast_to(np.eye(3), (2, 3, 3)),
        np.array([[0.0, 0.0, 0.0], [0.0, FLAGS.baseline, 0.0]]),
    )
    prior = prediction * (TYPICAL / np.median(prediction))
    return refinement.refine(np.stack([upper, lower]), poses, np.stack([prior, prior]), 0)


def compare(upper_path, lower_path, params, config, grid):
    """Scores one pair; returns the scores and the panels."""
    height = FLAGS.height
    upper, lower = (
        media.resize_equirect(media.read_image(path), height, 2 * height)
        for path in (upper_path, lower_path)
    )
    depth, confidence = (
        np.asarray(part)
        for part in sweep(upper / np.float32(255), lower / np.float32(255), FLAGS.baseline)
    )
    # Straight up and down the baseline shows no parallax.
    elevation = np.abs(np.asarray(sphere.ray_directions(height, 2 * height))[..., 1])
    depth = np.where(
        (confidence > MARGIN) & (elevation < np.sin(np.radians(60))) & (depth < FARTHEST), depth, 0
    ).astype(np.float32)
    size = 2 * config.face_size
    analysis = infer.analyse(
        params, media.resize_equirect(upper, size, 2 * size)[None], grid, config, ordered=False
    )
    prediction = np.asarray(infer.depth_maps(config, height)(analysis.disparity, analysis.units))[0]
    score = lambda guess, where=None: float(
        evaluate.depth_scores(guess, depth[None], where)['plain']['abs_rel'][0]
    )
    known = depth > 0
    scale = np.median(depth[known]) / np.median(prediction[known])
    swept, sure = refined(upper, lower, prediction)
    confident = sure >= evaluate.CONFIDENT
    return {
        'pair': pathlib.Path(upper_path).name,
        'abs_rel': score(prediction),
        'refined': score(swept),
        'confident': float(confident[known].mean()),
        'refined_confident': score(swept, confident),
        'constant': score(np.ones_like(depth)),
        'known': float(known.mean()),
        'median_sweep_m': float(np.median(depth[known])),
        'unit_in_metres': float(scale),
    }, (upper, swept, depth)


def main(argv):
    """Prints one line a pair and writes pictures."""
    del argv
    params, config = checkpoints.load_model(FLAGS.checkpoint)
    grid, rows, shown = make_grid(config), [], []
    for pair in FLAGS.pairs:
        paths = pair.split(':')
        if len(paths) != 2:
            raise app.UsageError(f'--pairs has {pair!r}; accepted is upper.png:lower.png')
        row, pictures = compare(*paths, params, config, grid)
        rows.append(row)
        shown.append(pictures)
        print(
            '{pair}: AbsRel of the prediction {abs_rel:.3f}, refined {refined:.3f}, of a constant'
            ' {constant:.3f}, on the {known:.0%} of the pixels that the sweep is sure of; refined'
            ' where it is confident ({confident:.0%}) {refined_confident:.3f}'.format(**row)
        )
    if FLAGS.output:
        folder = pathlib.Path(FLAGS.output)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / 'stereo.json', {'baseline_m': FLAGS.baseline, 'pairs': rows})
        frames, depth, truth = (np.stack(parts) for parts in zip(*shown))
        panels.clip_panels(
            folder / 'panels.png',
            frames,
            depth,
            truth=truth,
            title=f'stereo sweep with a baseline of {FLAGS.baseline} m',
        )


if __name__ == '__main__':
    app.run(main)
