"""Depth of frames by a sweep over hypotheses, coarse to fine, and the check by other views."""

import dataclasses
from collections import OrderedDict
from collections.abc import Callable
from typing import Literal

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8

from common.options import check_options, option
from pano_depth.footage import media
from pano_depth.footage.geometry import as_trajectory
from pano_depth.kernels.rigid import Motion
from pano_depth.kernels.shapes import Array, Size
from pano_depth.reconstruction.image_gradients import GREY
from pano_depth.reconstruction.sweep import (
    aggregate,
    confirm,
    hypotheses,
    light,
    planes,
    textures,
    views,
    volume,
)

FULL = 256  # rows of the level on which all hypotheses are tried
_NEAR = 13  # hypotheses around the answer of the level before
_AROUND = 0.05  # log range over which they lie, to either side
_IMAGES = 24  # frames whose images are kept, for the frames that are compared with them
_MAPS = 48  # frames whose depth is kept, for the frames that they may confirm
_CLOSE = 0.25  # penalties of neighbours' steps there, which are smaller
CONFIRMING = 4  # views that may confirm a frame
Fill = Literal['networks', 'none']


@dataclasses.dataclass(frozen=True)
class SweepConfig:
    """How depth is refined."""

    sources: int = option(8, 'refinement: frames that each frame is compared with', lower_bound=1)
    hypotheses: int = option(72, 'refinement: distances that are tried for a pixel', lower_bound=8)
    step: float = option(
        0.004, 'refinement: cost of a step of one hypothesis between neighbours', lower_bound=0
    )
    jump: float = option(
        0.04, 'refinement: cost of a jump between neighbours of like colour', lower_bound=0
    )
    prior: float = option(
        0.003,
        'refinement: cost of leaving what the networks say by a factor of e, where images do not'
        ' tell',
        lower_bound=0,
    )

    def __post_init__(self):
        check_options(self)


