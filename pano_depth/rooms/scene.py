"""Procedural indoor scenes as arrays of fixed shape.

The scene frame has the axes of an upright camera: x and z over the floor, y down, in metres. The
floor is at y = 0, the origin in the middle of the plan. Every array has the same shape in every
scene, so that the renderer compiles once and scenes can be stacked.
"""

import math
from typing import NamedTuple

import numpy as np

from pano_depth.rooms import materials
from pano_depth.rooms.floor_plan import MAX_ROOMS, make_floor_plan
from pano_depth.rooms.furnish import ALIGNED, CYLINDERS, ELLIPSOIDS, GROUP_BOXES, GROUPS, furnish
from pano_depth.rooms.materials import between, pick

# The first aligned boxes: two segments and a lintel for each dividing wall.
WALL_BOXES = 3 * (MAX_ROOMS - 1)
ROOM_MATERIALS = 4  # floor, ceiling, walls that face along x, walls that face along z
FAR = 1e4  # metres: where unused round primitives are


class Scene(NamedTuple):
    """One scene; float32. Unused primitives come last, have negative sizes, and no ray hits them.

    Attributes:
        shell: [2, 3] lower and upper corner of the space inside the outer walls.
        rooms: [4, 4] inner faces (x0, z0, x1, z1) of each room's walls; unused rooms are far away.
        light: [4, 3] position of each room's lamp.
        light_colour: [4, 3] linear colour of the lamp.
        window: [4, 3] position of a second light, which casts no shadows.
        window_colour: [4, 3] linear colour of the second light.
        ambient: [4, 3] colour of the light from all sides.
        box_centre, box_half: [96, 3] axis-aligned boxes; the first `WALL_BOXES` are dividing walls.
        turned_centre, turned_half: [4, 8, 3] boxes in four frames turned about the vertical.
        turned_yaw: [4] angle of each such frame: x' = cos x - sin z, z' = sin x + cos z.
        ellipsoid_centre, ellipsoid_radius: [8, 3].
        cylinder_centre, cylinder_radius: [8, 3] and [8]; the axes are vertical.
        cylinder_half: [8] half heights.
        material: [M, F] rows of `materials.FIELDS`: aligned boxes, turned boxes, ellipsoids,
            cylinders, then floor, ceiling and two kinds of walls for each room.
    """

    shell: np.ndarray
    rooms: np.ndarray
    light: np.ndarray
    light_colour: np.ndarray
    window: np.ndarray
    window_colour: np.ndarray
    ambient: np.ndarray
    box_centre: np.ndarray
    box_half: np.ndarray
    turned_centre: np.ndarray
    turned_half: np.ndarray
    turned_yaw: np.ndarray
    ellipsoid_centre: np.ndarray
    ellipsoid_radius: np.ndarray
    cylinder_centre: np.ndarray
    cylinder_radius: np.ndarray
    cylinder_half: np.ndarray
    material: np.ndarray


PRIMITIVES = ALIGNED + GROUPS * GROUP_BOXES + ELLIPSOIDS + CYLINDERS


def _centre_half(boxes, count):
    """Packs box tuples to centre and half size [count, 3]; unused ones get negative half sizes."""
    bounds = np.zeros((count, 6))
    bounds[:, 1::2] = -2.0
    if boxes:
        bounds[: len(boxes)] = [box[:6] for box in boxes]
        # Heights become y down.
        bounds[: len(boxes), 2:4] = -bounds[: len(boxes), [3, 2]]
    return (bounds[:, ::2] + bounds[:, 1::2]) / 2, (bounds[:, 1::2] - bounds[:, ::2]) / 2


def wall_boxes(plan, blank):
    """Two segments and a lintel for each dividing wall, padded to `WALL_BOXES`.

    Args:
        plan: `FloorPlan`.
        blank: a material row.

    Returns:
        Boxes as in `furnish.Contents`.
    """
    boxes = []
    for wall in plan.walls:
        low, high = wall.position - plan.thickness / 2, wall.position + plan.thickness / 2
        parts = [(wall.start, wall.door[0], 0.0), (wall.door[1], wall.end, 0.0)]
        if wall.door_top < plan.ceiling:
            parts.append((*wall.door, wall.door_top))
        for start, end, bottom in parts:
            along = (low, high, bottom, plan.ceiling, start, end)
            across = (start, end, bottom, plan.ceiling, low, high)
            boxes.append((*(along if wall.axis == 0 else across), blank))
    unused = (0.0, -2.0, 2.0, 0.0, 0.0, -2.0, blank)
    return boxes + [unused] * (WALL_BOXES - len(boxes))


def _turned(pieces, blank):
    """Turned pieces: centres, half sizes [GROUPS, GROUP_BOXES, 3], yaws [GROUPS], material rows."""
    centre, half = (np.full((GROUPS, GROUP_BOXES, 3), value) for value in (0.0, -1.0))
    yaws, rows = np.zeros(GROUPS), [blank] * (GROUPS * GROUP_BOXES)
    for group, (x, z, yaw, boxes) in enumerate(pieces):
        c, s = math.cos(yaw), math.sin(yaw)
        centre[group], half[group] = _centre_half(boxes, GROUP_BOXES)
        centre[group, : len(boxes)] += (c * x - s * z, 0.0, s * x + c * z)
        yaws[group] = yaw
        rows[group * GROUP_BOXES : group * GROUP_BOXES + len(boxes)] = [box[6] for box in boxes]
    return centre, half, yaws, rows


