"""What a depth network says of single images, seen through several views of the sphere.

The faces of the cube lie elsewhere in every view, so that views differ where the network is unsure.
Their mean is better than each of them.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Float32

from pano_depth.kernels import cube, cube_edges, remap, sphere
from pano_depth.kernels.shapes import Array
from pano_depth.learning import model as models
from pano_depth.learning.model import Grid, ModelConfig

YAWS = 4  # turns about the vertical, over the quarter of a circle after which the cube is the same
COUNT = 2 * YAWS  # each of them also mirrored


def matrices() -> Float32[np.ndarray, 'views 3 3']:
    """The views: camera direction = matrix @ view direction; the first is upright."""
    found = []
    for angle in np.arange(YAWS) * np.pi / 2 / YAWS:
        c, s = np.cos(angle), np.sin(angle)
        turn = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
        found += [turn, turn @ np.diag([-1, 1, 1])]
    return np.stack(found).astype(np.float32)


@functools.lru_cache(maxsize=4)
def _back(face_size, flat):
    """Tables, stacked, that resample what each view shows to the upright grid."""
    rows = 2 * face_size
    rays = sphere.pixel_rays(rows, 2 * rows)[None] if flat else cube.face_directions(face_size)
    indices, weights = [], []
    for matrix in matrices().astype(np.float64):
        towards = np.asarray(rays, np.float64) @ matrix
        if flat:
            at = (np.asarray(part) for part in sphere.project(towards, rows, 2 * rows))
            taps = sphere.equirect_taps(*at, rows, 2 * rows, 'bilinear', xp=np)
        else:
            taps = cube_edges.bilinear_taps(towards.reshape(-1, 3), face_size, cube.FACE_AXES)
            taps = [[part.reshape(towards.shape[:-1]) for part in parts] for parts in taps]
        indices.append(np.stack(taps[0]))
        weights.append(np.stack(taps[1]))
    return np.stack(indices).astype(np.int32), np.stack(weights).astype(np.float32)


def disparity(
    params: dict, frames: Float[Array, 'batch height width 3'], grid: Grid, config: ModelConfig
) -> tuple[
    Float32[jax.Array, 'batch faces rows columns'], Float32[jax.Array, 'batch faces rows columns']
]:
    """Disparity of single images as the mean over `COUNT` views, and how much these differ.

    Args:
        params: {'depth': ...}.
        frames: equirectangular, in [0, 1], H = 2 * face_size.
        grid, config: of the model.

    Returns:
        (disparity on the grid, divided by its mean over the sphere; the standard deviation of its
        logarithm between the views).
    """
    tables = _back(config.face_size, config.padding == 'equirect')
    return _disparity(params, frames, grid, (matrices(), *tables), config)


@functools.partial(jax.jit, static_argnames=('config',))
def _disparity(params, frames, grid, views, config):
    def add(sums, view):
        matrix, indices, weights = view
        turned = jnp.broadcast_to(matrix, (len(frames), 3, 3))
        seen = models.look(frames[:, None], grid, turned)[:, 0]
        log = jnp.log(models.predict_disparity(params, seen, grid, config)[0][0])
        pixels = log.reshape(len(frames), -1, 1)
        log = remap.apply_table(remap.Table(indices, weights), pixels)[..., 0]
        return (sums[0] + log, sums[1] + log * log), None

    zero = jnp.zeros((len(frames), *grid.rays.shape[:3]))
    (total, squares), _ = jax.lax.scan(add, (zero, zero), views)
    mean = total / COUNT
    spread = jnp.sqrt(jnp.maximum(squares / COUNT - mean * mean, 0.0))
    found = jnp.exp(mean)
    weight = grid.weights / grid.weights.sum()
    return found / (found * weight).sum(axis=(1, 2, 3), keepdims=True), spread
