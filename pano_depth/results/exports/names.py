"""Names of the images of an export: those of the footage's files, or numbers of frames."""

import pathlib
from collections.abc import Sequence

KEPT = ('.png', '.jpg', '.jpeg')  # formats that are written; other files become .jpg
LOSSY = '.jpg'


def image_names(indices: Sequence[int], names: Sequence[str]) -> list[str]:
    """One name for each image.

    Args:
        indices: numbers of the frames in the footage.
        names: what `Frame.name` says of each: the path of a file, or 'video.mp4 frame 17'.

    Returns:
        The names of the files, if all are files of different names that differ without suffix;
        else the numbers of the frames, such as '000017.jpg'. No name holds a slash.
    """
    files = [_file_name(name) for name in names]
    if None not in files and len({pathlib.PurePath(name).stem for name in files}) == len(files):
        return files
    return [f'{index:06d}{LOSSY}' for index in indices]


def _file_name(name):
    """The name of the image of a file; None if the frame is none of an image file."""
    path = pathlib.PurePath(name)
    suffix = path.suffix.lower()
    if suffix in KEPT:
        return path.name
    known = suffix in ('.tif', '.tiff', '.webp', '.bmp', '.gif', '.ppm')
    return path.stem + LOSSY if known else None


def view_name(view: str, image: str) -> str:
    """The name of a view of an image: 'front_000017.jpg'; the panorama keeps the image's name.

    The view stands in front, where COLMAP looks for it, and not in a folder: readers such as that
    of gaussian splatting drop folders.
    """
    return f'{view}_{image}' if view else image
