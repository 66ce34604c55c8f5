"""Frames at the size that networks see, decoded once and kept on disk: one clip a data file.

The files of a clip, in `<data_dir>/pano_footage/<rows>x<columns>/`:

    <name>-<key>.json      what was read, what it shows, and the checksum of the data
    <name>-<key>.frames    [frames, rows, columns, 3] uint8
    <name>-<key>.valid     [frames, bytes] bits of the pixels that count, if not all do
    <name>-<key>.hidden    [pieces, bytes] the same, of what moves along with the camera in a piece
    <name>-<key>.depth     [frames, rows, columns] float16 range or 0, if depth and poses are known
    <name>-<key>.sure      [frames, rows, columns] uint8 confidence of that depth, if it has one

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
from common.run import digest_of
from common.run.files import remove_leftovers
from pano_depth.footage.config import ReadingConfig
from pano_depth.kernels.rigid import Motion
from pano_depth.learning.footage_source import Labels
from pano_depth.results.training.decode import write
from pano_depth.results.training.found import Item

FOLDER, VERSION = 'pano_footage', 4
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_BLOCK = 2**20  # bytes that are read at once for a checksum


class Cached(NamedTuple):
    """A clip in the cache.

    Attributes:
        record: what its JSON file holds; without pieces there are no frames.
        frames: [N, rows, columns, 3] uint8, mapped from the file; or None.
        valid: [N, bytes] uint8, mapped from the file; None where every pixel counts.
        labels: depth and poses, mapped from their files; None where they are not known.
        hidden: [pieces, bytes] uint8, what counts in all frames of each piece, mapped from the
            file; None where nothing moves along with the camera.
    """

    record: dict
    frames: np.ndarray | None = None
    valid: np.ndarray | None = None
    labels: Labels | None = None
    hidden: np.ndarray | None = None


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
        write(item, stem, key, rows, on_frame)
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
            return Cached(record)
        count, size = record['frames'], (rows, 2 * rows)
        mapped = lambda name, *shape, kind=np.uint8: _mapped(
            f'{stem}.{name}', record['sha256'].get(name), (count, *shape), kind
        )
        bits = rows * rows // 4
        frames, valid = mapped('frames', *size, 3), mapped('valid', bits)
        sha256, pieces = record['sha256'].get('hidden'), len(record['pieces'])
        hidden = _mapped(f'{stem}.hidden', sha256, (pieces, bits), np.uint8)
        depth, labels = mapped('depth', *size, kind=np.float16), None
        if depth is not None:
            poses = (np.array(record['poses'][name], np.float32) for name in Motion._fields)
            labels = Labels(depth, mapped('sure', *size), *poses)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return Cached(record, frames, valid, labels, hidden)


def _mapped(path, sha256, shape, kind):
    """An array in a file; None where there is none. ValueError if it is not what was written."""
    if sha256 is None:
        return None
    if os.path.getsize(path) != math.prod(shape) * np.dtype(kind).itemsize:
        raise ValueError(f'{path} has another size')
    if _sha256(path) != sha256:
        raise ValueError(f'{path} is damaged')
    return np.memmap(path, kind, 'r', shape=shape)


def _sha256(path):
    found = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(_BLOCK):
            found.update(block)
    return found.hexdigest()
