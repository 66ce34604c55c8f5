"""Reading depth files of every kind as metres of range."""

import math
import pathlib

import numpy as np

from pano_depth.footage import media

DEPTH_SUFFIXES = ('.png', '.npy', '.exr', '.dpt')
_EXR_CHANNELS = ('Z', 'Y', 'R', 'V')
_DPT_HEADER = 12


def read_depth(path, *, scale=None):
    """Reads a depth image.

    Args:
        path: `.png`, one channel of 16 bits; `.npy`, [H, W]; `.exr`, the channel Z, Y, R or V
            (needs the extra `exr`); or `.dpt`: 'PIEH', int32 width, int32 height, float32 values by
            rows, all little endian (the layout of the MPI Sintel depth files and of OmniPhotos).
        scale: metres per stored unit. By default 0.001 for `.png` and 1 for the others; integers in
            an `.npy` need it.

    Returns:
        [H, W] float32 range in metres; 0 where the file holds nothing positive and finite.

    Raises:
        ValueError: the file is missing, damaged, of another kind, or not one channel; `scale` is
            not positive.
    """
    path = pathlib.Path(path)
    suffix = path.suffix.lower()
    if suffix not in DEPTH_SUFFIXES:
        raise ValueError(f'{path} is no depth file; accepted: {", ".join(DEPTH_SUFFIXES)}')
    if not path.is_file():
        raise ValueError(
            f'depth file {path} {"is a folder" if path.is_dir() else "does not exist"}'
        )
    if scale is not None and not (math.isfinite(scale) and scale > 0):
        raise ValueError(f'scale is {scale}; accepted: metres per stored unit, above 0')
    values = {'.png': media.read_png16, '.npy': _read_npy, '.exr': _read_exr, '.dpt': _read_dpt}[
        suffix
    ](path)
    units = np.issubdtype(values.dtype, np.integer) and (scale is not None or suffix == '.png')
    if (
        values.ndim != 2
        or not values.size
        or not (units or np.issubdtype(values.dtype, np.floating))
    ):
        raise ValueError(
            f'{path} is {values.dtype} {values.shape}; accepted: [H, W] floats, metres of '
            'range, or integers with a scale'
        )
    if scale is None:
        scale = 0.001 if suffix == '.png' else 1.0
    valid = np.isfinite(values) & (values > 0)
    # Multiplied in float64, so that only the last step rounds to float32.
    return np.where(valid, values * np.float64(scale), 0).astype(np.float32)


def _read_npy(path):
    try:
        array = np.load(path, allow_pickle=False)
    except Exception as error:  # A damaged header raises almost anything.
        raise ValueError(f'{path} cannot be read: {error}') from error
    if not isinstance(array, np.ndarray):
        raise ValueError(f'{path} holds several arrays; accepted: one, [H, W]')
    return array


def _read_exr(path):
    try:
        import OpenEXR
    except ImportError as error:
        raise ValueError(
            f'{path} needs a reader of EXR files: pip install "pano-dppnet[exr]"'
        ) from error
    try:
        channels = OpenEXR.File(str(path), separate_channels=True).channels()
    except Exception as error:  # A damaged header raises almost anything.
        raise ValueError(f'{path} cannot be read: {error}') from error
    for name in _EXR_CHANNELS:
        if name in channels:
            return np.asarray(channels[name].pixels)
    raise ValueError(
        f'{path} has the channels {", ".join(channels)}; accepted: depth as '
        f'{", ".join(_EXR_CHANNELS)}'
    )


def _read_dpt(path):
    length = path.stat().st_size
    with open(path, 'rb') as file:
        header = file.read(_DPT_HEADER)
        width, height = (
            np.frombuffer(header[4:], '<i4').tolist() if len(header) == _DPT_HEADER else (0, 0)
        )
        # The sizes are compared first: a damaged header must not ask for more than the file has.
        if (
            header[:4] != b'PIEH'
            or min(width, height) < 1
            or length != _DPT_HEADER + 4 * width * height
        ):
            raise ValueError(
                f'{path} is no .dpt file or is cut short: its header says {header[:4]!r} '
                f'{width}x{height}, it has {length} bytes; accepted: PIEH, width, height, one '
                'float32 a pixel'
            )
        return np.frombuffer(file.read(), '<f4').reshape(height, width)
