"""What the networks see in footage, with everything that is long in files that are mapped into
memory.
"""

import hashlib
import math
import os
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from common.logs import Progress
from pano_depth.learning.objective import objective
from pano_depth.reconstruction import infer


class Frames(NamedTuple):
    """The frames of footage at the resolution of the model, in a file that is mapped into memory.

    Attributes:
        images: [N, H, 2H, 3] uint8.
        indices: [N] numbers in the footage.
        sha256: of the images.
    """

    images: np.ndarray
    indices: np.ndarray
    sha256: str


def some_frames(footage, stride, limit, size=None):
    """The frames of footage that a prediction is about.

    Args:
        footage: `Footage`.
        stride: every stride-th frame is taken.
        limit: at most so many frames, or None.
        size: (height, width) of their images, or None for the footage's own.

    Yields:
        `Frame`.
    """
    for count, frame in enumerate(footage.frames(size=size, stride=stride), 1):
        yield frame
        if count == limit:
            return


def read_frames(footage, height, path, *, stride=1, limit=None):
    """Reads footage once, shrunk, into a file.

    Args:
        footage: `Footage`.
        height: rows.
        path: file to write.
        stride: every stride-th frame is taken.
        limit: at most so many frames, or None.

    Returns:
        `Frames`.

    Raises:
        ValueError: as for `Footage.frames`.
    """
    indices, digest = [], hashlib.sha256()
    expected = -(-footage.length // stride)
    expected = expected if limit is None else min(limit, expected)
    with (
        open(path, 'wb') as file,
        Progress(expected, unit='frame', description='reading') as progress,
    ):
        for frame in some_frames(footage, stride, limit, (height, 2 * height)):
            data = np.ascontiguousarray(frame.image).tobytes()
            digest.update(data)
            file.write(data)
            indices.append(frame.index)
            progress.update()
    images = np.memmap(path, np.uint8, 'r', shape=(len(indices), height, 2 * height, 3))
    return Frames(images, np.array(indices), digest.hexdigest())


def _mapped(path, shape):
    """A float32 array in a new file. Its room is taken now: a mapped page that finds none ends the
    process without a word.
    """
    size = 4 * math.prod(shape)
    with open(path, 'wb') as file:
        if hasattr(os, 'posix_fallocate'):
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.truncate(size)
    return np.memmap(path, np.float32, 'r+', shape=shape)


def analyse(params, frames, grid, config, path, *, ordered=True, distances=(1,)):
    """`infer.analyse` with its disparity in a file and its progress shown."""
    out = _mapped(path, (len(frames.images), *grid.rays.shape[:3]))
    with Progress(len(frames.images), unit='frame', description='predicting') as progress:
        return infer.analyse(
            params,
            frames.images,
            grid,
            config,
            ordered=ordered,
            distances=distances,
            out=out,
            on_frames=progress.update,
        )


def photometric_error(params, images, stride, grid, config, loss, *, mask=None, samples=32):
    """How badly frames are synthesised from their neighbours: the photometric loss without
    augmentation.

    Args:
        params: {'depth', 'pose'} parameters.
        images: [N, H, 2H, 3] uint8 at the size of the model.
        stride: frames between a target and its neighbours.
        grid: `Grid`.
        config, loss: `ModelConfig`, `LossConfig`.
        mask: [H, 2H] float, 1 where images count, or None.
        samples: triplets that are looked at.

    Returns:
        Float.
    """
    targets = np.unique(
        np.linspace(
            stride, len(images) - 1 - stride, min(samples, len(images) - 2 * stride)
        ).astype(int)
    )
    one = jax.jit(
        lambda params, frames, grid, mask: objective(
            params,
            frames.astype(jnp.float32) / 255,
            jnp.eye(3)[None],
            None,
            mask,
            grid,
            config,
            loss,
        )[1]['photometric']
    )
    return float(
        np.mean(
            [
                one(params, np.asarray(images[[t - stride, t, t + stride]])[None], grid, mask)
                for t in targets
            ]
        )
    )


def flicker(analysis):
    """How restless the depth of consecutive frames is, as a viewer sees it.

    Args:
        analysis: `infer.Analysis` of at least 3 frames of one moving camera.

    Returns:
        dict: 'before' and 'after' the frames were brought to one scale, the median over the
        directions of the size of the second difference of log depth in time, averaged over the
        frames; a steady walk leaves it near 0. 'overlap', the median relative disagreement of
        neighbours about the surfaces that both see, beyond one factor.
    """
    log_units = np.log(analysis.units)
    before, after = [], []
    for i in range(1, len(log_units) - 1):
        bend = np.diff(-np.log(analysis.disparity[i - 1 : i + 2]), 2, axis=0)
        before.append(np.median(np.abs(bend)))
        after.append(np.median(np.abs(bend + np.diff(log_units[i - 1 : i + 2], 2))))
    return {
        'before': float(np.mean(before)),
        'after': float(np.mean(after)),
        'overlap': float(np.mean(analysis.steps.spread)),
    }
