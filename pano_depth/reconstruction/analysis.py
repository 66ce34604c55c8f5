"""What the networks see in footage; long arrays are files that are mapped into memory."""

import functools
import hashlib
import math
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float32, Float64, Int, UInt8

from common.logs import Progress, say
from pano_depth.footage import media
from pano_depth.footage.footage import Footage, Frame
from pano_depth.kernels.shapes import Array, Real
from pano_depth.learning.model import Grid, ModelConfig
from pano_depth.learning.objective import LossConfig, objective
from pano_depth.reconstruction import infer, validity
from pano_depth.reconstruction.validity import Mask


class Frames(NamedTuple):
    """The frames of footage at the resolution of the model, in a file that is mapped into memory.

    Attributes:
        images: equirectangular.
        indices: numbers in the footage.
        sha256: of the images as they were read, and of what of them counts.
        times: seconds after frame 0 of the footage at which they are shown, increasing; None for
            index / fps.
        valid: False where a frame shows nothing that counts; there its image shows what is around
            instead. A file, too; None where every pixel of every frame counts.
    """

    images: UInt8[np.ndarray, 'frames height width 3']
    indices: Int[np.ndarray, ' frames']
    sha256: str
    times: Float64[np.ndarray, ' frames'] | None = None
    valid: Bool[np.ndarray, 'frames height width'] | None = None


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
    mask: Bool[np.ndarray, '_ _'] | None = None,
) -> Frames:
    """Reads footage once, shrunk, into a file.

    Beside it lies a file of what counts, if there is a frame of which not every pixel does.

    Args:
        footage: what is read.
        height: rows.
        path: file to write.
        stride: every stride-th frame is taken.
        limit: at most so many frames, or None.
        mask: False for what is hidden in all frames, of any size; or None.

    Raises:
        ValueError: as for `Footage.frames`; no pixel of any frame counts.
    """
    indices, times, digest = [], [], hashlib.sha256()
    fixed = None if mask is None else media.nearest(mask, height)
    hidden = _Validity(f'{path}.valid', height)
    expected = -(-footage.length // stride)
    expected = expected if limit is None else min(limit, expected)
    with (
        open(path, 'wb') as file,
        Progress(expected, unit='frame', description='reading') as progress,
    ):
        for frame in some_frames(footage, stride, limit, (height, 2 * height)):
            digest.update(np.ascontiguousarray(frame.image))
            valid = hidden.add(frame.valid, digest)
            image = validity.filled(frame.image, validity.both(fixed, valid))
            file.write(np.ascontiguousarray(image).tobytes())
            indices.append(frame.index)
            times.append(frame.time)
            progress.update()
    images = np.memmap(path, np.uint8, 'r', shape=(len(indices), height, 2 * height, 3))
    shown = _times(times, np.array(indices) / footage.fps, footage.name)
    valid = hidden.mapped()
    if not validity.any_left(fixed, valid):
        raise ValueError(
            f'{footage.name} has no pixel that counts: all of every frame is transparent, outside'
            ' of the panorama, or hidden by the mask'
        )
    return Frames(images, np.array(indices), digest.hexdigest(), times=shown, valid=valid)


class _Validity:
    """Writes which pixels of frames count; there is no file as long as all do."""

    def __init__(self, path, height):
        self._path, self._everything = path, np.ones((height, 2 * height), bool)
        self._count, self._started = 0, False

    def add(self, valid, digest):
        """Adds the mask of a frame, or None; returns it at the size of the file, or None."""
        valid = media.resize_valid(valid, *self._everything.shape)
        if valid is not None and valid.all():
            valid = None
        if valid is not None:
            digest.update(f'valid {self._count}'.encode() + np.packbits(valid).tobytes())
        before = 0 if self._started else self._count
        if valid is not None or self._started:
            with open(self._path, 'ab' if self._started else 'wb') as file:
                for _ in range(before):
                    file.write(self._everything)
                file.write(self._everything if valid is None else np.ascontiguousarray(valid))
            self._started = True
        self._count += 1
        return valid

    def mapped(self):
        """[frames, height, width] bool, mapped from the file; None without one."""
        if not self._started:
            return None
        return np.memmap(self._path, bool, 'r', shape=(self._count, *self._everything.shape))


def _times(found, even, name):
    """Times of frames, as far as the footage says them, else `even` ones."""
    if None in found:
        return even
    found = np.array(found, np.float64)
    if not np.isfinite(found).all() or (np.diff(found) <= 0).any():
        say(f'{name} has frames whose times do not increase; frames count as evenly spaced in time')
        return even
    return found


def mapped(path: str | pathlib.Path, shape: tuple[int, ...]) -> Float32[np.ndarray, '...']:
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
    mask: Mask = None,
    views: bool = False,
) -> infer.Analysis:
    """`infer.analyse` with its arrays in files and its progress shown.

    Args:
        params, frames, grid, config, ordered, distances, mask: as there.
        path: of the file of the disparity.
        views: whether unrelated images are seen through several views.
    """
    shape = (len(frames.images), *grid.rays.shape[:3])
    out = mapped(path, shape)
    spread = mapped(f'{path}.spread', shape) if views else None
    with Progress(len(frames.images), unit='frame', description='predicting') as progress:
        return infer.analyse(
            params,
            frames.images,
            grid,
            config,
            ordered=ordered,
            distances=distances,
            mask=mask,
            out=out,
            spread=spread,
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
    mask: Real[Array, 'height width'] | Bool[Array, 'frames height width'] | None = None,
    samples: int = 32,
) -> float:
    """The photometric loss without augmentation: how badly neighbours synthesise each frame.

    Args:
        params: {'depth', 'pose'} parameters.
        images: at the size of the model.
        stride: frames between a target and its neighbours.
        grid: of the model.
        config, loss: configurations of the networks and of the loss.
        mask: 1 where images count, one for all frames or one for each; or None.
        samples: number of triplets to use.
    """
    last = len(images) - 1 - stride
    targets = np.linspace(stride, last, min(samples, len(images) - 2 * stride)).astype(int)
    triplets = (np.array([t - stride, t, t + stride]) for t in np.unique(targets))
    own = mask is not None and mask.ndim == 3
    masks_of = lambda some: np.asarray(mask[some], np.float32)[None] if own else mask
    error = lambda t: _error_of(params, np.asarray(images[t]), grid, masks_of(t), config, loss)
    return float(np.mean([error(t) for t in triplets]))


@functools.partial(jax.jit, static_argnames=('config', 'loss'))
def _error_of(params, triplet, grid, mask, config, loss):
    """The photometric loss of one triplet; compiled once for all clips of a size."""
    frames, upright = triplet[None].astype(jnp.float32) / 255, jnp.eye(3)[None]
    _, metrics = objective(params, frames, upright, None, mask, grid, config, loss)
    return metrics['photometric']


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
