"""Files that are whole or not there: written under a temporary name and renamed; strict JSON."""

import contextlib
import json
import math
import os
import pathlib
import re
import shutil

import numpy as np

TEMPORARY = re.compile(r'\..+\.tmp\d+(\..+)?')


@contextlib.contextmanager
def atomic_path(path):
    """Gives a temporary path to write to, and renames it to `path` when the block ends well.

    The temporary path is in the same folder and has the same suffix, since writers of images and
    video look at the suffix. A block that raises leaves nothing. A folder may be written the same
    way if none of that name exists yet.

    Args:
        path: the file to write; its parent has to exist.

    Yields:
        `pathlib.Path` of the temporary name.
    """
    path = pathlib.Path(path)
    temporary = path.with_name(f'.{path.stem}.tmp{os.getpid()}{path.suffix}')
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        remove(temporary)


def remove(path: pathlib.Path) -> None:
    """Removes a file, a link or a folder with all that is in it; nothing where there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def remove_leftovers(folder: pathlib.Path) -> None:
    """Removes what killed writers of `atomic_path` left in a folder that nobody else writes."""
    for leftover in [path for path in folder.rglob('.*.tmp*') if TEMPORARY.fullmatch(path.name)]:
        remove(leftover)


def write_json(path, value):
    """Writes JSON atomically; NumPy and JAX values become numbers and lists.

    Numbers that are not finite become null.

    Args:
        path: the file to write.
        value: nested dicts, lists and tuples of strings, numbers, paths and arrays.
    """
    text = json.dumps(jsonable(value), indent=2, allow_nan=False) + '\n'
    with atomic_path(path) as temporary:
        temporary.write_text(text)


def jsonable(value):
    """The value as strict JSON has it: arrays as lists, paths as strings, NaN and infinity as None.

    Raises:
        ValueError: if the value has no such form.
    """
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if hasattr(value, '__array__'):
        array = np.asarray(value)
        # tolist() leaves bfloat16 and the like as NumPy scalars.
        exact = array.dtype.kind in 'biuU'
        return jsonable((array if exact else array.astype(np.float64)).tolist())
    raise ValueError(f'{value!r} of type {type(value).__name__} has no JSON form')


def check_folder(flag: str, path: str | None) -> None:
    """Refuses a directory that could not be made or written, before the work.

    Args:
        flag: the name of the option.
        path: the directory; None and an empty text are accepted.

    Raises:
        ValueError: it is a file, a link to nothing, or lies in one, or is read-only.
    """
    if not path:
        return
    whole = pathlib.Path(path).absolute()
    # No folder can be made in the place of a link to nothing.
    dead = [link for link in (whole, *whole.parents) if link.is_symlink() and not link.exists()]
    place = dead[-1] if dead else nearest(path)
    if dead or not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        why = 'is read-only' if place.is_dir() else 'is a file'
        why = f'is a link to {os.readlink(place)}, which does not exist' if dead else why
        raise ValueError(f'--{flag} is {path}, which cannot be made or written: {place} {why}')


def nearest(path: str | pathlib.Path) -> pathlib.Path:
    """The path itself if it exists, else the nearest folder above it that does."""
    place = pathlib.Path(path).absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    return place
