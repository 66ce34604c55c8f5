"""A small run directory with every file that a viewer reads, without a reconstruction."""

import numpy as np
from scipy.spatial.transform import Rotation

from common import run
from pano_depth.footage import media, video
from pano_depth.footage.poses import axes
from pano_depth.kernels import sphere
from pano_depth.kernels.rigid import Motion
from pano_depth.results import ply

FRAMES, HEIGHT = 6, 32
CLOUD = np.array([[0, 0, 2], [1, 0, 0], [0, 1, 0], [-1, -1, -1]], np.float32)  # y down
COLOURS = (60 * np.arange(12).reshape(4, 3) % 256).astype(np.uint8)


def poses():
    """A path to the right that turns to the right, camera to world."""
    turns = Rotation.from_rotvec(0.2 * np.arange(FRAMES)[:, None] * [0, 1, 0]).as_matrix()
    return Motion(turns, np.arange(FRAMES)[:, None] * np.array([0.5, 0.0, 0.1]))


def image(index):
    """Grey, lighter in each frame, with a red half to the right."""
    frame = np.full((HEIGHT, 2 * HEIGHT, 3), 30 + 25 * index, np.uint8)
    frame[:, HEIGHT:] = (200, 30, 30)
    return frame


def depth(index):
    """A sphere around the camera, larger in each frame; nothing is known of the lowest quarter."""
    found = np.full((HEIGHT, 2 * HEIGHT), 2 + 0.25 * index, np.float32)
    found[3 * HEIGHT // 4 :] = 0
    return found


def confidence(index):
    """Sure to the left, unsure to the right."""
    found = np.where(np.arange(2 * HEIGHT) < HEIGHT, 1.0, 0.2)[None].repeat(HEIGHT, axis=0)
    return np.where(depth(index) > 0, found, 0)


def points(index):
    """[M, 3] all points of a frame in the world."""
    at = poses()
    found = np.asarray(sphere.ray_directions(HEIGHT, 2 * HEIGHT)) * depth(index)[..., None]
    found = found[depth(index) > 0]
    return found @ at.rotation[index].T + at.translation[index]


def make_run(folder, *, turn='y_up', pieces=False, finished=True, even=True):
    """Writes a run directory.

    Args:
        folder: a new directory.
        turn: axes of path and cloud.
        pieces: whether the last two frames are a piece of their own.
        even: whether run.json says that the frames follow each other at one rate.
        finished: whether run.json speaks of the results, and video and clouds exist.
    """
    for name in ('depth', 'confidence'):
        (folder / name).mkdir(parents=True)
    for i in range(FRAMES):
        media.write_png16(folder / 'depth' / f'{i:06d}.png', media.to_millimetres(depth(i)))
        grey = np.rint(255 * confidence(i)).astype(np.uint8)
        media.write_image(folder / 'confidence' / f'{i:06d}.png', grey)
    spans, facts = [(0, 4), (4, 6)] if pieces else [(0, 6)], {'unit': 'metre', 'fps': 10.0}
    facts['frame_times'] = 'even' if even else 'variable: 0.1 to 0.2 s'
    entries = []
    for number, (start, stop) in enumerate(spans, 1):
        end = f'_{number}' if number > 1 else ''
        part = Motion(*(array[start:stop] for array in poses()))
        times = np.arange(start, stop) / 10
        axes.write_path(folder / f'trajectory{end}.txt', times, part, axes=turn, unit='metre')
        if finished:
            ply.write_ply(
                folder / f'cloud{end}.ply', CLOUD[: 5 - number], COLOURS[: 5 - number], axes=turn
            )
        entries.append(
            {
                'frames': [start, stop - 1],
                'path': True,
                'trajectory': f'trajectory{end}.txt',
                'cloud': f'cloud{end}.ply',
            }
        )
    if pieces:
        facts['pieces'] = entries
    if finished:
        with video.write_video(folder / 'depth.mp4', 10) as append:
            for i in range(FRAMES):
                append(np.concatenate([image(i), np.zeros_like(image(i))]))
    record = {'data': {'name': 'a walk'}} | ({'prediction': facts} if finished else {})
    run.write_json(folder / 'run.json', record)
    return folder
