"""The usual rooms stay as they are: published figures and other tests were measured on them."""

import numpy as np
import pytest

from pano_depth.rooms import pano_rooms, streams
from pano_depth.rooms.materials import FIELDS
from pano_depth.rooms.rooms import render_clip, sample_clip
from pano_depth.rooms.scene import FAR
from pano_depth.rooms.wide import shots

OLD_FIELDS = 24  # columns of a material before mirrors; the new one is 0 in the usual rooms
ROOMY = (1.0, 1.8)
# Measured with the code before the wide style came.
SCENES = {(1.0, 1.0): -10147.044309061832, (1.0, 1.8): -8599.501080982822}
FRAMES = [
    (146.77649, 38.876867, 2.0338156),
    (129.96505, 36.972328, 1.9925495),
    (87.571734, 30.142222, 2.4225771),
]
PATHS = [1.0974334140936546, 0.9440899087548723, 0.9440899087548718]


def checksum(arrays):
    """A number that any change of a value or of an order would move."""
    flat = np.concatenate([np.ravel(array).astype(np.float64) for array in arrays])
    flat = flat[np.abs(flat) < FAR]  # unused primitives are far away
    return float(flat @ np.cos(np.arange(len(flat))))


@pytest.mark.parametrize('roominess, index', [((1.0, 1.0), 0), (ROOMY, 3)])
def test_usual_scenes_are_those_of_old(roominess, index):
    shot = shots.make_shot(7, index, 3, roominess=roominess)
    assert shot.look is None and len(FIELDS) == OLD_FIELDS + 1
    material = shot.scene.material
    old = shot.scene._replace(material=material[:, :OLD_FIELDS])
    assert not material[:, OLD_FIELDS:].any()
    np.testing.assert_allclose(checksum(old), SCENES[roominess], rtol=1e-7)
    live = streams.live_window(7, 0)
    assert live.look is None and live.poses.rotation.dtype == np.float32


# Means of frames and depth, which a change of any scene, path, colour or light would move.
def test_usual_clips_are_those_of_old():
    train = pano_rooms.FAMILIES['train']
    clips = [
        sample_clip(frames=4, height=32, width=64),
        render_clip(train, 3, frames=4, height=32, width=64),
        render_clip(train, 3, frames=4, height=32, width=64, roominess=ROOMY),
    ]
    found = [(clip.frames.mean(), clip.frames.std(), clip.depth.mean()) for clip in clips]
    paths = [np.abs(clip.poses.translation).sum() for clip in clips]
    np.testing.assert_allclose(found, FRAMES, rtol=2e-4)
    np.testing.assert_allclose(paths, PATHS, rtol=1e-9)
