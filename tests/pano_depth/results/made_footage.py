"""Footage for trainings: a tree in PanoSUNCG's layout, and videos, rendered from PanoRooms."""

import functools

import cv2
import numpy as np

from pano_depth.footage import video
from pano_depth.rooms import rooms

FRAMES, HEIGHT = 8, 64


@functools.cache
def walk(scene, frames=FRAMES):
    """A rendered walk as `Clip`."""
    return rooms.render_clip(7, scene, frames=frames, height=HEIGHT, width=2 * HEIGHT)


def write_panosuncg(root, scenes=3):
    """A tree of scenes with one trajectory each, as the data set stores them.

    Colours, depth of 8 bits in which 255 is 10 metres, and a file of positions.
    """
    for scene in range(scenes):
        clip, folder = walk(scene), root / f'scene{scene}' / '0.txt'
        folder.mkdir(parents=True)
        for i, (frame, depth) in enumerate(zip(clip.frames, clip.depth, strict=True)):
            cv2.imwrite(str(folder / f'{i}_color.png'), frame[..., ::-1])
            grey = np.clip(np.rint(depth * 25.5), 0, 255).astype(np.uint8)
            cv2.imwrite(str(folder / f'{i}_depth.png'), grey)
        labels = root / 'labels' / f'scene{scene}'
        labels.mkdir(parents=True)
        np.savetxt(labels / '0.txt', clip.poses.translation + 3)
    return root


def write_video(path, scene, frames=FRAMES):
    """A walk as a video."""
    clip = walk(scene, frames)
    with video.write_video(path, fps=24) as append:
        for frame in clip.frames:
            append(frame)
    return path
