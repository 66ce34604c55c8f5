"""A piece of a reconstruction as a scene of a clip folder, which eval and training read again.

The files of a scene:

    rgb/000000.png          frames, numbered from 0 in each scene
    depth/000000.png        16-bit, 1/1000 of the unit; .npy where the range does not fit
    confidence/000000.png   8-bit, 255 = sure, 0 exactly where there is no depth
    poses.txt               TUM, at the true times of the frames; comments tell axes and unit

Memory does not grow with the number of frames.
"""

import pathlib

import numpy as np

from pano_depth.footage import media
from pano_depth.footage.poses import axes as poses_axes
from pano_depth.reconstruction import infer

FARTHEST = 65.5355  # of 16 bits
COARSEST = 0.05  # median depth below which 1/1000 is more than 2 %


def write_scene(
    folder: pathlib.Path, result, piece, *, axes: str, unit: str, on_frame=lambda: None
) -> dict:
    """Writes a scene frame by frame.

    Args:
        folder: an empty directory.
        result: `reconstruction.Reconstruction`.
        piece: `pieces.Piece` with a path.
        axes: of the world of the poses.
        unit: of depth and poses, 'metre' or 'relative'.
        on_frame: called after each frame.

    Returns:
        What `run.json` says of it.
    """
    for name in ('rgb', 'depth', 'confidence'):
        (folder / name).mkdir()
    fits = _fits(result, piece)
    for position, frame in result.frames(piece.start, piece.stop):
        name, depth = f'{position - piece.start:06d}', result.depth(position)
        media.write_image(folder / 'rgb' / f'{name}.png', frame.image)
        if fits:
            stored = media.to_millimetres(depth)
            media.write_png16(folder / 'depth' / f'{name}.png', stored)
        else:
            np.save(folder / 'depth' / f'{name}.npy', depth)
        # Not 0 where there is depth, however little sure it is.
        grey = np.maximum(np.rint(result.confidence(position) * 255), 1)
        grey = np.where(depth > 0, grey, 0).astype(np.uint8)
        media.write_image(folder / 'confidence' / f'{name}.png', grey)
        on_frame()
    times = result.times[piece.start : piece.stop]
    poses_axes.write_path(folder / 'poses.txt', times, piece.analysis.poses, axes=axes, unit=unit)
    return {
        'frames': piece.stop - piece.start,
        'unit': unit,
        'image_size': [result.width, result.height],
        'depth': '16-bit PNG, 1/1000 of the unit' if fits else '.npy, float32 in the unit',
        'axes': axes,
    }


def _fits(result, piece):
    """Whether 16 bits hold the depth of a piece, finely enough and without an end."""
    if infer.median_depth(piece.analysis) < COARSEST:
        return False
    return all(
        float(result.depth(position).max()) < FARTHEST
        for position in range(piece.start, piece.stop)
    )
