"""The result of a reconstruction: depth of every frame and the path of the camera, in one unit."""

import contextlib
import itertools
import pathlib
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float32, UInt8

from pano_depth.footage.footage import Footage, Frame
from pano_depth.learning.model import ModelConfig
from pano_depth.reconstruction import consistency, infer, sweep, validity
from pano_depth.reconstruction.analysis import Frames
from pano_depth.results import predict
from pano_depth.results.exports import ExportConfig, folders
from pano_depth.results.files.fusion import FrameFusion
from pano_depth.results.pieces import Piece, all_poses

LOWEST = 1 / 255  # least confidence of a valid pixel, which is not 0 in 8 bits
AXES = {'trajectory': 'y_down', 'cloud': 'y_up'}  # of files, unless others are wanted
_KEPT = 4  # depth maps in memory: of a frame and of its neighbours


class Reconstruction:
    """Depth of every frame and the path of the camera, in one unit; made by `reconstruct`.

    Footage that was cut has several pieces. Each has a world of its own, which is the camera of its
    first frame or, if that was asked for, a level one with the same origin and heading, and, unless
    the unit is the metre, a unit of its own.

    Depth maps are computed from a file when they are needed; memory does not grow with the number
    of frames.

    Attributes:
        pieces: `Piece` list: the longest one with a path, the others with a path in order of time,
            then those without, in order of time. Footage without cuts is one piece.
        poses: [N, 3, 3] and [N, 3] float64, camera to world, in the unit; the world is that of the
            frame's piece: frame 0's camera where there is one piece and it is not level. Frames of
            a piece without a path have the identity. None if no piece has a path.
        unit: 'metre' or 'relative'.
        reason: one sentence about what the footage shows, where it is not one moving camera.
        scores: what `eval.json` holds, or None where the footage has no truth.
        facts: what `run.json` says of the result.
        of_pieces: what it says of each piece.
        indices: [N] numbers of the frames in the footage.
        times: [N] seconds after frame 0 of the footage at which the frames are shown.
        axes: dict of the axes in which files are written, of 'trajectory' and 'cloud', see
            `footage.poses.axes`; poses and clouds here are x right, y down, z forward.
        height, width: of depth maps and images in pixels.
        name: of the footage.
    """

    def __init__(
        self,
        footage: Footage,
        frames: Frames,
        pieces: Sequence[Piece],
        model: ModelConfig,
        *,
        height: int,
        stride: int = 1,
        unit: Literal['metre', 'relative'] = 'relative',
        reason: str = '',
        axes: dict[str, str] = AXES,
    ):
        """Keeps the parts; nothing is computed yet.

        Args:
            footage: the source of the images.
            frames: the frames that were analysed.
            pieces: as above; together they hold each frame once.
            model: the networks' configuration.
            height: rows of depth maps and images.
            stride: every stride-th frame of the footage was analysed.
            unit: of depth and path.
            reason: see above.
            axes: see above.
        """
        self.footage, self.pieces, self.model = footage, list(pieces), model
        self.indices = np.asarray(frames.indices)
        self.times = self.indices / footage.fps if frames.times is None else frames.times
        self.height, self.width, self.stride = height, 2 * height, stride
        self.unit, self.name, self.reason = unit, footage.name, reason
        self.axes = dict(axes)
        self.scores, self.facts = None, {}
        self.of_pieces = [{} for _ in self.pieces]
        self.poses = all_poses(self.pieces, len(self.indices))
        self._piece = np.empty(len(self.indices), int)
        for number, piece in enumerate(self.pieces):
            self._piece[piece.start : piece.stop] = number
        self._depth_maps = infer.depth_maps(model, height)
        self._maps, self._clouds = {}, {}

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.indices)

    def __repr__(self) -> str:
        """One line with name, size and unit."""
        pieces = f' in {len(self.pieces)} pieces' if len(self.pieces) > 1 else ''
        return (
            f'Reconstruction({self.name!r}: {len(self)} frames of {self.height} x'
            f' {self.width}{pieces}, unit {self.unit})'
        )

    def number_of(self, index: int) -> int:
        """The number in `pieces` of the piece that a frame belongs to.

        Raises:
            IndexError: there is no such frame.
        """
        return int(self._piece[self._check(index)])

    def piece_of(self, index: int) -> Piece:
        """The piece that a frame belongs to.

        Raises:
            IndexError: there is no such frame.
        """
        return self.pieces[self.number_of(index)]

    def depth(self, index: int) -> Float32[np.ndarray, 'height width']:
        """Range of frame `index` along the rays, in the unit; 0 exactly where confidence is 0.

        Raises:
            IndexError: there is no such frame.
        """
        index = self._check(index)
        piece = self.piece_of(index)
        at = index - piece.start
        if piece.refined is not None:
            return piece.refined.depth(at)
        if index not in self._maps:
            found = self._depth_maps(
                piece.analysis.disparity[at][None], piece.analysis.units[at][None]
            )
            depth = np.array(found[0])
            mask = validity.of_frame(piece.mask, at, self.height)
            if mask is not None:
                depth[~mask] = 0
            while len(self._maps) >= _KEPT:
                del self._maps[next(iter(self._maps))]
            self._maps[index] = depth
        return self._maps[index].copy()

    def confidence(self, index: int) -> Float32[np.ndarray, 'height width']:
        """How sure the depth of frame `index` is, in [0, 1]; 0 where it is invalid.

        Of refined depth it is the confirmation by other views, 0.5 and more where two of them
        agree; else the better agreement with the frame before and after (`consistency`). Where
        there is no path by which frames could be compared, it is below 0.5: half of the chance
        that depth is within a tenth, by how much views of the image differ.

        Raises:
            IndexError: there is no such frame.
        """
        index = self._check(index)
        piece = self.piece_of(index)
        if piece.refined is not None:
            return piece.refined.confidence(index - piece.start)
        depth = self.depth(index)
        others = [i for i in (index - 1, index + 1) if piece.start <= i < piece.stop]
        spread = piece.analysis.spread
        if spread is not None:
            # `depth_maps` interpolates what it divides by.
            one = np.maximum(spread[index - piece.start], LOWEST)[None]
            found = consistency.of_views(1 / np.asarray(self._depth_maps(one, np.ones(1)))[0])
        elif not piece.has_path or not others:
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
        if self.piece_of(index).refined is None:
            return depth
        return np.where(self.confidence(index) >= sweep.confirm.CONFIRMED, depth, 0)

    def _agreement(self, index, depth, other):
        """How well frame `other` confirms the depth of a frame."""
        world = self.poses.rotation[other].T
        rotation = world @ self.poses.rotation[index]
        translation = world @ (self.poses.translation[index] - self.poses.translation[other])
        return np.asarray(
            consistency.agreement(
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
        with contextlib.closing(self.frames(index, index + 1)) as stream:
            return next(stream)[1].image

    def frames(
        self, start: int = 0, stop: int | None = None, *, full: bool = False
    ) -> Iterator[tuple[int, Frame]]:
        """Reads the footage once: (position, frame at the size of the depth maps).

        Args:
            start, stop: positions of the first frame, and of the frame after the last.
            full: frames at the resolution of the footage instead.
        """
        stop = len(self) if stop is None else stop
        size, first = None if full else (self.height, self.width), int(self.indices[start])
        stream = self.footage.frames(size=size, start=first, stride=self.stride)
        with contextlib.closing(stream):
            yield from zip(range(start, stop), itertools.islice(stream, stop - start))

    def cloud(
        self, piece: int = 0
    ) -> tuple[Float32[np.ndarray, 'points 3'], UInt8[np.ndarray, 'points 3']]:
        """The coloured point cloud of all frames of a piece, fused in voxels.

        Args:
            piece: number in `pieces`.

        Returns:
            (points, colours): in the world frame (x right, y down, z forward of the first camera)
            and in the unit.

        Raises:
            ValueError: there is no path, so that there is no common world.
            IndexError: there is no such piece.
        """
        if piece not in self._clouds:
            fusion = self.fusion(piece=piece)
            if fusion is None:
                why = self.reason or 'the images are unrelated'
                raise ValueError(
                    f'{self.name} has no cloud, which needs the path of the camera: {why}'
                )
            for position, frame in self.frames(*self.pieces[piece][:2]):
                fusion.add(position, frame.image, self.solid(position))
            self._clouds[piece] = fusion.result()
        return self._clouds[piece]

    def fusion(self, voxel: float | None = None, piece: int = 0) -> FrameFusion | None:
        """A cloud to which the frames of a piece are added one by one; None if it has no path.

        Args:
            voxel: side of a voxel in the unit, or None for 1 % of the median depth.
            piece: number in `pieces`.

        Raises:
            IndexError: there is no such piece.
        """
        known = self.pieces[piece]
        if not known.has_path and len(self) > 1:
            return None
        return FrameFusion(self.height, known, voxel)

    def save(
        self,
        folder: str | pathlib.Path,
        *,
        npy: bool = False,
        format: Literal['colmap', 'nerfstudio', 'clip'] | None = None,
        views: Literal['both', 'panoramas', 'faces'] = 'both',
        faces_fov: float = 90.0,
        faces_size: int | None = None,
    ) -> dict:
        """Writes the result files: depth, confidence, video, trajectory, cloud, pictures, scores.

        Args:
            folder: a directory, made if it is missing; files of the same names are replaced.
            npy: also write depth as float32 arrays.
            format: instead of these files, those that COLMAP or nerfstudio read, or a clip folder.
                The folder has to be new, empty, or an earlier export, which is replaced. Further
                pieces of footage that was cut get a folder of their own beside it: FOLDER_2, ...
            views, faces_fov, faces_size: as `export_views` and so on of `exports.ExportConfig`.

        Returns:
            Facts about the files: units, frames, points of the cloud; with a format, by the name
            of the folder.

        Raises:
            ValueError: a format is wanted and there is no path, or the folder holds other files.
        """
        if format is not None:
            config = ExportConfig((format,), views, faces_fov, faces_size)
            return folders.export_one(folder, self, format, config)
        return predict.write_all(folder, self, npy=npy)

    def _check(self, index):
        if not -len(self) <= index < len(self):
            raise IndexError(f'there is no frame {index}; the reconstruction has {len(self)}')
        return index % len(self)
