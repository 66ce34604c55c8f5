"""Augmentation that is valid on the sphere: the whole sphere turns, is mirrored, changes its
colours.

A turned or mirrored view is an orthogonal matrix A with camera direction = A @ ray of the view.
Images are sampled through it in one go, and a motion of the camera becomes `conjugate(motion, A)`:
what the pose network has to answer.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from pano_depth.kernels import rigid

ROTATIONS = ('none', 'yaw', 'any')


def views(keys, *, rotation='yaw', mirror=True):
    """Random views of the sphere.

    Args:
        keys: [B] PRNG keys, one per example.
        rotation: 'none', 'yaw' (about the vertical), or 'any' (uniform over all rotations).
        mirror: whether half of the views are mirrored left to right.

    Returns:
        [B, 3, 3] orthogonal matrices, camera direction = matrix @ view direction.

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
            # Only with a positive diagonal of the triangle is Q uniform (Stewart 1980): the sign
            # convention of a QR is not random.
            matrix, triangle = jnp.linalg.qr(jax.random.normal(turn, (3, 3)))
            matrix = matrix * jnp.sign(jnp.diagonal(triangle))
            matrix = matrix * jnp.sign(jnp.linalg.det(matrix))
        else:
            matrix = jnp.eye(3)
        sign = jnp.where(mirror & jax.random.bernoulli(flip), -1.0, 1.0)
        return matrix * jnp.stack([sign, jnp.ones(()), jnp.ones(())])

    return jax.vmap(one)(keys)


class Colours(NamedTuple):
    """A change of colours of a batch: gamma [B], saturation [B], gain [B, 3]; all ones change
    nothing.
    """

    gamma: jax.Array
    saturation: jax.Array
    gain: jax.Array


def colours(keys, strength):
    """Random changes of colours, of all frames of an example alike.

    Args:
        keys: [B] PRNG keys, one per example.
        strength: 0 changes nothing. Brightness lies within 1 +- strength, tint within 1 +- strength
            / 4, the logarithms of gamma and saturation within +- strength and +- 2 strength.

    Returns:
        `Colours`.
    """

    def one(key):
        common, tint, gamma, saturation = jax.random.split(key, 4)
        within = lambda key, width, shape=(): width * jax.random.uniform(key, shape, minval=-1.0)
        gain = (1 + within(common, strength)) * (1 + within(tint, strength / 4, (3,)))
        return Colours(
            jnp.exp(within(gamma, strength)), jnp.exp(within(saturation, 2 * strength)), gain
        )

    return jax.vmap(one)(keys)


def recolour(images, change):
    """Changes the colours of images.

    Args:
        images: [B, ..., 3] float in [0, 1].
        change: `Colours` of B examples.

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


def conjugate(motion, view):
    """The motion as the view sees it: A^T o motion o A.

    Args:
        motion: `Motion` [...] between cameras.
        view: [..., 3, 3] orthogonal, mirrored ones too.

    Returns:
        `Motion` [...] between the views of the same cameras; its rotation is proper even for
        mirrored views.
    """
    back = jnp.swapaxes(view, -1, -2)
    turn = lambda a, b: jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)
    return rigid.Motion(
        turn(turn(back, motion.rotation), view), rigid.rotate(back, motion.translation)
    )
