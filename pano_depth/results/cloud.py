"""The fusion of a clip's depth into one coloured point cloud."""

import math

import numpy as np

from pano_depth.footage.geometry import as_trajectory
from pano_depth.kernels import sphere

# 21 bits a coordinate: three fit an int64.
_VOXEL_BITS = 21
_HALF_GRID = 1 << _VOXEL_BITS - 1
# So many points of new voxels are fused into the cloud at once.
_PENDING_POINTS = 500_000


def _sum_equal(keys, order, rows):
    """Sums over equal keys.

    Args:
        keys: [M] integers.
        order: [M] permutation that sorts them.
        rows: yields [M] numbers or None, which stands for ones.

    Returns:
        [V] keys, sorted, and a list of one [V] float64 for each row.
    """
    keys = keys[order]
    first = np.concatenate([np.ones(min(len(keys), 1), bool), keys[1:] != keys[:-1]])
    labels = np.empty(len(keys), np.intp)
    labels[order] = np.cumsum(first) - 1
    # Several times faster than np.add.reduceat.
    return keys[first], [np.bincount(labels, row) for row in rows]


def _fuse(parts):
    """Merges (sorted keys, [7, M] sums) parts into one, whose keys are sorted and differ."""
    keys = np.concatenate([part[0] for part in parts])
    # Row by row, so that all sums are not copied at once; a stable sort of sorted parts only merges
    # them.
    rows = (np.concatenate([part[1][i] for part in parts]) for i in range(7))
    keys, sums = _sum_equal(keys, np.argsort(keys, kind='stable'), rows)
    return keys, np.stack(sums)


def _lexicographic_order(cells):
    """The order that sorts the columns of [3, M] integers; equal columns may change their order."""
    low = cells.min(axis=1)
    extent = cells.max(axis=1) - low + 1
    bits = cells.shape[1].bit_length()
    if math.prod(map(int, extent)) >> (63 - bits):
        return np.lexsort(cells[::-1])
    x, y, z = cells - low[:, None]
    # The cell in the high bits, the number of the column in the low ones: one plain sort of these
    # is several times faster than an argsort.
    packed = ((x * extent[1] + y) * extent[2] + z) << bits | np.arange(cells.shape[1])
    packed.sort()
    return packed & (1 << bits) - 1


def _sum_by_voxel(points, colors, voxel):
    """Sums one frame's points by voxel; points outside the grid are dropped.

    Args:
        points: [3, M] float32.
        colors: [3, M] uint8.
        voxel: side of a voxel.

    Returns:
        [V] int64 keys, sorted, and [7, V] float64 sums of position, colour and count.
    """
    cells = np.floor(points / np.float32(voxel))
    inside = (np.abs(cells) < _HALF_GRID).all(axis=0)
    if not inside.all():
        cells, points, colors = (array[:, inside] for array in (cells, points, colors))
    if cells.shape[1] == 0:
        return np.zeros(0, np.int64), np.zeros((7, 0))
    cells = cells.astype(np.int64)
    x, y, z = cells + _HALF_GRID
    keys = x << 2 * _VOXEL_BITS | y << _VOXEL_BITS | z
    keys, sums = _sum_equal(keys, _lexicographic_order(cells), (*points, *colors, None))
    return keys, np.stack(sums)


def _halved(keys):
    """Keys of the same places in a grid of voxels of twice the side, no longer sorted."""
    shifts = np.array([2, 1, 0])[:, None] * _VOXEL_BITS
    x, y, z = ((keys >> shifts & (1 << _VOXEL_BITS) - 1) - _HALF_GRID >> 1) + _HALF_GRID
    return x << 2 * _VOXEL_BITS | y << _VOXEL_BITS | z


