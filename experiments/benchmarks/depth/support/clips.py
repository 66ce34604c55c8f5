"""The clips of the depth benchmarks, by name."""

import functools
from collections.abc import Callable

from experiments.benchmarks.depth.support import hard_clips
from pano_depth.footage import open_footage
from pano_depth.footage.clip import Clip
from pano_depth.rooms import rooms

FIRST_ROOM = 70_000  # scenes that no network of the package has seen
HELP = 'sample, rooms:N (unseen PanoRooms clips), hard or hard:NAME, or paths of footage.'


def expand(names: list[str]) -> list[str]:
    """The names, with `hard` replaced by one name for each hard clip."""
    hard = [f'hard:{name}' for name in hard_clips.NAMES]
    return [one for name in names for one in (hard if name == 'hard' else [name])]


def find(name: str, frames: int, height: int) -> dict[str, Callable[[], Clip]]:
    """The clips of a name: {name of the clip: function that makes it}.

    Args:
        name: 'sample', 'rooms:N', 'hard:NAME' (see `hard_clips.make`), or a path of footage.
        frames: at most so many of each clip.
        height: rows of the frames.

    Raises:
        ValueError: there is no such clip.
    """
    size = {'frames': frames, 'height': height, 'width': 2 * height}
    kind, _, detail = name.partition(':')
    if name == 'sample':
        return {name: functools.partial(rooms.sample_clip, **size)}
    if kind == 'rooms':
        if not detail.isdigit() or int(detail) < 1:
            raise ValueError(f'--clips has {name!r}; rooms:N with a number N of clips is accepted')
        numbers = range(FIRST_ROOM, FIRST_ROOM + int(detail))
        return {
            f'room_{number}': functools.partial(rooms.render_clip, 0, number, **size)
            for number in numbers
        }
    if kind == 'hard':
        hard_clips.check_name(detail)
        return {detail: functools.partial(hard_clips.make, detail, frames, height)}
    return {
        piece.name: functools.partial(piece.clip, size=(height, 2 * height), max_frames=frames)
        for piece in open_footage.open_footage(name)
    }
