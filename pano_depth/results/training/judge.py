"""How good networks are on footage that they have not learned from."""

import contextlib
import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from common.logs import Progress, say
from pano_depth.footage import geometry
from pano_depth.footage.footage import Footage
from pano_depth.kernels.rigid import Motion
from pano_depth.learning.model import Grid, ModelConfig
from pano_depth.learning.objective import LossConfig
from pano_depth.reconstruction import analysis
from pano_depth.reconstruction import evaluate as protocol
from pano_depth.results.training.collection import Piece, valid_of

SAMPLES = 256  # triplets of all clips together, at least 4 of each


def photometric_error(
    params: dict,
    pieces: Sequence[Piece],
    grid: Grid,
    model: ModelConfig,
    loss: LossConfig,
    *,
    mask: np.ndarray | None = None,
) -> float:
    """How badly neighbours synthesise the frames of held-out pieces, in the mean over the pieces.

    Args:
        params: {'depth', 'pose'} parameters.
        pieces: the held-out pieces.
        grid, model: of the networks.
        loss: of their training; truth plays no part.
        mask: [H, 2H] of floats, 0 where no frame counts; or None.
    """
    loss = dataclasses.replace(loss, learn='both', truth_weight=0.0, prior_weight=0.0)
    samples, errors = max(4, SAMPLES // len(pieces)), []
    with Progress(len(pieces), unit='clip', description='judging') as progress:
        for piece in pieces:
            valid = valid_of(piece.clip)
            counts = mask if valid is None else valid
            if valid is not None and mask is not None:
                counts = valid & mask_of(mask)
            errors.append(
                analysis.photometric_error(
                    params,
                    piece.clip.frames,
                    piece.clip.stride,
                    grid,
                    model,
                    loss,
                    mask=counts,
                    samples=samples,
                )
            )
            progress.update()
    return float(np.mean(errors))


def mask_of(mask: np.ndarray | None) -> np.ndarray | None:
    """A mask of floats as bool; None stays None."""
    return None if mask is None else mask > 0


def scores(
    params: dict,
    held_out: Sequence[Piece],
    grid: Grid,
    model: ModelConfig,
    *,
    mask: np.ndarray | None = None,
    on_footage: Callable | None = None,
) -> dict | None:
    """Depth and motion against truth.

    Args:
        params: {'depth', 'pose'} parameters.
        held_out: pieces to judge by.
        grid, model: of the networks.
        mask: [h, 2h] bool, where frames count; or None.
        on_footage: see `reconstruction.evaluate.evaluate`.

    Returns:
        What `eval.json` holds; None where no held-out piece has depth or poses.
    """
    known = [footage for footage in map(footage_of, held_out) if _has_truth(footage)]
    if not known:
        return None
    say(f'evaluating on held-out footage with truth: {len(known)}')
    return protocol.evaluate(params, known, grid, model, mask=mask, on_footage=on_footage)


def _has_truth(footage):
    return footage.has_depth or footage.poses is not None


def footage_of(piece: Piece) -> Footage:
    """The frames of a piece as they are stored, with their truth."""
    footage = piece.item.open()
    if piece.whole or not _has_truth(footage):
        return footage
    return of_frames(footage, piece.numbers, piece.clip.name)


def of_frames(footage: Footage, numbers: Sequence[int], name: str) -> Footage:
    """Some frames of footage, as footage of its own.

    Args:
        footage: all frames.
        numbers: of the frames, increasing.
        name: of the result.
    """
    position = {number: i for i, number in enumerate(numbers)}

    def read(size, start, stride):
        with contextlib.closing(footage.read(size, numbers[0], 1)) as frames:
            for frame in frames:
                if frame.index > numbers[-1]:
                    return
                index = position.get(frame.index, -1)
                if index >= start and (index - start) % stride == 0:
                    yield frame._replace(index=index)

    poses = footage.poses
    if poses is not None:
        poses = geometry.from_first_frame(Motion(*(array[list(position)] for array in poses)))
    return dataclasses.replace(
        footage, name=name, read=read, length=len(position), poses=poses, down=None
    )
