"""All clips of --train_data or --eval_data, in the cache and looked at; what is left out, and why.

Several processes of one run read one after the other, so that those with a common disk read
nothing twice.
"""

import json
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np

from common import parallel
from common.logs import Progress, say
from common.run import digest_of
from common.stopping import Stop
from pano_depth.footage.config import ReadingConfig
from pano_depth.learning.footage_source import TrainingClip
from pano_depth.results.training import cache
from pano_depth.results.training.found import Item


class Piece(NamedTuple):
    """A take of a moving camera.

    Attributes:
        item: the clip that it is part of.
        clip: its frames, stride, and what of them counts.
        numbers: of its frames in the footage, in which others may have been left out.
        whole: whether it is all of the clip.
    """

    item: Item
    clip: TrainingClip
    numbers: Sequence[int]
    whole: bool


class Collection(NamedTuple):
    """What can be learned from.

    Attributes:
        pieces: in the order of the paths.
        left_out: [(name, reason)] of clips, or parts of clips, that are not used.
        digest: of the content of all pieces.
    """

    pieces: list[Piece]
    left_out: list[tuple[str, str]]
    digest: str


def collect(
    items: Sequence[Item],
    reading: ReadingConfig,
    *,
    flag: str,
    rows: int,
    data_dir: str | pathlib.Path,
    stride: int = 0,
    masks: bool = True,
    stop: Stop | None = None,
) -> Collection:
    """Reads what is not in the cache yet, and lists what can be used.

    Args:
        items: see `found.items_of`.
        reading: how files are read.
        flag: the option that names their paths, for messages.
        rows: of the images that the networks see.
        data_dir: where data sets are kept.
        stride: frames between a target and its neighbours; 0: chosen for each clip.
        masks: whether what moves along with the camera in a clip is left out.
        stop: request to stop, which is heeded between clips.

    Raises:
        ValueError: not one clip can be used.
        Stopped: there was a request to stop; clips that were read are kept.
    """
    folder = cache.place(data_dir, rows)
    read = None
    for process in range(jax.process_count()):
        if process == jax.process_index():
            with cache.writing(folder):
                read = _read(items, reading, folder, stop or Stop())
        parallel.wait_for_all()
    pieces, left_out, notes = [], [], []
    for item, entry in zip(items, read, strict=True):
        if isinstance(entry, str):
            left_out.append((item.name, entry))
            continue
        notes += entry.record.get('notes', ())
        mine = list(_pieces(item, entry, stride, masks))
        pieces += mine
        if entry.record['reason'] or not mine:
            reason = entry.record['reason'] or f'it is too short for --stride={stride}'
            left_out.append((item.name if not mine else f'parts of {item.name}', reason))
    for note in dict.fromkeys(notes):
        say(note)
    for name, reason in left_out:
        say(f'left out: {name}: {reason}')
    if not pieces:
        first = '; '.join(f'{name}: {reason}' for name, reason in left_out[:1])
        raise ValueError(
            f'--{flag} has no clip that can be used (looked at: {len(items)}): {first}'
        )
    content = [
        json.dumps([entry.record['sha256'], entry.record.get('poses')], sort_keys=True)
        for entry in _used(read)
    ]
    strides = [(piece.clip.name, piece.clip.stride) for piece in pieces]
    return Collection(pieces, left_out, digest_of(*content, *strides))


def _used(read):
    return [entry for entry in read if not isinstance(entry, str) and entry.record['pieces']]


def _read(items, reading, folder, stop):
    """For each item its `Cached`, or the reason why it cannot be read."""
    entries, frames = [], 0

    def on_frame():
        nonlocal frames
        frames += 1
        if frames % 50 == 0:
            progress.update(0, {'frames read': frames})

    with Progress(len(items), unit='clip', description='footage') as progress:
        for item in items:
            stop.check()
            try:
                entries.append(cache.cached(item, reading, folder, on_frame=on_frame))
            except (ValueError, FileNotFoundError, PermissionError) as error:
                entries.append(str(error))
            progress.update(1, {'frames read': frames})
    return entries


def _pieces(item, entry, stride, masks):
    """The pieces of a clip that are long enough for their stride."""
    numbers = entry.record.get('numbers') or range(entry.record['frames'])
    for number, piece in enumerate(entry.record['pieces']):
        start, stop = piece['start'], piece['stop']
        apart = stride or piece['stride']
        if stop - start < 2 * apart + 1:
            continue
        whole = (start, stop) == (0, entry.record['frames'])
        name = item.name if whole else f'{item.name} [{numbers[start]}:{numbers[stop - 1] + 1}]'
        valid = None if entry.valid is None else entry.valid[start:stop]
        if masks and 'hidden' in piece:
            say(f'mask of {name}: {piece["hidden"]}')
            bits = np.asarray(entry.hidden[number])[None]
            valid = np.repeat(bits, stop - start, axis=0) if valid is None else valid & bits
        labels = None if entry.labels is None else entry.labels.part(start, stop)
        clip = TrainingClip(name, entry.frames[start:stop], apart, valid, labels)
        yield Piece(item, clip, numbers[start:stop], whole)


def part(piece: Piece, start: int, stop: int) -> Piece:
    """Some frames of a piece, as a piece of its own."""
    clip, numbers = piece.clip, piece.numbers[start:stop]
    name = f'{piece.item.name} [{numbers[0]}:{numbers[-1] + 1}]'
    valid = None if clip.valid is None else clip.valid[start:stop]
    labels = None if clip.labels is None else clip.labels.part(start, stop)
    shorter = TrainingClip(name, clip.frames[start:stop], clip.stride, valid, labels)
    return piece._replace(clip=shorter, numbers=numbers, whole=False)


def listing(pieces: Sequence[Piece], *, held_out: bool) -> list[dict]:
    """What run.json says of pieces."""
    return [
        {
            'name': piece.clip.name,
            'frames': len(piece.clip.frames),
            'stride': piece.clip.stride,
            'held_out': held_out,
            'masked': piece.clip.valid is not None,
            'labels': _kind_of_labels(piece.clip),
        }
        for piece in pieces
    ]


def _kind_of_labels(clip):
    """What run.json says of what is known of a clip beside its images; None: nothing."""
    if clip.labels is None:
        return None
    return 'truth' if clip.labels.confidence is None else 'reconstruction'


def valid_of(clip: TrainingClip) -> np.ndarray | None:
    """[frames, H, W] bool of a clip; None where every pixel counts."""
    if clip.valid is None:
        return None
    count, rows, columns = clip.frames.shape[:3]
    flat = np.unpackbits(np.asarray(clip.valid), axis=1, count=rows * columns)
    return flat.reshape(count, rows, columns).astype(bool)