class Fusion:
    """Fuses frames one by one into one coloured cloud: one mean point per occupied voxel.

    The voxels even out the density: neighbouring pixels near the poles look along nearly the same
    ray, and overlapping frames see the same surfaces, so that points would pile up there. Whenever
    more than `max_points` voxels are occupied, their side doubles, so that memory does not grow
    with the number of frames. The cloud does not depend on the order of the frames or on when it is
    read.

    Attributes:
        voxel: side of a voxel as it is now, in the unit of the depth.
    """

    def __init__(
        self, height, width, *, voxel, max_points=2_000_000, max_depth=np.inf, directions=None
    ):
        """Starts an empty cloud.

        Args:
            height, width: size of the frames in pixels.
            voxel: side of a voxel in the unit of the depth. Points more than 2^20 voxels from the
                world's origin along an axis are left out.
            max_points: upper limit of the result.
            max_depth: farther pixels are left out.
            directions: [H, W, 3] unit rays of the pixels, or None for `sphere.ray_directions`.

        Raises:
            ValueError: `voxel` or `max_points` is not positive, or `directions` has another shape.
        """
        if not 0 < voxel < np.inf or max_points < 1:
            raise ValueError(
                f'voxel, max_points are {voxel}, {max_points}; accepted: positive numbers'
            )
        directions = np.asarray(
            sphere.ray_directions(height, width) if directions is None else directions
        )
        if directions.shape != (height, width, 3):
            raise ValueError(f'directions are {directions.shape}; accepted: [{height}, {width}, 3]')
        self.voxel, self._shape = float(voxel), (height, width)
        self._max_points, self._max_depth = max_points, max_depth
        self._directions = np.ascontiguousarray(directions.reshape(-1, 3).T, np.float32)
        self._merged = (np.zeros(0, np.int64), np.zeros((7, 0)))
        self._pending, self._pending_points = [], 0

    def add(self, frame, depth, rotation, translation):
        """Adds one frame.

        Args:
            frame: [H, W, 3] uint8.
            depth: [H, W] range; 0, negative or non-finite where invalid.
            rotation, translation: [3, 3] and [3], camera to world, in the unit of the depth.

        Raises:
            ValueError: another shape or type, or a pose that is not finite.
        """
        frame, depth = np.asarray(frame), np.asarray(depth, np.float32)
        rotation = np.asarray(rotation, np.float32)
        translation = np.asarray(translation, np.float32)
        if (
            frame.dtype != np.uint8
            or frame.shape != (*self._shape, 3)
            or depth.shape != self._shape
        ):
            raise ValueError(
                f'frame is {frame.dtype} {frame.shape}, depth {depth.shape}; accepted: uint8 '
                f'{(*self._shape, 3)} and {self._shape}'
            )
        if rotation.shape != (3, 3) or translation.shape != (3,):
            raise ValueError(
                f'rotation is {rotation.shape}, translation {translation.shape}; accepted: '
                '[3, 3] and [3]'
            )
        if not (np.isfinite(rotation).all() and np.isfinite(translation).all()):
            raise ValueError('rotation or translation holds values that are not finite')
        depth = depth.ravel()
        valid = np.flatnonzero(np.isfinite(depth) & (depth > 0) & (depth <= self._max_depth))
        # Absurd depths may overflow; they fall outside the grid.
        with np.errstate(over='ignore', invalid='ignore'):
            points = rotation @ (self._directions[:, valid] * depth[valid]) + translation[:, None]
            colors = np.ascontiguousarray(frame.reshape(-1, 3)[valid].T)
            self._add_sums(*_sum_by_voxel(points, colors, self.voxel))

    def _add_sums(self, keys, sums):
        """Adds to existing voxels; new voxels wait until merging them is worth its cost."""
        known, totals = self._merged
        if len(known):
            places = np.minimum(np.searchsorted(known, keys), len(known) - 1)
            found = known[places] == keys
            places, new = places[found], ~found
            for total, row in zip(totals, sums, strict=True):
                total[places] += row[found]
            keys, sums = keys[new], sums[:, new]
        self._pending.append((keys, sums))
        self._pending_points += len(keys)
        if self._pending_points > max(_PENDING_POINTS, len(known) // 2):
            self._merge()

    def _merge(self):
        self._merged = _fuse([self._merged, *self._pending])
        self._pending, self._pending_points = [], 0
        while len(self._merged[0]) > self._max_points:
            self.voxel *= 2
            self._merged = _fuse([(_halved(self._merged[0]), self._merged[1])])

    def result(self):
        """The cloud of the frames so far; more may follow.

        Returns:
            [M, 3] float32 points in the world frame (x right, y down, z forward) and [M, 3] uint8
            colours; M = 0 if no depth was valid.
        """
        self._merge()
        means = (self._merged[1][:6] / self._merged[1][6]).T
        return means[:, :3].astype(np.float32), np.rint(means[:, 3:]).astype(np.uint8)


def point_cloud(
    frames, depth, poses, *, voxel=None, max_points=2_000_000, max_depth=np.inf, directions=None
):
    """Fuses a clip's frames into one coloured cloud, see `Fusion`.

    Args:
        frames: [N, H, W, 3] uint8, W = 2H.
        depth: [N, H, W] range; 0 or non-finite where invalid.
        poses: `Motion` of [N, 3, 3] and [N, 3], camera to world, in the unit of the depth.
        voxel: side of a voxel in that unit, or None for 1 % of the median depth, which needs no
            known scale.
        max_points: upper limit of the result.
        max_depth: farther pixels are left out.
        directions: [H, W, 3] unit rays of the pixels, or None for `sphere.ray_directions`.

    Returns:
        [M, 3] float32 points in the world frame (x right, y down, z forward) and [M, 3] uint8
        colours; M = 0 if no depth is valid.

    Raises:
        ValueError: shapes do not match, or `voxel` or `max_points` is not positive.
    """
    frames, depth = np.asarray(frames), np.asarray(depth)
    rotation, translation = as_trajectory(poses, 'poses')
    if frames.ndim != 4 or frames.shape != depth.shape + (3,) or len(frames) != len(rotation):
        raise ValueError(
            f'frames {frames.shape}, depth {depth.shape} and {len(rotation)} poses do not '
            'match; accepted: [N, H, W, 3], [N, H, W] and N'
        )
    if voxel is None:
        known = depth[np.isfinite(depth) & (depth > 0) & (depth <= max_depth)]
        voxel = 0.01 * float(np.median(known)) if known.size else 1.0
    fusion = Fusion(
        *depth.shape[1:],
        voxel=voxel,
        max_points=max_points,
        max_depth=max_depth,
        directions=directions,
    )
    for view in zip(frames, depth, rotation, translation, strict=True):
        fusion.add(*view)
    return fusion.result()
