"""Why pictures are no panorama, and what would help; advice that does not fit is not given."""

from typing import NoReturn

from pano_depth.footage.layouts import looks, seams
from pano_depth.footage.layouts.table import LAYOUTS, fits

_STACKED = (('top_bottom', 1), ('left_right', 4))
_FREE = [name for name in LAYOUTS if not LAYOUTS[name].aspects]


def refuse(path, stored, eye, stereo, frames) -> NoReturn:
    """Raises the ValueError about pictures that look like no layout of the sphere.

    Args:
        path: the file.
        stored: (height, width) of its frames.
        eye: (height, width) of one eye.
        stereo: how the frames hold two eyes, or None.
        frames: list of [h, w, 3] uint8: one eye of a few frames, smaller perhaps.
    """
    shape = f'{path} is {stored[1]}x{stored[0]} pixels (width x height)'
    aspect = eye[1] / eye[0]
    for one, needed in _STACKED if stereo is None else ():
        if abs(aspect / needed - 1) <= 0.02:
            _refuse_stack(shape, one, frames)
    cubes = [name for name in LAYOUTS if LAYOUTS[name].grid and fits(LAYOUTS[name], *eye)]
    if not cubes:
        raise ValueError(
            f'{shape}; a panorama is twice as wide as high, and no layout of the sphere that can '
            f'be told by its picture has this shape. If it is one of {", ".join(_FREE)}, '
            '--projection names it'
        )
    plain = all(seams.difference(frames, name) is None for name in cubes)
    why = 'it is too plain to tell by its borders' if plain else 'its borders do not fit together'
    raise ValueError(
        f'{shape}: no panorama, which is twice as wide as high. It could be a cubemap by its '
        f'shape, but {why}. What an ordinary camera films shows too little of the sphere to be '
        f'used; a cubemap is read by --projection={" or ".join(cubes)}'
    )


def _refuse_stack(shape, stereo, frames):
    """Raises the ValueError about pictures that have the shape of two panoramas."""
    if looks.looks_like_eyes(frames, stereo):
        raise ValueError(
            f'{shape}; a panorama is twice as wide as high. Its halves look like two eyes: '
            f'--stereo={stereo} takes one of them'
        )
    raise ValueError(
        f'{shape}; a panorama is twice as wide as high. It has the shape of two panoramas, one for '
        'each eye, but its halves differ too much for that; if they are two eyes after all, '
        f'--stereo={stereo} takes one, else --projection names the layout'
    )
