"""The result of a reconstruction: depth of every frame and the path of the camera, in one unit."""

import contextlib
import pathlib
from collections.abc import Iterator
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from pano_depth.footage import media
from pano_depth.footage.footage import Footage, Frame
from pano_depth.kernels.rigid import Motion
from pano_depth.learning.model import ModelConfig
from pano_depth.reconstruction import consistency, infer, sweep
from pano_depth.reconstruction.analysis import Frames, some_frames
from pano_depth.results import cloud, predict
from pano_depth.results.refined import Refined

LOWEST = 1 / 255  # least confidence of a valid pixel, which is not 0 in 8 bits
_KEPT = 4  # depth maps in memory: of a frame and of its neighbours


class Reconstruction:
    """Depth of every frame and the path of the camera, in one unit; made by `reconstruct`.

    Depth maps are computed from a file when they are needed; memory does not grow with the number
    of frames.

    Attributes:
        poses: [N, 3, 3] and [N, 3] float64, camera to world, in the unit; the world is frame 0's
            camera. None for unrelated images.
        unit: 'metre' or 'relative'.
        scores: what `eval.json` holds, or None where the footage has no truth.
        facts: what `run.json` says of the result.
        indices: [N] numbers of the frames in the footage.
        times: [N] seconds.
        height, width: of depth maps and images in pixels.
        name: of the footage.
    """

    def __init__(
        self,
        footage: Footage,
        frames: Frames,
        analysis: infer.Analysis,
        model: ModelConfig,
        *,
        height: int,
        stride: int = 1,
        mask: Bool[np.ndarray, 'h w'] | None = None,
        unit: Literal['metre', 'relative'] = 'relative',
        refined: Refined | None = None,
    ):
        """Keeps the parts; nothing is computed yet.

        Args:
            footage: the source of the images.
            frames: the frames that were analysed.
            analysis: the predictions of the networks, scaled.
            model: the networks' configuration.
            height: rows of depth maps and images.
            stride: every stride-th frame of the footage was analysed.
            mask: False where images do not count; there depth is 0.
            unit: of depth and path.
            refined: depth and confidence of the frames by geometry, in that unit, instead of the
                networks' depth.
        """
        self.footage, self.analysis, self.model = footage, analysis, model
        self.indices = np.asarray(frames.indices)
        self.times = self.indices / footage.fps
        self.height, self.width, self.stride = height, 2 * height, stride
        self.poses, self.unit, self.name = analysis.poses, unit, footage.name
        self.scores, self.facts = None, {}
        self._mask = None if mask is None else media.nearest(mask, height)
        self.refined = refined
        self._depth_maps = infer.depth_maps(model, height)
        self._maps, self._cloud = {}, None

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.indices)

    def __repr__(self) -> str:
        """One line with name, size and unit."""
        return (
            f'Reconstruction({self.name!r}: {len(self)} frames of {self.height} x {self.width},'
            f' unit {self.unit})'
        )

    def depth(self, index: int) -> Float32[np.ndarray, 'height width']:
        """Range of frame `index` along the rays, in the unit; 0 exactly where confidence is 0.

        Raises:
            IndexError: there is no such frame.
        """
        index = self._check(index)
        if self.refined is not None:
            return self.refined.depth(index)
        if index not in self._maps:
            found = self._depth_maps(
                self.analysis.disparity[index][None], self.analysis.units[index][None]
            )
            depth = np.array(found[0])
            if self._mask is not None:
                depth[~self._mask] = 0
            while len(self._maps) >= _KEPT:
                del self._maps[next(iter(self._maps))]
            self._maps[index] = depth
        return self._maps[index].copy()

    def confidence(self, index: int) -> Float32[np.ndarray, 'height width']:
        """How sure the depth of frame `index` is, in [0, 1]; 0 where it is invalid.

        Of refined depth it is the confirmation by other views, 0.5 and more where two of them
        agree; else the better agreement with the frame before and after (`consistency`).

        Raises:
            IndexError: there is no such frame.
        """
        index = self._check(index)
        if self.refined is not None:
            return self.refined.confidence(index)
        depth = self.depth(index)
        others = [i for i in (index - 1, index + 1) if 0 <= i < len(self)]
        if self.poses is None or not others:
            found = np.full(depth.shape, consistency.UNCONFIRMED, np.float32)
        else:
            found = np.max([self._agreement(index, depth, other) for other in others], axis=0)
        return np.where(depth > 0, np.maximum(found, LOWEST), 0).astype(np.float32)

    def solid(self, index: int) -> Float32[np.ndarray, 'height width']:
        """Depth of frame `index` for clouds: 0 where refined depth is not confirmed.

        Raises:
            IndexError: there is no such frame.
        """
        depth = self.depth(index)
        if self.refined is None:
            return depth
        return np.where(self.confidence(index) >= sweep.confirm.CONFIRMED, depth, 0)

    def _agreement(self, index, depth, other):
        """How well frame `other` confirms the depth of a frame."""
        world = self.poses.rotation[other].T
        rotation = world @ self.poses.rotation[index]
        translation = world @ (self.poses.translation[index] - self.poses.translation[other])
        return np.asarray(
            consistency.compiled_agreement(
                depth,
                self.depth(other),
                rotation.astype(np.float32),
                translation.astype(np.float32),
            )
        )

    def image(self, index: int) -> UInt8[np.ndarray, 'height width 3']:
        """Frame `index` at the size of the depth maps.

        Raises:
            IndexError: there is no such frame.
            ValueError: the footage cannot be read any more.
        """
        index = self._check(index)
        size = (self.height, self.width)
        with_index = self.footage.frames(size=size, start=int(self.indices[index]))
        return next(with_index).image

    def frames(self) -> Iterator[tuple[int, Frame]]:
        """Reads the footage once: (position, frame at the size of the depth maps)."""
        size = (self.height, self.width)
        with contextlib.closing(some_frames(self.footage, self.stride, len(self), size)) as stream:
            yield from enumerate(stream)

    def cloud(self) -> tuple[Float32[np.ndarray, 'points 3'], UInt8[np.ndarray, 'points 3']]:
        """The coloured point cloud of all frames, fused in voxels.

        Returns:
            (points, colours): in the world frame (x right, y down, z forward of frame 0's camera)
            and in the unit.

        Raises:
            ValueError: the images are unrelated, so that there is no common world.
        """
        if self._cloud is None:
            fusion = self.fusion()
            if fusion is None:
                raise ValueError(
                    f'{self.name} holds unrelated images; a cloud needs frames of one moving camera'
                )
            for position, frame in self.frames():
                fusion.add(position, frame.image, self.solid(position))
            self._cloud = fusion.result()
        return self._cloud

    def fusion(self, voxel: float | None = None) -> 'FrameFusion | None':
        """A cloud to which frames are added one by one; None for unrelated images.

        Args:
            voxel: side of a voxel in the unit, or None for 1 % of the median depth.
        """
        if self.poses is None and len(self) > 1:
            return None
        return FrameFusion(self, voxel)

    def save(self, folder: str | pathlib.Path, *, npy: bool = False) -> dict:
        """Writes the result files: depth, confidence, video, trajectory, cloud, pictures, scores.

        Args:
            folder: a directory, made if it is missing; files of the same names are replaced.
            npy: also write depth as float32 arrays.

        Returns:
            Facts about the files: units, frames, points of the cloud.
        """
        return predict.write_all(folder, self, npy=npy)

    def _check(self, index):
        if not -len(self) <= index < len(self):
            raise IndexError(f'there is no frame {index}; the reconstruction has {len(self)}')
        return index % len(self)


