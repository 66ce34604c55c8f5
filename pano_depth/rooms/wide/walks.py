"""Where cameras of the wide style are: over furniture, low and high, in corners, in the open."""

import math

import numpy as np

from pano_depth.kernels.rigid import Motion
from pano_depth.rooms.camera_path import MAX_TILT, camera_path, clearance, find_obstacles
from pano_depth.rooms.materials import between, pick
from pano_depth.rooms.scene import WALL_BOXES

LEAST = 0.3  # metres that a camera keeps above what is beneath it
HIGHEST = 2.4  # metres above it
MARGIN = 0.25  # metres to what stands beside the camera


def _boxes(scene):
    """Centre, half size, yaw of all boxes in use but the dividing walls; float64."""
    groups, size = scene.turned_centre.shape[:2]
    centre = np.concatenate([scene.box_centre[WALL_BOXES:], scene.turned_centre.reshape(-1, 3)])
    half = np.concatenate([scene.box_half[WALL_BOXES:], scene.turned_half.reshape(-1, 3)])
    count = len(scene.box_centre) - WALL_BOXES
    yaw = np.concatenate([np.zeros(count), np.repeat(scene.turned_yaw, size)])
    used = half[:, 0] > 0
    return tuple(part[used].astype(np.float64) for part in (centre, half, yaw))


def ground_below(scene, x, z, height):
    """Height of the highest surface that is lower than `height` at a place.

    Args:
        scene: `Scene` of numpy arrays.
        x, z: place, metres.
        height: metres over the floor.
    """
    centre, half, yaw = _boxes(scene)
    c, s = np.cos(yaw), np.sin(yaw)
    there = np.abs(c * x - s * z - centre[:, 0]) <= half[:, 0]
    there &= np.abs(s * x + c * z - centre[:, 2]) <= half[:, 2]
    tops = [0.0, *(half[:, 1] - centre[:, 1])[there]]
    away = np.hypot(scene.cylinder_centre[:, 0] - x, scene.cylinder_centre[:, 2] - z)
    tops += list((scene.cylinder_half - scene.cylinder_centre[:, 1])[away <= scene.cylinder_radius])
    radius = scene.ellipsoid_radius.astype(np.float64)
    aside = ((scene.ellipsoid_centre[:, [0, 2]] - (x, z)) / radius[:, [0, 2]]) ** 2
    aside = np.where(radius[:, 0] > 0, aside.sum(axis=1), 2.0)
    up = radius[:, 1] * np.sqrt(np.maximum(1 - aside, 0.0)) - scene.ellipsoid_centre[:, 1]
    tops += list(up[aside <= 1])
    return max(top for top in tops if top < height)


def _perches(rng, scene, tries=6):
    """Places (x, z, top) on tables, beds, counters and other tops."""
    centre, half, yaw = _boxes(scene)
    top = half[:, 1] - centre[:, 1]
    wide = (half[:, 0] > 0.22) & (half[:, 2] > 0.22) & (top > 0.25) & (top < 1.35)
    choice = np.flatnonzero(wide)
    for _ in range(tries if len(choice) else 0):
        i = choice[int(rng.random() * len(choice))]
        u, v = (centre[i, a] + between(rng, -0.8, 0.8) * half[i, a] for a in (0, 2))
        c, s = math.cos(yaw[i]), math.sin(yaw[i])
        yield c * u + s * v, c * v - s * u, float(top[i])


def _height(rng):
    """A camera's height above what is beneath it: in the hand, on a stand, low, on a stick."""
    kind = rng.random()
    if kind < 0.45:
        return between(rng, 1.3, 1.8)
    if kind < 0.7:
        return between(rng, 0.6, 1.3)
    return between(rng, LEAST, 0.6) if kind < 0.82 else between(rng, 1.8, HIGHEST)


