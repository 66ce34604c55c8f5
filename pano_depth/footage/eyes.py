"""Frames that hold two eyes, one above or beside the other."""

import numpy as np

from pano_depth.footage import media

STEREO = ('top_bottom', 'left_right')


def check_stereo(stereo):
    """Raises ValueError unless `stereo` is None or names a way of stacking two eyes."""
    if stereo is not None and stereo not in STEREO:
        raise ValueError(
            f'stereo is {stereo!r}; accepted: {", ".join(STEREO)}, or None for one eye a frame'
        )


def eye_size(height, width, stereo, name):
    """Size of the equirectangular image inside a stored frame.

    Args:
        height, width: of the stored frame in pixels.
        stereo: None, 'top_bottom' (stored 1:1, the left eye is the upper half) or 'left_right'
            (stored 4:1, the left eye is the left half).
        name: the file that the message names.

    Returns:
        (height, width).

    Raises:
        ValueError: the stored frame has another aspect, or the eye is too small or of odd height.
    """
    aspect = {None: 2, 'top_bottom': 1, 'left_right': 4}[stereo]
    if stereo is not None and width != aspect * height:
        raise ValueError(
            f'{name} is {width}x{height} pixels (width x height); --stereo={stereo} takes one '
            f'eye of frames with an aspect of {aspect}:1'
        )
    eye = left_eye(height, width, stereo)
    media.check_equirect(*eye, name if stereo is None else f'the left eye of {name}')
    return eye


def left_eye(height, width, stereo):
    """(height, width) of one eye in a stored frame of any aspect."""
    rows = height // (2 if stereo == 'top_bottom' else 1)
    columns = width // (2 if stereo == 'left_right' else 1)
    return rows, columns


def stored_size(size, stereo):
    """(height, width) of the stored frame whose one eye has the size (height, width)."""
    return (
        size[0] * (2 if stereo == 'top_bottom' else 1),
        size[1] * (2 if stereo == 'left_right' else 1),
    )


def take_eye(frame, stereo):
    """The left eye of a stored frame [H, W, ...]: its upper or left half, or all of it."""
    rows, columns = left_eye(*frame.shape[:2], stereo)
    return np.ascontiguousarray(frame[:rows, :columns])
