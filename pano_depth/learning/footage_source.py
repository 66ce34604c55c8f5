"""Sources of training triplets from many clips of footage, alone or with live rooms beside them."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, UInt8

from pano_depth.kernels.shapes import Array
from pano_depth.learning.triplets import Source, Truth

NEAR = 0.25  # share of the triplets that are closer than the stride of their clip
CAP = 2000  # triplets, up to which a longer clip is drawn more often


class TrainingClip(NamedTuple):
    """Frames of one moving camera, in memory or in a file that is mapped into memory.

    Attributes:
        name: what messages call it.
        frames: equirectangular, all clips of a source have one size.
        stride: frames between a target and each of its two neighbours.
        valid: of each frame, the bits (`np.packbits`) of the pixels that count; None: all count.
    """

    name: str
    frames: UInt8[np.ndarray, 'frames height width 3']
    stride: int
    valid: UInt8[np.ndarray, 'frames bytes'] | None = None


class FootageSource:
    """Triplets of random clips. The host gathers the frames of a batch from the clips."""

    def __init__(
        self,
        clips: Sequence[TrainingClip],
        *,
        batch_size: int,
        seed: int = 0,
        near: float = NEAR,
        cap: int = CAP,
    ):
        """Sets the source up.

        Args:
            clips: what triplets are taken from. A clip is drawn in proportion to its triplets, up
                to `cap` of them.
            batch_size: examples of a global batch.
            seed: of the order.
            near: share of the triplets that are closer than the stride of their clip, if that is
                more than one frame: a path is chained from motions between neighbouring frames, so
                the networks have to learn these too.
            cap: triplets, up to which a longer clip is drawn more often.

        Raises:
            ValueError: there is no clip, sizes differ, or a clip is too short for its stride.
        """
        if not clips:
            raise ValueError('there are no clips to learn from; at least 1 is accepted')
        for clip in clips:
            if clip.stride < 1 or len(clip.frames) < 2 * clip.stride + 1:
                raise ValueError(
                    f'{clip.name} has {len(clip.frames)} frames; triplets {clip.stride} frames'
                    f' apart need at least {2 * clip.stride + 1}'
                )
            if clip.frames.shape[1:] != clips[0].frames.shape[1:]:
                raise ValueError(
                    f'{clip.name} has frames of {clip.frames.shape[1:3]} pixels,'
                    f' {clips[0].name} of {clips[0].frames.shape[1:3]}; accepted: one size'
                )
        counts = np.array([len(clip.frames) - 2 * clip.stride for clip in clips], np.float64)
        weights = np.minimum(counts, cap)
        self._chances = np.cumsum(weights / weights.sum())
        self._clips, self._near, self._seed = list(clips), near, seed
        self._masked = any(clip.valid is not None for clip in clips)
        self._batch_size = batch_size
        self.shared = {}

    def batch(self, step: int, examples: Sequence[int]) -> dict:
        """{'frames': [n, 3, H, W, 3] uint8} and, if a clip has masks, {'valid': [n, 3, H, W]}."""
        drawn = [self._triplet(step, example) for example in examples]
        batch = {'frames': np.stack([np.asarray(clip.frames[some]) for clip, some in drawn])}
        if self._masked:
            batch['valid'] = np.stack([_bits(clip, some) for clip, some in drawn])
        return batch

    def _triplet(self, step, example):
        """(clip, frame numbers of previous, target and next); a function of its arguments alone."""
        rng = np.random.default_rng([self._seed, step, example])
        number = int(np.searchsorted(self._chances, rng.random(), side='right'))
        clip = self._clips[min(number, len(self._clips) - 1)]
        distance = clip.stride
        if distance > 1 and rng.random() < self._near:
            distance = int(rng.integers(1, distance))
        target = int(rng.integers(distance, len(clip.frames) - distance))
        return clip, np.array([target - distance, target, target + distance])

    @staticmethod
    def sample(
        batch: dict, shared: dict
    ) -> tuple[Float[Array, 'batch 3 height width 3'], Truth | None]:
        """The triplets as floats, and the masks of their frames if there are any."""
        del shared
        valid = batch['valid'].astype(jnp.float32) if 'valid' in batch else None
        images = batch['frames'].astype(jnp.float32) / 255
        return images, None if valid is None else Truth(valid=valid)


def _bits(clip, some):
    """[3, H, W] bool of some frames of a clip."""
    shape = (len(some), *clip.frames.shape[1:3])
    if clip.valid is None:
        return np.ones(shape, bool)
    flat = np.unpackbits(np.asarray(clip.valid[some]), axis=1, count=math.prod(shape[1:]))
    return flat.reshape(shape).astype(bool)


class WithRooms:
    """Some steps learn from footage, the others from rooms that are rendered inside the step.

    A step has one kind of data, so that what is not needed is not rendered. Rooms show no truth
    here: footage has none.
    """

    def __init__(self, footage: FootageSource, rooms: Source, share: float):
        """Sets the source up.

        Args:
            footage: of images as large as those of the rooms.
            rooms: `sources.LiveSource`.
            share: of the steps that learn from rooms, 0 to 1; they are spread evenly.

        Raises:
            ValueError: the share is out of range.
        """
        if not 0 <= share <= 1:
            raise ValueError(f'share is {share}; accepted: 0 to 1')
        self._footage, self._rooms, self._share = footage, rooms, share
        self._unused = {}
        self.shared = {}

    def batch(self, step: int, examples: Sequence[int]) -> dict:
        """{'is_rooms': [n] bool, all alike, 'footage', 'rooms'}; one of the two is not used."""
        on_rooms = math.floor((step + 1) * self._share) > math.floor(step * self._share)
        if len(examples) not in self._unused:
            footage, rooms = (one.batch(0, examples) for one in (self._footage, self._rooms))
            self._unused[len(examples)] = {'footage': footage, 'rooms': rooms}
        kind, source = ('rooms', self._rooms) if on_rooms else ('footage', self._footage)
        batch = {**self._unused[len(examples)], kind: source.batch(step, examples)}
        return {'is_rooms': np.full(len(examples), on_rooms), **batch}

    def sample(
        self, batch: dict, shared: dict
    ) -> tuple[Float[Array, 'batch 3 height width 3'], Truth | None]:
        """The triplets as floats, and what counts in them if a clip has masks."""
        del shared
        on_rooms = batch['is_rooms'][0]
        footage, truth = self._footage.sample(batch['footage'], {})
        images = jax.lax.cond(
            on_rooms, lambda: self._rooms.sample(batch['rooms'], {})[0], lambda: footage
        )
        if truth is None:
            return images, None
        return images, Truth(valid=jnp.where(on_rooms, 1.0, truth.valid))
