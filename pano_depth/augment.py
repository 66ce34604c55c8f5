"""Augmentation that is valid on the sphere: the whole sphere turns, is mirrored, changes its colours.

A turned or mirrored view is an orthogonal matrix A with camera direction = A @ ray of the view. Images are sampled through it in one go, and a
motion of the camera becomes `conjugate(motion, A)`: what the pose network has to answer.
"""

import jax
import jax.numpy as jnp

from pano_depth import rigid

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
            # Only with a positive diagonal of the triangle is Q uniform (Stewart 1980): the sign convention of a QR is not random.
            matrix, triangle = jnp.linalg.qr(jax.random.normal(turn, (3, 3)))
            matrix = matrix * jnp.sign(jnp.diagonal(triangle))
            matrix = matrix * jnp.sign(jnp.linalg.det(matrix))
        else:
            matrix = jnp.eye(3)
        sign = jnp.where(mirror & jax.random.bernoulli(flip), -1.0, 1.0)
        return matrix * jnp.stack([sign, jnp.ones(()), jnp.ones(())])
    return jax.vmap(one)(keys)


def colour_gains(keys, strength):
    """Random colour factors: a common brightness within 1 +- strength, times a tint within 1 +- strength / 4.

    Args:
      keys: [B] PRNG keys, one per example.
      strength: 0 changes nothing.

    Returns:
      [B, 3] factors of the channels.
    """
    def one(key):
        common, tint = jax.random.split(key)
        return (1 + strength * jax.random.uniform(common, (), minval=-1.0)
                ) * (1 + strength / 4 * jax.random.uniform(tint, (3,), minval=-1.0))
    return jax.vmap(one)(keys)


def conjugate(motion, view):
    """The motion as the view sees it: A^T o motion o A.

    Args:
      motion: `Motion` [...] between cameras.
      view: [..., 3, 3] orthogonal, mirrored ones too.

    Returns:
      `Motion` [...] between the views of the same cameras; its rotation is proper even for mirrored views.
    """
    back = jnp.swapaxes(view, -1, -2)
    turn = lambda a, b: jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)
    return rigid.Motion(turn(turn(back, motion.rotation), view), rigid.rotate(back, motion.translation))
