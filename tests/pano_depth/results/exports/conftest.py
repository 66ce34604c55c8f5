"""A reconstruction of a rendered room that knows the true depth and path."""

import dataclasses
import pathlib

import numpy as np
import pytest

from pano_depth.footage import footage as footages
from pano_depth.footage.clip import Clip
from pano_depth.kernels.rigid import Motion
from pano_depth.learning.model import ModelConfig
from pano_depth.reconstruction import infer
from pano_depth.reconstruction.analysis import Frames
from pano_depth.reconstruction.trajectory import UnitStep
from pano_depth.results.pieces import Piece
from pano_depth.results.reconstruction import Reconstruction
from pano_depth.results.refined import Refined
from pano_depth.rooms import rooms

FRAMES, HEIGHT = 5, 64
MODEL = ModelConfig(face_size=8, padding='equirect', depth_channels=(4, 4), pose_channels=(4,))


def result_of(clip: Clip, folder: pathlib.Path, cuts=(), **options) -> Reconstruction:
    """The true depth of a clip as the result of a reconstruction, which other views confirm.

    Args:
        clip: with depth and poses.
        folder: keeps the depth.
        cuts: positions of frames before which the footage is cut.
        **options: of `Reconstruction`.
    """
    mask, pieces, bounds = options.pop('mask', None), [], [0, *cuts, len(clip)]
    for start, stop in zip(bounds, bounds[1:], strict=False):
        refined = Refined(folder / str(start), {}, stop - start, clip.depth.shape[1], 2.0)
        for i in range(start, stop):
            refined.put(i - start, clip.depth[i], np.ones_like(clip.depth[i]))
        part = slice(start, stop)
        poses = Motion(*(array[part] for array in clip.poses))
        disparity = 1 / clip.depth[part, None, 2::4, 2::4]
        steps = UnitStep(np.zeros(stop - start - 1), np.full(stop - start - 1, 0.01))
        analysis = infer.Analysis(disparity, np.ones(stop - start), poses, steps)
        pieces.append(Piece(start, stop, analysis, refined, mask))
    pieces.sort(key=lambda piece: piece.start - piece.stop)
    frames = Frames(None, np.arange(len(clip)), '')
    footage = footages.from_clip(clip)
    return Reconstruction(footage, frames, pieces, MODEL, height=clip.depth.shape[1], **options)


@pytest.fixture(scope='session')
def clip():
    found = rooms.sample_clip(frames=FRAMES, height=HEIGHT, width=2 * HEIGHT)
    return dataclasses.replace(found, name='room')


@pytest.fixture(scope='session')
def room(clip, tmp_path_factory):
    """The room with its true depth and path."""
    return result_of(clip, tmp_path_factory.mktemp('depth'))


@pytest.fixture(scope='session')
def make_result():
    """`result_of`, for other clips."""
    return result_of
