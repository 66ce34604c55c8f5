"""What the tables of reconstructions say of footage that has no truth.

- photometric: mean difference of grey values in [0, 1] between a frame and what its depth and the
  path make of the frames 1, 2 and 4 away, by solid angle, where there is depth;
- flicker: second difference of log depth in time, its median over the directions;
- confirmed: share of the pixels that other views confirm;
- closure: distance between first and last place in percent of the length of the path, which means
  something where the camera comes back.
"""

import jax
import jax.numpy as jnp
import numpy as np

from pano_depth.kernels import sphere, warp
from pano_depth.reconstruction.sweep.confirm import CONFIRMED
from pano_depth.results import Reconstruction

DISTANCES = (1, 2, 4)  # frames


@jax.jit
def _difference(image, other, depth, rotation, position):
    """Mean grey difference by solid angle where there is depth."""
    height, width = depth.shape
    rays = sphere.ray_directions(height, width)
    made = warp.synthesize(other, rays, jnp.where(depth > 0, depth, 1.0), rotation, position)
    weights = sphere.solid_angles(height, width) * (depth > 0)
    error = jnp.abs(image - made).mean(axis=-1)
    return jnp.sum(weights * error) / jnp.sum(weights)


def photometric(result: Reconstruction, frames: np.ndarray) -> float:
    """The mean difference between frames and what depth and path make of others."""
    poses, errors = result.poses, []
    image = lambda i: frames[i].astype(np.float32) / 255
    for i in range(len(result)):
        depth = result.depth(i)
        for j in (i + step * sign for step in DISTANCES for sign in (-1, 1)):
            if 0 <= j < len(result) and depth.any():
                turn = poses.rotation[j].T @ poses.rotation[i]
                place = poses.rotation[j].T @ (poses.translation[i] - poses.translation[j])
                errors.append(
                    _difference(
                        image(i), image(j), depth, turn.astype('float32'), place.astype('float32')
                    )
                )
    return float(np.mean(errors))


def figures(result: Reconstruction, frames: np.ndarray) -> dict[str, float]:
    """All figures of a reconstruction of frames [N, H, 2H, 3]."""
    bends, sure, logs = [], [], []
    for i in range(len(result)):
        depth = result.depth(i)
        sure.append(float((result.confidence(i) >= CONFIRMED).mean()))
        logs = [*logs[-2:], np.log(np.where(depth > 0, depth, np.nan))]
        if len(logs) == 3:
            bends.append(float(np.nanmedian(np.abs(np.diff(logs, 2, axis=0)))))
    row = {'registered': len(result), 'flicker': float(np.mean(bends))}
    if result.pieces[0].refined is not None:
        row['confirmed'] = float(np.mean(sure))
    if result.poses is not None:
        places = result.poses.translation
        length = np.linalg.norm(np.diff(places, axis=0), axis=-1).sum()
        row['photometric'] = photometric(result, frames)
        row['closure_percent'] = float(100 * np.linalg.norm(places[-1] - places[0]) / length)
    return row
