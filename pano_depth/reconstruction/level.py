"""Which way is down: the direction that floors, ceilings and walls of a scene agree on.

Small pieces of surface tell it: those of floors and ceilings lie across the vertical, those of
walls along it. What lies slanted (roofs, plants, people) agrees with neither and does not count.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float64

from pano_depth.kernels import sphere
from pano_depth.kernels.shapes import Array

ROWS = 256  # of the depth that is looked at; finer depth takes longer and tells no more
BLOCK = 8  # rows of the blocks of pixels that are taken as pieces of a plane
FLAT = 0.02  # part of the distance by which pixels of such a block may leave its plane
WIDEST = 45  # degrees between the vertical and a camera's own that are looked through
SHARP = np.radians(3)  # pieces that lean by more than a few times this do not count
LEAST = 0.05  # part of the sphere that floor and ceiling, as far as they are known, have to fill
CEILING, WALL = 0.5, 0.25  # how much they count in the vote, where a floor counts 1
_STEP = 3  # degrees between the directions that are tried first


class Patches(NamedTuple):
    """Small pieces of surfaces.

    Attributes:
        normals: unit vectors towards the camera: up on a floor, down on a ceiling.
        weights: how much each counts; all of one frame together at most 1.
    """

    normals: Float64[np.ndarray, 'patches 3']
    weights: Float64[np.ndarray, ' patches']


class Down(NamedTuple):
    """What was found.

    Attributes:
        direction: unit vector that points down.
        support: part of the sphere, in the mean over the frames, that shows floor or ceiling.
    """

    direction: Float64[np.ndarray, '3']
    support: float


def patches(
    depth: Float[Array, 'height width'], *, mask: Bool[Array, 'height width'] | None = None
) -> Patches:
    """The pieces of planes that the depth of a frame shows, in its camera frame.

    Args:
        depth: range; 0 where it is unknown.
        mask: False for pixels that do not count, or None.
    """
    step = max(1, depth.shape[0] // ROWS)
    depth = np.asarray(depth, np.float64)
    if mask is not None:
        depth = np.where(mask, depth, 0)
    rays = np.asarray(sphere.ray_directions(*depth.shape), np.float64)[::step, ::step]
    area = np.asarray(sphere.solid_angles(*depth.shape), np.float64)[::step, ::step]
    depth = depth[::step, ::step]
    blocks = [_blocks(part) for part in (depth, area / area.sum(), rays)]
    depth, area, rays = (part.reshape(-1, BLOCK * BLOCK, *part.shape[2:]) for part in blocks)
    whole = (depth > 0).all(axis=1)
    depth, area, rays = depth[whole], area[whole], rays[whole]
    points = depth[..., None] * rays
    centre = points.mean(axis=1)
    apart = points - centre[:, None]
    spread, axes = np.linalg.eigh(np.einsum('bki,bkj->bij', apart, apart) / BLOCK**2)
    distance = np.linalg.norm(centre, axis=-1)
    flat = np.sqrt(np.maximum(spread[:, 0], 0)) < FLAT * distance
    # Seen at a grazing angle, errors of depth turn a piece of surface by much.
    facing = (axes[:, :, 0] * centre).sum(axis=-1) / np.maximum(distance, 1e-12)
    normals, facing = -np.sign(facing)[:, None] * axes[:, :, 0], np.abs(facing)
    weights = np.where(flat, area.sum(axis=1) * np.minimum(1, 2 * facing), 0)
    return Patches(normals, weights)


def _blocks(x):
    """[H, W, ...] as [H / BLOCK, W / BLOCK, BLOCK * BLOCK, ...]; what is left over is cut."""
    rows, columns = (size // BLOCK for size in x.shape[:2])
    x = x[: rows * BLOCK, : columns * BLOCK]
    x = x.reshape(rows, BLOCK, columns, BLOCK, *x.shape[2:]).swapaxes(1, 2)
    return x.reshape(rows * columns, BLOCK * BLOCK, *x.shape[4:])


def find_down(frames: Iterable[Patches], rotations: Float[Array, 'frames 3 3']) -> Down | None:
    """The direction that most surfaces agree on as the vertical, next to the cameras' own.

    Args:
        frames: pieces of surface of each frame.
        rotations: of the cameras, to the world.

    Returns:
        In the world; None where the surfaces do not tell it.
    """
    rotations = np.asarray(rotations, np.float64)
    turned = [
        Patches(found.normals @ rotation.T, found.weights)
        for found, rotation in zip(frames, rotations, strict=True)
    ]
    normals = np.concatenate([found.normals for found in turned])
    weights = np.concatenate([found.weights for found in turned]) / len(turned)
    about = rotations[:, :, 1].mean(axis=0)
    if not weights.sum() or np.linalg.norm(about) < 0.5:
        return None
    about /= np.linalg.norm(about)
    tried = _around(about)
    down = tried[np.argmax([_agreement(normals, weights, one, 2 * SHARP) for one in tried])]
    for width in (2 * SHARP, SHARP, SHARP / 2, SHARP / 2, SHARP / 2):
        down = _nearer(normals, weights, down, width)
    across = np.abs(normals @ down)
    support = float(weights[across > np.cos(2 * SHARP)].sum())
    if support < LEAST or down @ about < np.cos(np.radians(WIDEST + _STEP)):
        return None
    return Down(down, support)


def _around(about):
    """Directions [N, 3] all over the cap around one, about `_STEP` degrees apart."""
    side = np.cross(about, [1.0, 0, 0] if abs(about[0]) < 0.9 else [0, 1.0, 0])
    side /= np.linalg.norm(side)
    other = np.cross(about, side)
    found = [about]
    for tilt in np.radians(np.arange(_STEP, WIDEST + 1, _STEP)):
        count = round(2 * np.pi * np.sin(tilt) / np.radians(_STEP))
        turn = 2 * np.pi * np.arange(count)[:, None] / count
        aside = np.cos(turn) * side + np.sin(turn) * other
        found.extend(np.cos(tilt) * about + np.sin(tilt) * aside)
    return np.stack(found)


def _lean(normals, down):
    """(angle to the vertical, angle to the horizontal) of normals [N, 3] in radians."""
    upright = np.arcsin(np.minimum(np.abs(normals @ down), 1))
    return np.pi / 2 - upright, upright


def _agreement(normals, weights, down, width):
    """How much of the surfaces lies across a direction, or along it.

    A ceiling counts less than a floor, since roofs may be slanted, and walls count least: those of
    a street, along any direction in their plane, would outvote its ground.
    """
    floor, wall = _lean(normals, down)
    floor, wall = (np.exp(-0.5 * (lean / width) ** 2) for lean in (floor, wall))
    floor = np.where(normals @ down > 0, CEILING, 1) * floor
    return (weights * (floor + WALL * wall)).sum()


def _nearer(normals, weights, down, width):
    """One step towards the direction by which surfaces lean least, the far ones not counted."""
    floor, wall = _lean(normals, down)
    counts = weights * np.exp(-0.5 * (np.minimum(floor, wall) / width) ** 2)
    across = floor < wall
    # Walls: (n . down)^2 is small. Floors: down is near n, so that what is beside it is small.
    walls = np.einsum('p,pi,pj->ij', counts * ~across, normals, normals)
    floors = np.einsum('p,pi,pj->ij', counts * across, normals, normals)
    floors = np.eye(3) * np.trace(floors) - floors
    _, axes = np.linalg.eigh(walls + floors)
    found = axes[:, 0]
    return found if found @ down > 0 else -found


def level_rotation(down: Float[Array, '3']) -> Float64[np.ndarray, '3 3']:
    """The rotation that makes a direction down, y, and keeps the heading.

    Args:
        down: unit vector in a camera frame.

    Returns:
        From the camera frame to a frame whose y is down and whose z is the horizontal part of the
        camera's z; of its y if the camera looks straight up or down.
    """
    down = np.asarray(down, np.float64) / np.linalg.norm(down)
    ahead = np.array([0.0, 0, 1])
    if abs(down @ ahead) > 1 - 1e-6:
        ahead = np.array([0.0, -1, 0]) * np.sign(down @ ahead)
    right = np.cross(down, ahead)
    right /= np.linalg.norm(right)
    return np.stack([right, down, np.cross(right, down)])


def tilt(down: Float[Array, '3']) -> float:
    """Degrees by which a camera is tilted, whose frame has this direction down."""
    return float(np.degrees(np.arccos(np.clip(down[1] / np.linalg.norm(down), -1, 1))))