class Sweep:
    """The sweep over frames of one moving camera; what frames share is computed once.

    Attributes:
        height: rows of the frames and of their depth.
        config: how.
    """

    def __init__(
        self,
        frames: UInt8[Array, 'frames height width 3'],
        poses: Motion,
        prior: Float[Array, 'frames rows columns'],
        *,
        mask: Bool[np.ndarray, 'h w'] | None = None,
        fill: Fill = 'networks',
        config: SweepConfig = SweepConfig(),
    ):
        """Checks the arguments, which are those of `refine`."""
        rotation, translation = as_trajectory(poses, 'poses')
        if not len(frames) == len(rotation) == len(prior):
            raise ValueError(
                f'frames, poses and prior are {len(frames)}, {len(rotation)} and {len(prior)};'
                ' accepted: as many of each'
            )
        media.check_equirect(*frames.shape[1:3], 'frames')
        self.height, self.config = frames.shape[1], config
        self.fill, self._frames, self._prior = fill, frames, prior
        self._poses = Motion(rotation, translation)
        self._coarse = np.stack([views.coarse(depth) for depth in prior])
        self._mask = None if mask is None else media.nearest(mask, self.height)
        self._levels = levels(self.height)
        self._features = _kept(self._make_features, 4)
        self._words = _kept(lambda key: textures.pack(self._features(key)), _IMAGES)
        self._grey = _kept(self._make_grey, 8 * _IMAGES)
        self.raw = _kept(self._sweep, _MAPS)

    def _make_features(self, key):
        index, height = key
        hidden = np.zeros((1, 1), bool) if self._mask is None else ~self._mask
        return textures.features(np.asarray(self._frames[index]), jnp.asarray(hidden), height)

    def _make_grey(self, index):
        """Grey values at the few rows by which brightness is compared."""
        colour = self._features((index, self._levels[0]))[:3]
        grey = jnp.tensordot(jnp.asarray(GREY, jnp.float32), colour, axes=1)
        block = max(1, grey.shape[0] // light.ROWS)
        return grey.reshape(grey.shape[0] // block, block, -1, block).mean(axis=(1, 3))

    def sources(self, index: Size) -> list[int]:
        """Frames that a frame is compared with."""
        return views.choose(self._poses, self._coarse, index, self.config.sources)

    def _compared(self, index, sources, height):
        """`volume.Sources` of a frame on one level."""
        motions = [views.relative(self._poses, index, j) for j in sources]
        grey = self._grey(index)
        depth = jnp.asarray(media.nearest(np.asarray(self._prior[index]), grey.shape[0]))
        gains = [
            light.ratio(grey, self._grey(j), depth, *motion)
            for j, motion in zip(sources, motions, strict=True)
        ]
        return volume.Sources(
            jnp.stack([self._words((j, height)) for j in sources]),
            jnp.stack([jnp.asarray(motion.rotation) for motion in motions]),
            jnp.stack([jnp.asarray(motion.translation) for motion in motions]),
            jnp.stack([_larger(gain, height) for gain in gains]),
        )

    def _sweep(self, index):
        """Inverse range of a frame before the check, 0 where it is hidden; None: no source."""
        sources = self.sources(index)
        if not sources:
            return None
        # One compiled program, however many sources a frame has: some count twice.
        sources = [sources[i % len(sources)] for i in range(self.config.sources)]
        plane = None
        for height in self._levels:
            target = self._features((index, height))
            compared = self._compared(index, sources, height)
            if plane is None:
                plane = self._anywhere(index, target, compared)
                inverse = plane[0]
            else:
                inverse = planes.finer(plane)
            plane = self._closer(target, compared, inverse)
        found = np.asarray(plane[0])
        return found if self._mask is None else np.where(self._mask, found, 0)

    def _anywhere(self, index, target, compared):
        """Planes among all hypotheses."""
        height, config = target.shape[1], self.config
        axis = hypotheses.axis(self._coarse[index], config.hypotheses)
        logs = jnp.log(axis.inverse)
        known = media.nearest(np.asarray(self._prior[index]), height)
        prior = jnp.asarray(-np.log(np.where(known > 0, known, np.nan)), jnp.float32)
        costs = volume.pooled(volume.volume(target, compared, logs))
        clear = hypotheses.told(costs)
        all_costs = hypotheses.pulled(costs, logs, prior, config.prior, clear)
        grey = target[:3].mean(axis=0)
        at, _ = aggregate.lowest(aggregate.aggregate(all_costs, grey, config.step, config.jump))
        return planes.fit(axis.at(at), _weight(costs, at), target[:3])

    def _closer(self, target, compared, inverse):
        """Planes among few hypotheses around an inverse range."""
        offsets = jnp.linspace(-_AROUND, _AROUND, _NEAR)
        logs = jnp.log(inverse)[None] + offsets[:, None, None]
        costs = volume.pooled(volume.volume(target, compared, logs))
        grey, config = target[:3].mean(axis=0), self.config
        total = aggregate.aggregate(costs, grey, _CLOSE * config.step, _CLOSE * config.jump)
        at, _ = aggregate.lowest(total)
        moved = inverse * jnp.exp((at / (_NEAR - 1) * 2 - 1) * _AROUND)
        return planes.fit(moved, _weight(costs, at), target[:3])

    def refined(
        self, index: Size
    ) -> tuple[Float32[np.ndarray, 'height width'], Float32[np.ndarray, 'height width']]:
        """(depth, confidence) of a frame, as `refine` gives them."""
        found = self.raw(index)
        known = media.nearest(np.asarray(self._prior[index]), self.height).astype(np.float32)
        counts = np.ones(known.shape, bool) if self._mask is None else self._mask
        sure = np.zeros_like(known)
        if found is None:
            found = sure
        else:
            sure = self._confirmed(index, found)
        if self.fill == 'none':
            return confirm.only_confirmed(found, sure * counts)
        return confirm.filled(found, sure, np.where(counts, known, 0))

    def _confirmed(self, index, inverse):
        """How well two other views agree with a frame, where their parallax can tell."""
        near = sorted(self.sources(index), key=lambda j: abs(j - index))
        found = []
        for j in near[:CONFIRMING]:
            other = self.raw(j)
            if other is not None:
                motion = views.relative(self._poses, index, j)
                found.append(np.asarray(confirm.agreement(inverse, other, *motion)))
        if not found:
            return np.zeros_like(inverse)
        second = np.sort(np.stack(found), axis=0)[max(0, len(found) - 2)]
        positions = [views.relative(self._poses, index, j).translation for j in near]
        rotations = [views.relative(self._poses, index, j).rotation for j in near]
        centres = np.stack([-r.T @ p for r, p in zip(rotations, positions, strict=True)])
        return second * np.asarray(confirm.precision(inverse, self._some(centres)))

    def _some(self, centres):
        """As many of them as there are sources at most, for one compiled program."""
        return jnp.asarray(centres[np.arange(self.config.sources) % len(centres)], jnp.float32)


def refine(
    frames: UInt8[Array, 'frames height width 3'],
    poses: Motion,
    prior: Float[Array, 'frames rows columns'],
    index: Size,
    *,
    mask: Bool[np.ndarray, 'h w'] | None = None,
    fill: Fill = 'networks',
    config: SweepConfig = SweepConfig(),
) -> tuple[Float32[np.ndarray, 'height width'], Float32[np.ndarray, 'height width']]:
    """Depth of one frame by multi-view stereo on the sphere, and how sure it is.

    For all frames, `Sweep` computes what they share once.

    Args:
        frames: equirectangular, one moving camera in order.
        poses: camera to world, in the unit of the prior.
        prior: range of all frames at any size, such as the networks'; 0 where unknown.
        index: of the frame.
        mask: False for what moves along with the camera, at any size; None: everything counts.
        fill: what stands where no other view confirms the depth: 'networks' for the prior, scaled
            to what is confirmed around it, with little confidence; 'none' for nothing.
        config: how.

    Returns:
        Range at the size of the frames in the unit of the prior, and confidence in [0, 1]: from
        0.5 on other views confirm it. Both are 0 where there is nothing.

    Raises:
        ValueError: shapes do not fit.
        IndexError: there is no such frame.
    """
    if not -len(frames) <= index < len(frames):
        raise IndexError(f'index is {index}; there are {len(frames)} frames')
    return Sweep(frames, poses, prior, mask=mask, fill=fill, config=config).refined(
        index % len(frames)
    )


def levels(height: int) -> list[int]:
    """Rows of the images on each level: from at most `FULL` rows to those of the frames."""
    found = [height]
    while found[0] > FULL and found[0] % 2 == 0:
        found.insert(0, found[0] // 2)
    return found


def _weight(costs, at):
    """How much the depth of a pixel counts: how sharply the images tell it."""
    return jnp.maximum(aggregate.bend(costs, at), 1e-4)


def _larger(gain, height):
    """A smooth map at another size."""
    gain = np.asarray(gain)
    block = height // gain.shape[0]
    if block <= 1:
        return jnp.asarray(gain)
    return jnp.asarray(np.kron(gain, np.ones((block, block), np.float32)))


def _kept(make: Callable, most: int) -> Callable:
    """A function that remembers its latest values."""
    values = OrderedDict()

    def get(key):
        if key not in values:
            values[key] = make(key)
        values.move_to_end(key)
        while len(values) > most:
            values.popitem(last=False)
        return values[key]

    return get
