"""Camera paths through a `Scene`: smooth walks around obstacles, with a slowly turning camera."""

import math
from typing import NamedTuple

import numpy as np

from pano_depth.kernels.rigid import Motion
from pano_depth.rooms.materials import between

STRIDE = 0.06  # metres between the points of the walked line
BODY = 0.1  # metres: the camera's carrier steps over what is lower
HEADROOM = 0.2  # metres above the camera
MAX_TILT = math.radians(15)


class Obstacles(NamedTuple):
    """The obstacles of a walker at one height, seen from above; metres, numpy float64.

    Attributes:
        centre, half: [N, 2] rectangles (x, z) in frames turned by an angle of cosine, sine [N].
        cosine, sine: as `Scene.turned_yaw`.
        discs: [M, 3] x, z, radius.
        walls: [4] the shell's x0, z0, x1, z1.
    """

    centre: np.ndarray
    half: np.ndarray
    cosine: np.ndarray
    sine: np.ndarray
    discs: np.ndarray
    walls: np.ndarray


def find_obstacles(scene, height, over=None):
    """The obstacles for a camera at a height.

    Args:
        scene: `Scene` of numpy arrays.
        height: of the camera over the floor, metres.
        over: metres that the camera keeps above things which it passes over, on a stick or a
            stand; None: somebody carries it who walks on the floor.

    Returns:
        `Obstacles`.
    """
    lowest = BODY if over is None else height - over

    def in_height(middle, half):
        """Which vertical extents (y down) block the camera or its carrier."""
        return (half - middle > lowest) & (-middle - half < height + HEADROOM)

    groups, size = scene.turned_centre.shape[:2]
    centre = np.concatenate([scene.box_centre, scene.turned_centre.reshape(-1, 3)]).astype(
        np.float64
    )
    half = np.concatenate([scene.box_half, scene.turned_half.reshape(-1, 3)]).astype(np.float64)
    turned = np.repeat(scene.turned_yaw.astype(np.float64), size)
    yaw = np.concatenate([np.zeros(len(scene.box_centre)), turned])
    in_way = half[:, 0] > 0
    in_way &= in_height(centre[:, 1], half[:, 1])
    plan, half, yaw = centre[in_way][:, [0, 2]], half[in_way][:, [0, 2]], yaw[in_way]
    radius = np.concatenate([scene.ellipsoid_radius[:, [0, 2]].max(axis=1), scene.cylinder_radius])
    middle = np.concatenate([scene.ellipsoid_centre, scene.cylinder_centre])
    reach = np.concatenate([scene.ellipsoid_radius[:, 1], scene.cylinder_half])
    round_in_way = (radius > 0) & in_height(middle[:, 1], reach)
    discs = np.column_stack([middle[:, [0, 2]], radius])[round_in_way]
    walls = scene.shell[:, [0, 2]].reshape(4).astype(np.float64)
    return Obstacles(plan, half, np.cos(yaw), np.sin(yaw), discs.astype(np.float64), walls)


def clearance(obstacles, x, z):
    """Distance to the nearest obstacle over the floor, negative inside one.

    Args:
        obstacles: `Obstacles`.
        x, z: arrays of one shape, metres.

    Returns:
        Array of that shape, metres.
    """
    shape = np.shape(x)
    x, z = np.ravel(x)[:, None], np.ravel(z)[:, None]
    walls = obstacles.walls
    nearest = np.minimum(
        np.minimum(x - walls[0], walls[2] - x), np.minimum(z - walls[1], walls[3] - z)
    )[:, 0]
    if len(obstacles.centre):
        c, s = obstacles.cosine, obstacles.sine
        over_x = np.abs(c * x - s * z - obstacles.centre[:, 0]) - obstacles.half[:, 0]
        over_z = np.abs(s * x + c * z - obstacles.centre[:, 1]) - obstacles.half[:, 1]
        inside = np.minimum(np.maximum(over_x, over_z), 0.0)
        outside = np.sqrt(np.maximum(over_x, 0.0) ** 2 + np.maximum(over_z, 0.0) ** 2)
        nearest = np.minimum(nearest, (inside + outside).min(axis=1))
    if len(obstacles.discs):
        discs = obstacles.discs
        nearest = np.minimum(
            nearest, (np.hypot(x - discs[:, 0], z - discs[:, 1]) - discs[:, 2]).min(axis=1)
        )
    return nearest.reshape(shape)


