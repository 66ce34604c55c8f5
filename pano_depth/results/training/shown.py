"""What a clip shows, as far as training has to know it: takes of a moving camera, and strides."""

import numpy as np

from pano_depth.footage.footage import Footage
from pano_depth.learning import spacing
from pano_depth.reconstruction.survey import survey
from pano_depth.results.steps.looks import rows_of

LEAST = 3  # frames of a piece


def rows_looked_at(footage: Footage, rows: int) -> int:
    """Rows at which a clip is looked at, at least those that networks see."""
    return max(rows, rows_of(footage))


def pieces_of(footage: Footage, images: np.ndarray) -> dict:
    """Finds the takes of a moving camera.

    Args:
        footage: the clip.
        images: [N, H, 2H, 3] uint8, its frames.

    Returns:
        {'pieces': [{'start', 'stop', 'stride'}], 'reason'}: positions among the frames, and frames
        between a target and its neighbours. The reason says why frames are left out, or is empty.
    """
    if not footage.ordered:
        return {'pieces': [], 'reason': 'it holds unrelated images'}
    if len(images) < LEAST:
        return {'pieces': [], 'reason': f'it has {len(images)} frames; at least {LEAST} are needed'}
    found, pieces, short = survey(images), [], 0
    for (start, stop), moving in zip(found.pieces, found.moving, strict=True):
        if moving and stop - start < LEAST:
            short += 1
        elif moving:
            stride, _ = spacing.choose_stride(images[start:stop])
            pieces.append({'start': start, 'stop': stop, 'stride': stride})
    reason = found.reason
    if short:
        reason += f'; {short} of them are shorter than {LEAST} frames'
    return {'pieces': pieces, 'reason': reason}
