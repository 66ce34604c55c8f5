"""The results of a run as they lie in its directory; nothing is written, locked or computed."""

import functools
import itertools
import json
import pathlib
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from common.run import RECORD_FILE, Names
from pano_depth.footage import depth_files, media
from pano_depth.footage.poses import axes
from pano_depth.kernels.rigid import Motion
from pano_depth.results import ply
from pano_depth.results.files.stored_images import StoredImages


class StoredPiece(NamedTuple):
    """Frames that were taken without a cut.

    Attributes:
        frames: positions of its frames that have a depth image.
        poses: camera to world in the axes x right, y down, z forward; pose i is of frames[i], and
            a run in progress has more poses than depth images. None without a path.
        cloud: its point cloud, or None.
    """

    frames: range
    poses: Motion | None
    cloud: pathlib.Path | None


class StoredRun:
    """What a run directory holds of a reconstruction, finished or in progress.

    Attributes:
        folder: the directory.
        record: what run.json holds; {} without one.
        name: of the footage.
        numbers: [N] numbers of the frames that have a depth image, in order.
        unit: 'metre' or 'relative'.
    """

    def __init__(self, folder: str | pathlib.Path):
        """Looks at the directory; images are read when they are asked for.

        Raises:
            ValueError: there is no such directory, or it holds no result of a reconstruction.
        """
        self.folder = pathlib.Path(folder).expanduser()
        if not self.folder.is_dir():
            raise ValueError(f'workdir {folder} is no directory; accepted: the directory of a run')
        self.record = _read_record(self.folder / RECORD_FILE)
        data = self.record.get('data')
        name = data.get('name') if isinstance(data, dict) else None
        self.name = str(name or self.folder.absolute().name)
        self.unit = 'metre' if self.facts.get('unit') == 'metre' else 'relative'
        self.numbers = list(self._numbered('depth/', r'(\d+)\.png'))
        if not self.numbers and not any(map(self._has, ('trajectory.txt', 'cloud.ply'))):
            raise ValueError(
                f'workdir {folder} holds no result of a reconstruction: no depth/, trajectory.txt'
                f' or cloud.ply; pano-depth --input=VIDEO --workdir={folder} makes them'
            )
        # Older runs do not speak of the times of their frames: those were always even.
        even = self.facts.get('frame_times', 'even') == 'even'
        fps = self.facts.get('fps') if even else None
        self._images = StoredImages(
            self.folder / 'depth.mp4', fps if isinstance(fps, float | int) and fps > 0 else None
        )

    def _numbered(self, folder, pattern):
        """{number: name} of files, of those that a finished run lists, by their number."""
        files, found = self.record.get('files'), {}
        listed = Names(files) if self.record.get('finished') and isinstance(files, list) else None
        for path in (self.folder / folder).glob('*'):
            number = re.fullmatch(pattern, path.name)
            if number and (listed is None or f'{folder}{path.name}' in listed):
                found[int(number[1])] = path.name
        return dict(sorted(found.items()))

    @property
    def facts(self) -> dict:
        """What run.json says of the results."""
        found = self.record.get('prediction')
        return found if isinstance(found, dict) else {}

    @functools.cached_property
    def pieces(self) -> list[StoredPiece]:
        """The pieces of the footage, in the order of `Reconstruction.pieces`.

        Raises:
            ValueError: the file of a path is damaged.
        """
        facts = self.facts
        if isinstance(facts.get('pieces'), list):
            return [self._piece(entry) for entry in facts['pieces']]
        everything = range(len(self.numbers))
        # Until a run has ended, nobody says which frames belong to which of several paths.
        further = self._numbered('', r'trajectory_(\d+)\.txt').values()
        frames = range(0) if further else everything
        first = StoredPiece(frames, self._poses('trajectory.txt'), self._cloud('cloud.ply'))
        rest = [StoredPiece(frames, self._poses(name), None) for name in further]
        return [first, *rest]

    def _piece(self, entry):
        """The piece that an entry of run.json describes."""
        first, last = entry['frames']
        inside = [i for i, number in enumerate(self.numbers) if first <= number <= last]
        frames = range(inside[0], inside[-1] + 1) if inside else range(0)
        return StoredPiece(
            frames, self._poses(entry.get('trajectory')), self._cloud(entry.get('cloud'))
        )

    def _poses(self, name):
        return axes.read_path(self.folder / name).poses if self._has(name) else None

    def _cloud(self, name):
        return self.folder / name if self._has(name) else None

    def _has(self, name):
        return bool(name) and (self.folder / name).is_file()

    def depth(self, position: int) -> Float[np.ndarray, 'height width']:
        """Range of a frame along its rays in the unit, 0 where it is invalid.

        Raises:
            ValueError: the file is missing or damaged.
        """
        return depth_files.read_depth(self._file('depth', position))

    def confidence(self, position: int) -> Float[np.ndarray, 'height width'] | None:
        """Confidence of a frame in [0, 1], or None if it has no such file.

        Raises:
            ValueError: the file is damaged.
        """
        path = self._file('confidence', position)
        if not path.is_file():
            return None
        return media.read_image(path)[..., 0].astype(np.float32) / 255

    def _file(self, kind, position):
        return self.folder / kind / f'{self.numbers[position]:06d}.png'

    def image(self, position: int) -> UInt8[np.ndarray, 'height width 3'] | None:
        """One frame from depth.mp4, or None as long as that is not written.

        Raises:
            ValueError: the video is damaged, or was not written by a reconstruction.
        """
        return self._images.one(position)

    def some_images(
        self, positions: Sequence[int]
    ) -> Iterator[tuple[int, UInt8[np.ndarray, 'height width 3']]]:
        """(position, frame) of increasing positions with equal steps, in one pass.

        Raises:
            ValueError: as for `image`.
        """
        if len(positions):
            stride = positions[1] - positions[0] if len(positions) > 1 else 1
            found = self._images.every(start=positions[0], stride=stride)
            yield from itertools.islice(found, len(positions))

    def cloud(
        self, number: int
    ) -> tuple[Float[np.ndarray, 'points 3'], UInt8[np.ndarray, 'points 3']] | None:
        """(points, colours) of the cloud of a piece in the axes of its poses; None without one.

        Raises:
            ValueError: the file is damaged.
        """
        path = self.pieces[number].cloud
        if path is None:
            return None
        points, colours = ply.read_ply(path)
        return (points @ ply.CLOUD_AXES[ply.axes_of(path)]).astype(np.float32), colours


def _read_record(path):
    """What run.json holds; {} if there is none, or none that can be read."""
    try:
        record = json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}