def _smooth_noise(rng, count, width):
    """Noise [count] of unit variance that changes over about `width` samples."""
    reach = int(3 * width) + 1
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
    return np.convolve(rng.standard_normal(count + 2 * reach), kernel, 'valid') / np.sqrt(
        (kernel**2).sum()
    )


def _smoothed(values, width):
    """Gaussian smoothing of [N, ...] values along the first axis, extended straight at the ends."""
    reach = int(3 * width) + 1
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
    kernel /= kernel.sum()
    steps = np.arange(1, reach + 1).reshape(-1, *[1] * (values.ndim - 1))
    before = values[0] - steps[::-1] * (values[1] - values[0])
    after = values[-1] + steps * (values[-1] - values[-2])
    padded = np.concatenate([before, values, after])
    return sum(weight * padded[i : i + len(values)] for i, weight in enumerate(kernel))


def _walk(rng, obstacles, length, margin, begin=None):
    """A line [N, 2] of points `STRIDE` apart, at least `length` long, around the obstacles."""
    walls = obstacles.walls
    x, z = rng.uniform(walls[0], walls[2], 48), rng.uniform(walls[1], walls[3], 48)
    room = clearance(obstacles, x, z)
    free = np.flatnonzero(room > margin + 0.1)
    # The better of two free places: people keep away from walls.
    start = max(free[:2], key=lambda place: room[place]) if len(free) else int(np.argmax(room))
    point = np.array([x[start], z[start]] if begin is None else begin)
    ahead = np.array([0.2, 0.45, 0.8])

    def look(headings):
        x = point[0] + ahead * np.sin(headings)[:, None]
        return clearance(obstacles, x, point[1] + ahead * np.cos(headings)[:, None])

    def score(room):
        return -np.maximum(margin + 0.15 - room, 0.0) @ np.array([6.0, 3.0, 1.5])

    around = rng.uniform(-math.pi, math.pi) + np.linspace(-math.pi, math.pi, 16, endpoint=False)
    heading = around[np.argmax(score(look(around)) + rng.random(16) * 0.3)]
    wander = 0.25 * _smooth_noise(rng, int(length / STRIDE) + 2, 8.0)
    turns = np.linspace(-0.3, 0.3, 9)
    points = [point]
    for bias in wander:
        room = look(heading + turns)
        best = int(np.argmax(score(room) - 0.25 * np.abs(turns - bias)))
        if room[best, 0] < margin:
            room = look(around)
            best = int(np.argmax(score(room)))
            heading = around[best]
        else:
            heading += turns[best]
        point = point + STRIDE * np.array([math.sin(heading), math.cos(heading)])
        points.append(point)
    return np.array(points)


def _speeds(rng, frames, step):
    """Distance [frames] walked since the frame before, smooth; some clips have a halt."""
    base = between(rng, *step)
    speed = np.clip(
        base * (1 + 0.2 * _smooth_noise(rng, frames, 3.0)), 0.5 * step[0], 1.1 * step[1]
    )
    if rng.random() < 0.15:
        halt, length = between(rng, 0, frames), max(1.0, frames / between(rng, 6, 12))
        speed *= 1 - 0.95 * np.exp(-0.5 * ((np.arange(frames) - halt) / length) ** 4)
    speed[0] = 0.0
    return speed


def _along(line, distance):
    """Points [frames, 2] of a line [N, 2] after walked distances [frames], slower in bends."""
    pieces = np.diff(line, axis=0)
    lengths = np.hypot(*pieces.T)
    # The mean direction around a point is short where the line turns back on itself.
    direction = _smoothed(pieces / np.maximum(lengths, 1e-9)[:, None], 3.0)
    bend = 1 - np.minimum(np.hypot(*direction.T), 1.0)
    effort = np.concatenate([[0.0], np.cumsum(lengths * (1 + 8 * bend**2))])
    return np.column_stack([np.interp(distance, effort, line[:, axis]) for axis in (0, 1)])


