"""Rendered clips that are hard on purpose, each for one reason, with true depth and poses.

`make(name, frames=24, height=256)` renders the clip `name`, one of `NAMES`. All of them show one
scene, so that only the reason differs; 'control' is the same walk without any of them.
"""

import dataclasses
import functools
from collections.abc import Callable

import jax
import numpy as np
from scipy.spatial.transform import Rotation

from pano_depth.footage.clip import Clip
from pano_depth.kernels import sphere
from pano_depth.kernels.rigid import Motion
from pano_depth.rooms import materials
from pano_depth.rooms.camera_path import camera_path, clearance, find_obstacles
from pano_depth.rooms.furnish import ALIGNED
from pano_depth.rooms.render import render
from pano_depth.rooms.rooms import FPS, relative_to_first
from pano_depth.rooms.scene import MAX_ROOMS, PRIMITIVES, ROOM_MATERIALS, Scene, make_scene

FAMILY = 0  # of scenes that no network of the package has seen
SCENE = 80_012

SMALL_MOVE = 0.02  # of the longest side of the plan, over the whole clip
STRIPE = 0.3  # metres: width of a stripe, and distance of the bars
GLASS = 0.45  # part of the light of a pane that is reflected
PERSON = (0.5, 1.7, 0.3)  # metres: width, height, depth
DIMMING = 0.3  # part of the brightness that comes and goes
SHUTTER = 0.5  # part of the time between frames that the shutter is open
NOISE = 0.02  # standard deviation of the noise, of the largest value
TURN = 20.0  # degrees: the largest turn between frames of an unsteady camera
BAND = 0.2  # part of the brightness that a rolling fade takes


@dataclasses.dataclass(frozen=True)
class Take:
    """What is filmed and from where, before it is rendered.

    Attributes:
        scene: `Scene` of numpy arrays.
        poses: `Motion` of [N, 3, 3], [N, 3] numpy float64, camera to scene.
        height: rows of the frames.
        rng: numpy `Generator` of what is random about the difficulty.
    """

    scene: Scene
    poses: Motion
    height: int
    rng: np.random.Generator


Images = tuple[np.ndarray, np.ndarray]  # [N, H, 2H, 3] in [0, 1], [N, H, 2H] metres; float32


@functools.lru_cache(maxsize=8)
def _renderer(height):
    return jax.jit(functools.partial(render, height=height, width=2 * height))


def shoot(take: Take, scenes: list[Scene] | None = None) -> Images:
    """Renders the frames of a take one by one, of one scene or of one for each frame."""
    found = [
        _renderer(take.height)(scene, np.float32(rotation), np.float32(place))
        for scene, rotation, place in zip(scenes or [take.scene] * len(take.poses[0]), *take.poses)
    ]
    return tuple(np.stack([np.asarray(image) for image in images]) for images in zip(*found))


def _with_room_materials(scene, floor=None, ceiling=None, walls=None):
    """A scene whose rooms all have these rows of `materials.FIELDS`; None keeps what is there."""
    table = scene.material.copy()
    rooms = table[PRIMITIVES:].reshape(MAX_ROOMS, ROOM_MATERIALS, -1)
    for kind, row in enumerate((floor, ceiling, *(walls or (None, None)))):
        if row is not None:
            rooms[:, kind] = row
    return scene._replace(material=table)


def control(take: Take) -> Images:
    """The walk without any difficulty."""
    return shoot(take)


def small_motion(take: Take) -> tuple[Images, Take]:
    """A camera that moves 2 % of the room over the clip, and turns as it did."""
    place = take.poses.translation
    extent = np.linalg.norm(place[:, None] - place, axis=-1).max()
    size = np.ptp(take.scene.shell[:, [0, 2]], axis=0).max()
    shrunk = place[0] + (place - place[0]) * (SMALL_MOVE * size / extent)
    take = dataclasses.replace(take, poses=Motion(take.poses.rotation, shrunk))
    return shoot(take), take


def stripes(take: Take) -> Images:
    """Walls of equal vertical stripes along one direction, and of equal bars along the other."""
    dark, pale = (0.12, 0.16, 0.25), (0.75, 0.7, 0.6)
    cell = (STRIPE, materials.PLAIN_CELL)
    striped = materials.material(take.rng, dark, pale, cell=cell, parity=1.0)
    barred = materials.material(take.rng, pale, pale, dark, cell=cell, joint=STRIPE / 8)
    scene = _with_room_materials(take.scene, walls=(striped, barred))
    return shoot(dataclasses.replace(take, scene=scene))


