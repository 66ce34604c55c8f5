"""Decides how a file shows the sphere: by the user, its metadata, its kind, or its pictures."""

import pathlib

from absl import logging

from pano_depth.footage import spherical
from pano_depth.footage.layouts import by_tracks, circles
from pano_depth.footage.layouts.case import INSTA360, Case
from pano_depth.footage.layouts.decision import Decision
from pano_depth.footage.layouts.table import AUTO, check_projection

# ffmpeg's words for two eyes.
_FFMPEG_EYES = {'top and bottom': 'top-bottom', 'side by side': 'left-right', '2d': 'mono'}


def decide(path, info, projection=AUTO, stereo=None, look=None, *, fov=None):
    """Decides how a video becomes equirect.

    Args:
        path: the file.
        info: `VideoInfo` of it.
        projection: 'auto' or the name of a layout.
        stereo: how the user says that frames hold two eyes: 'top_bottom', 'left_right' or None.
        look: function without arguments that gives a few frames of the first track, [h, w, 3]
            uint8; called only where needed.
        fov: degrees across a fisheye circle; None measures it.

    Returns:
        `Decision`.

    Raises:
        ValueError: an unknown projection, frames that cannot be of it, or, with 'auto', frames
            that show no sphere; the message says why.
    """
    check_projection(projection)
    path, found = pathlib.Path(path), None
    try:
        found = spherical.read_spherical(path)
    except ValueError as error:
        # The pictures can be read without it.
        logging.warning('%s; its spherical metadata is left out', error)
    found = found or _as_ffmpeg_says(info)
    case = Case(path, info.height, info.width, stereo, look, fov, found)
    if projection == 'equirect':
        # Either eye will do, and half of the frame is one.
        eyes = 'left_right' if case.eyes == 'right_left' else case.eyes
        return Decision(spherical=_kept(found), stereo=stereo or eyes, down=case.down)
    pair = by_tracks.partner(path) if path.suffix.lower() == INSTA360 else None
    if projection in (AUTO, 'eac') and by_tracks.is_halves(info.streams):
        return by_tracks.halves(path, info.streams)
    if projection in (AUTO, 'dual_fisheye') and found is None:
        if pair is not None and abs(case.aspect - 1) <= 0.02 and len(info.streams) == 1:
            return by_tracks.circles_of(path, info, fov, pair)
        sure = projection != AUTO or path.suffix.lower() == INSTA360
        if by_tracks.is_circles(info.streams) and (sure or circles.radius(case.frames())):
            return by_tracks.circles_of(path, info, fov)
    if projection != AUTO:
        return case.named(projection)
    if found is None and path.suffix.lower() == INSTA360 and abs(case.aspect / 2 - 1) <= 0.02:
        return case.named('dual_fisheye', why=', since it is a file of Insta360', override=True)
    return case.by_metadata() if found is not None else case.by_looks()


def decide_image(path, image, projection=AUTO, stereo=None, *, fov=None):
    """Decides how a still image becomes equirect; it has no metadata here (GPano is elsewhere).

    Args:
        path: the file that messages name.
        image: [H, W, 3] uint8.
        projection, stereo, fov: see `decide`.

    Returns:
        `Decision`; `images.convert_image` follows it.

    Raises:
        ValueError: as from `decide`.
    """
    check_projection(projection)
    case = Case(pathlib.Path(path), *image.shape[:2], stereo, lambda: [image[..., :3]], fov)
    if projection == 'equirect':
        return Decision(stereo=stereo)
    return case.by_looks() if projection == AUTO else case.named(projection)


def _as_ffmpeg_says(info):
    """`Spherical` by what ffmpeg prints, of files whose metadata are not read here; or None."""
    words = (info.spherical_text or '').partition(' (')[0].strip().lower()
    if not words or words == 'rectilinear':
        return None
    eyes = (info.stereo_text or '').lower()
    stereo = next((name for start, name in _FFMPEG_EYES.items() if eyes.startswith(start)), None)
    return spherical.Spherical(words, stereo)


def _kept(found):
    """The metadata of frames that are taken to be panoramas as they are."""
    if found is None or (found.projection == 'equirectangular' and found.full):
        return found
    return spherical.as_equirect(found)
