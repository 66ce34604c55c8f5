"""The camera path that COLMAP finds in the frames of a clip, on panoramas or on a rig of views."""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from scipy.spatial.transform import Rotation

from common.run import write_json
from pano_depth.footage import media
from pano_depth.footage.clip import Clip
from pano_depth.kernels import sphere

PITCHES, YAWS = (-35, 0, 35), (0, 90, 180, 270)


def views(height: int) -> tuple[list[np.ndarray], list[float], int]:
    """(rotations camera to panorama, PINHOLE parameters, pixels along a side) of the rig."""
    focal = height / np.pi  # as fine as the panorama where the view is finest
    side = int(2 * focal)
    turns = [
        Rotation.from_euler('YX', [yaw + 45 * (pitch != 0), pitch], degrees=True).as_matrix()
        for pitch in sorted(PITCHES, key=abs)
        for yaw in YAWS
    ]
    return turns, [focal, focal, side / 2, side / 2], side


def write_rig(clip: Clip, folder: pathlib.Path) -> None:
    """Writes the perspective views of a clip, and how they look."""
    turns, params, side = views(clip.frames.shape[1])
    pixel = (np.arange(side) + 0.5 - side / 2) / params[0]
    x, y = np.meshgrid(pixel, pixel)
    rays = np.stack([x, y, np.ones_like(x)], axis=-1)
    for number, turn in enumerate(turns):
        place = folder / 'images' / f'cam{number:02d}'
        place.mkdir(parents=True)
        for i, frame in enumerate(clip.frames):
            image = np.asarray(sphere.sample_equirect(frame, rays @ turn.T))
            media.write_image(place / f'{i:06d}.png', image)
    from_first = [(turn.T @ turns[0]).tolist() for turn in turns]
    write_json(folder / 'views.json', {'params': params, 'from_first': from_first})


def colmap(clip: Clip, as_rig: bool) -> tuple[dict[int, tuple], float]:
    """({frame: (rotation, position)}, seconds) of COLMAP; the views are rendered before the clock
    starts.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        if as_rig:
            write_rig(clip, folder)
        else:
            (folder / 'images').mkdir()
            for i, frame in enumerate(clip.frames):
                media.write_image(folder / 'images' / f'{i:06d}.png', frame)
        (folder / 'model').mkdir()
        worker = pathlib.Path(__file__).with_name('colmap_worker.py')
        done = subprocess.run(
            [sys.executable, str(worker), str(folder)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ['no message'])[-1]
            raise ValueError(f'COLMAP failed ({done.returncode}): {last}')
        result = json.loads((folder / 'poses.json').read_text())
    turn = views(clip.frames.shape[1])[0][0] if as_rig else np.eye(3)
    poses = {
        int(name[:6]): (np.array(rotation) @ turn.T, np.array(position))
        for name, (rotation, position) in result['poses'].items()
    }
    return poses, result['seconds']['mapping']
