"""The part of the footage that no network learns from, so that it can be judged by."""

import hashlib
from collections.abc import Sequence

from common.logs import say
from pano_depth.results.training.collection import Piece, part

SHARE = 10  # one in so many clips, or frames of the only clip


def split(pieces: Sequence[Piece]) -> tuple[list[Piece], list[Piece]]:
    """Divides pieces into those to learn from and those to judge by.

    Whole groups are held out: a video with all its takes, a scene with all its trajectories. Which
    ones depends on nothing but their names. With one group, the last tenth of its clips; with one
    clip, the last tenth of the frames of its longest take.

    Args:
        pieces: of all clips.

    Returns:
        (to learn from, held out).

    Raises:
        ValueError: the only take is too short to be divided.
    """
    groups = list(dict.fromkeys(piece.item.group for piece in pieces))
    if len(groups) > 1:
        out = _chosen(groups, {piece.item.group: piece.item.name for piece in pieces})
        return _divided(pieces, lambda piece: piece.item.group in out)
    clips = list(dict.fromkeys(piece.item.name for piece in pieces))
    if len(clips) > 1:
        out = clips[-max(1, len(clips) // SHARE) :]
        say(
            f'held out: {len(out)} of {len(clips)} clips, which show the same scene as the others;'
            ' --eval_data names other footage'
        )
        return _divided(pieces, lambda piece: piece.item.name in out)
    return _tail(pieces)


def _chosen(groups, names):
    """About a tenth of the groups, in the order of hashes of their names."""
    order = sorted(groups, key=lambda group: hashlib.sha256(names[group].encode()).digest())
    return set(order[: max(1, round(len(groups) / SHARE))])


def _divided(pieces, is_out):
    return [p for p in pieces if not is_out(p)], [p for p in pieces if is_out(p)]


def _tail(pieces):
    """The last tenth of the longest take is held out."""
    longest = max(pieces, key=lambda piece: len(piece.clip.frames))
    count, least = len(longest.clip.frames), 2 * longest.clip.stride + 1
    out = max(count // SHARE, least)
    if count - out < least:
        raise ValueError(
            f'{longest.clip.name} is the only clip; its {count} frames, compared'
            f' {longest.clip.stride} apart, are too few to hold some out: {2 * least} are accepted,'
            ' or other footage as --eval_data'
        )
    say(f'held out: the last {out} of the {count} frames of {longest.clip.name}, the only clip')
    rest = [piece for piece in pieces if piece is not longest]
    kept = part(longest, 0, count - out)
    return [*rest, kept], [part(longest, count - out, count)]
