"""Sources of training triplets from many clips of footage, alone or with live rooms beside them."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Float16, Float32, UInt8

from pano_depth.kernels.rigid import Motion
from pano_depth.kernels.shapes import Array
from pano_depth.learning.triplets import Source, Truth, motions_to_sources

NEAR = 0.25  # share of the triplets that are closer than the stride of their clip
CAP = 2000  # triplets, up to which a longer clip is drawn more often


class Labels(NamedTuple):
    """What is known of a clip beside its images: the truth, or what a reconstruction found.

    Attributes:
        depth: range of each frame, 0 where unknown.
        confidence: of that depth, 255 = sure; None where it is the truth.
        rotation, translation: poses, camera to world, in the unit of the depth.
        share: part of the weight of supervised losses that the clip gets, 0 to 1.
    """

    depth: Float16[np.ndarray, 'frames height width']
    confidence: UInt8[np.ndarray, 'frames height width'] | None
    rotation: Float32[np.ndarray, 'frames 3 3']
    translation: Float32[np.ndarray, 'frames 3']
    share: float = 1.0

    def part(self, start: int, stop: int) -> 'Labels':
        """The labels of some frames that follow each other."""
        arrays = (None if part is None else part[start:stop] for part in self[:4])
        return Labels(*arrays, self.share)


class TrainingClip(NamedTuple):
    """Frames of one moving camera, in memory or in a file that is mapped into memory.

    Attributes:
        name: what messages call it.
        frames: equirectangular, all clips of a source have one size.
        stride: frames between a target and each of its two neighbours.
        valid: of each frame, the bits (`np.packbits`) of the pixels that count; None: all count.
        labels: depth and poses to learn from beside the images; None: images alone.
    """

    name: str
    frames: UInt8[np.ndarray, 'frames height width 3']
    stride: int
    valid: UInt8[np.ndarray, 'frames bytes'] | None = None
    labels: Labels | None = None


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
        self._labelled = any(clip.labels is not None for clip in clips)
        self._batch_size = batch_size
        self.shared = {}

    def batch(self, step: int, examples: Sequence[int]) -> dict:
        """{'frames': [n, 3, H, W, 3] uint8}, and more where a clip has it.

        If a clip has masks, {'valid': [n, 3, H, W]}. If one has labels, {'depth': [n, H, W],
        'confidence': [n, H, W] uint8, 'rotation': [n, 3, 3, 3], 'translation': [n, 3, 3],
        'share': [n]}, which are 0 for a clip without.
        """
        drawn = [self._triplet(step, example) for example in examples]
        batch = {'frames': np.stack([np.asarray(clip.frames[some]) for clip, some in drawn])}
        if self._masked:
            batch['valid'] = np.stack([_bits(clip, some) for clip, some in drawn])
        if self._labelled:
            labels = [_labels(clip, some) for clip, some in drawn]
            batch |= {name: np.stack([one[name] for one in labels]) for name in labels[0]}
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
        """The triplets as floats, and their masks and labels if there are any."""
        del shared
        known = {}
        if 'valid' in batch:
            known['valid'] = batch['valid'].astype(jnp.float32)
        if 'depth' in batch:
            known['depth'] = batch['depth'].astype(jnp.float32)
            known['confidence'] = batch['confidence'].astype(jnp.float32) / 255
            known['motion'] = motions_to_sources(batch['rotation'], batch['translation'])
            known['share'] = batch['share']
        return batch['frames'].astype(jnp.float32) / 255, Truth(**known) if known else None


def _bits(clip, some):
    """[3, H, W] bool of some frames of a clip."""
    shape = (len(some), *clip.frames.shape[1:3])
    if clip.valid is None:
        return np.ones(shape, bool)
    flat = np.unpackbits(np.asarray(clip.valid[some]), axis=1, count=math.prod(shape[1:]))
    return flat.reshape(shape).astype(bool)


def _labels(clip, some):
    """What is known of a triplet of a clip."""
    shape, labels = clip.frames.shape[1:3], clip.labels
    if labels is None:
        return {
            'depth': np.zeros(shape, np.float16),
            'confidence': np.zeros(shape, np.uint8),
            'rotation': np.broadcast_to(np.eye(3, dtype=np.float32), (3, 3, 3)),
            'translation': np.zeros((3, 3), np.float32),
            'share': np.float32(0),
        }
    depth = np.asarray(labels.depth[some[1]])
    sure = 255 if labels.confidence is None else labels.confidence[some[1]]
    sure = np.where(depth > 0, sure, 0).astype(np.uint8)
    return {
        'depth': depth,
        'confidence': sure,
        'rotation': labels.rotation[some],
        'translation': labels.translation[some],
        # Depth tells the unit of the motion, too.
        'share': np.float32(labels.share if sure.any() else 0),
    }


class WithRooms:
    """Some steps learn from footage, the others from rooms that are rendered inside the step.

    A step has one kind of data, so that what is not needed is not rendered.
    """

    def __init__(
        self, footage: FootageSource, rooms: Source, share: float, *, truth_share: float = 0.0
    ):
        """Sets the source up.

        Args:
            footage: of images as large as those of the rooms.
            rooms: `sources.LiveSource`.
            share: of the steps that learn from rooms, 0 to 1; they are spread evenly.
            truth_share: part of the weight of supervised losses that rooms get, whose depth and
                motion are known; 0: rooms teach by their images alone.

        Raises:
            ValueError: the share is out of range.
        """
        if not 0 <= share <= 1:
            raise ValueError(f'share is {share}; accepted: 0 to 1')
        self._footage, self._rooms, self._share = footage, rooms, share
        self._truth_share = truth_share
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
        """The triplets as floats, and what is known of them."""
        del shared
        footage, known = self._footage.sample(batch['footage'], {})
        known = Truth() if known is None else known
        _, of_room = jax.eval_shape(self._rooms.sample, batch['rooms'], {})
        needs = {
            'masked': known.valid is not None,
            'labelled': known.depth is not None or self._truth_share > 0,
            'with_shown': of_room is not None and of_room.shown is not None,
        }

        def of_rooms():
            images, truth = self._rooms.sample(batch['rooms'], {})
            share = jnp.full(len(images), self._truth_share, jnp.float32)
            truth = (Truth() if truth is None else truth)._replace(share=share)
            return images, _complete(truth, images.shape, **needs)

        return jax.lax.cond(
            batch['is_rooms'][0],
            of_rooms,
            lambda: (footage, _complete(known, footage.shape, **needs)),
        )


def _complete(truth, shape, *, masked, labelled, with_shown):
    """What is known of images of a shape [B, 3, H, W, 3], with every part that is needed."""
    if not (masked or labelled or with_shown):
        return None
    count, _, height, width, _ = shape
    everywhere = jnp.ones((count, 3, height, width), jnp.float32)
    or_all = lambda part, needed: (everywhere if part is None else part) if needed else None
    of_images = {'valid': or_all(truth.valid, masked), 'shown': or_all(truth.shown, with_shown)}
    if not labelled:
        return Truth(**of_images)
    if truth.depth is None:
        nothing = jnp.zeros((count, height, width), jnp.float32)
        still = Motion(
            jnp.broadcast_to(jnp.eye(3, dtype=jnp.float32), (2 * count, 3, 3)),
            jnp.zeros((2 * count, 3), jnp.float32),
        )
        share = jnp.zeros(count, jnp.float32)
        return Truth(nothing, still, confidence=nothing, share=share, **of_images)
    sure = truth.confidence
    sure = (truth.depth > 0).astype(jnp.float32) if sure is None else sure
    return Truth(truth.depth, truth.motion, confidence=sure, share=truth.share, **of_images)
