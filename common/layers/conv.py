"""Convolutions that are fast on the current device, with the usual parameters and results.

XLA's own lowering is the right one on a GPU or TPU. On a CPU it is two (1x1) to thirty times
(grouped) slower than it could be, because its loops for grouped and depthwise convolutions and for
their gradients are not those of a matrix product. `conv_general_dilated` takes the place of
`jax.lax.conv_general_dilated`, in `flax.linen.Conv` too:

    nn.Conv(features, (3, 3), conv_general_dilated=conv.conv_general_dilated)

`pick_lowering` decides which lowering a convolution gets, when it is traced.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from common.layers.cotangents import platform
from common.layers.lowerings import LOWERINGS, NHWC


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
        A name in `lowerings.LOWERINGS`.
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
                platform(),
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
    """Whether the lowerings can do this convolution; False for what JAX refuses."""
    return (
        lhs.ndim == rhs.ndim == 4
        and set(dilations) <= {1}
        and dimension_numbers is not None
        and jax.lax.conv_dimension_numbers(lhs.shape, rhs.shape, dimension_numbers)
        == jax.lax.conv_dimension_numbers(lhs.shape, rhs.shape, NHWC)
        and lhs.dtype == rhs.dtype
        and jnp.issubdtype(lhs.dtype, jnp.floating)
        and lhs.shape[-1] == rhs.shape[2] * groups
        and rhs.shape[-1] % groups == 0
    )
