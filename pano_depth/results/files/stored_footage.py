"""What a finished run found out, as footage whose depth and poses others can learn from."""

import contextlib
import functools

from pano_depth.footage import media
from pano_depth.footage.clip import Clip
from pano_depth.footage.footage import Footage, Frame
from pano_depth.results.files.stored import StoredPiece, StoredRun


def footage_of(run: StoredRun) -> list[Footage]:
    """The pieces of a run that have a path, in the unit of the run.

    Images are those of depth.mp4, which is compressed; a run with `--export_to=clip` has them as
    they were.

    Args:
        run: the run directory.

    Raises:
        ValueError: the run has not ended, or it has no path.
    """
    if not run.record.get('finished'):
        raise ValueError(
            f'the run in {run.folder} has not ended: the same command goes on with it; accepted: a'
            ' finished reconstruction'
        )
    pieces = [piece for piece in run.pieces if piece.poses is not None and len(piece.frames)]
    if not pieces:
        raise ValueError(
            f'the run in {run.folder} has no path of the camera, so that nothing can be learned'
            ' from it'
        )
    several = len(run.pieces) > 1
    return [
        _footage(run, piece, f'{run.name} piece {number}' if several else run.name)
        for number, piece in enumerate(run.pieces, 1)
        if piece in pieces
    ]


def _footage(run: StoredRun, piece: StoredPiece, name: str) -> Footage:
    rate = run.facts.get('fps')
    height = len(run.depth(piece.frames[0]))
    return Footage(
        name,
        height,
        2 * height,
        float(rate) if isinstance(rate, float | int) and rate > 0 else Clip.fps,
        len(piece.frames),
        functools.partial(_read, run, piece),
        poses=piece.poses,
        has_depth=True,
        has_confidence=True,
    )


def _read(run, piece, size, start, stride):
    """Yields frames; their numbers count from the first frame of the piece."""
    images = run.some_images(piece.frames[start::stride])
    with contextlib.closing(images):
        for position, image in images:
            depth, sure = run.depth(position), run.confidence(position)
            if sure is None:
                raise ValueError(f'{run.folder}/confidence has no image of frame {position}')
            rows = len(depth) if size is None else size[0]
            yield Frame(
                position - piece.frames[0],
                f'{run.folder} frame {run.numbers[position]}',
                media.resize_equirect(image, rows, 2 * rows),
                media.nearest(depth, rows),
                confidence=media.nearest(sure, rows),
            )
