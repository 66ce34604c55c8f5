"""Rigid motions: rotation vectors, composition and inversion.

Camera frame: x right, y down, z forward (OpenCV); metres and radians. Every function takes any
leading batch axes, works under `jit`, `vmap` and `grad`, and has finite gradients everywhere, the
zero rotation and half turns included.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from pano_depth.kernels.shapes import Array, Real


class Motion(NamedTuple):
    """A rigid motion `X' = rotation @ X + translation`.

    Attributes:
        rotation: rotation matrices.
        translation: in metres, or in the unit of the depth.
    """

    rotation: Float[Array, '*#batch 3 3']
    translation: Float[Array, '*#batch 3']


def _check(name, value, last):
    if value.shape[value.ndim - len(last) :] != last:
        raise ValueError(
            f'{name} has shape {tuple(value.shape)}; expected [..., {", ".join(map(str, last))}]'
        )


def _as_float(name, value, last):
    """The array, in float32 at least, checked to be [..., *last]."""
    value = jnp.asarray(value)
    _check(name, value, last)
    return value.astype(jnp.promote_types(value.dtype, jnp.float32))


def _as_floats(name, motion):
    """The motion in float32 at least, checked; `name` is what messages call it."""
    return Motion(
        _as_float(f'rotation of {name}', motion.rotation, (3, 3)),
        _as_float(f'translation of {name}', motion.translation, (3,)),
    )


def _check_broadcast(**shapes):
    """Raises ValueError, naming the arrays, unless their leading axes broadcast."""
    try:
        jnp.broadcast_shapes(*shapes.values())
    except ValueError:
        listed = ' and '.join(f'{name} {shape}' for name, shape in shapes.items())
        raise ValueError(f'the leading axes of {listed} do not broadcast') from None


def rotate(
    rotation: Real[Array, '*#batch 3 3'], vectors: Real[Array, '*#batch 3']
) -> Float[jax.Array, '*#batch 3']:
    """Applies rotations to vectors, in float32 whatever the matmul precision of the backend.

    Args:
        rotation: rotation matrices.
        vectors: the vectors to rotate.

    Returns:
        The rotated vectors.

    Raises:
        ValueError: the arguments are not [..., 3, 3] and [..., 3], or do not broadcast.
    """
    rotation, vectors = _as_float('rotation', rotation, (3, 3)), _as_float('vectors', vectors, (3,))
    _check_broadcast(rotation=rotation.shape[:-2], vectors=vectors.shape[:-1])
    # Three multiply-adds instead of a matmul: exact for the identity, no TF32 on GPU or bfloat16 on
    # TPU, and it fuses.
    return (
        rotation[..., :, 0] * vectors[..., None, 0]
        + rotation[..., :, 1] * vectors[..., None, 1]
        + rotation[..., :, 2] * vectors[..., None, 2]
    )


def _matmul(a, b):
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)


def so3_exp(omega: Real[Array, '*batch 3']) -> Float[jax.Array, '*batch 3 3']:
    """Rotation matrix of a rotation vector (Rodrigues' formula).

    Args:
        omega: rotation vectors, radians.

    Returns:
        Rotation matrices.

    Raises:
        ValueError: omega is not [..., 3].
    """
    omega = _as_float('omega', omega, (3,))
    angle2 = jnp.sum(omega * omega, axis=-1)
    small = angle2 < 1e-4
    safe2 = jnp.where(small, 1.0, angle2)
    angle = jnp.sqrt(safe2)
    # Below 0.01 rad the Taylor series is exact in float32 and has no 0/0 in its gradient.
    a = jnp.where(small, 1 - angle2 / 6 + angle2**2 / 120, jnp.sin(angle) / angle)
    b = jnp.where(small, 0.5 - angle2 / 24 + angle2**2 / 720, 2 * jnp.sin(angle / 2) ** 2 / safe2)
    x, y, z = omega[..., 0], omega[..., 1], omega[..., 2]
    zero = jnp.zeros_like(x)
    cross = jnp.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1).reshape(
        omega.shape[:-1] + (3, 3)
    )
    # [w]^2 = w w^T - |w|^2 I
    square = omega[..., :, None] * omega[..., None, :] - angle2[..., None, None] * jnp.eye(
        3, dtype=omega.dtype
    )
    return jnp.eye(3, dtype=omega.dtype) + a[..., None, None] * cross + b[..., None, None] * square


def _quaternion(rotation):
    """Unit quaternion [..., 4] (w, x, y, z), w >= 0, from the largest candidate (Shepperd 1978)."""
    r = rotation
    trace = r[..., 0, 0] + r[..., 1, 1] + r[..., 2, 2]
    diagonal = jnp.stack([trace, r[..., 0, 0], r[..., 1, 1], r[..., 2, 2]], axis=-1)
    choice = jnp.argmax(diagonal, axis=-1)
    wx = r[..., 2, 1] - r[..., 1, 2]
    wy = r[..., 0, 2] - r[..., 2, 0]
    wz = r[..., 1, 0] - r[..., 0, 1]
    xy = r[..., 0, 1] + r[..., 1, 0]
    xz = r[..., 0, 2] + r[..., 2, 0]
    yz = r[..., 1, 2] + r[..., 2, 1]
    squares = [1 + trace] + [1 - trace + 2 * r[..., i, i] for i in range(3)]
    candidates = jnp.stack(
        [
            jnp.stack([squares[0], wx, wy, wz], axis=-1),
            jnp.stack([wx, squares[1], xy, xz], axis=-1),
            jnp.stack([wy, xy, squares[2], yz], axis=-1),
            jnp.stack([wz, xz, yz, squares[3]], axis=-1),
        ],
        axis=-2,
    )
    quaternion = jnp.take_along_axis(candidates, choice[..., None, None], axis=-2)[..., 0, :]
    quaternion = quaternion / jnp.sqrt(jnp.sum(quaternion**2, axis=-1, keepdims=True))
    return jnp.where(quaternion[..., :1] < 0, -quaternion, quaternion)


def so3_log(rotation: Real[Array, '*batch 3 3']) -> Float[jax.Array, '*batch 3']:
    """Rotation vector of a rotation matrix; the inverse of `so3_exp` for angles up to pi.

    Args:
        rotation: rotation matrices.

    Returns:
        Rotation vectors, radians, of length at most pi.

    Raises:
        ValueError: rotation is not [..., 3, 3].
    """
    rotation = _as_float('rotation', rotation, (3, 3))
    quaternion = _quaternion(rotation)
    w, vector = quaternion[..., 0], quaternion[..., 1:]
    sine2 = jnp.sum(vector * vector, axis=-1)
    small = sine2 < 1e-5
    sine = jnp.sqrt(jnp.where(small, 1.0, sine2))
    # asin(s)/s = 1 + s^2/6 + 3 s^4/40 near zero, where atan2's gradient would be 0/0.
    scale = jnp.where(
        small, 2 * (1 + sine2 / 6 + 3 * sine2**2 / 40), 2 * jnp.arctan2(sine, w) / sine
    )
    return scale[..., None] * vector


def compose(a: Motion, b: Motion) -> Motion:
    """The motion that applies `b` first, then `a`.

    Args:
        a, b: with leading axes that broadcast.

    Returns:
        Rotation `Ra @ Rb` and translation `Ra @ tb + ta`.

    Raises:
        ValueError: an array is not [..., 3, 3] or [..., 3], or they do not broadcast.
    """
    a, b = _as_floats('a', a), _as_floats('b', b)
    shapes = {}
    for name, motion in (('a', a), ('b', b)):
        shapes[f'rotation of {name}'] = motion.rotation.shape[:-2]
        shapes[f'translation of {name}'] = motion.translation.shape[:-1]
    _check_broadcast(**shapes)
    return Motion(
        _matmul(a.rotation, b.rotation), rotate(a.rotation, b.translation) + a.translation
    )


def inverse(motion: Motion) -> Motion:
    """The motion that undoes `motion`.

    Returns:
        Rotation `R^T` and translation `-R^T @ t`.

    Raises:
        ValueError: an array is not [..., 3, 3] or [..., 3], or they do not broadcast.
    """
    motion = _as_floats('motion', motion)
    rotation = jnp.swapaxes(motion.rotation, -1, -2)
    return Motion(rotation, -rotate(rotation, motion.translation))
