"""A result against the truth, piece by piece, and what the networks alone would score."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from pano_depth.footage import geometry
from pano_depth.footage.footage import Footage
from pano_depth.kernels.rigid import Motion
from pano_depth.reconstruction import evaluate, infer
from pano_depth.results.reconstruction import Reconstruction


def part_of(footage: Footage, indices: np.ndarray) -> Footage:
    """The frames of footage from the first of some numbers to the last, as footage of its own.

    Args:
        footage: the footage.
        indices: [N] increasing numbers of frames.
    """
    first, last = int(indices[0]), int(indices[-1])
    if first == 0 and len(indices) == footage.length:
        return footage

    def read(size, start, stride):
        for frame in footage.read(size, start + first, stride):
            if frame.index > last:
                return
            yield frame._replace(index=frame.index - first)

    poses = footage.poses
    if poses is not None:
        poses = geometry.from_first_frame(Motion(*(part[first : last + 1] for part in poses)))
    return dataclasses.replace(footage, length=last + 1 - first, read=read, poses=poses)


def of_result(
    result: Reconstruction, alone: Sequence[infer.Analysis] | None, mask: np.ndarray | None
) -> dict:
    """What `eval.json` holds.

    Args:
        result: of footage with depth or poses, all of whose frames were used.
        alone: what the networks say of each piece, if the result is more than that.
        mask: False where images do not count, or None.
    """
    scores = evaluate.Scores(mask=mask)
    for piece in result.pieces:
        _add(scores, result, piece, piece.analysis, _refined(result, piece))
    found = scores.result()
    if alone is not None:
        scores = evaluate.Scores(mask=mask)
        for piece, analysis in zip(result.pieces, alone, strict=True):
            _add(scores, result, piece, analysis)
        networks = scores.result()
        found['networks'] = {name: networks[name] for name in ('depth', 'pose')}
    return found


def _add(scores, result, piece, analysis, refined=None):
    footage = part_of(result.footage, result.indices[piece.start : piece.stop])
    scores.add(footage, analysis, result.model, refined=refined)


def _refined(result, piece):
    """A function that gives depth and confidence of a position in a piece, or None."""
    if piece.refined is None:
        return None
    at = lambda position: piece.start + position
    return lambda position: (result.depth(at(position)), result.confidence(at(position)))