def room_materials(rng, rooms):
    """Floor, ceiling and wall materials of each room; neighbours often share them.

    Args:
        rng: numpy `Generator`.
        rooms: of the plan.

    Returns:
        `ROOM_MATERIALS` rows for each of `MAX_ROOMS` rooms.
    """
    rows = []
    floor, wall = pick(rng, materials.FLOORS)(rng), pick(rng, materials.WALLS)(rng)
    for _ in rooms:
        if rng.random() < 0.5:
            floor = pick(rng, materials.FLOORS)(rng)
        if rng.random() < 0.6:
            wall = pick(rng, materials.WALLS)(rng)
        accent = pick(rng, materials.WALLS)(rng) if rng.random() < 0.3 else wall
        rows += [floor, materials.ceiling(rng), wall, accent]
    return rows + [rows[0]] * (ROOM_MATERIALS * (MAX_ROOMS - len(rooms)))


def _lighting(rng, plan, lamps, windows):
    """Positions and colours of lamps and windows and the ambient light, each [MAX_ROOMS, 3]."""
    light, window = np.zeros((MAX_ROOMS, 3)), np.zeros((MAX_ROOMS, 3))
    colours = np.zeros((3, MAX_ROOMS, 3))
    daylight, mood = between(rng, 0.0, 1.0), between(rng, 0.7, 1.3)
    for index, (room, lamp, pane) in enumerate(zip(plan.rooms, lamps, windows)):
        area = (room[2] - room[0]) * (room[3] - room[1])
        light[index] = (lamp[0], -lamp[1], lamp[2])
        middle = ((room[0] + room[2]) / 2, plan.ceiling * 0.6, (room[1] + room[3]) / 2)
        x, height, z = pane or middle
        window[index] = (x, -height, z)
        warm = np.array([1.0, between(rng, 0.8, 0.97), between(rng, 0.6, 0.95)])
        sky = np.array([between(rng, 0.75, 0.95), 0.93, 1.0])
        colours[0, index] = mood * between(rng, 0.9, 1.6) * (1.2 + area / 10) * warm
        colours[1, index] = (
            daylight * between(rng, 0.6, 1.4) * (0.8 + area / 14) if pane else 0.05
        ) * sky
        colours[2, index] = mood * between(rng, 0.16, 0.32) * (warm + sky) / 2
    return light, colours[0], window, colours[1], colours[2]


def make_scene(seed, index, *, roominess=(1.0, 1.0)):
    """Draws scene `index` of the family `seed`; numpy only, a few milliseconds.

    Args:
        seed, index: non-negative integers; equal pairs give equal scenes.
        roominess: range of the factor by which floor plans are larger than usual; each scene draws
            one factor.

    Returns:
        `Scene` of numpy arrays.
    """
    rng = np.random.default_rng([seed, index])
    # The factor has its own generator, so that it does not change the other draws of a scene.
    plan = make_floor_plan(
        rng, roominess=between(np.random.default_rng([seed, index, 1]), *roominess)
    )
    blank = materials.material(rng, (0.5, 0.5, 0.5))
    contents, lamps, windows = furnish(rng, plan, wall_boxes(plan, blank))
    lighting = _lighting(rng, plan, lamps, windows)
    return pack(plan, contents, lighting, room_materials(rng, plan.rooms), blank)


def pack(plan, contents, lighting, room_rows, blank):
    """The arrays of a scene.

    Args:
        plan: `FloorPlan`.
        contents: `furnish.Contents`.
        lighting: positions and colours of lamps and windows, ambient light, as in `Scene`.
        room_rows: from `room_materials`.
        blank: material row of unused primitives.

    Returns:
        `Scene` of numpy arrays.
    """
    boxes = contents.boxes
    centre, half = _centre_half(boxes, ALIGNED)
    turned_centre, turned_half, yaws, turned_rows = _turned(contents.turned, blank)
    ellipsoids = np.full((ELLIPSOIDS, 6), (FAR, FAR, FAR, -1.0, -1.0, -1.0))
    for row, (x, height, z, *radii, _) in zip(ellipsoids, contents.ellipsoids):
        row[:] = (x, -height, z, *radii)
    cylinders = np.full((CYLINDERS, 5), (FAR, FAR, FAR, -1.0, -1.0))
    for row, (x, z, radius, bottom, top, _) in zip(cylinders, contents.cylinders):
        row[:] = (x, -(bottom + top) / 2, z, radius, (top - bottom) / 2)
    rows = [
        [box[6] for box in boxes],
        turned_rows,
        [e[6] for e in contents.ellipsoids],
        [c[5] for c in contents.cylinders],
    ]
    sizes = (ALIGNED, GROUPS * GROUP_BOXES, ELLIPSOIDS, CYLINDERS)
    rows = [row for part, size in zip(rows, sizes) for row in part + [blank] * (size - len(part))]
    rooms = np.full((MAX_ROOMS, 4), FAR)
    rooms[: len(plan.rooms)] = plan.rooms
    x, z = plan.size
    shell = np.array([[-x / 2, -plan.ceiling, -z / 2], [x / 2, 0.0, z / 2]])
    table = materials.table(rows + room_rows)
    arrays = (
        shell,
        rooms,
        *lighting,
        centre,
        half,
        turned_centre,
        turned_half,
        yaws,
        ellipsoids[:, :3],
        ellipsoids[:, 3:],
        cylinders[:, :3],
        cylinders[:, 3],
        cylinders[:, 4],
        table,
    )
    return Scene(*(np.asarray(array, np.float32) for array in arrays))
