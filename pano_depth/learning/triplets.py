"""The data that training needs: frame triplets, and known depth and motion."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp
from jaxtyping import Float

from pano_depth.kernels import rigid
from pano_depth.kernels.rigid import Motion
from pano_depth.kernels.shapes import Array, Real


class Truth(NamedTuple):
    """What is known of a batch of triplets beside the images.

    Attributes:
        depth: range of the targets in metres, 0 where invalid; None if the data has none.
        motion: [2 * batch] motions from target to source camera in metres, first to the previous
            frames, then to the next ones; None if the data has none.
        prior: range of the targets as other networks estimate it, in any unit; or None.
        valid: where previous, target and next count; None: wherever the mask of all frames says.
        confidence: of the depth, 0 to 1; None where it is the truth.
        share: part of the weight of supervised losses that each example gets, 0 where neither depth
            nor motion is known; None: all of it.
        shown: where the images show the scene, and not the tripod, which moves with the camera.
            Networks see it as it is, as in footage without a mask, but it counts in no loss; None:
            everywhere.
    """

    depth: Float[Array, 'batch height width'] | None = None
    motion: Motion | None = None
    prior: Float[Array, 'batch height width'] | None = None
    valid: Real[Array, 'batch 3 height width'] | None = None
    confidence: Float[Array, 'batch height width'] | None = None
    share: Float[Array, ' batch'] | None = None
    shown: Real[Array, 'batch length height width'] | None = None


def motions_to_sources(
    rotation: Float[Array, 'batch 3 3 3'], translation: Float[Array, 'batch 3 3']
) -> Motion:
    """Motions [2 * batch] of triplets: target to previous, then target to next.

    Args:
        rotation, translation: poses of previous, target and next, camera to world.
    """
    pick = lambda i: Motion(rotation[:, i], translation[:, i])
    motions = [rigid.compose(rigid.inverse(pick(i)), pick(1)) for i in (0, 2)]
    return Motion(*(jnp.concatenate(parts) for parts in zip(*motions)))


@runtime_checkable
class Source(Protocol):
    """Where training triplets come from.

    Attributes:
        shared: pytree of arrays that every device holds, for example the frames of a clip.
    """

    shared: Any

    def batch(self, step: int, examples: Sequence[int]) -> Any:
        """A pytree of host arrays of some examples of the global batch of a step.

        The result depends on the arguments alone, so that a resumed run and any number of hosts see
        the same data.
        """

    def sample(
        self, batch: Any, shared: Any
    ) -> tuple[Float[Array, 'batch length height width 3'], Truth | None]:
        """Triplets (previous, target, next) of a batch, and what is known of the targets, or None.

        Where depth alone learns, they may be targets alone. This runs on the device.
        """
