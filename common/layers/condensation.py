"""Learned group convolutions: pruning of a kernel, its group lasso, and the condensed form.

Source: CondenseNet (Huang et al., CVPR 2018), section 3.1. A kernel [in, out] belongs to a number
of groups; output channel o is one of group o mod groups. Pruning takes inputs from a group for
good, until each keeps one in `condensation` of them. Both halves of the project use it.
"""

import jax
import jax.numpy as jnp
import numpy as np


def events(condensation: int) -> list[float]:
    """The progress in [0, 1] of each pruning event: all in the first half of the training."""
    return [i / (2 * (condensation - 1)) for i in range(1, condensation)]


def kept(channels: int, condensation: int, progress: float) -> int:
    """Inputs of `channels` that each group keeps at some progress."""
    # A progress computed as step / steps may miss its event by a rounding error.
    due = sum(event <= progress + 1e-9 for event in events(condensation))
    return channels - due * (channels // condensation)


def prune(magnitudes: np.ndarray, mask: np.ndarray, groups: int, keep: int) -> np.ndarray | None:
    """The mask with `keep` inputs for each group, or None if it has no more already.

    Args:
        magnitudes: [in, out] absolute weights; the inputs with the smallest sums go.
        mask: [in, out], 1 where a weight counts.
        groups: of the convolution.
        keep: inputs that each group keeps.
    """
    new = mask.copy()
    for group in range(groups):
        live = np.flatnonzero(mask[:, group])
        order = np.argsort(magnitudes[live, group::groups].sum(axis=1), kind='stable')
        new[live[order[: max(len(live) - keep, 0)]], group::groups] = 0
    return None if np.array_equal(new, mask) else new


def is_condensed(mask: np.ndarray, groups: int, keep: int) -> bool:
    """Whether each group has `keep` inputs, the same for all its outputs."""
    by_group = mask.reshape(mask.shape[0], -1, groups)
    same = np.array_equal(by_group, np.broadcast_to(by_group[:, :1], by_group.shape))
    return same and bool((np.count_nonzero(by_group[:, 0], axis=0) == keep).all())


def lasso(weights: jax.Array, mask: jax.Array, groups: int, condensation: int) -> jax.Array:
    """The group lasso of a kernel: a scalar, 0 where it is fully condensed.

    It is the sum over groups g and inputs i of the l2 norm of the live weights from i to the
    outputs of g; the paper weights it with 1e-5. Its gradient is finite at zero.

    Args:
        weights, mask: [in, out].
        groups, condensation: of the convolution.
    """
    squares = ((weights * mask) ** 2).reshape(weights.shape[0], -1, groups).sum(axis=1)
    # The gradient of a root is infinite at zero, even behind a mask.
    norms = jnp.where(squares > 0, jnp.sqrt(jnp.where(squares > 0, squares, 1)), 0)
    unfinished = mask.sum() * condensation > mask.size
    return jnp.where(unfinished, norms.sum(), 0)


def condensed_conv(x: jax.Array, kernel: jax.Array, index: jax.Array, groups: int) -> jax.Array:
    """Index layer, grouped 1x1 convolution and shuffle in one.

    Args:
        x: [..., in].
        kernel: [1, 1, in / condensation, out], group by group.
        index: [groups * in / condensation] input channels, group by group.
        groups: of the convolution.

    Returns:
        [..., out]; channel j * groups + g is the j-th of group g.
    """
    # One gather and one product per group, so that XLA joins the gather and the layer before it in
    # one loop. One gather for all groups makes two more passes over the image, and is slower than
    # the dense convolution.
    kernels = jnp.split(kernel[0, 0], groups, axis=-1)
    outputs = [
        jnp.take(x, i, axis=-1, mode='clip') @ k for i, k in zip(jnp.split(index, groups), kernels)
    ]
    return jnp.stack(outputs, axis=-1).reshape(x.shape[:-1] + (-1,))


def condense(weights: np.ndarray, mask: np.ndarray, groups: int) -> tuple[np.ndarray, np.ndarray]:
    """The kernel and the index of `condensed_conv`.

    Args:
        weights, mask: [in, out], fully condensed.
        groups: of the convolution.

    Returns:
        (kernel [1, 1, in / condensation, out], index [groups * in / condensation] int32).
    """
    kernels, indices = [], []
    for group in range(groups):
        live = np.flatnonzero(mask[:, group])
        indices.append(live)
        kernels.append(weights[live, group::groups])
    kernel = np.concatenate(kernels, axis=1)[None, None]
    return kernel, np.concatenate(indices).astype(np.int32)
