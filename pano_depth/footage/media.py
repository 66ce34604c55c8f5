"""Reading and writing images: 8-bit colour, 16-bit depth, equirectangular sizes."""

import numpy as np
from PIL import Image

from common import images
from common.run import atomic_path

IMAGE_SUFFIXES = ('.png', '.jpg', '.jpeg', '.tif', '.tiff', '.webp', '.bmp', '.insp')
MIN_HEIGHT = 16
# Encoders for players round sizes: 640x322 and 254x127 are panoramas.
_NEARLY = 0.02


def check_equirect(height, width, name):
    """Raises ValueError unless a size is equirectangular: W = 2H, H even and at least 16.

    Args:
        height, width: size in pixels.
        name: the file or argument that the message names.
    """
    size = f'{name} is {width}x{height} pixels (width x height)'
    if width in (height, 4 * height):
        layout = 'top_bottom' if width == height else 'left_right'
        raise ValueError(
            f'{size}; an equirectangular image is twice as wide as high. If it holds two of them,'
            f' one for each eye, --stereo={layout} takes one; if it shows the sphere in another'
            ' way, --projection names it'
        )
    if width != 2 * height:
        raise ValueError(
            f'{size}; an equirectangular image is twice as wide as high. If it shows the sphere in'
            ' another way, --projection names it'
        )
    if height < MIN_HEIGHT or height % 2:
        raise ValueError(f'{size}; the height has to be even and at least {MIN_HEIGHT}')


def nearest_equirect(height, width):
    """The equirectangular size of an image that is not quite twice as wide as high.

    Args:
        height, width: of the image in pixels.

    Returns:
        (height, width) with W = 2H and an even H, as wide as the image up to 2 pixels; the same
        size where that holds already; None where the aspect is off by more than 2 %.
    """
    if abs(width / (2 * height) - 1) > _NEARLY:
        return None
    rows = 2 * int(width / 4 + 0.5)
    return rows, 2 * rows


def read_image(path):
    """Reads an image as 8-bit RGB.

    Alpha is dropped, gray becomes RGB, 16 bits are rounded to 8, the EXIF orientation is obeyed.

    Args:
        path: a BMP, GIF, JPEG, PNG, PPM, TIFF or WebP file.

    Returns:
        [H, W, 3] uint8.

    Raises:
        ValueError: the file is missing, damaged, too large, or holds floating-point pixels.
    """
    return images.read_pixels(path).colour


def write_image(path, array):
    """Writes an image, atomically; the suffix chooses the format.

    Args:
        path: destination, e.g. `.png` or `.jpg` (quality 95).
        array: [H, W, 3] uint8, or [H, W] uint8 for a gray image.

    Raises:
        ValueError: the array is neither.
    """
    array = np.asarray(array)
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or array.shape[2:] not in ((), (3,)):
        raise ValueError(
            f'array for {path} is {array.dtype} {array.shape}; accepted: uint8 [H, W, 3] or [H, W]'
        )
    with atomic_path(path) as temporary:
        Image.fromarray(array).save(
            temporary, **({} if temporary.suffix == '.png' else {'quality': 95})
        )


def write_png16(path, array):
    """Writes a 16-bit gray PNG, atomically.

    Args:
        path: destination.
        array: [H, W] uint16.

    Raises:
        ValueError: the array is not [H, W] uint16.
    """
    array = np.asarray(array)
    if array.dtype != np.uint16 or array.ndim != 2:
        raise ValueError(
            f'array for {path} is {array.dtype} {array.shape}; accepted: uint16 [H, W]'
        )
    with atomic_path(path) as temporary:
        # Level 3 takes a third of the time of the default 6 for 3 % larger files.
        Image.fromarray(array).save(temporary, format='PNG', compress_level=3)


def read_png16(path):
    """Reads a 16-bit gray PNG.

    Args:
        path: the file.

    Returns:
        [H, W] uint16.

    Raises:
        ValueError: the file is missing, damaged, or not 16-bit gray.
    """
    with images.open_image(path) as image:
        image.load()
        mode, values = image.mode, np.asarray(image)
    if not mode.startswith('I'):
        raise ValueError(f'image {path} has mode {mode}; accepted: one channel of 16 bits')
    return values.astype(np.uint16)