def _corner(rng, plan):
    """A place near a corner of a room."""
    room = pick(rng, plan.rooms)
    x, z = (
        pick(rng, (room[a] + between(rng, 0.4, 0.9), room[a + 2] - between(rng, 0.4, 0.9)))
        for a in (0, 1)
    )
    return x, z


def _spacious(rng, scene, height, over):
    """A place that is likely to be far from everything: people put cameras where there is room."""
    low, high = scene.shell[:, [0, 2]].astype(np.float64)
    x, z = (low + (high - low) * rng.random((24, 2))).T
    room = np.minimum(clearance(find_obstacles(scene, height, over), x, z), 2.0)
    best = int(np.argmax(room * (0.7 + 0.3 * rng.random(24))))
    return (x[best], z[best]) if room[best] > MARGIN + 0.06 else None


def level_out(poses, most=MAX_TILT):
    """Poses whose up direction is at most `most` radians from the vertical."""
    up = -poses.rotation[:, 1, :]  # the scene's up in each camera's frame
    angle = np.arccos(np.clip(-up[:, 1], -1, 1))
    rotation = poses.rotation.copy()
    for i in np.flatnonzero(angle > most):
        # What is too much is taken back, about the horizontal axis of the tilt.
        axis = np.cross(rotation[i] @ (0.0, 1.0, 0.0), (0.0, 1.0, 0.0))
        axis /= np.linalg.norm(axis)
        turn = angle[i] - most
        cross = np.cross(np.eye(3), axis)
        back = np.eye(3) + math.sin(turn) * cross + (1 - math.cos(turn)) * cross @ cross
        rotation[i] = back @ rotation[i]
    return Motion(rotation, poses.translation)


def walk(rng, scene, seed, index, frames, *, plan=None, reach=None, perched=False):
    """Walks a camera through a scene.

    Args:
        rng: numpy `Generator` of the choices.
        scene: `Scene` of numpy arrays.
        seed, index: of the path, see `camera_path`.
        frames: number of poses.
        plan: the floor plan, for corners; None: none are sought.
        reach: half size of the square in which the walk begins; None: anywhere.
        perched: whether the walk begins above a piece of furniture, if there is a place.

    Returns:
        `Motion` of [frames, 3, 3] and [frames, 3] numpy float64, camera to scene.
    """
    above, begin, over = _height(rng), None, LEAST if rng.random() < 0.4 else None
    ceiling = -float(scene.shell[0, 1])
    height = min(above, ceiling - 0.5)
    free = lambda x, z, height, over: (
        clearance(find_obstacles(scene, height, over), x, z) > MARGIN + 0.06
    )
    kind = rng.random()
    if perched:
        most = 0.0
        for x, z, top in _perches(rng, scene):
            up = between(rng, LEAST + 0.02, 0.95)
            if top + up > ceiling - 0.5:
                continue
            room = clearance(find_obstacles(scene, top + up, LEAST - 0.02), x, z)
            if room > max(MARGIN + 0.06, most):
                most, above, height, begin, over = room, up, top + up, (x, z), LEAST - 0.02
    elif plan is not None and kind < 0.2:
        place = _corner(rng, plan)
        begin = place if free(*place, height, over) else None
    elif plan is not None and kind < 0.75:
        begin = _spacious(rng, scene, height, over)
    elif reach is not None:
        x, z = rng.uniform(-reach, reach, (2, 32))
        places = np.flatnonzero(free(x, z, height, over))
        begin = (x[places[0]], z[places[0]]) if len(places) else (0.0, 0.0)
    # What is near moves fast: low cameras are carried slowly.
    pace = float(np.clip(above / 1.3, 0.25, 1.0))
    level = rng.random() < 0.5
    poses = camera_path(
        scene,
        seed,
        index,
        frames,
        step=(0.08 * pace, 0.35 * pace),
        heights=(height, height),
        max_tilt=math.radians(2.0) if level else math.radians(14.0),
        margin=MARGIN,
        over=over,
        begin=begin,
    )
    return level_out(poses)
