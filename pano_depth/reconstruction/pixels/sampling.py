"""Where points seen by one camera appear in another one, fast."""

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32

from pano_depth.kernels.shapes import Array, Size

# A minimax polynomial for atan on [0, 1] in odd powers; it is off by less than 2e-6 rad, rounding
# included: a thousandth of a pixel at 1024 rows. `jnp.arctan2` takes ten times as long on a CPU
# and would take most of the time of a sweep.
_ATAN = (0.99997726, -0.33262347, 0.19354346, -0.11643287, 0.05265332, -0.01172120)


def compiled(function: Callable) -> Callable:
    """`jax.jit` with the widest vectors of a CPU: a sweep is arithmetic from end to end.

    Args:
        function: of arrays alone, which it takes by position.
    """

    @functools.cache
    def ready():
        wide = {'xla_cpu_prefer_vector_width': 512} if jax.default_backend() == 'cpu' else None
        return jax.jit(function, compiler_options=wide)

    @functools.wraps(function)
    def call(*args):
        # JAX takes options of a compiler at the outermost `jit` alone.
        inside = any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(args))
        return (function if inside else ready())(*args)

    return call


def arctan2(y: Float32[Array, '*grid'], x: Float32[Array, '*grid']) -> Float32[jax.Array, '*grid']:
    """Angle of (x, y) in (-pi, pi], within 2e-6 rad where it is longer than 1e-20; 0 at 0."""
    across, along = jnp.abs(y), jnp.abs(x)
    ratio = jnp.minimum(across, along) / jnp.maximum(jnp.maximum(across, along), 1e-20)
    square = ratio * ratio
    angle = jnp.float32(_ATAN[-1])
    for factor in _ATAN[-2::-1]:
        angle = angle * square + factor
    angle = angle * ratio
    angle = jnp.where(across > along, np.pi / 2 - angle, angle)
    angle = jnp.where(x < 0, np.pi - angle, angle)
    return jnp.where(y < 0, -angle, angle)


def pixels(
    directions: Sequence[Float32[Array, '*grid']], height: Size
) -> tuple[Float32[jax.Array, '*grid'], Float32[jax.Array, '*grid']]:
    """Continuous pixel coordinates of viewing directions, as `sphere.project` has them.

    Args:
        directions: x, y and z in the camera frame, of any length.
        height: rows of the image.

    Returns:
        (column, row), within 2e-6 rad; integers are pixel centres.
    """
    x, y, z = directions
    columns = arctan2(x, z) * (height / np.pi) + (height - 0.5)
    rows = arctan2(y, jnp.sqrt(x * x + z * z)) * (height / np.pi) + (height / 2 - 0.5)
    return columns, rows


def seen_from(
    rays: Float32[Array, '3 ...'],
    inverse: Float32[Array, '...'],
    rotation: Float32[Array, '3 3'],
    position: Float32[Array, '3'],
) -> list[Float32[jax.Array, '...']]:
    """Directions of points in another camera: rotation @ ray + inverse * position, by axis.

    Args:
        rays: unit rays of the camera whose points these are.
        inverse: 1 / range along the rays.
        rotation, position: from that camera to the other one.
    """
    return [
        rotation[i, 0] * rays[0]
        + rotation[i, 1] * rays[1]
        + rotation[i, 2] * rays[2]
        + inverse * position[i]
        for i in range(3)
    ]
