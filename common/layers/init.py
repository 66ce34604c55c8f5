"""Initial parameters drawn on the host, from their shapes alone.

The compiled initialisation of Flax takes many seconds for a few dozen small arrays; drawing them
with NumPy takes milliseconds and depends on nothing but the generator.
"""

from collections.abc import Callable

import jax
import numpy as np


def he_normal(
    rng: np.random.Generator,
    shapes,
    *,
    deviation: Callable[[tuple[str, ...]], float | None] = lambda names: None,
):
    """Draws parameters of the shapes given, leaf by leaf in the order of the tree.

    Kernels are normal with variance 2 / fan-in (He et al. 2015), scales and masks are one, biases
    zero.

    Args:
        rng: generator that the values are drawn from.
        shapes: nested dict of leaves with `shape` and `dtype`; the last key of a path says what a
            leaf is: 'scale', 'mask', 'bias', or anything else for a kernel, whose last axis is the
            output.
        deviation: function of the names of a path that returns the standard deviation, or None for
            the rule above.

    Returns:
        The same nested dict of NumPy arrays.
    """

    def draw(path, leaf):
        names = tuple(entry.key for entry in path)
        if names[-1] in ('scale', 'mask'):
            return np.ones(leaf.shape, leaf.dtype)
        if names[-1] == 'bias':
            return np.zeros(leaf.shape, leaf.dtype)
        std = deviation(names)
        std = np.sqrt(2 / np.prod(leaf.shape[:-1])) if std is None else std
        return (std * rng.standard_normal(leaf.shape)).astype(leaf.dtype)

    return jax.tree_util.tree_map_with_path(draw, shapes)
