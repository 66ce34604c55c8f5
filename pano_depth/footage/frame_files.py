"""Footage of image files, with or without depth files; frames that hold two eyes."""

import functools
import re
from typing import NamedTuple

import numpy as np

from pano_depth.footage import media
from pano_depth.footage.clip import Clip
from pano_depth.footage.footage import Footage, Frame

STEREO = ('top_bottom', 'left_right')
# With more numbers than this per file, they do not count frames but, for example, nanoseconds.
_MAX_SPREAD = 100


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
    eye = _left_eye(height, width, stereo)
    media.check_equirect(*eye, name if stereo is None else f'the left eye of {name}')
    return eye


def _left_eye(height, width, stereo):
    """(height, width) of one eye in a stored frame."""
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
    rows, columns = _left_eye(*frame.shape[:2], stereo)
    return np.ascontiguousarray(frame[:rows, :columns])


class FrameFiles(NamedTuple):
    """The files of one frame.

    Attributes:
        image: path of the image, which may be missing.
        depth: path of the depth file, or None.
        problem: why the frame cannot be used, or None.
    """

    image: str
    depth: str | None = None
    problem: str | None = None


def numbered_files(folder, pattern):
    """The files of a folder by their numbers.

    Args:
        folder: `pathlib.Path` of a folder.
        pattern: regular expression of the whole name; its first group is the number.

    Returns:
        dict of number -> path, by number.

    Raises:
        ValueError: two files have one number, or the numbers are too far apart to count frames.
    """
    found = {}
    for entry in sorted(folder.iterdir()):
        match = re.fullmatch(pattern, entry.name, re.IGNORECASE)
        if match and entry.is_file():
            number = int(match[1])
            if number in found:
                raise ValueError(
                    f'{entry} and {found[number].name} are one frame; accepted: one file a frame'
                )
            found[number] = entry
    if found and max(found) >= _MAX_SPREAD * len(found):
        raise ValueError(
            f'{folder} has {len(found)} files with numbers up to {max(found)}; '
            'accepted: frames numbered from 0 on'
        )
    return dict(sorted(found.items()))


def natural_order(files):
    """Paths sorted by name, with numbers by their value: frame_10 stands behind frame_9."""

    def key(file):
        parts = re.split(r'(\d+)', file.name)
        return [(int(part), '') if part.isdigit() else (-1, part.lower()) for part in parts]

    return sorted(files, key=key)


def from_files(
    name,
    files,
    *,
    bad,
    stereo=None,
    read_depth=None,
    fps=Clip.fps,
    poses=None,
    has_rotation=True,
    ordered=True,
):
    """Footage whose frames are image files.

    Args:
        name: name of the footage.
        files: sequence of `FrameFiles`, one for each index.
        bad: `BadFrames`. Missing files are refused here, before any work; other problems show up
            while reading.
        stereo: see `eye_size`.
        read_depth: function of a depth path -> [H, W] float32 range in metres; None for footage
            without depth.
        fps, poses, has_rotation, ordered: see `Footage`.

    Returns:
        `Footage` of the size of the first image that can be read.

    Raises:
        ValueError: no image can be read, the first is not equirectangular, or a frame is bad and
            `bad` refuses.
    """
    if bad.refuses:
        for entry in files:
            if entry.problem:
                bad.report(str(entry.image), entry.problem)
    first, stored = _first_size(files, bad)
    height, width = eye_size(*stored, stereo, first)
    load = functools.partial(
        _load, stored=stored, first=first, eye=(height, width), stereo=stereo, read_depth=read_depth
    )
    read = functools.partial(_read_files, files, load, bad)
    return Footage(
        name,
        height,
        width,
        fps,
        len(files),
        read,
        poses=poses,
        has_depth=read_depth is not None,
        has_rotation=has_rotation,
        ordered=ordered,
        skipped=bad.skipped,
    )


def _first_size(files, bad):
    """(path, (height, width)) of the first image that can be read."""
    for entry in files:
        if entry.problem:
            continue
        try:
            return str(entry.image), media.read_image(entry.image).shape[:2]
        except ValueError as error:
            bad.report(str(entry.image), str(error))
    reason = next((entry.problem for entry in files if entry.problem), None) or bad.skipped[0][1]
    raise ValueError(f'not one frame can be read: {reason}')


def _read_files(files, load, bad, size, start, stride):
    for index in range(start, len(files), stride):
        entry = files[index]
        try:
            if entry.problem:
                raise ValueError(entry.problem)
            frame = Frame(index, str(entry.image), *load(entry, size))
        except ValueError as error:
            bad.report(str(entry.image), str(error))
        else:
            yield frame


def _load(entry, size, *, stored, first, eye, stereo, read_depth):
    """(image, depth or None) of one frame at `size`, or at the size of the eye."""
    image = media.read_image(entry.image)
    if image.shape[:2] != stored:
        raise ValueError(
            f'{entry.image} is {image.shape[1]}x{image.shape[0]} pixels, {first} is '
            f'{stored[1]}x{stored[0]}; accepted: one size'
        )
    size = size or eye
    image = media.resize_equirect(take_eye(image, stereo), *size)
    if read_depth is None:
        return image, None
    depth = read_depth(entry.depth)
    if depth.shape[1] != 2 * depth.shape[0]:
        # The depth is stacked like the images, or it cannot be used.
        eye_size(*depth.shape, stereo, str(entry.depth))
        depth = take_eye(depth, stereo)
    return image, media.nearest(depth, size[0])