def to_millimetres(depth):
    """Depth as the 16 bits of a depth PNG.

    Args:
        depth: [...] range in metres; 0, negative or non-finite where invalid.

    Returns:
        [...] uint16 millimetres, rounded; 0 only where invalid; from 65.535 m on 65535.
    """
    depth = np.asarray(depth, np.float64)
    valid = np.isfinite(depth) & (depth > 0)
    return np.where(valid, np.clip(np.rint(np.where(valid, depth, 0) * 1000), 1, 65535), 0).astype(
        np.uint16
    )


def resize_equirect(frame, height, width, valid=None):
    """Resizes an equirectangular frame; the seam and the poles stay continuous.

    Integer reductions average whole blocks; anything else is Lanczos over a frame extended across
    the seam and the poles.

    Args:
        frame: [H, W, 3] uint8, about twice as wide as high.
        height, width: new size in pixels.
        valid: [H, W] bool, the pixels whose colours count; the others do not bleed into them. None:
            all count.

    Returns:
        [height, width, 3] uint8.
    """
    frame = np.asarray(frame)
    if frame.shape[:2] == (height, width):
        return frame
    if valid is None or valid.all():
        return np.clip(_resized(frame, height, width) + 0.5, 0, 255).astype(np.uint8)
    share = _resized(valid[..., None].astype(np.float32), height, width)
    colour = _resized(frame * valid[..., None].astype(np.float32), height, width)
    # Where Lanczos finds next to nothing that counts, its weights may cancel.
    plain = _resized(frame, height, width)
    colour = np.where(share > 0.1, colour / np.maximum(share, 0.1), plain)
    return np.clip(colour + 0.5, 0, 255).astype(np.uint8)


def _resized(frame, height, width):
    """[H, W, C] as [height, width, C] float32; uint8 stays within whole numbers for Lanczos."""
    rows, columns, channels = frame.shape
    if rows % height == 0 and columns % width == 0:
        blocks = frame.reshape(height, rows // height, width, columns // width, channels)
        return blocks.mean(axis=(1, 3), dtype=np.float32)
    # Lanczos reaches three pixels of the coarser image.
    pad = min(rows, 3 * max(1, -(-rows // height)) + 1)
    half = np.roll(frame, columns // 2, axis=1)
    tall = np.concatenate([half[pad - 1 :: -1], frame, half[: -pad - 1 : -1]])
    padded = np.pad(tall, ((0, 0), (pad, pad), (0, 0)), mode='wrap')
    # Pillow resizes 8-bit colour at once, floating-point numbers channel by channel.
    parts = [padded] if frame.dtype == np.uint8 else list(np.moveaxis(padded, -1, 0))
    box = (pad, pad, pad + columns, pad + rows)
    new = [
        np.asarray(
            Image.fromarray(part).resize((width, height), Image.Resampling.LANCZOS, box=box),
            np.float32,
        )
        for part in parts
    ]
    return new[0] if frame.dtype == np.uint8 else np.stack(new, axis=-1)


def resize_valid(valid, height, width):
    """A map of the pixels that count, at another size.

    A pixel counts if every pixel that it touches counts, so that none mixes with what does not.

    Args:
        valid: [H, W] bool, or None where all count.
        height, width: new size in pixels.

    Returns:
        [height, width] bool, or None.
    """
    if valid is None or valid.shape == (height, width):
        return valid
    for axis, size in enumerate((height, width)):
        old = valid.shape[axis]
        first = np.arange(size) * old // size
        after = -(-np.arange(1, size + 1) * old // size)
        start = np.zeros_like(np.take(valid, [0], axis), np.int32)
        missing = np.concatenate([start, np.cumsum(~valid, axis, np.int32)], axis)
        valid = np.take(missing, after, axis) == np.take(missing, first, axis)
    return valid


def nearest(array, height):
    """An equirectangular array at another size, each pixel the nearest one.

    It is for depth and masks, whose zeros must not mix with other values.

    Args:
        array: [H, W, ...].
        height: rows of the result, which has twice as many columns.

    Returns:
        [height, 2 height, ...].
    """
    rows, columns = (
        ((np.arange(n) + 0.5) * size / n).astype(int)
        for n, size in zip((height, 2 * height), array.shape)
    )
    return array[rows][:, columns]
