"""Resampling by gathered pixels and weights, the last step of every projection.

A resampled pixel is a weighted sum of a few source pixels. For the fixed projections, pixels and
weights depend on the shapes alone. A `Table` holds them; it is built once per shape, in float64 on
the host. Pass a table to a jitted function as an argument, which keeps the compiled program small:
as a constant it costs seconds of compilation.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Float32, Int, Int32

from pano_depth.kernels.shapes import Array, Real

Method = Literal['bilinear', 'nearest']


class Table(NamedTuple):
    """A fixed resampling of flattened pixels; a pytree, so that jitted functions can take it.

    Attributes:
        indices: flat source pixels of every target pixel.
        weights: sum to one over the taps; nearest-neighbour tables have one tap and no weights
            (None).
    """

    indices: Int32[jax.Array, ' taps *target']
    weights: Float32[jax.Array, ' taps *target'] | None

    @property
    def target(self) -> tuple[int, ...]:
        """Shape of the target grid."""
        return self.indices.shape[1:]


def make_table(
    indices: Sequence[Int[np.ndarray, '*target']],
    weights: Sequence[Float[np.ndarray, '*target']] | None,
) -> Table:
    """Puts a resampling on the device, as concrete arrays even under a trace.

    Args:
        indices: flat source pixels, one host array per tap.
        weights: one host array per tap, or None for a single tap.
    """
    with jax.ensure_compile_time_eval():
        return Table(
            jnp.asarray(np.stack(indices), jnp.int32),
            None if weights is None else jnp.asarray(np.stack(weights), jnp.float32),
        )


def _take(source, indices):
    """Source [P, C], indices [...] int32 inside [0, P) -> [..., C].

    Unlike `source[indices]`, it does not test for negative indices.
    """
    dimensions = jax.lax.GatherDimensionNumbers(
        offset_dims=(indices.ndim,), collapsed_slice_dims=(0,), start_index_map=(0,)
    )
    # CLIP, not PROMISE_IN_BOUNDS: a NaN coordinate must not read beyond the image.
    return jax.lax.gather(
        source,
        indices[..., None],
        dimensions,
        (1, source.shape[1]),
        mode=jax.lax.GatherScatterMode.CLIP,
    )


def gather(
    source: Real[Array, '*batch pixels channels'],
    indices: Sequence[Int[Array, '*taps']],
    weights: Sequence[Float[Array, '*taps']] | None,
    *,
    grid: tuple[int, ...],
) -> Real[jax.Array, '... channels']:
    """Weighted sums of gathered pixels.

    Args:
        source: flattened images.
        indices: one array per tap: [*grid] if all images share them, else [*batch, *grid].
        weights: one array per tap, or None to copy the pixels of a single tap.
        grid: the target shape.

    Returns:
        [*batch, *grid, channels] in the source's type; other types than floats are interpolated in
        float32 and rounded.
    """
    batch = source.shape[:-2]
    shared = indices[0].ndim == len(grid)

    def one(pixels, taps, blend):
        if blend is None:
            return _take(pixels, taps[0])
        compute = pixels.dtype if jnp.issubdtype(pixels.dtype, jnp.floating) else jnp.float32
        total = sum(
            _take(pixels, index).astype(compute) * weight[..., None].astype(compute)
            for index, weight in zip(taps, blend)
        )
        if jnp.issubdtype(pixels.dtype, jnp.floating):
            return total
        return jnp.round(total).astype(pixels.dtype)

    if not batch:
        return one(source, indices, weights)
    flat = source.reshape((math.prod(batch),) + source.shape[-2:])
    if not shared:
        indices, weights = jax.tree.map(
            lambda x: x.reshape((flat.shape[0],) + tuple(grid)), (indices, weights)
        )
    axis = None if shared else 0
    result = jax.vmap(one, in_axes=(0, axis, axis))(flat, indices, weights)
    return result.reshape(batch + result.shape[1:])


@jax.jit
def apply_table(
    table: Table, source: Real[Array, '*batch pixels channels']
) -> Real[jax.Array, '... channels']:
    """Resamples flattened images.

    Args:
        table: with [taps, *grid] indices.
        source: flattened images.

    Returns:
        [*batch, *grid, channels] in the type of the source.
    """
    if table.weights is None or not jnp.issubdtype(source.dtype, jnp.floating):
        return gather(
            source,
            list(table.indices),
            None if table.weights is None else list(table.weights),
            grid=table.target,
        )

    def one(pixels):
        # One gather for all taps: measured on a CPU, the program is 1.3 times faster than with one
        # gather for each tap. It is slower for uint8, and for coordinates that the same program
        # computes.
        taps = _take(pixels, table.indices)
        return sum(
            tap * weight[..., None].astype(pixels.dtype) for tap, weight in zip(taps, table.weights)
        )

    if source.ndim == 2:
        return one(source)
    result = jax.vmap(one)(source.reshape((math.prod(source.shape[:-2]),) + source.shape[-2:]))
    return result.reshape(source.shape[:-2] + result.shape[1:])
