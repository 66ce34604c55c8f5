"""Clips of procedural rooms, rendered where they are needed."""

import functools

import jax
import numpy as np

from pano_depth.footage.clip import Clip
from pano_depth.kernels.rigid import Motion
from pano_depth.rooms.camera_path import camera_path
from pano_depth.rooms.render import render
from pano_depth.rooms.scene import make_scene

FPS = 6.0  # so that a walker moves 10 to 35 cm a frame
SAMPLE = (2018, 34)  # seed and index of the sample clip: two furnished rooms, a walk of 5.7 m


@functools.lru_cache(maxsize=8)
def _renderer(height, width):
    return jax.jit(functools.partial(render, height=height, width=width))


def relative_to_first(poses):
    """Camera-to-world poses whose world is frame 0's camera.

    Args:
        poses: `Motion` of numpy float64 [N, 3, 3], [N, 3], camera to any world.

    Returns:
        `Motion` of the same shapes; the first one is the identity.
    """
    first = poses.rotation[0].T
    return Motion(first @ poses.rotation, (poses.translation - poses.translation[0]) @ first.T)


def render_clip(
    seed, index, *, frames, height, width, name=None, batch=8, roominess=(1.0, 1.0), **path
):
    """Renders a walk through scene `index` of the family `seed`.

    Args:
        seed, index: non-negative integers; equal ones give equal clips at any size.
        frames: number of frames.
        height, width: of a frame, pixels; width is twice the height.
        name: of the clip, `room_<index>` if None.
        batch: frames rendered by one call.
        roominess: see `scene.make_scene`.
        **path: options of `camera_path`.

    Returns:
        `Clip` with depth and poses.

    Raises:
        ValueError: if the width is not twice the height or frames is below 1.
    """
    if width != 2 * height:
        raise ValueError(
            f'height x width is {height} x {width}; an equirectangular image is twice as wide as'
            ' high'
        )
    scene = make_scene(seed, index, roominess=roominess)
    poses = camera_path(scene, seed, index, frames, **path)
    images, depths = [], []
    for start in range(0, frames, batch):
        # The last batch is filled up, so that one program renders all batches.
        chosen = np.minimum(np.arange(start, start + batch), frames - 1)
        rgb, depth = _renderer(height, width)(
            scene,
            poses.rotation[chosen].astype(np.float32),
            poses.translation[chosen].astype(np.float32),
        )
        images.append(np.rint(np.asarray(rgb) * 255).astype(np.uint8))
        depths.append(np.asarray(depth))
    return Clip(
        name or f'room_{index:05d}',
        np.concatenate(images)[:frames],
        np.concatenate(depths)[:frames],
        relative_to_first(poses),
        FPS,
    )


def sample_clip(*, frames=32, height=128, width=256):
    """The built-in default clip: a walk through furnished rooms, rendered in a few seconds.

    Args:
        frames, height, width: as for `render_clip`.

    Returns:
        `Clip` named 'sample' with depth and poses.
    """
    return render_clip(*SAMPLE, frames=frames, height=height, width=width, name='sample')