class FrameFusion:
    """A cloud to which the frames of a reconstruction are added one by one.

    Attributes:
        max_depth: farther points are left out, since the clip's baseline is too short for them.
    """

    ROWS = 256  # the cloud needs no finer rows, and fusing takes most of the time
    FAR = 4.0  # median depths

    def __init__(self, result: Reconstruction, voxel: float | None):
        """Starts an empty cloud; arguments as for `Reconstruction.fusion`."""
        middle = infer.median_depth(result.analysis)
        self.max_depth = self.FAR * middle
        self._step = max(1, result.height // self.ROWS)
        self._poses = result.poses or Motion(np.eye(3)[None], np.zeros((1, 3)))
        rays = predict.rays_of(result.height)[:: self._step, :: self._step]
        self._fusion = cloud.Fusion(
            *rays.shape[:2], directions=rays, voxel=voxel or 0.01 * middle, max_depth=self.max_depth
        )

    def add(self, position: int, image, depth) -> None:
        """Adds a frame: its position, [H, 2H, 3] uint8 and its depth [H, 2H]."""
        step = self._step
        self._fusion.add(
            image[::step, ::step],
            depth[::step, ::step],
            self._poses.rotation[position],
            self._poses.translation[position],
        )

    def result(self):
        """(points [M, 3] float32, colours [M, 3] uint8) of the frames so far."""
        return self._fusion.result()
