"""Footage of image files, with or without depth files."""

import contextlib
import functools
import re
from typing import NamedTuple

from common import images
from pano_depth.footage import media
from pano_depth.footage.clip import Clip
from pano_depth.footage.eyes import eye_size, take_eye
from pano_depth.footage.footage import Footage, Frame
from pano_depth.footage.photos import photo

# Panoramas whose sizes differ by less are one panorama, rounded by different programs.
_SAME_SIZE = 0.02
# With more numbers than this per file, they do not count frames but, for example, nanoseconds.
_MAX_SPREAD = 100


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
    look=None,
    read_depth=None,
    fps=Clip.fps,
    poses=None,
    has_rotation=True,
    ordered=True,
    may_differ=False,
):
    """Footage whose frames are image files.

    Args:
        name: name of the footage.
        files: sequence of `FrameFiles`, one for each index.
        bad: `BadFrames`. Missing files are refused here, before any work; other problems show up
            while reading.
        stereo: see `eyes.eye_size`.
        look: function of the path of an image -> how it becomes a panorama: something with
            `height`, `width`, `stored` (height, width), `notes` and `read(size)` -> (image, valid)
            (see `photos.photo`). None takes the pixels as they are stored.
        read_depth: function of a depth path -> [H, W] float32 range in metres; None for footage
            without depth.
        fps, poses, has_rotation, ordered: see `Footage`.
        may_differ: whether images may have different sizes: each frame then has its own where no
            size is asked for, and footage with such images is not `ordered`.

    Returns:
        `Footage` of the size of the first image that can be read; of the largest one if they
        differ.

    Raises:
        ValueError: no image can be read, the first is not equirectangular, or a frame is bad and
            `bad` refuses.
    """
    if bad.refuses:
        for entry in files:
            if entry.problem:
                bad.report(str(entry.image), entry.problem)
    look = look or functools.partial(photo.look_at, stereo=stereo, projection=photo.EQUIRECT)
    first = _first(files, look, bad)
    height, notes = first.height, first.notes
    if may_differ:
        heights = {height, *_heights(files, look)}
        may_differ, height = len(heights) > 1, max(heights)
        ordered = ordered and not may_differ
    if may_differ:
        notes += (
            f'the images of {name} have different sizes, up to {2 * height}x{height} pixels; they'
            ' are taken as unrelated',
        )
    load = functools.partial(
        _load, look=look, first=None if may_differ else first, stereo=stereo, read_depth=read_depth
    )
    return Footage(
        name,
        height,
        2 * height,
        fps,
        len(files),
        _Reader(files, load, look, bad),
        poses=poses,
        has_depth=read_depth is not None,
        has_rotation=has_rotation,
        ordered=ordered,
        skipped=bad.skipped,
        notes=notes,
    )


def _first(files, look, bad):
    """What `look` says of the first image that can be read."""
    for entry in files:
        if entry.problem:
            continue
        try:
            # The header of a damaged image can be whole.
            images.read_pixels(entry.image, least=(1, 2))
        except ValueError as error:
            bad.report(str(entry.image), str(error))
        else:
            return look(entry.image)
    reason = next((entry.problem for entry in files if entry.problem), None) or bad.skipped[0][1]
    raise ValueError(f'not one frame can be read: {reason}')


def _heights(files, look):
    """The heights of the images whose headers can be read; the others show up while reading."""
    for entry in files:
        with contextlib.suppress(ValueError):
            if not entry.problem:
                yield look(entry.image).height


class _Reader:
    """Reads frames; it also knows their files, which masks of frames are found by.

    Attributes:
        names: of the image files.
    """

    def __init__(self, files, load, look, bad):
        self.names = [str(entry.image) for entry in files]
        self._files, self._load, self._look, self._bad = files, load, look, bad

    def __call__(self, size, start, stride):
        for index in range(start, len(self._files), stride):
            entry = self._files[index]
            try:
                if entry.problem:
                    raise ValueError(entry.problem)
                image, valid, depth = self._load(entry, size)
            except ValueError as error:
                self._bad.report(str(entry.image), str(error))
            else:
                yield Frame(index, str(entry.image), image, depth, valid)

    def placed(self, index, read_mask, size):
        """[H, W] bool: a mask of an image as it is stored, placed and turned like the image.

        Args:
            index: of the frame.
            read_mask: function that gives [h, w] bool.
            size: (height, width) of the result.

        Returns:
            None where the image is neither placed nor turned.
        """
        return self._look(self._files[index].image).place_mask(read_mask, size)


def _load(entry, size, *, look, first, stereo, read_depth):
    """(image, valid or None, depth or None) of one frame.

    Args:
        entry: `FrameFiles`.
        size: (height, width), or None for the size of the footage, or for the image's own where
            each may have another one.
        look, stereo, read_depth: see `from_files`.
        first: what all images have the size of, or None where each may have another one.
    """
    found = look(entry.image)
    if first is not None:
        if abs(found.height / first.height - 1) > _SAME_SIZE:
            raise ValueError(
                f'{entry.image} is {found.stored[1]}x{found.stored[0]} pixels, {first.path} is '
                f'{first.stored[1]}x{first.stored[0]}; accepted: one size'
            )
        size = size or (first.height, first.width)
    image, valid = found.read(size)
    if read_depth is None:
        return image, valid, None
    depth = read_depth(entry.depth)
    if media.nearest_equirect(*depth.shape) is None:
        # The depth is stacked like the images, or it cannot be used.
        eye_size(*depth.shape, stereo, str(entry.depth))
        depth = take_eye(depth, stereo)
    return image, valid, media.nearest(depth, image.shape[0])
