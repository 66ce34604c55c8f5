"""One image file as a full panorama: what its header says of it, and its pixels."""

import dataclasses
import math
import pathlib

import numpy as np
from PIL import Image

from common import images
from pano_depth.footage import eyes, media
from pano_depth.footage.layouts.decision import Decision
from pano_depth.footage.photos import gpano, layout, level, placement
from pano_depth.footage.photos.placement import Placement

AUTO, EQUIRECT = 'auto', 'equirect'
_OPAQUE = 128


@dataclasses.dataclass(frozen=True, eq=False)
class Photo:
    """How a file becomes a panorama.

    Attributes:
        path: the file.
        stored: (height, width) of the image in the file, its EXIF orientation obeyed.
        height, width: of the panorama in pixels, W = 2H.
        stereo: see `eyes.eye_size`.
        placement: where the image lies in the panorama; None where it is all of it.
        rotation: [3, 3] of the camera in the world; None where the panorama is not turned.
        layout: how another layout becomes a panorama; None where the image is equirectangular.
        notes: sentences for people about what is done to the image.
    """

    path: str
    stored: tuple[int, int]
    height: int
    width: int
    stereo: str | None = None
    placement: Placement | None = None
    rotation: np.ndarray | None = None
    layout: Decision | None = None
    notes: tuple[str, ...] = ()

    def read(self, size: tuple[int, int] | None = None) -> tuple[np.ndarray, np.ndarray | None]:
        """Reads the panorama, see `read_photo`."""
        return read_photo(self, size)

    def place_mask(self, read_mask, size):
        """A mask of the image as it is stored -> of the panorama; see `FrameFiles`' reader.

        Args:
            read_mask: function that gives [h, w] bool, True where the image counts.
            size: (height, width) of the result.

        Returns:
            [height, width] bool; None where the panorama is the image as it is stored.
        """
        if self.placement is None and self.rotation is None and self.layout is None:
            return None
        mask = read_mask()
        if self.layout is not None and mask.shape != self.stored:
            return None  # A mask of the panorama, or of nothing.
        valid = _spread(self, np.zeros((*mask.shape, 3), np.uint8), mask, size)[1]
        return np.ones(size, bool) if valid is None else valid


def look_at(path, *, stereo=None, projection=AUTO, layouts=None, fisheye_fov=None) -> Photo:
    """Decides how an image becomes a panorama, by its header where that suffices.

    Args:
        path: the file.
        stereo: see `eyes.eye_size`.
        projection: 'auto' obeys GPano tags, else looks at the pixels; 'equirect' takes the pixels
            as they are stored, which is right where depth or poses refer to them; else the name of
            a layout.
        layouts: dict of a stored size and a suffix -> what was decided about such an image, which
            is taken for all of them and grows; None decides anew.
        fisheye_fov: degrees across a fisheye circle; None measures it.

    Raises:
        ValueError: the file cannot be read or is no panorama.
    """
    header = images.read_header(path)
    stored = (header.height, header.width)
    tags = gpano.parse(header.xmp) if projection == AUTO and stereo is None else None
    if tags is not None:
        photo = _tagged(path, stored, tags)
        if photo is not None:
            return photo
    if projection != EQUIRECT:
        layouts = {} if layouts is None else layouts
        # Cameras store pictures of two circles and stitched ones in one size, as .insp and .jpg.
        kind = stored, pathlib.Path(path).suffix.lower()
        if kind not in layouts:
            layouts[kind] = layout.decide_layout(path, projection, stereo, fisheye_fov)
        found = layouts[kind]
        if found.conversion is not None:
            size = found.conversion.height, found.conversion.width
            return Photo(path, stored, *size, None, None, None, found, found.notes)
    return Photo(path, stored, *_whole(path, stored, stereo), **_resampled(path, stored, stereo))


