"""How far apart frames have to be: far enough to tell depth, near enough to match."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, UInt8

from pano_depth.footage import media
from pano_depth.kernels import rigid, sphere
from pano_depth.kernels.shapes import Array

HEIGHT = 64  # rows at which footage is compared
PARALLAX = 0.6  # wanted median shift beyond rotation, in pixels of such an image


def _blur(image, times):
    """Smooths [H, W, C] on the sphere; each time doubles the variance of a 3 x 3 binomial."""

    def once(_, image):
        above = jnp.roll(image[:1], image.shape[1] // 2, axis=1)
        below = jnp.roll(image[-1:], image.shape[1] // 2, axis=1)
        rows = jnp.concatenate([above, image, below])
        image = (rows[:-2] + 2 * rows[1:-1] + rows[2:]) / 4
        return (jnp.roll(image, 1, axis=1) + 2 * image + jnp.roll(image, -1, axis=1)) / 4

    return jax.lax.fori_loop(0, times, once, image)


def _residual(omega, target, source, rays):
    """The difference between the source, turned by `omega`, and the target."""
    return sphere.sample_equirect(source, rigid.rotate(rigid.so3_exp(omega), rays)) - target


def _improve(_, omega, residual, weights):
    """A Gauss-Newton step for a robust norm of the residual."""
    error, jacobian = residual(omega), jax.jacfwd(residual)(omega)
    scale = 1.5 * jnp.mean(jnp.abs(error)) + 1e-6
    robust = weights * scale / (scale + jnp.abs(error))
    normal = jnp.einsum('hwci,hwcj,hwc->ij', jacobian, jacobian, robust) + 1e-6 * jnp.eye(3)
    gradient = jnp.einsum('hwci,hwc,hwc->i', jacobian, error, robust)
    return omega - jnp.linalg.solve(normal, gradient)


@jax.jit
def rotation_between(
    target: Float[Array, 'height width channels'], source: Float[Array, 'height width channels']
) -> tuple[Float[jax.Array, '3'], Float[jax.Array, '']]:
    """The rotation that best explains one image by another, by Gauss-Newton, from coarse to fine.

    Args:
        target, source: equirectangular images.

    Returns:
        (omega, parallax): rotation vector, target to source camera, radians; and the typical shift
        that remains, in pixels at the equator.
    """
    rays = sphere.ray_directions(*target.shape[:2])
    weights = jnp.linalg.norm(rays[..., ::2], axis=-1)[..., None]
    omega = jnp.zeros(3)
    for times in (24, 8, 2):
        residual = functools.partial(
            _residual, target=_blur(target, times), source=_blur(source, times), rays=rays
        )
        improve = functools.partial(_improve, residual=residual, weights=weights)
        omega = jax.lax.fori_loop(0, 4, improve, omega)
    error, jacobian = residual(omega), jax.jacfwd(residual)(omega)
    # The derivative by a rotation is the image gradient per radian; a pixel at the equator is
    # 2 pi / W radians.
    gradient = jnp.linalg.norm(jacobian, axis=-1) * (2 * np.pi / target.shape[1])
    total = jnp.sum(weights * gradient**2) + 1e-9
    return omega, jnp.sum(weights * gradient * jnp.abs(error)) / total


def choose_stride(
    frames: UInt8[Array, 'frames height width 3'], *, parallax: float = PARALLAX, samples: int = 8
) -> tuple[int, float]:
    """Chooses the distance between a target frame and its sources.

    Args:
        frames: equirectangular.
        parallax: wanted median shift in pixels of a 64 x 128 image.
        samples: number of pairs to compare for each candidate.

    Returns:
        (stride, measured): the smallest stride that reaches the wanted shift, or else the largest
        that leaves enough triplets; and the median shift at that stride.
    """
    count = len(frames)
    largest = max(1, (count - 1) // 6)
    small = {}

    def image(index):
        if index not in small:
            resized = media.resize_equirect(frames[index], HEIGHT, 2 * HEIGHT)
            small[index] = jnp.asarray(resized, jnp.float32) / 255
        return small[index]

    stride = 1
    while True:
        starts = np.linspace(0, count - 1 - stride, min(samples, count - stride)).astype(int)
        starts = np.unique(starts)
        shift = float(np.median([rotation_between(image(i), image(i + stride))[1] for i in starts]))
        if shift >= parallax or stride >= largest:
            return stride, shift
        # Shifts grow about in proportion to the distance.
        stride = min(largest, max(stride + 1, int(stride * min(4.0, parallax / max(shift, 1e-3)))))
