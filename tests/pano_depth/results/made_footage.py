"""Footage for trainings: a tree in PanoSUNCG's layout, and videos, rendered from PanoRooms."""

import contextlib
import functools

import cv2
import numpy as np
import pytest

from common import run
from pano_depth.footage import media, video
from pano_depth.footage.poses import axes
from pano_depth.learning import train
from pano_depth.results.training import along, decode
from pano_depth.rooms import rooms
from tests.compiling import quickly

FRAMES, HEIGHT = 8, 64
_make_step = functools.cache(train.make_step)


@contextlib.contextmanager
def quick_training():
    """Compiling takes most of the time: it is done without optimisation, and once for all tests."""
    with quickly(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, 'make_step', _make_step)
        yield


@contextlib.contextmanager
def nothing_along():
    """Nothing moves along with the camera, as if it had been looked for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decode.along, 'find', lambda *_: along.Along(None, ''))
        yield


@contextlib.contextmanager
def quick_looks():
    """Each clip is one take, as if it had been looked at, which takes a second for each."""
    with nothing_along(), pytest.MonkeyPatch.context() as patch:
        take = lambda images: {'start': 0, 'stop': len(images), 'stride': 1}
        patch.setattr(decode, 'pieces_of', lambda _, i: {'pieces': [take(i)], 'reason': ''})
        yield


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


def write_mask(path):
    """A mask of the lowest quarter."""
    mask = np.full((16, 32), 255, np.uint8)
    mask[12:] = 0
    media.write_image(path, mask)
    return path


def write_reconstruction(folder, scene, *, scale=0.5, finished=True):
    """The workdir of a run that has found the truth of a walk, in a unit of its own.

    The left half is sure; of the lowest eighth nothing is known, as if something moved along.
    """
    clip = walk(scene)
    for name in ('depth', 'confidence'):
        (folder / name).mkdir(parents=True)
    with video.write_video(folder / 'depth.mp4', fps=24) as append:
        for i, (frame, depth) in enumerate(zip(clip.frames, clip.depth, strict=True)):
            depth, sure = scale * depth, np.full(depth.shape, 255, np.uint8)
            sure[:, HEIGHT:] = 51
            depth[7 * HEIGHT // 8 :] = sure[7 * HEIGHT // 8 :] = 0
            media.write_png16(folder / 'depth' / f'{i:06d}.png', media.to_millimetres(depth))
            media.write_image(folder / 'confidence' / f'{i:06d}.png', sure)
            append(np.concatenate([frame, frame]))
    poses = clip.poses._replace(translation=scale * clip.poses.translation)
    times = np.arange(len(clip)) / 24
    axes.write_path(folder / 'trajectory.txt', times, poses, axes='y_up', unit='relative')
    facts = {'unit': 'relative', 'fps': 24.0, 'frame_times': 'even'}
    pieces = [{'frames': [0, len(clip) - 1], 'trajectory': 'trajectory.txt', 'cloud': None}]
    files = ['depth/*', 'confidence/*', 'depth.mp4', 'trajectory.txt', 'run.json']
    record = {'data': {'name': f'walk {scene}'}, 'files': files}
    record['prediction'] = facts | {'pieces': pieces}
    record |= {'finished': '2026-01-01T00:00:00+00:00'} if finished else {}
    run.write_json(folder / 'run.json', record)
    return folder
