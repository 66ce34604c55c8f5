"""Folders of panoramas with depth: pairs of files whose names begin in the same way.

The image is one of `<stem>-rgb.*`, `<stem>-color.*`, `<stem>.*` (`media.IMAGE_SUFFIXES`) and the
depth `<stem>-depth.*` (see `depth_files`), where `_` or `.` may stand for each `-`:
`room_0-rgb.png` and `room_0-depth.dpt`, `7_color.jpg` and `7_depth.png`, `hall.jpg` and
`hall.depth.exr`.
"""

import functools
import pathlib
import re

from pano_depth.footage import media
from pano_depth.footage.clip import Clip
from pano_depth.footage.depth_files import DEPTH_SUFFIXES, read_depth
from pano_depth.footage.footage import BadFrames
from pano_depth.footage.frame_files import FrameFiles, from_files, natural_order

_DEPTH = re.compile(r'(.+)[-_.]depth', re.IGNORECASE)
_IMAGE = re.compile(r'(.+)[-_.](?:rgb|color)', re.IGNORECASE)


def _by_stem(folder):
    """Dicts stem -> path of images and of depth files; ValueError if two files have one stem."""
    images, depths = {}, {}
    for entry in natural_order(folder.iterdir()):
        suffix, depth = entry.suffix.lower(), _DEPTH.fullmatch(entry.stem)
        if entry.name[0] == '.' or not entry.is_file():
            continue
        if depth and suffix in DEPTH_SUFFIXES:
            found, stem = depths, depth[1]
        elif suffix in media.IMAGE_SUFFIXES:
            image = _IMAGE.fullmatch(entry.stem)
            found, stem = images, image[1] if image else entry.stem
        else:
            continue
        if stem in found:
            raise ValueError(
                f'{entry} and {found[stem].name} are both of {stem!r}; accepted: one image and '
                'one depth file each'
            )
        found[stem] = entry
    return images, depths


def is_pairs(folder):
    """Whether a folder holds depth files named as above."""
    files = (
        entry for entry in pathlib.Path(folder).iterdir() if entry.suffix.lower() in DEPTH_SUFFIXES
    )
    return any(entry.name[0] != '.' and _DEPTH.fullmatch(entry.stem) for entry in files)


def open_pairs(folder, *, stereo=None, on_bad='refuse', depth_scale=None, fps=None):
    """Opens a folder of RGB-D panoramas, each of its own size.

    Args:
        folder: a folder of pairs.
        stereo, on_bad, depth_scale, fps: see `open_footage.open_footage`.

    Returns:
        `Footage` with depth, not `ordered`: no motion connects the images.

    Raises:
        ValueError: no image, two files with one stem, or an image or a depth file without its
            partner; the message names the file.
    """
    folder, bad = pathlib.Path(folder), BadFrames(on_bad)
    images, depths = _by_stem(folder)
    files = []
    for stem in images | depths:
        image, depth, problem = images.get(stem), depths.get(stem), None
        if depth is None:
            problem = f'{image} has no depth file {stem}-depth ({", ".join(DEPTH_SUFFIXES)})'
        elif image is None:
            problem = f'{depth} has no image {stem}-rgb ({", ".join(media.IMAGE_SUFFIXES)})'
        files.append(FrameFiles(image or depth, depth, problem))
    if not images:
        raise ValueError(
            f'{folder} has depth files without images; accepted: pairs such as a-rgb.png and '
            'a-depth.png'
        )
    return from_files(
        folder.resolve().name,
        files,
        bad=bad,
        stereo=stereo,
        ordered=False,
        may_differ=True,
        fps=fps or Clip.fps,
        read_depth=functools.partial(read_depth, scale=depth_scale),
    )
