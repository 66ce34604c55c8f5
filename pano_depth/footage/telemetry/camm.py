"""Google's Camera Motion Metadata: packets of numbers, little-endian, each with its type."""

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

ORIENTATION, ACCELERATION = 0, 3
# Bytes of a packet of each type, after the four of its head.
_LENGTHS = {0: 12, 1: 8, 2: 12, 3: 12, 4: 12, 5: 24, 6: 56, 7: 12}


class Readings(NamedTuple):
    """What a track says of one thing.

    Attributes:
        times: [N] float64 seconds after the first frame of the video.
        values: [N, 3] float64.
    """

    times: np.ndarray
    values: np.ndarray


def packets(data: bytes) -> Iterator[tuple[int, float, float, float]]:
    """The orientations and accelerations of a sample, which holds a packet, or several.

    Args:
        data: the sample.

    Yields:
        (type, x, y, z).

    Raises:
        ValueError: a packet is of no known type or too short. Those before it were given by then.
    """
    place = 0
    while place < len(data):
        if len(data) - place < 4:
            raise ValueError(f'a packet of {len(data) - place} bytes')
        (kind,) = struct.unpack_from('<H', data, place + 2)
        end = place + 4 + _LENGTHS.get(kind, len(data))
        if end > len(data):
            raise ValueError(f'a packet of type {kind} and {len(data) - place} bytes')
        if kind in (ORIENTATION, ACCELERATION):
            yield kind, *struct.unpack_from('<3f', data, place + 4)
        place = end


def down(found: Sequence[tuple[float, int, float, float, float]]) -> tuple[int, Readings] | None:
    """Which way is down by what was collected.

    An orientation is the rotation from the camera's frame (x right, y down, z forward) into a world
    whose y points down: the specification says both. So down is exactly known. An accelerometer at
    rest measures the push of the ground, so that down is against it; its axes need not be the
    camera's ("Applications define the relationship"), and in the files of several cameras they are
    not.

    Args:
        found: (time, type, x, y, z) of packets.

    Returns:
        (type, `Readings` of down in the frame of the camera, or of its accelerometer); None where
        there is nothing but zeros.
    """
    everything = np.array(found, np.float64).reshape(-1, 5)
    everything = everything[np.isfinite(everything).all(axis=1)]
    for kind in (ORIENTATION, ACCELERATION):
        rows = everything[everything[:, 1] == kind]
        times, values = rows[:, 0], rows[:, 2:]
        if not values.any():
            continue
        if kind == ORIENTATION:
            return kind, Readings(times, _turned_back([0.0, 1.0, 0.0], values))
        return kind, Readings(times, -values)
    return None


def _turned_back(vector, turns):
    """A vector turned against each of [N, 3] rotation vectors."""
    angle = np.linalg.norm(turns, axis=-1, keepdims=True)
    axis = -turns / np.maximum(angle, 1e-12)
    along = (axis @ np.asarray(vector))[:, None]
    across = np.cross(axis, vector)
    return vector * np.cos(angle) + across * np.sin(angle) + axis * along * (1 - np.cos(angle))
