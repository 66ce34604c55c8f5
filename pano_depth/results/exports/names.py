"""Names of the images of an export: those of the footage's files, or numbers of frames."""

import pathlib
import re
from collections.abc import Sequence

from pano_depth.footage.media import IMAGE_SUFFIXES

KEPT = ('.png', '.jpg', '.jpeg')  # formats that are written; other files become .jpg
LOSSY = '.jpg'


def image_names(indices: Sequence[int], names: Sequence[str]) -> list[str]:
    """One name for each image.

    Args:
        indices: numbers of the frames in the footage.
        names: what `Frame.name` says of each: the path of a file, or 'video.mp4 frame 17'.

    Returns:
        The names of the files, if all are files of different names that differ without suffix;
        else the numbers of the frames, such as '000017.jpg'. No name holds a slash, or white space,
        at which readers of COLMAP's text files cut it.
    """
    files = [_file_name(name) for name in names]
    if None not in files and len({png_name(name) for name in files}) == len(files):
        return files
    return [f'{index:06d}{LOSSY}' for index in indices]


def _file_name(name):
    """The name of the image of a file; None if the frame is none of an image file, or not text."""
    path = pathlib.PurePath(re.sub(r'\s', '_', pathlib.PurePath(name).name))
    suffix = path.suffix.lower()
    if suffix not in IMAGE_SUFFIXES or not path.name.isprintable():
        return None
    return path.name if suffix in KEPT else path.stem + LOSSY


def png_name(image: str) -> str:
    """The name of depth or a mask of an image in nerfstudio's folders: '000017.png'."""
    return f'{pathlib.PurePath(image).stem}.png'


def view_name(view: str, image: str) -> str:
    """The name of a view of an image: 'front_000017.jpg'; the panorama keeps the image's name.

    The view stands in front, where COLMAP looks for it, and not in a folder: readers such as that
    of gaussian splatting drop folders.
    """
    return f'{view}_{image}' if view else image
