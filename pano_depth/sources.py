"""Where training triplets come from. Every source has

- `shared`: a pytree of arrays that every device holds (the frames of a clip, say),
- `batch(step, examples)`: host arrays of the given examples of the global batch of a step, a pure function of its arguments, so that a
  resumed run and any number of hosts see the same data,
- `frames(example batch, shared)`: a pure JAX function that makes [B, 3, H, W, 3] float triplets of them on the device.
"""

import numpy as np

import jax.numpy as jnp


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
        self._targets = np.arange(stride, len(clip) - stride)
        if stride < 1 or len(self._targets) < 1:
            raise ValueError(f'{clip.name} has {len(clip)} frames; triplets {stride} frames apart need at least {2 * stride + 1}')
        self._stride, self._batch_size, self._seed = stride, batch_size, seed
        self.shared = {'frames': np.asarray(clip.frames)}

    def batch(self, step, examples):
        """{'index': [n, 3]} frame numbers. Targets come in shuffled rounds, so that each is seen equally often."""
        count, indices = len(self._targets), []
        for example in examples:
            position = step * self._batch_size + example
            order = np.random.default_rng([self._seed, position // count]).permutation(count)
            indices.append(self._targets[order[position % count]] + self._stride * np.array([-1, 0, 1]))
        return {'index': np.array(indices, np.int32)}

    @staticmethod
    def frames(batch, shared):
        return _floats(shared['frames'][batch['index']])


class LiveSource:
    """Triplets in fresh PanoRooms scenes, rendered on the device inside the step: unlimited scenes, no storage."""

    def __init__(self, draw, render, *, height, batch_size, seed=0):
        """Sets the source up.

        Args:
          draw: host function (seed, index) -> (scene, poses) of one triplet, a pytree of numpy arrays of fixed shapes and a `Motion` of
            3 poses in the scene.
          render: JAX function (scene, rotation [3, 3, 3], translation [3, 3], height, width) -> (rgb [3, H, W, 3], depth).
          height: of the rendered images, whose width is twice as much.
          batch_size: examples of a global batch.
          seed: of the scenes.
        """
        self._draw, self._render, self._height, self._batch_size, self._seed = draw, render, height, batch_size, seed
        self.shared = {}

    def batch(self, step, examples):
        """{'scene', 'poses'} stacked over the examples; each is a scene of its own."""
        import jax
        drawn = [self._draw(self._seed, step * self._batch_size + example) for example in examples]
        scenes, poses = zip(*drawn)
        stack = lambda *leaves: np.stack(leaves)
        return {'scene': jax.tree.map(stack, *scenes), 'poses': jax.tree.map(stack, *poses)}

    def frames(self, batch, shared):
        import jax
        del shared
        one = lambda scene, poses: self._render(scene, poses.rotation, poses.translation, self._height, 2 * self._height)[0]
        return jax.vmap(one)(batch['scene'], batch['poses'])
