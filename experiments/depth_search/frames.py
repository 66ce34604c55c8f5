"""Frames of rendered rooms with their depth, rendered once and kept in files."""

import functools
import pathlib
import shutil
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
    except (ValueError, FileNotFoundError):
        # Somebody has taken files away or cut them off.
        shutil.rmtree(folder)
        return _open(config, first, count)


@functools.lru_cache(maxsize=2)
def _shooter(height: int):
    """The compiled function that renders a batch of rooms."""
    return jax.jit(jax.vmap(lambda shot: shots.shoot(shot, height, 2 * height)))


def _render(config: RoomsConfig, first: int, count: int, folder: pathlib.Path) -> None:
    """Renders frames into a folder, which is there only once it is whole."""
    height = config.panorama_height
    size = (count, height, 2 * height)
    say(f'rendering {count} rooms of {height} x {2 * height} pixels into {folder}')
    shoot = _shooter(height)
    try:
        with atomic_path(folder) as temporary:
            temporary.mkdir()
            write = functools.partial(np.lib.format.open_memmap, mode='w+')
            images = write(temporary / 'images.npy', dtype=np.uint8, shape=(*size, 3))
            depth = write(temporary / 'depth.npy', dtype=np.float16, shape=size)
            for start in range(0, count, BATCH):
                # The last batch is filled up with the last room, so that everything compiles once.
                numbers = first + np.minimum(np.arange(start, start + BATCH), count - 1)
                drawn = [
                    streams.live_window(
                        config.rooms_seed, int(number), length=1, style=config.rooms_style
                    )
                    for number in numbers
                ]
                seen, far = shoot(jax.tree.map(lambda *parts: np.stack(parts), *drawn))
                place = slice(start, min(start + BATCH, count))
                images[place] = np.round(np.asarray(seen[: place.stop - start, 0]) * 255)
                depth[place] = far[: place.stop - start, 0]
            images.flush()
            depth.flush()
    except OSError:
        # Another process may have put the same frames there in the meantime.
        if not folder.exists():
            raise
