"""Opens one image, or a folder of images: a sequence by its numbers, or unrelated photographs."""

import functools
import math
import re

from pano_depth.footage import media
from pano_depth.footage.clip import Clip
from pano_depth.footage.footage import BadFrames
from pano_depth.footage.frame_files import FrameFiles, from_files, natural_order
from pano_depth.footage.photos import photo
from pano_depth.footage.photos.photo import AUTO


def open_photo(path, **options):
    """One image as `Footage`; the options are those of `open_photos`."""
    return _open(path.stem, [FrameFiles(path)], True, **options)


def open_photos(path, **options):
    """Opens a folder of images.

    Args:
        path: `pathlib.Path` of the folder.
        **options: stereo, on_bad, projection, fisheye_fov, fps, see `open_footage.open_footage`.

    Returns:
        `Footage`, or None where the folder has no images. Images without a common numbering that
        have different sizes are not `ordered`.

    Raises:
        ValueError: as for `from_files`.
    """
    files = natural_order(
        entry
        for entry in path.iterdir()
        if entry.suffix.lower() in media.IMAGE_SUFFIXES and entry.name[0] != '.' and entry.is_file()
    )
    if not files:
        return None
    entries = with_gaps(files)
    ordered = len(files) == 1 or _numbering(files) is not None
    return _open(path.resolve().name, entries, ordered, **options)


def _open(
    name,
    entries,
    ordered,
    *,
    stereo=None,
    on_bad='refuse',
    projection=AUTO,
    fisheye_fov=None,
    fps=None,
):
    look = functools.partial(
        photo.look_at, stereo=stereo, projection=projection, fisheye_fov=fisheye_fov, layouts={}
    )
    options = {'bad': BadFrames(on_bad), 'stereo': stereo, 'look': look, 'fps': fps or Clip.fps}
    return from_files(name, entries, may_differ=not ordered, **options)


def _numbering(files):
    """The matches of names that are equal except for one number; None for other names."""
    names = [re.fullmatch(r'(.*?)(\d+)(\D*)', file.stem) for file in files]
    if not all(names) or len({(name[1], name[3]) for name in names}) > 1:
        return None
    return names


def with_gaps(files):
    """`FrameFiles` of images in order, with an entry for each file that their numbering lacks.

    Files are numbered if their names are equal except for one number, with any constant step and
    more files than gaps. Files with other names have no gaps.
    """
    names = _numbering(files)
    if names is None:
        return [FrameFiles(file) for file in files]
    found = {int(name[2]): file for name, file in zip(names, files, strict=True)}
    first, last = min(found), max(found)
    step = math.gcd(*(number - first for number in found)) or 1
    slots = (last - first) // step + 1
    if len(found) < len(files) or slots >= 2 * len(files):
        return [FrameFiles(file) for file in files]
    entries = []
    for number in range(first, last + 1, step):
        file, name = found.get(number), names[0]
        missing = files[0].with_name(
            f'{name[1]}{number:0{len(name[2])}d}{name[3]}{files[0].suffix}'
        )
        problem = (
            f'{missing} is missing; accepted: all from {found[first].name} to {found[last].name}'
        )
        entries.append(FrameFiles(file) if file else FrameFiles(missing, problem=problem))
    return entries
