"""The gravity that the sensors of a camera wrote into a video file."""

import dataclasses
import itertools
import os

import numpy as np
from absl import logging

from pano_depth.footage import mp4
from pano_depth.footage.telemetry import camm, gpmf, tables

GPMF, CAMM = b'gpmd', b'camm'
_GAP = 0.1  # seconds around a frame over which readings are averaged, at most
_TURNED = 1.0  # degrees by which the camera may have turned its pictures against itself
_ODD = 3  # a reading so many times longer or shorter than usual is damaged
CERTAIN = np.eye(3)[None]
# x and z may point to either side.
SIGNS = np.array([np.diag([x, 1.0, z]) for x, z in itertools.product((1, -1), repeat=2)])
# Any axis may be any other: all turns by quarters.
ANY = np.array(
    [
        matrix
        for order in itertools.permutations(np.eye(3))
        for signs in itertools.product((1, -1), repeat=3)
        if np.linalg.det(matrix := np.array(order) * np.array(signs)[:, None]) > 0
    ]
)


@dataclasses.dataclass(frozen=True, eq=False)
class Gravity:
    """Which way is down, at many times of a video.

    The frames are taken to be in the camera's own frame: gravity turns in them as the camera turns.
    This holds for what the specifications describe and for files as a camera stored them, and not
    for pictures that were levelled or held still later; who uses it compares it with how the frames
    turn.

    Attributes:
        times: [N] float64 seconds after frame 0 of the footage, increasing.
        down: [N, 3] float64, of any length; in a frame that one of `axes` turns into the camera's.
        source: what says so, in words.
        axes: [A, 3, 3], the ways in which the axes of `down` may lie in the camera's frame (x
            right, y down, z forward); one where they are certain. None is to be picked by itself:
            how the frames turn tells which is right, or that it cannot be told.
    """

    times: np.ndarray
    down: np.ndarray
    source: str
    axes: np.ndarray

    def at(self, times: np.ndarray) -> np.ndarray:
        """The gravity at the times of frames.

        Args:
            times: [M] seconds after frame 0 of the footage, increasing.

        Returns:
            [M, 3] means over the readings around each frame; NaN where there is none.
        """
        between = np.median(np.diff(times)) if len(times) > 1 else 0.0
        spacing = np.median(np.diff(self.times)) if len(self.times) > 1 else 0.0
        reach = max(min(between / 2, _GAP), 0.75 * spacing, 1e-3)
        first = np.searchsorted(self.times, np.asarray(times) - reach)
        last = np.searchsorted(self.times, np.asarray(times) + reach, side='right')
        sums = np.concatenate([np.zeros((1, 3)), np.cumsum(self.down, axis=0)])
        count = (last - first)[:, None]
        return np.where(count > 0, sums[last] - sums[first], np.nan) / np.maximum(count, 1)

    def paced(self, factor: float) -> 'Gravity':
        """The same for footage that is `factor` times as slow."""
        return dataclasses.replace(self, times=self.times * factor)


def read_gravity(path: str | os.PathLike, *, as_stored: bool) -> Gravity | None:
    """Reads the gravity in an mp4, mov or .360 file, if it has any.

    A track that is damaged gives what stands before the damage, and a warning of one line.

    Args:
        path: the file.
        as_stored: whether frames are made here from the pictures that the camera stored, as those
            of a .360 file are. Only then does GoPro's GRAV count: it is in the frame of the
            camera's body, and a program that exported panoramas may have levelled them. CAMM counts
            for any file, since it is about the frames of its file.

    Returns:
        `Gravity`; None where the file has none, or is of another kind.
    """
    try:
        with open(path, 'rb') as file:
            moov = mp4.find_moov(file)
            traks = [] if moov is None else mp4.split(moov[2])
            for kind, trak in traks:
                kind = tables.kind_of(trak) if kind == b'trak' else None
                if kind == CAMM or (kind == GPMF and as_stored):
                    found = _read(path, file, moov[2], trak, kind)
                    if found is not None:
                        return found
    except (OSError, ValueError):
        # Without its boxes it cannot be played: who reads the pictures says so.
        return None
    return None


def _read(path, file, moov, trak, kind):
    """The `Gravity` of a track, or None; a warning where something of it is wrong."""
    rows, problems = [], []
    add, of_rows = (_add_gpmf, _of_gpmf) if kind == GPMF else (_add_camm, _of_camm)
    try:
        for time, length, data in tables.payloads(file, tables.read_track(moov, trak)):
            try:
                add(rows, time, length, data)
            except _LeftOut:
                raise
            except ValueError as error:
                problems.append(f'is damaged at {time:.2f} s: {error}')
    except _LeftOut as error:
        rows, problems = [], [str(error)]
    except ValueError as error:
        problems.append(f'is damaged: {error}')
    found = of_rows(rows)
    if problems:
        what = 'it is left out' if found is None else 'what else there is of it is used'
        logging.warning('the gravity in %s %s; %s', path, problems[0], what)
    return found


class _LeftOut(ValueError):
    """Why gravity does not count although it can be read."""


def _add_gpmf(rows, time, length, data):
    """Adds (time, x, y, z) of a payload of GoPro's track."""
    found = gpmf.read(data)
    if found.turned > _TURNED:
        raise _LeftOut(
            f'is that of the camera, which turned its pictures by {found.turned:.1f} degrees'
        )
    count = len(found.gravity)
    times = time + length * np.arange(count) / max(count, 1)
    rows.extend(np.column_stack([times, found.gravity]))


def _of_gpmf(rows):
    rows = np.array(rows, np.float64).reshape(-1, 4)
    return _made(rows[:, 0], rows[:, 1:], "the gravity in GoPro's track of the file (GRAV)", SIGNS)


def _add_camm(rows, time, _, data):
    """Adds (time, type, x, y, z) of the packets of a sample."""
    rows.extend((time, *packet) for packet in camm.packets(data))


def _of_camm(rows):
    found = camm.down(rows)
    if found is None:
        return None
    kind, (times, down) = found
    if kind == camm.ORIENTATION:
        return _made(times, down, 'the orientations in the file (CAMM)', CERTAIN)
    return _made(times, down, 'the accelerometer in the file (CAMM)', ANY)


def _made(times, down, source, axes):
    """`Gravity` of readings in any order; None if there is none that says anything."""
    length = np.linalg.norm(down, axis=-1)
    known = np.isfinite(times) & np.isfinite(length) & (length > 1e-6)
    if not known.any():
        return None
    usual = np.median(length[known])
    known &= (length > usual / _ODD) & (length < usual * _ODD)
    times, down = times[known], down[known] / usual
    order = np.argsort(times, kind='stable')
    return Gravity(times[order], down[order], source, axes)
