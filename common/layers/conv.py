"""Convolutions that are fast on the current device, with the usual parameters and results.

XLA's own lowering is the right one on a GPU or TPU. On a CPU it is two (1x1) to thirty times
(grouped) slower than it could be, because its loops for grouped and depthwise convolutions and for
their gradients are not those of a matrix product. `conv_general_dilated` takes the place of
`jax.lax.conv_general_dilated`, in `flax.linen.Conv` too:

    nn.Conv(features, (3, 3), conv_general_dilated=conv.conv_general_dilated)

`pick_lowering` decides which lowering a convolution gets, when it is traced.
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp

_NHWC = ('NHWC', 'HWIO', 'NHWC')


def pick_lowering(
    platform: str,
    *,
    kernel: tuple[int, int],
    in_channels: int,
    out_channels: int,
    groups: int,
    out_size: tuple[int, int],
) -> str:
    """Names the fastest lowering of an undilated NHWC convolution, by measurement.

    Args:
        platform: 'cpu', 'gpu', 'tpu' ...
        kernel: height and width of the kernel.
        in_channels, out_channels: of the whole convolution.
        groups: feature groups; equal to `in_channels` for a depthwise convolution.
        out_size: height and width of the output.

    Returns:
        A name in `LOWERINGS`.
    """
    if platform != 'cpu':
        return 'xla'
    if groups == in_channels == out_channels > 1:
        return 'shift'
    if kernel == (1, 1):
        return 'matmul' if groups == 1 else 'split_matmul'
    if groups > 1:
        # Zeros between narrow groups cost less than narrow products; they compile in a third of the
        # time.
        if in_channels // groups > 16 or in_channels * out_channels > 1024:
            return 'split'
        # For a kernel from many to few channels XLA's gradient is two to four times slower than
        # products.
        narrowing = (
            2 * out_channels <= in_channels
            and in_channels * out_channels * out_size[0] * out_size[1] >= 2**16
        )
        return 'taps' if narrowing else 'dense'
    # On tiny maps XLA's gradient of a convolution is ten times slower than that of a product.
    if min(out_size) <= 4:
        return 'patches'
    # Above this, XLA's gradient of the kernel leaves the cache and is up to seven times slower.
    large = in_channels * out_channels * out_size[0] * out_size[1] >= 2**20
    return 'taps' if large else 'xla'


def conv_general_dilated(
    lhs,
    rhs,
    window_strides: Sequence[int],
    padding,
    lhs_dilation=None,
    rhs_dilation=None,
    dimension_numbers=None,
    feature_group_count: int = 1,
    batch_group_count: int = 1,
    precision=None,
    preferred_element_type=None,
    out_sharding=None,
    *,
    lowering: str | None = None,
):
    """Drop-in for `jax.lax.conv_general_dilated`.

    Two-dimensional NHWC convolutions with HWIO kernels and without dilation get the fastest
    lowering; JAX does all others.

    Args:
        lhs: [N, H, W, C] images.
        rhs: [h, w, C / groups, O] kernel.
        window_strides: (vertical, horizontal).
        padding: 'SAME', 'VALID' or ((top, bottom), (left, right)) in pixels.
        feature_group_count: groups.
        lowering: a name in `LOWERINGS` instead of the choice of `pick_lowering`; 'xla' is JAX's
            own.
        lhs_dilation, rhs_dilation, dimension_numbers, batch_group_count, precision,
            preferred_element_type, out_sharding: as in JAX.

    Returns:
        [N, H', W', O] in the type of the inputs or `preferred_element_type`.

    Raises:
        ValueError: for an unknown `lowering`, or one that cannot do this convolution.
    """
    if lowering not in (None, *LOWERINGS):
        raise ValueError(f'lowering is {lowering!r}; accepted are {", ".join(LOWERINGS)}')
    strides, groups = tuple(window_strides), feature_group_count
    dilations = (*(lhs_dilation or ()), *(rhs_dilation or ()))
    plain = (
        batch_group_count == 1
        and out_sharding is None
        and _is_plain(lhs, rhs, dilations, dimension_numbers, groups)
    )
    if not plain and lowering not in (None, 'xla'):
        raise ValueError(
            f'lowering {lowering!r} takes undilated NHWC images and HWIO kernels of one '
            f'floating type; these are {lhs.shape} {lhs.dtype} and {rhs.shape} {rhs.dtype}, '
            f'numbered {dimension_numbers}; use xla'
        )
    name = 'xla'
    if plain:
        if isinstance(padding, str):
            padding = jax.lax.padtype_to_pads(lhs.shape[1:3], rhs.shape[:2], strides, padding)
        padding = tuple(map(tuple, padding))
        out_size = tuple(
            (size + sum(pads) - window) // stride + 1
            for size, pads, window, stride in zip(lhs.shape[1:3], padding, rhs.shape[:2], strides)
        )
        # Cropping and empty results are left to XLA.
        if min(*out_size, *padding[0], *padding[1]) >= 0 < min(out_size):
            name = lowering or pick_lowering(
                _platform(),
                kernel=rhs.shape[:2],
                in_channels=lhs.shape[-1],
                out_channels=rhs.shape[-1],
                groups=groups,
                out_size=out_size,
            )
    if name == 'xla':
        return jax.lax.conv_general_dilated(
            lhs,
            rhs,
            strides,
            padding,
            lhs_dilation,
            rhs_dilation,
            dimension_numbers,
            groups,
            batch_group_count,
            precision,
            preferred_element_type,
            out_sharding,
        )
    return LOWERINGS[name](
        lhs,
        rhs,
        strides,
        padding,
        groups,
        precision=precision,
        preferred_element_type=preferred_element_type,
    )


def _is_plain(lhs, rhs, dilations, dimension_numbers, groups):
    """Whether the lowerings below can do this convolution; False for what JAX refuses."""
    return (
        lhs.ndim == rhs.ndim == 4
        and set(dilations) <= {1}
        and dimension_numbers is not None
        and jax.lax.conv_dimension_numbers(lhs.shape, rhs.shape, dimension_numbers)
        == jax.lax.conv_dimension_numbers(lhs.shape, rhs.shape, _NHWC)
        and lhs.dtype == rhs.dtype
        and jnp.issubdtype(lhs.dtype, jnp.floating)
        and lhs.shape[-1] == rhs.shape[2] * groups
        and rhs.shape[-1] % groups == 0
    )


def materialize_cotangent(x):
    """Returns `x`; on a CPU its gradient is computed once, not by each operation that reads it.

    It is for concatenations in densely connected networks. There the gradient of a map is a sum
    over all later layers of cheap elementwise terms, which XLA's CPU compiler repeats in each
    operation that reads it: time and compilation grow with the square of the depth. XLA drops
    `optimization_barrier` before it fuses, but does not fuse conditionals.

    Args:
        x: floating array with at least one element.

    Returns:
        The same array.
    """
    return _kept(x) if _platform() == 'cpu' else x


@jax.custom_vjp
def _kept(x):
    return x


def _kept_backward(element, gradient):
    return (_computed_once(gradient, element),)


def _computed_once(x, element=None):
    """Returns `x`, not empty; XLA computes it once, not again in each operation that reads it."""
    element = x[(0,) * x.ndim] if element is None else element
    # XLA cannot simplify this condition, since it is false for NaN; in that case `x` holds NaN
    # anyway.
    return jax.lax.cond(element == element, lambda x: x, lambda x: x * jnp.nan, x)


_kept.defvjp(lambda x: (x, x[(0,) * x.ndim]), _kept_backward)


def _platform():
    device = jax.config.jax_default_device
    return getattr(device, 'platform', device) or jax.default_backend()


def _windows(images, kernel, strides, padding):
    """For each tap of the kernel, row by row, the pixels [N, H', W', C] that it meets."""
    images = jnp.pad(images, ((0, 0), *padding, (0, 0)))
    rows, columns = (
        stride * ((size - window) // stride) + 1
        for size, window, stride in zip(images.shape[1:3], kernel, strides)
    )
    return [
        images[:, i : i + rows : strides[0], j : j + columns : strides[1]]
        for i in range(kernel[0])
        for j in range(kernel[1])
    ]


def _xla(images, kernel, strides, padding, groups, **types):
    return jax.lax.conv_general_dilated(
        images,
        kernel,
        strides,
        padding,
        dimension_numbers=_NHWC,
        feature_group_count=groups,
        **types,
    )


def _ungroup(kernel, groups):
    """[h, w, C / groups, O] -> [h, w, C, O], zero between the groups."""
    height, width, inputs, outputs = kernel.shape
    kernel = kernel.reshape(height, width, 1, inputs, groups, outputs // groups)
    kernel = kernel * jnp.eye(groups, dtype=kernel.dtype)[:, None, :, None]
    return kernel.reshape(height, width, -1, outputs)


def _dense(images, kernel, strides, padding, groups, **types):
    """One convolution of all channels, with zeros between the groups."""
    return _xla(images, _ungroup(kernel, groups), strides, padding, 1, **types)


def _patches(images, kernel, strides, padding, groups, **types):
    """One matrix product with patches [N, H', W', h w C]; for a 1x1 kernel these are the image."""
    if groups > 1:
        kernel = _ungroup(kernel, groups)
    patches = jnp.concatenate(_windows(images, kernel.shape[:2], strides, padding), axis=-1)
    return jnp.matmul(patches, kernel.reshape(-1, kernel.shape[-1]), **types)


def _matmul(images, kernel, strides, padding, groups, **types):
    if kernel.shape[:2] != (1, 1):
        raise _impossible('matmul', kernel, groups, '1 x 1 kernels')
    return _patches(images, kernel, strides, padding, groups, **types)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def _with_tap_gradient(images, kernel, strides, padding, types):
    return _xla(images, kernel, strides, padding, 1, **dict(types))


def _with_tap_gradient_forward(images, kernel, strides, padding, types):
    return _with_tap_gradient(images, kernel, strides, padding, types), (images, kernel)


def _with_tap_gradient_backward(strides, padding, types, inputs, gradient):
    images, kernel = inputs
    gradient, precision = gradient.astype(images.dtype), dict(types)['precision']
    # A convolution is linear in its images, so their gradient needs no new forward pass.
    convolve = functools.partial(
        _xla, kernel=kernel, strides=strides, padding=padding, groups=1, precision=precision
    )
    to_images = jax.linear_transpose(convolve, images)
    size = kernel.shape[:2]
    margins = tuple(
        (window - 1 - before, window - 1 - after) for window, (before, after) in zip(size, padding)
    )
    if strides == (1, 1) and gradient.shape[-1] < images.shape[-1] and min(map(min, margins)) >= 0:
        # Shifting the array with fewer channels costs up to ten times less: pixel q meets tap t in
        # output q + before - t.
        pairs = [(images, window) for window in _windows(gradient, size, strides, margins)[::-1]]
    else:
        pairs = [(window, gradient) for window in _windows(images, size, strides, padding)]
    products = [jnp.tensordot(*pair, axes=((0, 1, 2),) * 2, precision=precision) for pair in pairs]
    return *to_images(gradient), jnp.stack(products).reshape(kernel.shape)


_with_tap_gradient.defvjp(_with_tap_gradient_forward, _with_tap_gradient_backward)


def _taps(images, kernel, strides, padding, groups, *, precision=None, preferred_element_type=None):
    """XLA's convolution with the kernel's gradient as one product per tap; has no forward mode."""
    types = (('precision', precision), ('preferred_element_type', preferred_element_type))
    kernel = _ungroup(kernel, groups) if groups > 1 else kernel
    return _with_tap_gradient(images, kernel, strides, padding, types)


def _split(images, kernel, strides, padding, groups, *, one=_xla, **types):
    """One convolution per group, side by side."""
    images, kernel = jnp.split(images, groups, axis=-1), jnp.split(kernel, groups, axis=-1)
    return jnp.concatenate(
        [one(i, k, strides, padding, 1, **types) for i, k in zip(images, kernel)], axis=-1
    )


def _split_matmul(images, kernel, strides, padding, groups, **types):
    return _split(images, kernel, strides, padding, groups, one=_patches, **types)


def _shift(
    images, kernel, strides, padding, groups, *, precision=None, preferred_element_type=None
):
    """Depthwise: the sum over taps of shifted image times weight; it has no forward mode."""
    del precision  # it concerns matrix products only
    if not groups == images.shape[-1] == kernel.shape[-1]:
        raise _impossible('shift', kernel, groups, 'depthwise convolutions')
    return _tap_sum(images, kernel, strides, padding).astype(preferred_element_type or images.dtype)


def _weighted_windows(images, kernel, strides, padding):
    # XLA fuses the conversion into the sum, so that bfloat16 is rounded once and costs no more
    # memory.
    wide = jnp.promote_types(images.dtype, jnp.float32)
    taps = kernel.reshape(-1, kernel.shape[-1]).astype(wide)
    windows = _windows(images, kernel.shape[:2], strides, padding)
    return sum(window.astype(wide) * tap for window, tap in zip(windows, taps))


_tap_sum = jax.custom_vjp(_weighted_windows, nondiff_argnums=(2, 3))


def _tap_sum_forward(images, kernel, strides, padding):
    return _tap_sum(images, kernel, strides, padding), (images, kernel)


def _tap_sum_backward(strides, padding, inputs, gradient):
    # Otherwise XLA repeats the operations before them, activation and normalisation, for every tap.
    images, gradient = (
        _computed_once(x) if _platform() == 'cpu' and x.size else x for x in (inputs[0], gradient)
    )
    kernel = inputs[1]
    to_images = jax.linear_transpose(
        lambda x: _weighted_windows(x, kernel, strides, padding), images
    )
    sums = [
        (window.astype(gradient.dtype) * gradient).sum((0, 1, 2))
        for window in _windows(images, kernel.shape[:2], strides, padding)
    ]
    return *to_images(gradient), jnp.stack(sums).reshape(kernel.shape).astype(kernel.dtype)


_tap_sum.defvjp(_tap_sum_forward, _tap_sum_backward)


def _impossible(name, kernel, groups, accepted):
    height, width, inputs, outputs = kernel.shape
    return ValueError(
        f'lowering {name!r} takes {accepted}, not a {height} x {width} kernel from '
        f'{inputs * groups} to {outputs} channels in {groups} groups'
    )


LOWERINGS = {
    'xla': _xla,
    'matmul': _matmul,
    'split_matmul': _split_matmul,
    'split': _split,
    'dense': _dense,
    'patches': _patches,
    'taps': _taps,
    'shift': _shift,
}
