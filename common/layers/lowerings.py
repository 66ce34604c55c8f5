"""The ways in which an undilated NHWC convolution can be computed; `conv` picks the fastest."""

import functools

import jax
import jax.numpy as jnp

from common.layers.cotangents import computed_once, platform

NHWC = ('NHWC', 'HWIO', 'NHWC')


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
        dimension_numbers=NHWC,
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
        computed_once(x) if platform() == 'cpu' and x.size else x for x in (inputs[0], gradient)
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
