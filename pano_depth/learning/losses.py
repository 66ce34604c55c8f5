"""Self-supervised losses on the sphere.

Images are [..., F, h, w, C] with F = 6 cube faces or F = 1 equirectangular image, or anything else
with the same last axes. Means over pixels take weights, their solid angles: a pixel at a face
corner covers 5.2 times less of the sphere than one at the centre.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Float

from pano_depth.kernels.cube import FACE_AXES
from pano_depth.kernels.shapes import Array, Real

# Pads [..., F, h, w, C] by one pixel on every side, across the faces (`model.pad_one`).
Pad = Callable[[jax.Array], jax.Array]
_LEAST_COST = 0.02  # differences of this size and below are noise


def check_float(name: str, image: Real[Array, '...']) -> None:
    """Raises ValueError, which calls the image `name`, if it is not floating point."""
    if not jnp.issubdtype(jnp.asarray(image).dtype, jnp.floating):
        raise ValueError(
            f'{name} is {jnp.asarray(image).dtype}; losses take float images in [0, 1] (divide'
            ' uint8 by 255)'
        )


def weighted_mean(
    values: Float[Array, ' batch *rest'], weights: Real[ArrayLike, '...']
) -> Float[jax.Array, '']:
    """Mean over the examples of their weighted means.

    It does not depend on how a batch is split over devices.

    Args:
        values: of the examples.
        weights: broadcast against the values; an example whose weights are all 0 counts as 0.
    """
    weights = jnp.broadcast_to(weights, values.shape)
    axes = tuple(range(1, values.ndim))
    return jnp.mean(
        jnp.sum(values * weights, axis=axes) / jnp.maximum(jnp.sum(weights, axis=axes), 1e-12)
    )


def _box(image):
    """3 x 3 mean of [..., h + 2, w + 2, C] -> [..., h, w, C]."""
    rows = image[..., :-2, :, :] + image[..., 1:-1, :, :] + image[..., 2:, :, :]
    return (rows[..., :-2, :] + rows[..., 1:-1, :] + rows[..., 2:, :]) / 9


def ssim(
    a: Float[Array, '*batch padded_height padded_width channels'],
    b: Float[Array, '*batch padded_height padded_width channels'],
) -> Float[jax.Array, '*batch padded_height-2 padded_width-2 channels']:
    """Structural similarity (Wang et al. 2004) over 3 x 3 windows.

    Args:
        a, b: images in [0, 1], already padded by one pixel.

    Returns:
        1 where they agree.
    """
    mean_a, mean_b = _box(a), _box(b)
    var_a, var_b = _box(a * a) - mean_a**2, _box(b * b) - mean_b**2
    covariance = _box(a * b) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    return ((2 * mean_a * mean_b + c1) * (2 * covariance + c2)) / (
        (mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2)
    )


def photometric_error(
    a: Float[Array, '*batch faces height width channels'],
    b: Float[Array, '*batch faces height width channels'],
    *,
    pad: Pad,
    ssim_weight: float = 0.85,
) -> Float[jax.Array, '*batch faces height width']:
    """Per-pixel difference of two images, a mixture of SSIM and L1 (Godard et al. 2017).

    Args:
        a, b: images in [0, 1].
        pad: adds the ring of pixels that windows at the border of a face need.
        ssim_weight: share of (1 - SSIM) / 2; the rest is the absolute difference.

    Returns:
        0 where the images agree.

    Raises:
        ValueError: an image is not floating point, or their shapes differ.
    """
    check_float('the first image', a)
    check_float('the second image', b)
    if jnp.shape(a) != jnp.shape(b):
        raise ValueError(
            f'the images have shapes {jnp.shape(a)} and {jnp.shape(b)}; expected two of the same'
            ' shape'
        )
    error = (1 - ssim_weight) * jnp.abs(a - b)
    if ssim_weight:
        error = error + ssim_weight * jnp.clip((1 - ssim(pad(a), pad(b))) / 2, 0, 1)
    return error.mean(axis=-1)


def matching_costs(
    target: Float[Array, '*batch faces height width channels'],
    source: Float[Array, '*batch faces height width channels'],
    reach: int,
    *,
    pad: Callable[[jax.Array, int], jax.Array],
) -> Float[jax.Array, '*batch faces height width (2*{reach}+1)**2']:
    """How badly each pixel's window fits the other image shifted by so many pixels, by shift.

    A network reads small motions more easily from these than from the images (cost volumes:
    Dosovitskiy et al. 2015).

    Args:
        target, source: images in [0, 1].
        reach: shifts go from -reach to reach along rows and columns.
        pad: function (images, pixels) that adds rings of pixels to every face.

    Returns:
        Mean absolute differences over windows of 3 x 3 pixels, the shifts row by row, relative to
        their mean over the shifts: 0 where all fit equally well, negative where one fits better.
    """
    height, width = target.shape[-3:-1]
    padded = pad(source, reach)
    costs = [
        jnp.abs(padded[..., i : i + height, j : j + width, :] - target).mean(axis=-1)
        for i in range(2 * reach + 1)
        for j in range(2 * reach + 1)
    ]
    costs = _box(pad(jnp.stack(costs, axis=-1), 1))
    mean = costs.mean(axis=-1, keepdims=True)
    return (costs - mean) / (mean + _LEAST_COST)


def _steps(image, axis):
    """Absolute differences between neighbours along an axis, of an image padded by one pixel."""
    inner = [slice(1, -1), slice(1, -1), slice(None)]
    following = list(inner)
    following[axis] = slice(2, None)
    return jnp.abs(image[(..., *following)] - image[(..., *inner)])


def smoothness(
    disparity: Float[Array, '*batch faces height width'],
    image: Float[Array, '*batch faces height width channels'],
    *,
    pad: Pad,
) -> Float[jax.Array, '*batch faces height width']:
    """Edge-aware first-order smoothness of disparity per pixel, across faces (Godard et al. 2017).

    Args:
        disparity: already divided by its mean.
        image: in [0, 1].
        pad: adds the neighbours beyond the border of a face.

    Raises:
        ValueError: the image is not floating point.
    """
    check_float('image', image)
    disparity, image = pad(disparity[..., None]), pad(image)
    total = 0.0
    for axis in (-3, -2):
        edges = _steps(image, axis).mean(axis=-1)
        total = total + _steps(disparity, axis)[..., 0] * jnp.exp(-10 * edges)
    return total


def plainness(
    image: Float[Array, '*batch faces height width channels'], *, pad: Pad, contrast: float = 0.015
) -> Float[jax.Array, '*batch faces height width']:
    """How plain an image is around each pixel: 1 on plain surfaces, 0 where there is texture.

    Args:
        image: in [0, 1].
        pad: adds the neighbours beyond the border of a face.
        contrast: mean difference of neighbours, over about 5 x 5 pixels, at which the result has
            fallen to 1 / e. An overcast sky and asphalt have 0.008 in an image of 128 x 64 pixels,
            plastered walls 0.03 and more.

    Returns:
        Values in [0, 1], without a gradient.

    Raises:
        ValueError: the image is not floating point.
    """
    check_float('image', image)
    image = jax.lax.stop_gradient(image)
    padded = pad(image)
    steps = [
        jnp.abs(shifted - image).mean(axis=-1, keepdims=True)
        for shifted in (padded[..., 1:-1, 2:, :], padded[..., 2:, 1:-1, :])
    ]
    local = steps[0] + steps[1]
    height, width = local.shape[-3:-1]
    for _ in range(2):
        wide = pad(local)
        windows = (wide[..., i : i + height, j : j + width, :] for i in range(3) for j in range(3))
        local = sum(windows) / 9
    return jnp.exp(-((local[..., 0] / contrast) ** 2))


def face_motions_in_camera(vectors: Real[Array, '*batch 6 3']) -> Float[jax.Array, '*batch 6 3']:
    """Turns one vector per face from the face frames into the camera frame.

    Args:
        vectors: rotation vectors or translations in the face frames.

    Returns:
        Vectors in the camera frame. (Exact for rotation vectors: w' = B w for R' = B R B^T.)

    Raises:
        ValueError: the vectors are not [..., 6, 3].
    """
    vectors = jnp.asarray(vectors)
    if vectors.shape[-2:] != (6, 3):
        raise ValueError(
            f'vectors have shape {vectors.shape}; expected [..., 6, 3], one per cube face'
        )
    return jnp.einsum(
        'fkc,...fk->...fc', jnp.asarray(FACE_AXES), vectors, precision=jax.lax.Precision.HIGHEST
    )


def pose_consistency(
    rotation_vectors: Real[Array, '*batch 6 3'], translations: Real[Array, '*batch 6 3']
) -> Float[jax.Array, '*batch']:
    """The pose-consistency loss L_pose = sqrt(sum_i ||P_i' - P*||^2 / 6) (Wang et al. 2018).

    Args:
        rotation_vectors: radians, one per face, in the face frames.
        translations: one per face, in the face frames.

    Returns:
        0 if the six describe one rigid motion; the gradient is finite there too.

    Raises:
        ValueError: the arguments are not [..., 6, 3].
    """
    rotation_vectors, translations = jnp.asarray(rotation_vectors), jnp.asarray(translations)
    for name, value in (('rotation_vectors', rotation_vectors), ('translations', translations)):
        if value.shape[-2:] != (6, 3):
            raise ValueError(
                f'{name} has shape {value.shape}; expected [..., 6, 3], one per cube face'
            )
    motions = jnp.concatenate(
        [face_motions_in_camera(rotation_vectors), face_motions_in_camera(translations)], axis=-1
    )
    squared = jnp.sum((motions - motions.mean(axis=-2, keepdims=True)) ** 2, axis=(-1, -2)) / 6
    agree = squared <= 0
    return jnp.where(agree, 0.0, jnp.sqrt(jnp.where(agree, 1.0, squared)))
