"""Where training triplets come from. Every source has

- `shared`: a pytree of arrays that every device holds (the frames of a clip, say),
- `batch(step, examples)`: host arrays of the given examples of the global batch of a step, a pure function of its arguments, so that a
  resumed run and any number of hosts see the same data,
- `frames(example batch, shared)`: a pure JAX function that makes [B, 3, H, W, 3] float triplets of them on the device.
"""

import functools

import grain
import jax
import jax.numpy as jnp
import numpy as np

from pano_depth.datasets import render, streams


def _floats(frames):
    return frames.astype(jnp.float32) / 255 if frames.dtype == jnp.uint8 else frames


class ClipSource:
    """Triplets of one clip, which lies on the device as a whole."""

    def __init__(self, clip, *, stride, batch_size, seed=0):
        """Sets the source up.

        Args:
          clip: `Clip`.
          stride: frames between the target and each of its two neighbours.
          batch_size: examples of a global batch.
          seed: of the order.

        Raises:
          ValueError: the clip is too short for the stride.
        """
        if stride < 1 or len(clip) < 2 * stride + 1:
            raise ValueError(f'{clip.name} has {len(clip)} frames; triplets {stride} frames apart need at least {2 * stride + 1}')
        self._length, self.stride, self._batch_size, self._seed = len(clip), stride, batch_size, seed
        self.shared = {'frames': np.asarray(clip.frames)}

    def batch(self, step, examples):
        """{'index': [n, 3]} frame numbers: previous, target, next. Targets come in shuffled rounds, so that each is seen equally often.

        Frames at the ends are targets too, with their only neighbour on both sides: depth and motion are wanted of them as of the others.
        """
        indices = []
        for example in examples:
            round_number, position = divmod(step * self._batch_size + example, self._length)
            target = np.random.default_rng([self._seed, round_number]).permutation(self._length)[position]
            before, after = target - self.stride, target + self.stride
            indices.append((before if before >= 0 else after, target, after if after < self._length else before))
        return {'index': np.array(indices, np.int32)}

    @staticmethod
    def frames(batch, shared):
        return _floats(shared['frames'][batch['index']])


class WindowSource:
    """Triplets of stored clips, shuffled by grain, which gives random access to its order."""

    def __init__(self, clips, *, batch_size, stride=1, seed=0):
        """Sets the source up.

        Args:
          clips: random access to `Clip`s of equal size and length, such as `pano_rooms.load` returns.
          batch_size: examples of a global batch.
          stride: frames between the target and each of its two neighbours.
          seed: of the order.

        Raises:
          ValueError: the stride is not positive, or the clips are too short for it.
        """
        if stride < 1:
            raise ValueError(f'stride is {stride}; triplets are at least 1 frame apart')
        # Reading one window decodes a whole clip, so that decoded clips are kept, up to about a gigabyte.
        room = max(1, 2**30 // max(1, clips[0].frames.nbytes)) if len(clips) else 1
        clips = _Kept(clips, functools.lru_cache(room)(clips.__getitem__))
        self._order = grain.MapDataset.source(streams.Windows(clips, 3, stride)).seed(seed).shuffle().repeat()
        self._batch_size = batch_size
        self.shared = {}

    def batch(self, step, examples):
        """{'frames': [n, 3, H, W, 3]} uint8."""
        return {'frames': np.stack([self._order[step * self._batch_size + example]['frames'] for example in examples])}

    @staticmethod
    def frames(batch, shared):
        del shared
        return _floats(batch['frames'])


class _Kept:
    """Random access through a cache."""

    def __init__(self, clips, read):
        self._clips, self._read = clips, read

    def __len__(self):
        return len(self._clips)

    def __getitem__(self, index):
        return self._read(index)


class LiveSource:
    """Triplets in fresh PanoRooms scenes, rendered on the device inside the step: unlimited scenes, no storage."""

    def __init__(self, *, height, batch_size, seed=0):
        """Sets the source up.

        Args:
          height: of the rendered images, whose width is twice as much.
          batch_size: examples of a global batch.
          seed: of the scenes.
        """
        self._height, self._batch_size, self._seed = height, batch_size, seed
        self.shared = {}

    def batch(self, step, examples):
        """{'scene', 'poses'} stacked over the examples; each is a scene of its own."""
        drawn = [streams.live_window(self._seed, step * self._batch_size + example) for example in examples]
        stack = lambda *leaves: np.stack(leaves)
        return {name: jax.tree.map(stack, *parts) for name, parts in zip(('scene', 'poses'), zip(*drawn))}

    def frames(self, batch, shared):
        del shared
        one = lambda scene, poses: render.render(scene, poses.rotation, poses.translation, self._height, 2 * self._height)[0]
        return jax.vmap(one)(batch['scene'], batch['poses'])