def _tagged(path, stored, tags):
    """`Photo` by GPano tags; None where they leave open how the image shows the sphere."""
    if tags.projection != 'equirectangular':
        raise ValueError(
            f'{path} is {tags.projection} by its GPano tags; accepted: equirectangular'
            ' (--projection=equirect takes it as it is)'
        )
    place, wrong = placement.place(tags, *stored)
    if place is None and media.nearest_equirect(*stored) is None:
        if wrong is None:
            return None
        raise ValueError(
            f'the GPano tags of {path} cannot be: they say {wrong}; accepted: a part that has the'
            ' aspect of the image and lies in a panorama twice as wide as high'
        )
    notes = [f'the GPano tags of {path} are left out: they say {wrong}'] if wrong else []
    rotation = level.to_world(tags)
    if rotation is not None:
        notes.append(
            f'{path} is turned by its GPano tags: heading {tags.heading:g}, pitch {tags.pitch:g},'
            f' roll {tags.roll:g} degrees; --projection=equirect takes images as they are'
        )
    if place is None:
        size = _whole(path, stored, None)
        notes += _resampled(path, stored, None)['notes']
    else:
        size = place.height, place.width
        notes.append(
            f'{path} shows {100 * place.rows * place.columns / size[0] / size[1]:.0f} % of a'
            f' panorama of {size[1]}x{size[0]} pixels by its GPano tags; the rest does not count'
        )
    return Photo(path, stored, *size, None, place, rotation, None, tuple(notes))


def _whole(path, stored, stereo):
    """(height, width) of the panorama that fills an image; ValueError if it is none."""
    nearly = media.nearest_equirect(*eyes.left_eye(*stored, stereo))
    if nearly is None or nearly[0] < media.MIN_HEIGHT:
        return eyes.eye_size(*stored, stereo, str(path))
    return nearly


def _resampled(path, stored, stereo):
    """The note about an image that is not quite 2:1, as arguments of `Photo`."""
    height, width = eyes.left_eye(*stored, stereo)
    rows, columns = _whole(path, stored, stereo)
    notes = ()
    if (rows, columns) != (height, width):
        notes = (
            f'{path} is {width}x{height} pixels (width x height), nearly twice as wide as high; it'
            f' is resampled to {columns}x{rows}',
        )
    return {'stereo': stereo, 'notes': notes}


def read_photo(
    photo: Photo, size: tuple[int, int] | None = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Reads a panorama.

    Args:
        photo: of `look_at`.
        size: (height, width) of the result; None takes the panorama's own.

    Returns:
        (image, valid): [H, W, 3] uint8, and [H, W] bool, False where the image is transparent or
        shows nothing; None where all of it counts.

    Raises:
        ValueError: the file cannot be read, or is transparent everywhere.
    """
    size = size or (photo.height, photo.width)
    pixels = images.read_pixels(photo.path, least=_least(photo, size))
    colour = eyes.take_eye(pixels.colour, photo.stereo)
    valid = None if pixels.alpha is None else eyes.take_eye(pixels.alpha, photo.stereo) >= _OPAQUE
    if valid is not None and not valid.any():
        raise ValueError(f'image {photo.path} is transparent everywhere')
    return _spread(photo, colour, valid, size)


def _spread(photo, colour, valid, size):
    """(image, valid) of a panorama of a size, from what the file holds."""
    if photo.layout is not None:
        colour, valid = layout.convert(photo.layout, colour, valid)
    # What is turned has twice the resolution of the result, where the file has it.
    rows = min(photo.height, 2 * size[0])
    if photo.placement is not None:
        place = placement.at_size(photo.placement, rows)
        colour, valid = _scaled(colour, valid, place.rows, place.columns)
        colour, valid = placement.fill(place, colour, valid)
    elif photo.rotation is not None:
        colour, valid = _resize(colour, valid, (rows, 2 * rows))
    if photo.rotation is not None:
        colour, valid = level.turn(colour, valid, photo.rotation)
    colour, valid = _resize(colour, valid, size)
    return colour, None if valid is None or valid.all() else valid


def _least(photo, size):
    """The (height, width) of the stored image that suffices for a panorama of a size."""
    share = 2 * size[0] / photo.height
    if share >= 1 or photo.stereo is not None or photo.layout is not None:
        return None
    return tuple(math.ceil(share * stored) for stored in photo.stored)


def _resize(colour, valid, size):
    resized = media.resize_equirect(colour, *size, valid=valid)
    return resized, media.resize_valid(valid, *size)


def _scaled(colour, valid, rows, columns):
    """A part of a panorama at another size; unlike a full one it has edges."""
    if colour.shape[:2] == (rows, columns):
        return colour, valid
    method = Image.Resampling.LANCZOS if rows > colour.shape[0] else Image.Resampling.BOX
    parts = Image.fromarray(colour)
    if valid is not None:
        # Premultiplied by Pillow, so that transparent pixels do not bleed.
        alpha = Image.fromarray(np.where(valid, 255, 0).astype(np.uint8))
        parts = Image.merge('RGBA', [*parts.split(), alpha])
    new = np.asarray(parts.resize((columns, rows), method))
    return np.ascontiguousarray(new[..., :3]), media.resize_valid(valid, rows, columns)