def plain_walls(take: Take) -> Images:
    """Walls, floor and ceiling of one colour each; things keep their patterns."""
    paint = [
        materials.material(take.rng, colour, colour)
        for colour in ((0.35, 0.3, 0.25), (0.85, 0.85, 0.82), (0.7, 0.68, 0.6), (0.7, 0.68, 0.6))
    ]
    scene = _with_room_materials(take.scene, paint[0], paint[1], paint[2:])
    return shoot(dataclasses.replace(take, scene=scene))


def reflections(take: Take) -> Images:
    """One outer wall, the one that fills most of the frames, is a pane that reflects the room.

    The mirror image of a ray starts at the mirror image of the camera, which is outside of the
    shell, where nothing stands.
    """
    rgb, depth = shoot(take)
    rays = np.asarray(sphere.ray_directions(take.height, 2 * take.height))
    points = depth[..., None] * np.einsum('nij,hwj->nhwi', take.poses.rotation, rays)
    points += take.poses.translation[:, None, None]
    planes = [(axis, side) for axis in (0, 2) for side in (0, 1)]
    panes = [np.abs(points[..., a] - take.scene.shell[s, a]) < 1e-3 for a, s in planes]
    axis, side = planes[int(np.argmax([pane.sum() for pane in panes]))]
    pane = panes[planes.index((axis, side))] & (points[..., 1] < -0.1)
    flip = np.ones(3)
    flip[axis] = -1
    mirrored = take.poses.translation * flip
    mirrored[:, axis] += 2 * take.scene.shell[side, axis]
    seen = Motion(flip[:, None] * take.poses.rotation, mirrored)
    mirror, _ = shoot(dataclasses.replace(take, poses=seen))
    both = np.sqrt((1 - GLASS) * rgb**2 + GLASS * mirror**2)
    return np.where(pane[..., None], both, rgb), depth


def _walk(take):
    """Places [N, 2] (x, z) of a person who walks straight through the room, near the camera."""
    camera = take.poses.translation[:, [0, 2]]
    count = len(camera)
    obstacles = find_obstacles(take.scene, PERSON[1])
    low, high = camera.min(axis=0) - 2.5, camera.max(axis=0) + 2.5
    ends = take.rng.uniform(low, high, (4000, 2, 2))
    share = np.linspace(0, 1, count)[:, None]
    lines = ends[:, :1] + share * (ends[:, 1:] - ends[:, :1])
    free = clearance(obstacles, lines[..., 0], lines[..., 1]).min(axis=1)
    # The straight line between person and camera is free too: they are in one room.
    between = (lines + camera) / 2
    free = np.minimum(free, clearance(obstacles, between[..., 0], between[..., 1]).min(axis=1))
    gap = np.linalg.norm(lines - camera, axis=-1)
    length = np.minimum(np.linalg.norm(ends[:, 1] - ends[:, 0], axis=-1), 0.2 * count)
    score = length - 0.5 * np.maximum(gap, 1.0).mean(axis=1)
    score -= 20 * np.maximum(0.35 - free, 0) + 20 * np.maximum(0.9 - gap.min(axis=1), 0)
    return lines[int(np.argmax(score))]


def walker(take: Take) -> Images:
    """A box of a person's size walks through; the true depth has it."""
    scene = take.scene
    slot = int(np.flatnonzero(scene.box_half[:, 0] > 0).max()) + 1
    if slot >= ALIGNED:
        raise ValueError('the scene has no room for a further box; another scene is accepted')
    table = scene.material.copy()
    table[slot] = materials.material(
        take.rng, (0.5, 0.05, 0.05), (0.05, 0.08, 0.3), cell=(0.11, 0.13), tint=0.9, noise=0.4,
        grain=(9.0, 9.0),
    )  # fmt: skip
    width, tall, deep = PERSON
    scenes = []
    for x, z in _walk(take):
        centre, half = scene.box_centre.copy(), scene.box_half.copy()
        centre[slot], half[slot] = (x, -tall / 2, z), (width / 2, tall / 2, deep / 2)
        scenes.append(scene._replace(box_centre=centre, box_half=half, material=table))
    return shoot(take, scenes)


