"""Frames of rendered rooms with their depth, rendered once and kept in files."""

import contextlib
import functools
import pathlib
import shutil
from collections.abc import Iterator
from typing import NamedTuple

import jax
import numpy as np

from common.logs import say
from common.run import atomic_path, digest_of, digest_of_path
from experiments.depth_search.config import RoomsConfig
from pano_depth.kernels import sphere
from pano_depth.rooms import pano_rooms, streams
from pano_depth.rooms.wide import shots

FOLDER = 'pano_frames'
UNSEEN = 2**32  # number of the first unseen room; there are never so many to learn from
BATCH = 16  # frames that are rendered at once


class Frames(NamedTuple):
    """Panoramas of different rooms, mapped from files.

    Attributes:
        images: [N, H, 2H, 3] uint8.
        depth: [N, H, 2H] float16, range in metres, 0 where there is none.
    """

    images: np.ndarray
    depth: np.ndarray


def digest(config: RoomsConfig) -> str:
    """What the frames depend on, as a digest: the same on every machine."""
    return digest_of(*(_key(config, *part) for part in _parts(config)))


def open_frames(config: RoomsConfig) -> tuple[Frames, Frames]:
    """The frames to learn from and the unseen ones, rendered where they are not kept yet.

    Raises:
        OSError: their folder cannot be read or written.
    """
    train, unseen = (_open(config, *part) for part in _parts(config))
    return train, unseen


def _parts(config):
    """(number of the first room, number of rooms) of both parts."""
    return (0, config.train_frames), (UNSEEN, config.unseen_frames)


@functools.cache
def _renderer() -> str:
    """The digest of the code that draws and renders rooms."""
    folder = pathlib.Path(pano_rooms.__file__).parent
    return digest_of(*map(digest_of_path, [*sorted(folder.rglob('*.py')), sphere.__file__]))


def _key(config: RoomsConfig, first: int, count: int) -> str:
    looks = config.rooms_style, config.panorama_height, config.rooms_seed
    return digest_of(_renderer(), *looks, first, count)


def _open(config: RoomsConfig, first: int, count: int) -> Frames:
    root = pano_rooms.data_folder(config.data_dir) / FOLDER
    folder = root / _key(config, first, count)[:16]
    if not folder.exists():
        root.mkdir(parents=True, exist_ok=True)
        _render(config, first, count, folder)
    try:
        return Frames(*(np.load(folder / f'{name}.npy', mmap_mode='r') for name in Frames._fields))
    except (ValueError, EOFError, FileNotFoundError):
        # Somebody has taken files away or cut them off.
        shutil.rmtree(folder)
        return _open(config, first, count)


@functools.lru_cache(maxsize=2)
def _shooter(height: int):
    """The compiled function that renders a batch of rooms."""
    return jax.jit(jax.vmap(lambda shot: shots.shoot(shot, height, 2 * height)))


def _render(config: RoomsConfig, first: int, count: int, folder: pathlib.Path) -> None:
    """Renders frames into a folder, which is there only once it is whole."""
    size = (count, config.panorama_height, 2 * config.panorama_height)
    say(f'rendering {count} rooms of {size[1]} x {size[2]} pixels into {folder}')
    try:
        with atomic_path(folder) as temporary:
            temporary.mkdir()
            with (
                _new_array(temporary / 'images.npy', np.uint8, (*size, 3)) as images,
                _new_array(temporary / 'depth.npy', np.float16, size) as depth,
            ):
                for seen, far in _rendered(config, first, count):
                    images.write(np.round(255 * seen).astype(np.uint8).tobytes())
                    depth.write(far.astype(np.float16).tobytes())
    except OSError as error:
        # Another process may have put the same frames there in the meantime.
        if not folder.exists():
            raise OSError(error.errno, error.strerror, str(folder)) from error


def _rendered(config: RoomsConfig, first: int, count: int) -> Iterator[tuple]:
    """Yields (images [B, H, 2H, 3] in [0, 1], depth [B, H, 2H]) of rooms, batch by batch."""
    shoot = _shooter(config.panorama_height)
    for start in range(0, count, BATCH):
        # The last batch is filled up with the last room, so that everything compiles once.
        numbers = first + np.minimum(np.arange(start, start + BATCH), count - 1)
        drawn = [
            streams.live_window(config.rooms_seed, int(number), length=1, style=config.rooms_style)
            for number in numbers
        ]
        shot = shoot(jax.tree.map(lambda *parts: np.stack(parts), *drawn))
        yield tuple(np.asarray(part)[: count - start, 0] for part in shot)


@contextlib.contextmanager
def _new_array(path: pathlib.Path, dtype, shape: tuple[int, ...]):
    """Opens an npy file behind its header. A map of a file would end the process on a full disk."""
    descr = np.lib.format.dtype_to_descr(np.dtype(dtype))
    header = {'descr': descr, 'fortran_order': False, 'shape': shape}
    with open(path, 'wb') as file:
        np.lib.format.write_array_header_1_0(file, header)
        yield file
