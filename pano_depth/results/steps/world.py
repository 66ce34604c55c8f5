"""Which way is down in a piece of footage, and the world in which its path and cloud are given."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from pano_depth.footage.footage import Footage
from pano_depth.kernels.rigid import Motion
from pano_depth.learning.model import ModelConfig
from pano_depth.reconstruction import infer, level, validity
from pano_depth.reconstruction.sweep.confirm import CONFIRMED
from pano_depth.results.pieces import Piece
from pano_depth.results.steps import gravity

FIRST, LEVEL = 'first_camera', 'level'
SAMPLES = 24  # frames by whose surfaces down is found
_METADATA = 'the metadata of the footage'
_CONFIRMED = 'floor, ceiling and walls of the reconstruction'
_ANY = 'floor, ceiling and walls of depth that no other view confirms'


class Down(NamedTuple):
    """Which way is down.

    Attributes:
        direction: unit vector in the world of the piece; None where nothing tells it.
        source: what told it, in words.
        left_out: why the gravity in the files did not tell it, in words; '' where it did, or where
            there is none.
    """

    direction: Float64[np.ndarray, '3'] | None
    source: str
    left_out: str = ''


def find_down(
    piece: Piece,
    footage: Footage,
    first: int,
    model: ModelConfig,
    *,
    times: Float64[np.ndarray, ' frames'] | None = None,
) -> Down:
    """Which way is down in the world of a piece with a path.

    What the files say of frame 0 counts first, then the gravity that they have for all frames, then
    the surfaces of the scene.

    Args:
        piece: in any unit.
        footage: its files may say it, for frame 0 or for all.
        first: number in the footage of the first frame of the piece.
        model: of the networks.
        times: of the frames of the piece, seconds after frame 0 of the footage; None where the
            gravity of the files is not to be used.
    """
    rotations = piece.analysis.poses.rotation
    if footage.down is not None and first == 0:
        return Down(rotations[0] @ np.asarray(footage.down, np.float64), _METADATA)
    left_out = ''
    if times is not None and footage.gravity is not None:
        said = gravity.find_down(footage.gravity, times, np.asarray(rotations, np.float64))
        if said.direction is not None:
            return Down(said.direction, said.words)
        left_out = said.words
    count = len(rotations)
    shown = np.unique(np.linspace(0, count - 1, min(SAMPLES, count)).astype(int))
    for source, depth in _depths(piece, model):
        found = level.find_down(
            [_patches(depth(i), piece.mask, i) for i in shown], rotations[shown]
        )
        if found is not None:
            return Down(found.direction, source, left_out)
    return Down(None, 'nothing: no floor or ceiling was found', left_out)


def _patches(depth, mask, index):
    return level.patches(depth, mask=validity.of_frame(mask, index, depth.shape[0]))


def _depths(piece, model):
    """(what it is, function of a position in the piece) of its depth, the best one first."""
    refined = piece.refined
    if refined is not None:
        sure = lambda i: refined.confidence(i) >= CONFIRMED
        yield _CONFIRMED, lambda i: np.where(sure(i), refined.depth(i), 0)
        yield _ANY, refined.depth
    else:
        yield _ANY, networks_depth(piece.analysis, model)


def networks_depth(analysis: infer.Analysis, model: ModelConfig):
    """A function of a position that gives the networks' depth of that frame, [H, 2H]."""
    depth_of = infer.depth_maps(model, 2 * model.face_size)
    return lambda i: np.asarray(depth_of(analysis.disparity[[i]], analysis.units[[i]]))[0]


def down_of(piece: Piece, found: Down | None, model: ModelConfig) -> Callable | None:
    """Makes a function that gives down in the camera frame of a frame of a piece.

    Args:
        piece: the frames.
        found: of their world; None for a piece without a path, each of whose frames tells its own.
        model: of the networks.

    Returns:
        Function of a position in the piece that gives a unit vector, or None for a frame that does
        not tell; None where nothing tells it.
    """
    if found is None:
        depth = networks_depth(piece.analysis, model)
        return lambda i: getattr(
            level.find_down([_patches(depth(i), piece.mask, i)], np.eye(3)[None]), 'direction', None
        )
    if found.direction is None:
        return None
    return lambda i: piece.analysis.poses.rotation[i].T @ found.direction


def in_world(piece: Piece, world: str, found: Down) -> tuple[Piece, dict]:
    """A piece with a path in the world that is wanted, and what `run.json` says of it.

    Args:
        piece: in the world of its first camera.
        world: 'first_camera' or 'level': with y down, and the heading of the first camera.
        found: which way is down.
    """
    facts = {'world': world, 'down_from': found.source}
    if found.left_out:
        facts['gravity_left_out'] = found.left_out
    if found.direction is None:
        if world == LEVEL:
            facts |= {'world': FIRST, 'down_from': f'{found.source}, so that it could not be level'}
        return piece, {'world': facts}
    poses = piece.analysis.poses
    own = poses.rotation[0].T @ found.direction
    facts |= {'tilt_deg': round(level.tilt(own), 3), 'down': [round(float(x), 6) for x in own]}
    if world == LEVEL:
        turn = level.level_rotation(own) @ poses.rotation[0].T
        analysis = piece.analysis._replace(
            poses=Motion(turn @ poses.rotation, poses.translation @ turn.T)
        )
        piece = piece._replace(analysis=analysis)
    return piece, {'world': facts}
