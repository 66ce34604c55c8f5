"""Files of cameras that store the sphere in two tracks or two files: GoPro's and Insta360's."""

import pathlib
import re

import numpy as np

from pano_depth.footage.layouts import circles, graphs, looks
from pano_depth.footage.layouts.decision import Conversion, Decision
from pano_depth.footage.layouts.table import FISHEYE_FOV
from pano_depth.footage.video import reader

# A face of a .360 file is as high as the track; the strips add at most this to its width.
_MOST_STRIPS = 0.25
# The two lenses of Insta360's cameras, by name: VID_20220110_121609_00_657.insv and ..._10_....
_LENS = re.compile(r'(.*_)([01])0(_\d+)', re.IGNORECASE)
# How Insta360's circles are set upright, the rear one and the front one: their tops touch.
_UPRIGHT = ('transpose=cclock', 'transpose=clock')
# ffmpeg's filters that turn a picture with the clock by as many quarters.
_QUARTERS = ('', 'transpose=clock', 'hflip,vflip', 'transpose=cclock')
# Grey values by which the upper half is brighter before circles are called upright.
_BRIGHTER = 5.0
_LOOK = 512


def is_halves(streams):
    """Whether tracks are two halves of an equi-angular cubemap, as in GoPro's `.360` files."""
    if len(streams) < 2 or streams[0].shown != streams[1].shown:
        return False
    height, width = streams[0].shown
    return 3 * height <= width <= (3 + _MOST_STRIPS) * height


def is_circles(streams):
    """Whether tracks may be two fisheye circles: two squares of one size."""
    if len(streams) < 2 or streams[0].shown != streams[1].shown:
        return False
    height, width = streams[0].shown
    return abs(width / height - 1) <= 0.02


def halves(path, streams):
    """The `Decision` about two tracks of three faces each."""
    height, width = streams[0].shown
    conversion = graphs.eac_halves(height, width)
    note = (
        f'{path} holds two tracks of {width}x{height} pixels, the halves of an equi-angular '
        f'cubemap; they are read as panoramas of {conversion.width}x{conversion.height}'
    )
    return Decision('eac', conversion, notes=(note,))


def partner(path):
    """The file of the other lens of an Insta360 camera.

    Args:
        path: `pathlib.Path` of a file.

    Returns:
        (file of the rear lens, file of the front lens), one of them `path`; None where the name is
        not of that kind or the other file is not there.
    """
    match = _LENS.fullmatch(path.stem)
    if match is None:
        return None
    start, lens, end = match.groups()
    rear, front = (path.with_name(f'{start}{one}0{end}{path.suffix}') for one in '01')
    return (rear, front) if rear.is_file() and front.is_file() else None


def circles_of(path, info, fov=None, pair=None):
    """The `Decision` about two circles in two tracks or two files.

    Args:
        path: `pathlib.Path` of the file, which messages name.
        info: `VideoInfo` of it.
        fov: degrees across a circle; None measures it.
        pair: (file of the rear lens, file of the front lens), or None for two tracks.
    """
    height, width = info.streams[0].shown
    streams, others = (0, 1), ()
    if pair is not None:
        # The other file is the further one, on whichever side it belongs.
        mine = [pathlib.Path(one) == path for one in pair]
        others = tuple(str(one) for one, own in zip(pair, mine) if not own)
        streams = tuple(0 if own else 100 for own in mine)
    seen = Conversion('[v0][v1]hstack[out]', height, 2 * width, streams, others)
    frame = next(reader.iter_video(path, size=(_LOOK, 2 * _LOOK), conversion=seen))
    fov, turns, notes = measure([frame], fov)
    conversion = graphs.two_circles(height, width, fov, turns, streams, others)
    where = f'{path} and {pathlib.Path(others[0]).name} hold' if others else f'{path} holds'
    note = (
        f'{where} one fisheye circle for each lens; they are read as panoramas of '
        f'{conversion.width}x{conversion.height}{notes}'
    )
    return Decision('dual_fisheye', conversion, notes=(note,))


def measure(frames, fov=None, may_turn=True):
    """What has to be known of two circles side by side.

    Args:
        frames: list of [H, 2H, 3] uint8.
        fov: degrees across a circle as the user gives it, or None.
        may_turn: whether the circles may lie on their sides, as those of Insta360 do.

    Returns:
        (degrees across the height of the picture, filters that set both circles upright, the end of
        a sentence that says so).
    """
    pairs = looks.split(frames)
    lenses = circles.lenses(pairs)
    radius = circles.radius([half for pair in pairs for half in pair]) or 1.0
    if fov is not None:
        across, notes = fov / radius, ''
    elif lenses is not None:
        across = lenses.fov
        notes = f', with lenses of {across * radius:.0f} degrees by what both see'
    else:
        across = FISHEYE_FOV / radius
        notes = f', with lenses taken to be of {FISHEYE_FOV:g} degrees'
    if fov is None:
        notes += ' (--fisheye_fov gives another angle)'
    turns = [_QUARTERS[lenses.turn if lenses is not None else 0], '']
    if may_turn and _brightness(frames, turned=True) > _brightness(frames) + _BRIGHTER:
        turns = [','.join(filter(None, both)) for both in zip(turns, _UPRIGHT)]
        notes += '; both circles are turned by 90 degrees, which puts the brighter side up'
    return across, tuple(turns), notes


def _brightness(frames, turned=False):
    """How much brighter, in grey values, the upper half is, once the circles are set upright."""
    total = []
    for rear, front in looks.split(frames):
        if turned:
            rear, front = np.rot90(rear, 1), np.rot90(front, -1)
        for half in (rear, front):
            rows = half.mean(axis=(1, 2))
            total.append(rows[: len(rows) // 2].mean() - rows[len(rows) // 2 :].mean())
    return float(np.mean(total))
