"""The deployed depth network as a function: a panorama goes in, its depth comes out.

Everything between the two is inside: shrinking, resampling to the faces of the cube, the network
with its padding and condensed learned groups, resampling back.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from common import export
from common.layers import init
from pano_depth.kernels import cube, remap
from pano_depth.learning import model as models
from pano_depth.learning.cells import build, condense
from pano_depth.learning.cells.network import MASK

LARGEST = 512  # rows if none are asked for, as in prediction


class Deployed(NamedTuple):
    """A deployed depth network.

    Attributes:
        function: of (weights, frames [B, H, 2H, 3]) that gives depth [B, H, 2H] float32, to be
            jitted. Frames are float32 in [0, 1] or uint8; the depth is range, whose reciprocal has
            a mean of about 1 over the sphere.
        weights: a tree of NumPy arrays: parameters, and the tables of resampling. As constants of
            a program they would take long to compile, and change its time and its memory.
    """

    function: Callable[[Any, jax.Array], jax.Array]
    weights: Any


def rows_of(config: models.ModelConfig, height: int = 0) -> int:
    """Rows of the panorama that a deployed network takes and of the depth that it gives.

    Args:
        config: of the networks.
        height: a multiple of the 2 * face_size rows that the network sees, since shrinking averages
            whole blocks; 0 takes the largest one up to 512.

    Raises:
        ValueError: the height is no such multiple.
    """
    own = 2 * config.face_size
    if height % own or height < 0:
        raise ValueError(
            f'height is {height}; the network sees {own} rows, so that multiples of {own} are '
            'accepted'
        )
    return height or max(1, LARGEST // own) * own


def random_params(config: models.ModelConfig, seed: int = 0) -> dict[str, Any]:
    """Parameters {'depth': ...} of a network that has learned nothing, but whose depth varies.

    With those that a training starts from, depth is nearly the same everywhere, so that wrong files
    would go unnoticed.
    """
    shapes = models.param_shapes(config)['depth']
    return {'depth': init.he_normal(np.random.default_rng(seed), shapes)}


def prune(params: Mapping[str, Any], config: models.ModelConfig) -> dict[str, Any]:
    """The {'depth': ...} parameters whose learned groups are pruned as far as deployment needs."""
    return {'depth': condense.prune(build.build(config), params['depth'], 1.0)}


def is_condensed(params: Mapping[str, Any], config: models.ModelConfig) -> bool:
    """Whether learned groups are as a whole training leaves them, so that `prune` changes none."""
    pruned = prune(params, config)
    return all(
        np.array_equal(np.asarray(params['depth'][name][MASK]) > 0.5, pruned['depth'][name][MASK])
        for name in (layer.name for layer in condense.learned_groups(build.build(config)))
    )


def deployed(
    params: Mapping[str, Any] | None, config: models.ModelConfig, height: int = 0
) -> Deployed:
    """The deployed network, for panoramas of one size.

    Args:
        params: {'depth', ...} as a training gives them; None takes `random_params`.
        config: of the networks.
        height: rows of the panorama, see `rows_of`.

    Raises:
        ValueError: the height does not fit.
    """
    height, side = rows_of(config, height), config.face_size
    params = random_params(config) if params is None else params
    grid, flat = models.make_grid(config), config.padding == 'equirect'
    tables = (
        ()
        if flat
        else (
            cube.equirect_to_cube_table(2 * side, 4 * side, side),
            cube.cube_to_equirect_table(side, height, 2 * height),
        )
    )
    weights = {
        'depth': condense.deploy(build.build(config), params['depth']),
        'rays': grid.rays,
        'angles': grid.weights,
        'tables': tables,
    }
    network = models.depth_network(config, deployed=True)

    def function(weights, frames):
        images = images_of(frames, config, None if flat else weights['tables'][0])
        logit = network.apply({'params': weights['depth']}, images, weights['rays'])[0]
        disparity = jnp.exp(logit)
        # The solid angles are divided by their mean.
        disparity /= (disparity * weights['angles']).mean(axis=(1, 2, 3), keepdims=True)
        size = (height, 2 * height)
        if flat:
            return 1 / jax.image.resize(disparity[:, 0], (len(disparity), *size), 'linear')
        faces = disparity[..., None]
        return 1 / cube.cube_to_equirect(faces, *size, table=weights['tables'][1])[..., 0]

    return Deployed(function, jax.tree.map(np.asarray, weights))


def images_of(
    frames: jax.Array, config: models.ModelConfig, table: remap.Table | None = None
) -> jax.Array:
    """What the networks see of frames [B, H, 2H, 3]: [B, faces, rows, columns, 3] in [0, 1].

    Args:
        frames: float32 in [0, 1], or uint8; H as `rows_of` gives it.
        config: of the networks.
        table: of `cube.equirect_to_cube_table`; None takes the right one.
    """
    side, images = config.face_size, export.unit_range(frames)
    block = images.shape[1] // (2 * side)
    if block > 1:
        images = images.reshape(-1, 2 * side, block, 4 * side, block, 3).mean(axis=(2, 4))
    if config.padding == 'equirect':
        return images[:, None]
    return cube.equirect_to_cube(images, side, table=table)
