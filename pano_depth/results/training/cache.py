"""Frames at the size that networks see, decoded once and kept on disk: one clip a data file.

The files of a clip, in `<data_dir>/pano_footage/<rows>x<columns>/`:

    <name>-<key>.json      what was read, what it shows, and the checksum of the data
    <name>-<key>.frames    [frames, rows, columns, 3] uint8
    <name>-<key>.valid     [frames, bytes] bits of the pixels that count, if not all do

The key covers path, size and time of change of everything that was read, and the options of
reading. The JSON file is written last: a clip with one is whole.
"""

import contextlib
import dataclasses
import errno
import fcntl
import hashlib
import json
import math
import os
import pathlib
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from common.logs import say
from common.run import atomic_path, digest_of, write_json
from common.run.files import remove_leftovers
from pano_depth.footage import media
from pano_depth.footage.config import ReadingConfig
from pano_depth.reconstruction import validity
from pano_depth.results.training.found import Item
from pano_depth.results.training.shown import pieces_of, rows_looked_at

FOLDER, VERSION = 'pano_footage', 1
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_BLOCK = 2**20  # bytes that are read at once for a checksum


class Cached(NamedTuple):
    """A clip in the cache.

    Attributes:
        record: what its JSON file holds; without pieces there are no frames.
        frames: [N, rows, columns, 3] uint8, mapped from the file; or None.
        valid: [N, bytes] uint8, mapped from the file; None where every pixel counts.
    """

    record: dict
    frames: np.ndarray | None
    valid: np.ndarray | None


def place(data_dir: str | pathlib.Path, rows: int) -> pathlib.Path:
    """The folder of the clips of a size."""
    return pathlib.Path(data_dir) / FOLDER / f'{rows}x{2 * rows}'


@contextlib.contextmanager
def writing(folder: pathlib.Path) -> Iterator[None]:
    """Holds the cache for one process, and removes what killed ones left.

    Args:
        folder: see `place`; it is made.

    Raises:
        ValueError: the disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / '.lock', 'a') as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f'waiting for another process that reads footage into {folder}')
            fcntl.flock(lock, fcntl.LOCK_EX)
        remove_leftovers(folder)
        try:
            yield
        except OSError as error:
            if error.errno not in _FULL:
                raise
            raise ValueError(
                f'{error.strerror}, in {folder}: what is there is whole, and the same command goes'
                ' on once there is room; --data_dir names another place'
            ) from error


def cached(
    item: Item,
    reading: ReadingConfig,
    folder: pathlib.Path,
    *,
    on_frame: Callable[[], None] = lambda: None,
) -> Cached:
    """A clip from the cache; if it is not there, or damaged, it is read first.

    Args:
        item: the clip.
        reading: how it is read.
        folder: see `place`.
        on_frame: called after each frame that was decoded.

    Raises:
        ValueError: the clip cannot be read.
    """
    rows = int(folder.name.partition('x')[0])
    key = _key(item.path, reading, rows)
    stem = folder / f'{re.sub(r"[^A-Za-z0-9_-]+", "_", item.name)[-60:]}-{key[:16]}'
    found = _load(stem, key, rows)
    if found is None:
        _make(item, stem, key, rows, on_frame)
        found = _load(stem, key, rows)
    if found is None:
        raise ValueError(f'{stem}.frames is damaged as soon as it is written: look at the disk')
    return found


def _key(path, reading, rows):
    """The digest of what would be read: names, sizes and times of change of files, and options."""
    path = path.absolute()
    files = [path] if path.is_file() else sorted(_files(path))
    stats = [(str(file), os.stat(file)) for file in files]
    read = [text for name, stat in stats for text in (name, stat.st_size, stat.st_mtime_ns)]
    return digest_of(VERSION, rows, dataclasses.asdict(reading), str(path), *read)


def _files(folder):
    for root, _, names in os.walk(folder, followlinks=True):
        yield from (pathlib.Path(root) / name for name in names)


def _load(stem, key, rows):
    """The clip, or None where it is missing or damaged."""
    try:
        record = json.loads(pathlib.Path(f'{stem}.json').read_text())
        if record['key'] != key:
            return None
        if not record['pieces']:
            return Cached(record, None, None)
        frames = _mapped(f'{stem}.frames', (record['frames'], rows, 2 * rows, 3))
        whole = _sha256(f'{stem}.frames') == record['sha256']
        valid = None
        if record['valid_sha256']:
            valid = _mapped(f'{stem}.valid', (record['frames'], rows * rows // 4))
            whole = whole and _sha256(f'{stem}.valid') == record['valid_sha256']
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Cached(record, frames, valid) if whole else None


def _mapped(path, shape):
    if os.path.getsize(path) != math.prod(shape):
        raise ValueError(f'{path} has another size')
    return np.memmap(path, np.uint8, 'r', shape=shape)


def _sha256(path):
    found = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(_BLOCK):
            found.update(block)
    return found.hexdigest()


def _make(item, stem, key, rows, on_frame):
    """Reads a clip and writes its files; the JSON file stands for the whole."""
    pathlib.Path(f'{stem}.json').unlink(missing_ok=True)
    footage = item.open()
    look = rows_looked_at(footage, rows)
    with contextlib.ExitStack() as temporary:
        new = lambda suffix: temporary.enter_context(_scratch(f'{stem}{suffix}'))
        large = new('.large')
        numbers, bits = _read(footage, look, rows, large, on_frame)
        count = len(numbers)
        images = np.memmap(large, np.uint8, 'r', shape=(count, look, 2 * look, 3))
        shown = pieces_of(footage, images)
        record = {'key': key, 'name': item.name, 'path': os.path.abspath(item.path), **shown}
        record |= {'frames': count, 'skipped': footage.skipped, 'valid_sha256': None}
        record |= {'notes': footage.notes}
        if numbers != list(range(count)):
            record['numbers'] = numbers
        if record['pieces']:
            record['sha256'] = _write(f'{stem}.frames', (_small(one, rows) for one in images))
        if record['pieces'] and any(one is not None for one in bits):
            full = np.packbits(np.ones(2 * rows * rows, bool))
            data = (full if one is None else one for one in bits)
            record['valid_sha256'] = _write(f'{stem}.valid', data)
        del images
    write_json(f'{stem}.json', record)


@contextlib.contextmanager
def _scratch(path):
    """A temporary path beside another one, whose file is removed in the end."""
    path = pathlib.Path(path)
    temporary = path.with_name(f'.{path.stem}.tmp{os.getpid()}{path.suffix}')
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _small(image, rows):
    return image if len(image) == rows else media.resize_equirect(image, rows, 2 * rows)


def _read(footage, look, rows, path, on_frame):
    """Writes frames of `look` rows; (their numbers, bits of `rows` rows or None of each)."""
    numbers, bits = [], []
    with open(path, 'wb') as file:
        for frame in footage.frames(size=(look, 2 * look)):
            valid = media.resize_valid(frame.valid, look, 2 * look)
            file.write(np.ascontiguousarray(validity.filled(frame.image, valid)).tobytes())
            small = media.resize_valid(valid, rows, 2 * rows)
            bits.append(None if small is None or small.all() else np.packbits(small))
            numbers.append(frame.index)
            on_frame()
    return numbers, bits


def _write(path, arrays):
    """Writes arrays one behind the other, whole or not at all; returns their SHA-256."""
    found = hashlib.sha256()
    with atomic_path(path) as temporary, open(temporary, 'wb') as file:
        for array in arrays:
            data = np.ascontiguousarray(array).tobytes()
            found.update(data)
            file.write(data)
    return found.hexdigest()