def brightness(take: Take) -> Images:
    """The brightness goes down by 30 % and up again, one and a half times."""
    rgb, depth = shoot(take)
    swing = 1.5 * 2 * np.pi * np.arange(len(rgb)) / max(1, len(rgb) - 1)
    gain = 1 - DIMMING * (1 - np.cos(swing)) / 2
    return rgb * gain[:, None, None, None], depth


def _between(poses, part):
    """The poses a part of a frame later (earlier if negative); the ends go on as they moved."""
    turns, count = Rotation.from_matrix(poses.rotation), len(poses.translation)
    steps = (turns[:-1].inv() * turns[1:]).as_rotvec()
    moves = np.diff(poses.translation, axis=0)
    # Which step a pose is in: the one out of it, or the one into it.
    step = np.clip(np.arange(count) - (part < 0), 0, count - 2)
    turned = turns * Rotation.from_rotvec(part * steps[step])
    return Motion(turned.as_matrix(), poses.translation + part * moves[step])


def blur_and_noise(take: Take) -> Images:
    """The shutter is open for half of the time, and the sensor is noisy."""
    light, depth = [], None
    for part in SHUTTER * np.linspace(-0.5, 0.5, 7):
        rgb, found = shoot(dataclasses.replace(take, poses=_between(take.poses, part)))
        light.append(rgb**2)
        depth = found if part == 0 else depth
    rgb = np.sqrt(np.mean(light, axis=0))
    return rgb + NOISE * take.rng.standard_normal(rgb.shape), depth


def unsteady(take: Take) -> tuple[Images, Take]:
    """A camera that turns up to 20 degrees between frames, and fades that roll down the image."""
    count = len(take.poses.translation)
    # Mostly about the vertical, as a hand turns, now to one side and now to the other.
    axis = take.rng.standard_normal((count, 3)) * (0.5, 1.0, 0.5)
    axis /= np.linalg.norm(axis, axis=-1, keepdims=True)
    angle = np.radians(TURN) * take.rng.uniform(0.4, 1.0, (count, 1))
    turns = [Rotation.from_matrix(take.poses.rotation[0])]
    for step in (axis * angle)[1:]:
        turns.append(turns[-1] * Rotation.from_rotvec(step))
    rotation = np.stack([turn.as_matrix() for turn in turns])
    take = dataclasses.replace(take, poses=Motion(rotation, take.poses.translation))
    rgb, depth = shoot(take)
    row = (np.arange(take.height) + 0.5) / take.height
    phase = row - 0.27 * np.arange(count)[:, None]
    gain = 1 - BAND * (1 - np.cos(2 * np.pi * phase)) / 2
    return (rgb * gain[..., None, None], depth), take


KINDS: dict[str, Callable] = {
    'small_motion': small_motion,
    'stripes': stripes,
    'plain_walls': plain_walls,
    'reflections': reflections,
    'walker': walker,
    'brightness': brightness,
    'blur_and_noise': blur_and_noise,
    'unsteady': unsteady,
}
NAMES = tuple(KINDS)


def check_name(name: str) -> None:
    """Raises ValueError if there is no clip of this name."""
    if name not in (*NAMES, 'control'):
        raise ValueError(f'{name!r} is no hard clip; accepted are {", ".join(NAMES)}, control')


def make(name: str, frames: int = 24, height: int = 256, scene: int = SCENE) -> Clip:
    """Renders a hard clip.

    Args:
        name: one of `NAMES`, or 'control' for the same walk without a difficulty.
        frames: number of frames, at least 2.
        height: rows; the width is twice that.
        scene: index of the scene, see `rooms.make_scene`.

    Returns:
        `Clip` with depth and poses.

    Raises:
        ValueError: unknown name, or fewer than 2 frames.
    """
    check_name(name)
    if frames < 2:
        raise ValueError(f'frames is {frames}; at least 2 is accepted')
    built = make_scene(FAMILY, scene)
    poses = camera_path(built, FAMILY, scene, frames)
    take = Take(built, poses, height, np.random.default_rng([FAMILY, scene, 2]))
    found = (KINDS | {'control': control})[name](take)
    (rgb, depth), take = found if isinstance(found[1], Take) else (found, take)
    images = np.rint(np.clip(rgb, 0, 1) * 255).astype(np.uint8)
    return Clip(name, images, depth, relative_to_first(take.poses), FPS)
