"""The record of one clip: frames, with depth and poses where they are known."""

import dataclasses

import numpy as np

from pano_depth.kernels.rigid import Motion


@dataclasses.dataclass(frozen=True)
class Clip:
    """One clip of equirectangular video.

    Attributes:
        name: what messages and files call it.
        frames: [N, H, W, 3] uint8, W = 2H.
        depth: [N, H, W] float32 range in metres, 0 where invalid; or None.
        poses: `Motion` of [N, 3, 3] and [N, 3] numpy float64, camera to world; the world is frame
            0's camera; or None.
        fps: frames a second.
    """

    name: str
    frames: np.ndarray
    depth: np.ndarray | None = None
    poses: Motion | None = None
    fps: float = 24.0

    def __len__(self):
        return len(self.frames)
