"""Values that XLA on a CPU computes once, however many operations read them."""

import jax
import jax.numpy as jnp


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
    return _kept(x) if platform() == 'cpu' else x


@jax.custom_vjp
def _kept(x):
    return x


def _kept_backward(element, gradient):
    return (computed_once(gradient, element),)


def computed_once(x, element=None):
    """Returns `x`, not empty; XLA computes it once, not again in each operation that reads it.

    Args:
        x: floating array.
        element: a number that is NaN only if `x` holds NaN anyway; None: the first of `x`.
    """
    element = x[(0,) * x.ndim] if element is None else element
    # XLA cannot simplify this condition, since it is false for NaN.
    return jax.lax.cond(element == element, lambda x: x, lambda x: x * jnp.nan, x)


_kept.defvjp(lambda x: (x, x[(0,) * x.ndim]), _kept_backward)


def platform() -> str:
    """What JAX computes on: 'cpu', 'gpu', 'tpu' ..."""
    device = jax.config.jax_default_device
    return getattr(device, 'platform', device) or jax.default_backend()
