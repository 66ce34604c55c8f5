"""Sources of training triplets (`triplets.Source`): a clip, stored clips, rooms rendered live."""

import functools
from collections.abc import Sequence

import grain
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from pano_depth.footage.clip import Clip
from pano_depth.kernels.shapes import Array
from pano_depth.learning.triplets import Truth, motions_to_sources
from pano_depth.rooms import streams
from pano_depth.rooms.wide import shots


def _floats(frames):
    return frames.astype(jnp.float32) / 255 if frames.dtype == jnp.uint8 else frames


class ClipSource:
    """Triplets of one clip; the whole clip is kept on the device."""

    def __init__(
        self,
        clip: Clip,
        *,
        stride: int,
        batch_size: int,
        seed: int = 0,
        reach: int = 1,
        widen_from: int = 0,
        near: float = 0.0,
        valid: Bool[Array, 'frames height width'] | None = None,
    ):
        """Sets the source up.

        Args:
            clip: the clip that triplets are taken from.
            stride: frames between the target and each of its two neighbours.
            batch_size: examples of a global batch.
            seed: of the order.
            reach: the neighbours of each triplet are 1 to `reach` strides away, drawn anew each
                time: wide baselines tell depth, short ones are easy to match. Distances are left
                out for which the clip is too short.
            near: share of the triplets that are closer than one stride, if a stride is more than
                one frame. The path is chained from motions between neighbouring frames, so the
                networks have to learn these too.
            widen_from: step before which no neighbour is farther away than one stride.
            valid: False where a frame shows nothing that counts; None: every pixel counts.

        Raises:
            ValueError: the clip is too short for the stride, or the masks do not fit its frames.
        """
        if stride < 1 or reach < 1 or len(clip) < 2 * stride + 1:
            raise ValueError(
                f'{clip.name} has {len(clip)} frames; triplets {stride} frames apart need at least'
                f' {2 * stride + 1}'
            )
        self._length = len(clip)
        self.stride = stride
        self._batch_size = batch_size
        self._seed = seed
        self.reach, self._widen_from = min(reach, (len(clip) - 1) // (2 * stride)), widen_from
        self._near = near if stride > 1 else 0.0
        self.shared = {'frames': np.asarray(clip.frames)}
        if valid is not None:
            if valid.shape != clip.frames.shape[:3]:
                raise ValueError(
                    f'valid has shape {valid.shape}; accepted: {clip.frames.shape[:3]}, a mask for'
                    ' each frame of the clip'
                )
            self.shared['valid'] = np.asarray(valid)

    def add_prior(self, depth: Float[Array, 'frames height width']) -> None:
        """Adds depth that earlier networks predict: a range map for each frame of the clip."""
        if len(depth) != self._length:
            raise ValueError(
                f'the prior has {len(depth)} depth maps for a clip of {self._length} frames'
            )
        self.shared['prior'] = np.asarray(depth)

    def batch(self, step: int, examples: Sequence[int]) -> dict:
        """{'index': [n, 3]}: the frame numbers of previous, target and next.

        Targets come in shuffled rounds, so that each is seen equally often. Frames at the ends are
        targets too, since their depth and motion are needed as well; their only neighbour stands
        on both sides.
        """
        indices = []
        for example in examples:
            round_number, position = divmod(step * self._batch_size + example, self._length)
            order = np.random.default_rng([self._seed, round_number]).permutation(self._length)
            target = order[position]
            rng = np.random.default_rng([self._seed, step, example])
            reach = self.reach if step >= self._widen_from else 1
            distance = self.stride * int(rng.integers(1, reach + 1))
            if rng.random() < self._near:
                distance = int(rng.integers(1, self.stride))
            before, after = target - distance, target + distance
            previous = before if before >= 0 else after
            following = after if after < self._length else before
            indices.append((previous, target, following))
        return {'index': np.array(indices, np.int32)}

    @staticmethod
    def sample(
        batch: dict, shared: dict
    ) -> tuple[Float[Array, 'batch 3 height width 3'], Truth | None]:
        """The triplets as floats, and the prior and the masks of their frames where there are."""
        index, known = batch['index'], {}
        if 'prior' in shared:
            known['prior'] = shared['prior'][index[:, 1]].astype(jnp.float32)
        if 'valid' in shared:
            known['valid'] = shared['valid'][index].astype(jnp.float32)
        return _floats(shared['frames'][index]), Truth(**known) if known else None


class WindowSource:
    """Triplets of stored clips, shuffled by grain, which gives random access to its order."""

    def __init__(
        self,
        clips: Sequence[Clip],
        *,
        batch_size: int,
        stride: int = 1,
        seed: int = 0,
        with_truth: bool = False,
    ):
        """Sets the source up.

        Args:
            clips: random access to `Clip`s of equal size and length, such as `pano_rooms.load`
                returns.
            batch_size: examples of a global batch.
            stride: frames between the target and each of its two neighbours.
            seed: of the order.
            with_truth: whether batches contain depth and poses.

        Raises:
            ValueError: the stride is not positive, or the clips are too short for it.
        """
        if stride < 1:
            raise ValueError(f'stride is {stride}; triplets are at least 1 frame apart')
        # Reading one window decodes a whole clip, so decoded clips are kept, up to about a
        # gigabyte.
        room = max(1, 2**30 // max(1, clips[0].frames.nbytes)) if len(clips) else 1
        clips = _Kept(clips, functools.lru_cache(room)(clips.__getitem__))
        self._order = (
            grain.MapDataset.source(streams.Windows(clips, 3, stride)).seed(seed).shuffle().repeat()
        )
        self._batch_size, self._with_truth = batch_size, with_truth
        self.shared = {}

    def batch(self, step: int, examples: Sequence[int]) -> dict:
        """{'frames': [n, 3, H, W, 3] uint8} and, with truth, depth and poses.

        These are {'depth': [n, H, W], 'rotation': [n, 3, 3, 3], 'translation': [n, 3, 3]}.
        """
        windows = [self._order[step * self._batch_size + example] for example in examples]
        batch = {'frames': np.stack([window['frames'] for window in windows])}
        if self._with_truth:
            batch['depth'] = np.stack([window['depth'][1] for window in windows])
            for name in ('rotation', 'translation'):
                batch[name] = np.stack([window[name] for window in windows]).astype(np.float32)
        return batch

    @staticmethod
    def sample(
        batch: dict, shared: dict
    ) -> tuple[Float[Array, 'batch 3 height width 3'], Truth | None]:
        """The triplets as floats, and their depth and motion if the batch has them."""
        del shared
        truth = None
        if 'depth' in batch:
            motions = motions_to_sources(batch['rotation'], batch['translation'])
            truth = Truth(batch['depth'], motions)
        return _floats(batch['frames']), truth


class _Kept:
    """Random access through a cache."""

    def __init__(self, clips, read):
        self._clips, self._read = clips, read

    def __len__(self):
        return len(self._clips)

    def __getitem__(self, index):
        return self._read(index)


class LiveSource:
    """Triplets in fresh PanoRooms scenes, rendered on the device inside the step.

    The number of scenes is unlimited, and nothing is stored.
    """

    def __init__(
        self,
        *,
        height: int,
        batch_size: int,
        seed: int = 0,
        style: str = shots.USUAL,
        alone: bool = False,
    ):
        """Sets the source up.

        Args:
            height: of the rendered images, whose width is twice as much.
            batch_size: examples of a global batch.
            seed: of the scenes.
            style: of the rooms, one of `rooms.wide.shots.STYLES`.
            alone: whether targets come without the frames before and after them, for depth alone.

        Raises:
            ValueError: there is no such style.
        """
        shots.check_style(style)
        self._height, self._batch_size, self._seed = height, batch_size, seed
        self._style, self._length = style, 1 if alone else 3
        self.shared = {}

    def batch(self, step: int, examples: Sequence[int]) -> dict:
        """{'scene', 'poses', 'look'} stacked over the examples; each has its own scene."""
        first = step * self._batch_size
        drawn = [
            streams.live_window(self._seed, first + example, length=self._length, style=self._style)
            for example in examples
        ]
        return jax.tree.map(lambda *leaves: np.stack(leaves), *drawn)._asdict()

    def sample(
        self, batch: dict, shared: dict
    ) -> tuple[Float[Array, 'batch length height width 3'], Truth]:
        """Rendered triplets or targets, their depth and motion, where a tripod hides the scene."""
        del shared
        size, shot = (self._height, 2 * self._height), shots.Shot(**batch)
        images, depth = jax.vmap(lambda one: shots.shoot(one, *size))(shot)
        shown = jax.vmap(lambda one: shots.scene_shown(one, *size))(shot)
        if shown is not None:
            shown = jnp.broadcast_to(shown[:, None], images.shape[:4]).astype(jnp.float32)
        motions = motions_to_sources(*batch['poses']) if self._length == 3 else None
        return images, Truth(depth[:, self._length // 2], motions, shown=shown)
