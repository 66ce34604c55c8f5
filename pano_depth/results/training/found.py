"""Finds the clips in the paths that --train_data and --eval_data name; opens none of them."""

import functools
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

from common.run import RECORD_FILE
from pano_depth.footage import clip_folder, media, panosuncg, rgbd
from pano_depth.footage.config import ReadingConfig
from pano_depth.footage.footage import Footage
from pano_depth.results import inputs
from pano_depth.results.files.stored import StoredRun
from pano_depth.results.files.stored_footage import footage_of

ROOMS = 'rooms'
VIDEO_SUFFIXES = (
    *('.mp4', '.mov', '.m4v', '.mkv', '.webm', '.avi', '.insv', '.360', '.ts', '.mts', '.m2ts'),
    *('.mpg', '.mpeg', '.wmv', '.ogv', '.flv'),
)


class Item(NamedTuple):
    """Something that may turn out to be a clip.

    Attributes:
        name: what messages and run.json call it.
        group: what it was taken in: clips of one group may show the same scene.
        path: its file or folder.
        open: function that opens it; raises ValueError if it cannot be used.
    """

    name: str
    group: str
    path: pathlib.Path
    open: Callable[[], Footage]


def paths_in(text: str) -> tuple[list[str], bool]:
    """The paths in a comma-separated list, and whether the word `rooms` is among them.

    Raises:
        ValueError: a part is empty, or appears twice.
    """
    parts = [part.strip() for part in text.split(',')]
    if not all(parts) or len(set(parts)) < len(parts):
        raise ValueError(
            f'{text!r} has an empty part, or one part twice; accepted: PATH[,PATH...], each once'
        )
    return [part for part in parts if part != ROOMS], ROOMS in parts


def items_of(paths: Sequence[str], reading: ReadingConfig, *, flag: str) -> list[Item]:
    """The clips of some paths.

    Args:
        paths: each a video, a folder of videos, a folder of images, a scene of a clip folder or a
            root of several, a folder of RGB-D pairs, a PanoSUNCG root, the workdir of a
            reconstruction, or a folder of such folders.
        reading: how files are read.
        flag: the option that names the paths, for messages.

    Raises:
        ValueError: there is nothing of a name, or nothing in it.
    """
    found = []
    for path in map(pathlib.Path, paths):
        if not path.exists():
            raise ValueError(
                f'--{flag} names {path}, which does not exist; accepted: videos and folders of'
                ' footage'
            )
        items = _items(path, path.name or str(path), reading)
        if not items:
            raise ValueError(
                f'--{flag} names {path}, which holds no footage; accepted: a video, a folder of'
                ' videos or of images, clip folders, a PanoSUNCG root, workdirs of reconstructions'
            )
        found += items
    return found


def _items(path, name, reading):
    one = lambda place, called: Item(
        called, os.path.realpath(place), place, functools.partial(_open, place, reading)
    )
    if path.is_file():
        return [one(path, name)]
    if is_reconstruction(path):
        return _found_out(path, name)
    if (path / 'rgb').is_dir():
        return [one(path, name)]
    if scenes := clip_folder.list_scenes(path):
        return [one(path / scene, f'{name}/{scene}') for scene in scenes]
    if folders := panosuncg.trajectories(path):
        return [_trajectory(folder, name, reading) for folder in folders]
    entries = sorted(entry for entry in path.iterdir() if entry.name[0] != '.')
    videos = [entry for entry in entries if entry.suffix.lower() in VIDEO_SUFFIXES]
    if videos := [entry for entry in videos if entry.is_file()]:
        return [one(entry, f'{name}/{entry.name}') for entry in videos]
    images = [entry for entry in entries if entry.suffix.lower() in media.IMAGE_SUFFIXES]
    if any(entry.is_file() for entry in images) or rgbd.is_pairs(path):
        return [one(path, name)]
    inner = [_items(e, f'{name}/{e.name}', reading) for e in entries if e.is_dir()]
    return [item for items in inner for item in items]


def _open(path, reading):
    return inputs.open_path(path, reading)[0]


def is_reconstruction(path: pathlib.Path) -> bool:
    """Whether a folder is the workdir of a reconstruction."""
    return (path / RECORD_FILE).is_file() and (path / 'depth').is_dir()


def _found_out(path, name):
    """What a reconstruction found out: the clips that it wrote, or the files of its results."""
    group = os.path.realpath(path)
    if (path / 'clip').is_dir() and (scenes := clip_folder.list_scenes(path / 'clip')):
        return [
            Item(
                f'{name}/{scene}',
                group,
                path / 'clip' / scene,
                functools.partial(clip_folder.open_scene, path / 'clip' / scene),
            )
            for scene in scenes
        ]
    count = len(footage_of(StoredRun(path)))
    return [
        Item(
            name if count == 1 else f'{name}/{i + 1}',
            group,
            path,
            functools.partial(_stored, path, i),
        )
        for i in range(count)
    ]


def _stored(path, number):
    return footage_of(StoredRun(path))[number]


def _trajectory(folder, name, reading):
    """A trajectory of a PanoSUNCG tree; all of a scene are one group."""
    opened = functools.partial(
        panosuncg.open_trajectory, folder, stereo=reading.stereo, on_bad=reading.on_bad_frame
    )
    called = f'{name}/{folder.parent.name}/{folder.stem}'
    return Item(called, os.path.realpath(folder.parent), folder, opened)
