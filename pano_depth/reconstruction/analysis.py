"""What the networks see in footage; long arrays are files that are mapped into memory."""

import hashlib
import math
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32, Int, UInt8

from common.logs import Progress
from pano_depth.footage.footage import Footage, Frame
from pano_depth.kernels.shapes import Array, Real
from pano_depth.learning.model import Grid, ModelConfig
from pano_depth.learning.objective import LossConfig, objective
from pano_depth.reconstruction import infer


class Frames(NamedTuple):
    """The frames of footage at the resolution of the model, in a file that is mapped into memory.

    Attributes:
        images: equirectangular.
        indices: numbers in the footage.
        sha256: of the images.
    """

    images: UInt8[np.ndarray, 'frames height width 3']
    indices: Int[np.ndarray, ' frames']
    sha256: str


def some_frames(
    footage: Footage, stride: int, limit: int | None, size: tuple[int, int] | None = None
) -> Iterator[Frame]:
    """The frames of footage that are predicted.

    Args:
        footage: the footage.
        stride: every stride-th frame is taken.
        limit: at most so many frames, or None.
        size: (height, width) of their images, or None for the footage's own.
    """
    for count, frame in enumerate(footage.frames(size=size, stride=stride), 1):
        yield frame
        if count == limit:
            return


def read_frames(
    footage: Footage,
    height: int,
    path: str | pathlib.Path,
    *,
    stride: int = 1,
    limit: int | None = None,
) -> Frames:
    """Reads footage once, shrunk, into a file.

    Args:
        footage: what is read.
        height: rows.
        path: file to write.
        stride: every stride-th frame is taken.
        limit: at most so many frames, or None.

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
    """A float32 array in a new file.

    Its space is reserved now: a mapped page that finds the disk full ends the process without a
    message.
    """
    size = 4 * math.prod(shape)
    with open(path, 'wb') as file:
        if hasattr(os, 'posix_fallocate'):
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.truncate(size)
    return np.memmap(path, np.float32, 'r+', shape=shape)


def analyse(
    params: dict,
    frames: Frames,
    grid: Grid,
    config: ModelConfig,
    path: str | pathlib.Path,
    *,
    ordered: bool = True,
    distances: Sequence[int] = (1,),
) -> infer.Analysis:
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


def depth_of_all(
    analysis: infer.Analysis, config: ModelConfig
) -> Float32[np.ndarray, 'frames height width']:
    """Depth of all frames at the resolution of the networks, in the unit of the analysis.

    Args:
        analysis: what the networks say.
        config: of the networks.
    """
    height = 2 * config.face_size
    depth_of = infer.depth_maps(config, height)
    out = np.empty((len(analysis.units), height, 2 * height), np.float32)
    for i, (disparity, unit) in enumerate(zip(analysis.disparity, analysis.units, strict=True)):
        out[i] = depth_of(disparity[None], np.array([unit], np.float32))[0]
    return out


def photometric_error(
    params: dict,
    images: UInt8[Array, 'frames height width 3'],
    stride: int,
    grid: Grid,
    config: ModelConfig,
    loss: LossConfig,
    *,
    mask: Real[Array, 'height width'] | None = None,
    samples: int = 32,
) -> float:
    """The photometric loss without augmentation: how badly neighbours synthesise each frame.

    Args:
        params: {'depth', 'pose'} parameters.
        images: at the size of the model.
        stride: frames between a target and its neighbours.
        grid: of the model.
        config, loss: configurations of the networks and of the loss.
        mask: 1 where images count, or None.
        samples: number of triplets to use.
    """

    @jax.jit
    def one(params, triplet, grid, mask):
        frames, upright = triplet[None].astype(jnp.float32) / 255, jnp.eye(3)[None]
        _, metrics = objective(params, frames, upright, None, mask, grid, config, loss)
        return metrics['photometric']

    last = len(images) - 1 - stride
    targets = np.linspace(stride, last, min(samples, len(images) - 2 * stride)).astype(int)
    triplets = (np.asarray(images[[t - stride, t, t + stride]]) for t in np.unique(targets))
    return float(np.mean([one(params, triplet, grid, mask) for triplet in triplets]))


def flicker(analysis: infer.Analysis) -> dict[str, float]:
    """How much the depth of consecutive frames flickers, as a viewer sees it.

    Args:
        analysis: of at least 3 frames of one moving camera.

    Returns:
        before, after: the median over the directions of the size of the second difference of log
            depth in time, averaged over the frames, before and after the frames were brought to
            one scale; near 0 for a steady walk.
        overlap: the median relative disagreement of neighbours about the surfaces that both see,
            beyond one factor.
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
