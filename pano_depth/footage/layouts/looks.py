"""Guesses the layout of pictures by what they show; a panorama is to be taken for one."""

from typing import NamedTuple

import numpy as np
from PIL import Image

from pano_depth.footage.layouts import circles, seams
from pano_depth.footage.layouts.table import LAYOUTS, fits

# Pixels to which an eye is reduced before two are compared, and shifts of the one that are tried.
_EYE, _SHIFTS = 64, 4
# Correlation of two eyes, and how much harder the step between them is than others.
_ALIKE, _STEP = 0.85, 2.0
# Correlation of what two lenses see, of how many degrees at least. Panoramas reach 0.92 by chance.
_SAME, _LEAST_FOV = 0.97, 186


class Guess(NamedTuple):
    """What pictures look like.

    Attributes:
        name: of the layout.
        reason: what was seen, the end of a sentence that begins with 'since'.
        options: further options of v360.
        stereo: how the frames hold two eyes, or None.
    """

    name: str
    reason: str
    options: str = ''
    stereo: str | None = None


def guess(frames):
    """What pictures look like that need not be panoramas.

    Args:
        frames: list of [H, W, 3] uint8 of one size: a few frames of the footage.

    Returns:
        `Guess`; None where the pictures look like no layout that can be told from its look.
    """
    height, width = frames[0].shape[:2]
    if fits(LAYOUTS['dual_fisheye'], height, width):
        if has_two_circles(frames):
            return Guess('dual_fisheye', 'they show two circles')
        if _are_hemispheres(frames):
            reason = 'their halves are almost the same, with a hard step between them'
            return Guess('half_equirect', reason, stereo='left_right')
        return Guess('equirect', 'they are twice as wide as high')
    if fits(LAYOUTS['fisheye180'], height, width):
        found = circles.radius(frames) is not None
        return Guess('fisheye180', 'they show a bright circle on black') if found else None
    cube = seams.best(frames, height, width)
    if cube is None:
        return None
    return Guess(cube[0], 'colours fit along the edges of this cube', cube[1])


def split(frames):
    """[(left half, right half)], each square, of pictures that are about twice as wide as high."""
    side = frames[0].shape[0]
    return [(frame[:, :side], frame[:, -side:]) for frame in frames]


def has_two_circles(frames):
    """Whether pictures of 2:1 show two fisheye circles: bright ones on black, or seen twice."""
    sides = list(zip(*split(frames)))
    if all(circles.radius(list(side)) is not None for side in sides):
        return True
    lenses = circles.lenses(split(frames))
    if lenses is None or lenses.alike < _SAME or lenses.fov < _LEAST_FOV:
        return False
    return all(min(_steps(frame)) >= _STEP for frame in frames)


def _steps(frame):
    """How hard the steps are in the middle and from the right end to the left.

    Returns:
        Both over what nine of ten neighbouring columns differ by at most.
    """
    columns = frame.astype(np.float32)
    steps = np.abs(np.diff(columns, axis=1)).mean(axis=(0, 2))
    usual = max(1.0, np.quantile(steps, 0.9))
    ends = np.abs(columns[:, 0] - columns[:, -1]).mean()
    return steps[len(steps) // 2] / usual, ends / usual


def looks_like_eyes(frames, stereo):
    """Whether the halves of pictures look like two eyes.

    Args:
        frames: list of [H, W, 3] uint8.
        stereo: 'top_bottom' or 'left_right'.
    """
    return all(_alike(*_halves(frame, stereo)) >= _ALIKE for frame in frames)


def _halves(frame, stereo):
    axis = 0 if stereo == 'top_bottom' else 1
    half = frame.shape[axis] // 2
    return frame.take(range(half), axis), frame.take(range(half, 2 * half), axis)


def _alike(one, other):
    """The largest correlation of two pictures over small shifts; 0 where they are too plain."""
    small = [
        np.asarray(
            Image.fromarray(eye).convert('L').resize((_EYE, _EYE), Image.Resampling.BOX), float
        )
        for eye in (one, other)
    ]
    if min(eye.std() for eye in small) < _SHIFTS:
        return 0.0
    inside = slice(_SHIFTS, _EYE - _SHIFTS)
    first = small[0][:, inside] - small[0][:, inside].mean()
    best = 0.0
    for shift in range(-_SHIFTS, _SHIFTS + 1):
        second = small[1][:, _SHIFTS + shift : _EYE - _SHIFTS + shift]
        second = second - second.mean()
        size = np.sqrt((first**2).sum() * (second**2).sum())
        best = max(best, float((first * second).sum() / max(size, 1e-9)))
    return best


def _are_hemispheres(frames):
    """Whether pictures of 2:1 are two half spheres (VR180): equal halves that do not join."""
    if not looks_like_eyes(frames, 'left_right'):
        return False
    return all(min(_steps(frame)) >= _STEP for frame in frames)
