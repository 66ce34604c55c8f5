"""Augmentation that is valid on the sphere: it turns, mirrors and recolours the whole sphere.

A turned or mirrored view is an orthogonal matrix A with camera direction = A @ ray of the view.
Images are sampled through it in one step. A motion of the camera becomes `conjugate(motion, A)`,
which the pose network has to predict.
"""

from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
from jaxtyping import Float, Key

from pano_depth.kernels import rigid
from pano_depth.kernels.shapes import Array, Scalar

Rotation = Literal['none', 'yaw', 'any']
ROTATIONS = get_args(Rotation)


def views(
    keys: Key[Array, ' batch'], *, rotation: Rotation = 'yaw', mirror: bool = True
) -> Float[jax.Array, 'batch 3 3']:
    """Random views of the sphere.

    Args:
        keys: PRNG keys, one per example.
        rotation: 'none', 'yaw' (about the vertical), or 'any' (uniform over all rotations).
        mirror: whether half of the views are mirrored left to right.

    Returns:
        Orthogonal matrices, camera direction = matrix @ view direction.

    Raises:
        ValueError: unknown rotation.
    """
    if rotation not in ROTATIONS:
        raise ValueError(f'rotation is {rotation!r}; accepted are {", ".join(ROTATIONS)}')

    def one(key):
        turn, flip = jax.random.split(key)
        if rotation == 'yaw':
            angle = jax.random.uniform(turn, (), minval=-jnp.pi, maxval=jnp.pi)
            matrix = rigid.so3_exp(jnp.array([0.0, 1.0, 0.0]) * angle)
        elif rotation == 'any':
            # Q is uniform only if the triangle has a positive diagonal (Stewart 1980); the signs of
            # a QR are a convention and not random.
            matrix, triangle = jnp.linalg.qr(jax.random.normal(turn, (3, 3)))
            matrix = matrix * jnp.sign(jnp.diagonal(triangle))
            matrix = matrix * jnp.sign(jnp.linalg.det(matrix))
        else:
            matrix = jnp.eye(3)
        sign = jnp.where(mirror & jax.random.bernoulli(flip), -1.0, 1.0)
        return matrix * jnp.stack([sign, jnp.ones(()), jnp.ones(())])

    return jax.vmap(one)(keys)


class Colours(NamedTuple):
    """A change of colours of a batch; all ones change nothing."""

    gamma: Float[jax.Array, ' batch']
    saturation: Float[jax.Array, ' batch']
    gain: Float[jax.Array, 'batch 3']


def colours(keys: Key[Array, ' batch'], strength: Scalar) -> Colours:
    """Random changes of colours, of all frames of an example alike.

    Args:
        keys: PRNG keys, one per example.
        strength: 0 changes nothing. Brightness lies within 1 +- strength, tint within 1 +- strength
            / 4, the logarithms of gamma and saturation within +- strength and +- 2 strength.
    """

    def one(key):
        common, tint, gamma, saturation = jax.random.split(key, 4)
        within = lambda key, width, shape=(): width * jax.random.uniform(key, shape, minval=-1.0)
        gain = (1 + within(common, strength)) * (1 + within(tint, strength / 4, (3,)))
        return Colours(
            jnp.exp(within(gamma, strength)), jnp.exp(within(saturation, 2 * strength)), gain
        )

    return jax.vmap(one)(keys)


def recolour(
    images: Float[Array, 'batch *image 3'], change: Colours
) -> Float[jax.Array, 'batch *image 3']:
    """Changes the colours of images.

    Args:
        images: in [0, 1].
        change: of each example.

    Returns:
        Like `images`, clipped to [0, 1]: gray + saturation * (image - gray), times gain, to the
        power of gamma.
    """
    widen = lambda x: x.reshape(x.shape[:1] + (1,) * (images.ndim - 1 - (x.ndim > 1)) + x.shape[1:])
    gray = images.mean(axis=-1, keepdims=True)
    images = jnp.clip(
        (gray + widen(change.saturation) * (images - gray)) * widen(change.gain), 0, 1
    )
    return images ** widen(change.gamma)


def conjugate(motion: rigid.Motion, view: Float[Array, '*batch 3 3']) -> rigid.Motion:
    """The motion as the view sees it: A^T o motion o A.

    Args:
        motion: [*batch] between cameras.
        view: orthogonal, mirrored ones too.

    Returns:
        [*batch] between the views of the same cameras; the rotation is proper even for mirrored
        views.
    """
    back = jnp.swapaxes(view, -1, -2)
    turn = lambda a, b: jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)
    return rigid.Motion(
        turn(turn(back, motion.rotation), view), rigid.rotate(back, motion.translation)
    )
