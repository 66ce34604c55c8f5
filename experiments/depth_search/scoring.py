"""What a depth network sees of panoramas, what it predicts there, and how far off that is."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from experiments.depth_search.frames import Frames
from pano_depth.learning import model as models
from pano_depth.learning.model import ModelConfig
from pano_depth.reconstruction import infer, metrics

SCORED = 16  # frames that are scored at once


def shrink(images, config: ModelConfig):
    """Panoramas as the network sees them: means of whole blocks of pixels.

    Args:
        images: [B, H, 2H, 3] uint8, H a multiple of 2 * face_size.
        config: of the model.

    Returns:
        [B, 2 * face_size, 4 * face_size, 3] float32 in [0, 1].
    """
    rows, block = 2 * config.face_size, images.shape[1] // (2 * config.face_size)
    images = images.reshape(-1, rows, block, 2 * rows, block, 3).astype(jnp.float32)
    return images.mean(axis=(2, 4)) / 255


def disparity(params: dict, images, view, grid: models.Grid, config: ModelConfig):
    """The disparity [B, faces, rows, columns] of panoramas.

    Args:
        params: {'depth': ...}.
        images: [B, H, 2H, 3] uint8.
        view: [B, 3, 3] orthogonal matrices through which the network looks.
        grid, config: of the model.
    """
    seen = models.look(shrink(images, config)[:, None], grid, view)[:, 0]
    return models.predict_disparity(params, seen, grid, config)[0][0]


def make_predictor(config: ModelConfig, height: int) -> Callable:
    """Makes the function from parameters and panoramas to their depth.

    Args:
        config: of the model.
        height: rows of the panoramas and of their depth, a multiple of 2 * face_size.

    Returns:
        predict({'depth': ...}, [B, H, 2H, 3] uint8) -> [B, H, 2H] range in the network's unit.
    """
    grid, to_depth = models.make_grid(config), infer.depth_maps(config, height)

    @jax.jit
    def predict(params, images):
        upright = jnp.broadcast_to(jnp.eye(3), (len(images), 3, 3))
        return to_depth(disparity(params, images, upright, grid, config), jnp.ones(len(images)))

    return predict


@jax.jit
@jax.vmap
def _abs_rel(depth, truth):
    return metrics.depth_metrics(depth, truth)['abs_rel']


def score(predict: Callable, params: dict, unseen: Frames) -> tuple[float, np.ndarray]:
    """Scores a network on unseen frames.

    Args:
        predict: from `make_predictor`.
        params: {'depth': ...}.
        unseen: the frames.

    Returns:
        (mean AbsRel in percent, of depth that is scaled by its median in each frame; the depth
        [H, 2H] of the first frame).
    """
    found, shown = [], None
    for start in range(0, len(unseen.images), SCORED):
        # The last batch is filled up with the last frame, so that everything compiles once.
        rows = np.minimum(np.arange(start, start + SCORED), len(unseen.images) - 1)
        depth = predict(params, unseen.images[rows])
        errors = _abs_rel(depth, np.float32(unseen.depth[rows]))
        found += np.asarray(errors)[: len(unseen.images) - start].tolist()
        shown = np.asarray(depth[0]) if shown is None else shown
    return 100 * float(np.mean(found)), shown
