"""Numbers in the names of a COLMAP model's images: do they count frames from 0 or from 1?

Programs differ: ffmpeg counts from 1. A model lacks the images that COLMAP could not place, so that
its lowest number alone does not tell. The images that lie beside the model do, and so does COLMAP's
database, which knows all of them.
"""

import contextlib
import pathlib
import re
import sqlite3

from pano_depth.footage.media import IMAGE_SUFFIXES


def number_of(name):
    """The last number in the name of a file, without its folder and suffix; -1 if there is none."""
    found = re.findall(r'\d+', pathlib.PurePosixPath(name).stem)
    return int(found[-1]) if found else -1


def first_number(path, numbers, indices, total):
    """The number that the images of a model give to frame 0 of the footage: 0 or 1.

    Args:
        path: `pathlib.Path` of the folder of the model.
        numbers: of its images.
        indices: the frames that are used.
        total: number of frames of the footage, or None if it is not known.

    Raises:
        ValueError: both are possible; the message says what tells.
    """
    if min(numbers) <= 0 or (total is not None and max(numbers) > total):
        return 0
    if max(numbers) == total:
        return 1
    beside = [number for number in map(number_of, _names_beside(path)) if number >= 0]
    if beside and min(beside) <= 1 and set(numbers) <= set(beside):
        return min(beside)
    # Only one of the two may leave no frame without a pose.
    whole = [all(index + first in set(numbers) for index in indices) for first in (0, 1)]
    if whole[0] != whole[1]:
        return whole.index(True)
    if not any(index + first in set(numbers) for index in indices for first in (0, 1)):
        return 0
    raise ValueError(
        f'{path} has images with the numbers {min(numbers)} to {max(numbers)}, which may count the '
        f'frames from 0 or from 1; accepted: a model beside the folder images or the database.db '
        'that it was made from, which tell, or names of the footage files'
    )


def _names_beside(path):
    """Names of all images that a model was made from, as far as they lie near it."""
    path = path.absolute()
    for folder in (path, *path.parents[:2]):
        if (folder / 'images').is_dir():
            files = (folder / 'images').rglob('*')
            return [file.name for file in files if file.suffix.lower() in IMAGE_SUFFIXES]
        database = folder / 'database.db'
        if database.is_file():
            with (
                contextlib.suppress(sqlite3.Error),
                contextlib.closing(sqlite3.connect(f'{database.as_uri()}?mode=ro', uri=True)) as db,
            ):
                return [name for (name,) in db.execute('SELECT name FROM images')]
    return []