def _about(axis, angle):
    """Rotations [..., 3, 3] about unit axes [..., 3] by angles [...], float64 (Rodrigues)."""
    x, y, z = np.moveaxis(np.broadcast_to(axis, np.shape(angle) + (3,)), -1, 0)
    c, s = np.cos(angle), np.sin(angle)
    rows = [
        c + x * x * (1 - c),
        x * y * (1 - c) - z * s,
        x * z * (1 - c) + y * s,
        x * y * (1 - c) + z * s,
        c + y * y * (1 - c),
        y * z * (1 - c) - x * s,
        x * z * (1 - c) - y * s,
        y * z * (1 - c) + x * s,
        c + z * z * (1 - c),
    ]
    return np.stack(rows, axis=-1).reshape(np.shape(angle) + (3, 3))


def _rotations(rng, line, frames, max_tilt):
    """Camera rotations [frames, 3, 3]: yaw that may follow the walk, fixed tilt, small wobble."""
    velocity = np.gradient(line, axis=0) if frames > 1 else np.zeros((1, 2))
    heading = np.unwrap(np.arctan2(velocity[:, 0], velocity[:, 1]))
    follow = heading if frames < 3 else _smoothed(heading, 2.0)
    rate = np.abs(np.diff(follow)).max(initial=1e-9)
    gain = between(rng, 0.0, 1.0) * min(1.0, math.radians(10) / rate)
    yaw = (
        between(rng, -math.pi, math.pi)
        + gain * follow
        + math.radians(8) * _smooth_noise(rng, frames, 6.0)
    )
    toward = between(rng, -math.pi, math.pi)
    tilt = _about(
        np.array([math.cos(toward), 0.0, math.sin(toward)]),
        np.full(frames, max_tilt * rng.random()),
    )
    pitch, roll = (math.radians(0.8) * _smooth_noise(rng, frames, 2.5) for _ in range(2))
    up = np.array([0.0, 1.0, 0.0])
    right = np.array([1.0, 0.0, 0.0])
    forward = np.array([0.0, 0.0, 1.0])
    return _about(up, yaw) @ tilt @ _about(right, pitch) @ _about(forward, roll)


def camera_path(
    scene,
    seed,
    index,
    frames,
    *,
    step=(0.1, 0.35),
    heights=(0.6, 2.0),
    max_tilt=MAX_TILT,
    margin=0.25,
    tries=6,
    over=None,
    begin=None,
):
    """Walks a camera through a scene.

    Args:
        scene: `Scene` of numpy arrays.
        seed, index: non-negative integers that the path is drawn from.
        frames: number of poses.
        step: range of the mean distance between frames, metres; each path draws one value.
        heights: range of the camera's height over the floor, metres; each path draws one value,
            which is lowered under a low ceiling.
        max_tilt: largest constant tilt of the camera, radians.
        margin: distance that the camera keeps from obstacles, metres.
        tries: largest number of walks to draw. The first walk that keeps the margin all along is
            taken; otherwise the walk that keeps it for longest, walked slowly up to that point.
        over: see `find_obstacles`.
        begin: (x, z) where walks begin; None: each draws a place.

    Returns:
        `Motion` of [frames, 3, 3] and [frames, 3] numpy float64, camera to scene.

    Raises:
        ValueError: if frames is below 1.
    """
    if frames < 1:
        raise ValueError(f'frames is {frames}; at least 1 is accepted')
    rng = np.random.default_rng([seed, index, 1])
    height = min(between(rng, *heights), -float(scene.shell[0, 1]) - 0.3)
    obstacles = find_obstacles(scene, height, over)
    best = None
    for _ in range(tries):
        distance = np.cumsum(_speeds(rng, frames, step))
        line = _smoothed(_walk(rng, obstacles, distance[-1] + STRIDE, margin + 0.05, begin), 2.0)
        tight = np.flatnonzero(clearance(obstacles, line[:, 0], line[:, 1]) < margin)
        reach = STRIDE * (max(tight[0] - 3, 0) if len(tight) else len(line))
        if best is None or reach > best[0]:
            best = reach, line, distance
        if reach >= distance[-1]:
            break
    reach, line, distance = best
    distance = distance * min(1.0, reach / max(distance[-1], 1e-9))
    place = _along(line, distance)
    bob = 0.015 * _smooth_noise(rng, frames, 1.5) + 0.03 * _smooth_noise(rng, frames, 8.0)
    translation = np.column_stack([place[:, 0], -height + np.clip(bob, -0.1, 0.1), place[:, 1]])
    return Motion(_rotations(rng, place, frames, max_tilt), translation)
