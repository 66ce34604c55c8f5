"""Clips of procedural rooms, rendered where they are needed."""

import numpy as np

from pano_depth.footage.clip import Clip
from pano_depth.kernels.rigid import Motion
from pano_depth.rooms.wide.shots import USUAL, make_shot, shooter

FPS = 6.0  # so that a walker moves 10 to 35 cm a frame
SAMPLE = (2018, 34)  # seed and index of the sample clip: two furnished rooms, a walk of 5.7 m


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
    seed,
    index,
    *,
    frames,
    height,
    width,
    name=None,
    batch=8,
    roominess=(1.0, 1.0),
    style=USUAL,
    **path,
):
    """Renders a walk through scene `index` of the family `seed`.

    Args:
        seed, index: non-negative integers; equal ones give equal clips at any size.
        frames: number of frames.
        height, width: of a frame, pixels; width is twice the height.
        name: of the clip, `room_<index>` if None.
        batch: frames rendered by one call.
        roominess: see `scene.make_scene`; of the usual style.
        style: one of `wide.shots.STYLES`.
        **path: options of `camera_path`; of the usual style.

    Returns:
        `Clip` with depth (0 where there is none) and poses.

    Raises:
        ValueError: if the width is not twice the height, frames is below 1, or there is no such
            style.
    """
    if width != 2 * height:
        raise ValueError(
            f'height x width is {height} x {width}; an equirectangular image is twice as wide as'
            ' high'
        )
    shot = make_shot(seed, index, frames, style=style, roominess=roominess, **path)
    images, depths = [], []
    for start in range(0, frames, batch):
        # The last batch is filled up, so that one program renders all batches.
        chosen = np.minimum(np.arange(start, start + batch), frames - 1)
        poses = Motion(*(part[chosen].astype(np.float32) for part in shot.poses))
        rgb, depth = shooter(height, width)(shot._replace(poses=poses), chosen)
        images.append(np.rint(np.asarray(rgb) * 255).astype(np.uint8))
        depths.append(np.asarray(depth))
    return Clip(
        name or f'room_{index:05d}',
        np.concatenate(images)[:frames],
        np.concatenate(depths)[:frames],
        relative_to_first(shot.poses),
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
