"""Which frames an adjustment follows, and which of them it compares."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from pano_depth.kernels.rigid import Motion


class Links(NamedTuple):
    """The frames in which the points of one frame are looked for.

    Attributes:
        sources: numbers of the frames; what does not exist repeats the frame itself.
        present: which of them exist.
    """

    sources: Int[np.ndarray, ' sources']
    present: Bool[np.ndarray, ' sources']


def keyframes(
    poses: Motion, range_: Float[np.ndarray, ' frames'], parallax: float, turn: float
) -> Int[np.ndarray, ' keyframes']:
    """Frames that are far enough apart to tell depth; the first and the last are among them.

    Args:
        poses: camera to world.
        range_: median range of each frame, in the same unit; infinite where unknown.
        parallax: angle by which a point at that range has to shift, radians.
        turn: angle by which the camera has to turn, radians, whatever the parallax.
    """
    chosen = [0]
    for i in range(1, len(range_)):
        last = chosen[-1]
        moved = np.linalg.norm(poses.translation[i] - poses.translation[last])
        cosine = (np.trace(poses.rotation[last].T @ poses.rotation[i]) - 1) / 2
        turned = np.arccos(np.clip(cosine, -1, 1))
        if moved > parallax * min(range_[last], range_[i]) or turned > turn:
            chosen.append(i)
    if chosen[-1] != len(range_) - 1:
        chosen.append(len(range_) - 1)
    return np.array(chosen)


def by_distance(count: int, distances: tuple[int, ...]) -> np.ndarray:
    """Sources of every frame at fixed distances on both sides: [count, S], -1 where there is none.

    Args:
        count: frames.
        distances: frames between a frame and its sources.
    """
    both = np.array([sign * distance for distance in distances for sign in (-1, 1)])
    found = np.arange(count)[:, None] + both
    return np.where((found >= 0) & (found < count), found, -1)


def returns(
    descriptors: Float[np.ndarray, 'frames size'],
    poses: Motion,
    range_: Float[np.ndarray, ' frames'],
    *,
    gap: int,
    most: int,
) -> np.ndarray:
    """Earlier and later frames that look alike though the path between them is long.

    Args:
        descriptors: what a frame looks like, whatever its rotation; unit vectors.
        poses: camera to world.
        range_: median range of each frame.
        gap: least number of frames between the two.
        most: at most so many for each frame.

    Returns:
        [frames, most], -1 where there is none.
    """
    count = len(descriptors)
    found = np.full((count, most), -1)
    for i in range(count):
        apart = np.abs(np.arange(count) - i)
        near = np.linalg.norm(poses.translation - poses.translation[i], axis=1)
        alike = descriptors @ descriptors[i]
        # A place seen again looks as much alike as the frame next door does.
        usual = np.median(alike[(apart > 0) & (apart <= 3)]) if count > 1 else 1.0
        usable = (
            (apart >= gap) & (alike > usual - 0.05) & (near < 2 * np.minimum(range_, range_[i]))
        )
        order = [j for j in np.argsort(-alike) if usable[j]]
        kept = []
        for j in order:
            if len(kept) < most and all(abs(j - k) > 2 for k in kept):
                kept.append(j)
        found[i, : len(kept)] = kept
    return found


def describe(frame: np.ndarray) -> Float[np.ndarray, ' size']:
    """What a panorama looks like, whatever way the camera turns about the vertical axis.

    Args:
        frame: [H, 2H, 3] uint8.

    Returns:
        Unit vector: sizes of the Fourier coefficients along 16 circles of latitude.
    """
    height, width = frame.shape[:2]
    rows, columns = 16, 32
    small = frame[: height // rows * rows, : width // columns * columns].astype(np.float32)
    small = small.reshape(rows, height // rows, columns, width // columns, 3).mean(axis=(1, 3))
    lat = (0.5 - (np.arange(rows) + 0.5) / rows) * np.pi
    small = (small - small.mean(axis=(0, 1))) * np.sqrt(np.cos(lat))[:, None, None]
    sizes = np.abs(np.fft.rfft(small, axis=1))[:, :9].ravel()
    return sizes / max(np.linalg.norm(sizes), 1e-9)


def link(tables: list[np.ndarray]) -> list[Links]:
    """`Links` of every frame from tables [frames, S] of sources, -1 where there is none."""
    table = np.concatenate(tables, axis=1)
    found = []
    for i, row in enumerate(table):
        first = np.zeros(len(row), bool)
        first[np.unique(row, return_index=True)[1]] = True
        present = (row >= 0) & first & (row != i)
        found.append(Links(np.where(present, row, i), present))
    return found
