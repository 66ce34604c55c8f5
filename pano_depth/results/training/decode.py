"""Decodes a clip once, and writes its files in the cache: see `cache`."""

import contextlib
import hashlib
import os
import pathlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from common.run import atomic_path, write_json
from pano_depth.footage import media
from pano_depth.footage.footage import Footage
from pano_depth.kernels.rigid import Motion
from pano_depth.reconstruction import validity
from pano_depth.results.training import along
from pano_depth.results.training.found import Item
from pano_depth.results.training.shown import pieces_of, rows_looked_at

# What is farther than 16 bits hold, such as a sky of 1e10 metres, has no depth to learn from.
FARTHEST = np.finfo(np.float16).max


def write(
    item: Item, stem: pathlib.Path, key: str, rows: int, on_frame: Callable[[], None]
) -> None:
    """Reads a clip and writes its files; the JSON file, which is last, stands for the whole.

    Args:
        item: the clip.
        stem: path of its files without suffix.
        key: digest of what is read.
        rows: of the images that networks see.
        on_frame: called after each frame that was decoded.

    Raises:
        ValueError: the clip cannot be read.
    """
    pathlib.Path(f'{stem}.json').unlink(missing_ok=True)
    footage = item.open()
    look = rows_looked_at(footage, rows)
    with contextlib.ExitStack() as temporary:
        read = _read(
            footage,
            look,
            rows,
            lambda name: temporary.enter_context(_scratch(stem, name)),
            on_frame,
        )
        shown = pieces_of(footage, read.images)
        record = {'key': key, 'name': item.name, 'path': os.path.abspath(item.path), **shown}
        record |= {'frames': len(read.numbers), 'skipped': footage.skipped, 'notes': footage.notes}
        if read.numbers != list(range(len(read.numbers))):
            record['numbers'] = read.numbers
        if record['pieces']:
            files = read.files(rows) | _hidden(read, record['pieces'], rows)
            record['sha256'] = {
                name: _write(f'{stem}.{name}', arrays) for name, arrays in files.items()
            }
            if read.depth is not None:
                poses = (np.asarray(part)[read.numbers].tolist() for part in footage.poses)
                record['poses'] = dict(zip(Motion._fields, poses, strict=True))
    write_json(f'{stem}.json', record)


def _hidden(read, pieces, rows):
    """{'hidden': bits of each piece} of what moves along in them; {} where nothing was found.

    Pieces note why. What a reconstruction left is known by its confidence.
    """
    if read.sure is not None:
        return {}
    found = []
    for piece in pieces:
        part = slice(piece['start'], piece['stop'])
        mask, reason = along.find(read.images[part], read.valid(rows, part))
        if mask is not None:
            piece['hidden'] = reason
        found.append(mask)
    if all(mask is None for mask in found):
        return {}
    whole = np.ones((rows, 2 * rows), bool)
    masks = (whole if mask is None else media.resize_valid(mask, rows, 2 * rows) for mask in found)
    return {'hidden': (np.packbits(mask) for mask in masks)}


class _Read(NamedTuple):
    """What was read of a clip; large arrays are mapped from temporary files.

    Attributes:
        numbers: of the frames in the footage.
        images: [N, look, 2 look, 3] uint8, in the size in which the clip is looked at.
        bits: of each frame, those of the pixels that count, or None.
        depth, sure: [N, rows, 2 rows], see `cache`; or None.
    """

    numbers: list[int]
    images: np.ndarray
    bits: list[np.ndarray | None]
    depth: np.ndarray | None
    sure: np.ndarray | None

    def files(self, rows):
        """{suffix: arrays} of what is kept."""
        found = {'frames': (_small(one, rows) for one in self.images)}
        if any(one is not None for one in self.bits):
            found['valid'] = self._bits(rows, slice(None))
        for name in ('depth', 'sure'):
            if getattr(self, name) is not None:
                found[name] = getattr(self, name)
        return found

    def _bits(self, rows, part):
        full = np.packbits(np.ones(2 * rows * rows, bool))
        return [full if one is None else one for one in self.bits[part]]

    def valid(self, rows, part):
        """[frames, rows, 2 rows] bool of some frames; None where every pixel counts."""
        if all(one is None for one in self.bits[part]):
            return None
        flat = np.unpackbits(np.stack(self._bits(rows, part)), axis=1, count=2 * rows * rows)
        return flat.reshape(-1, rows, 2 * rows).astype(bool)


@contextlib.contextmanager
def _scratch(stem, name):
    """A temporary path, whose file is removed in the end; no file of the cache has this name."""
    temporary = stem.with_name(f'.{stem.name}.tmp{os.getpid()}.{name}')
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _small(image, rows):
    return image if len(image) == rows else media.resize_equirect(image, rows, 2 * rows)


def has_labels(footage: Footage) -> bool:
    """Whether depth and motion of footage are known, so that networks can learn from them."""
    return footage.has_depth and footage.poses is not None and footage.has_rotation


def _read(footage, look, rows, new, on_frame):
    """Reads all frames.

    Args:
        footage: the clip.
        look: rows in which it is looked at.
        rows: of the images that networks see.
        new: function of a name that gives a temporary path.
        on_frame: see `write`.
    """
    numbers, bits, paths = [], [], {'images': new('images-read')}
    if has_labels(footage):
        paths['depth'] = new('depth-read')
        if footage.has_confidence:
            paths['sure'] = new('sure-read')
    with contextlib.ExitStack() as opened:
        files = {name: opened.enter_context(open(path, 'wb')) for name, path in paths.items()}
        for frame in footage.frames(size=(look, 2 * look)):
            valid = _counting(frame)
            put = lambda name, array: files[name].write(np.ascontiguousarray(array).tobytes())
            put('images', validity.filled(frame.image, valid))
            small = media.resize_valid(valid, rows, 2 * rows)
            bits.append(None if small is None or small.all() else np.packbits(small))
            if 'depth' in files:
                depth = _labels(media.nearest(frame.depth, rows), small)
                put('depth', np.where(depth <= FARTHEST, depth, 0).astype(np.float16))
            if 'sure' in files:
                sure = np.rint(255 * media.nearest(frame.confidence, rows))
                put('sure', _labels(sure, small).astype(np.uint8))
            numbers.append(frame.index)
            on_frame()
    maps = dict.fromkeys(_Read._fields)
    kinds = {'images': (look, np.uint8), 'depth': (rows, np.float16), 'sure': (rows, np.uint8)}
    for name, path in paths.items():
        high, kind = kinds[name]
        shape = (len(numbers), high, 2 * high) + (3,) * (name == 'images')
        maps[name] = np.memmap(path, kind, 'r', shape=shape)
    return _Read(**(maps | {'numbers': numbers, 'bits': bits}))


def _counting(frame):
    """Where a frame counts, or None: not where a reconstruction says that nothing is valid."""
    if frame.confidence is None:
        return frame.valid
    known = frame.confidence > 0
    return known if frame.valid is None else known & frame.valid


def _labels(values, valid):
    """Values of pixels that count, 0 elsewhere."""
    return values if valid is None else np.where(valid, values, 0)


def _write(path, arrays):
    """Writes arrays one behind the other, whole or not at all; returns their SHA-256."""
    found = hashlib.sha256()
    with atomic_path(path) as temporary, open(temporary, 'wb') as file:
        for array in arrays:
            data = np.ascontiguousarray(array).tobytes()
            found.update(data)
            file.write(data)
    return found.hexdigest()
