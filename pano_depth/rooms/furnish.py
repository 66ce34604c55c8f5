"""Furnishes a floor plan: furniture, rugs, plants, pillars, lamps, windows, doors and pictures.

All lengths are in metres, with x and z over the floor and heights upwards. Everything is appended
to a `Contents`, whose fixed capacity keeps the arrays of all scenes the same size.
"""

import dataclasses
import math

from pano_depth.rooms import furniture, materials
from pano_depth.rooms.materials import between, pick

ALIGNED, GROUPS, GROUP_BOXES, ELLIPSOIDS, CYLINDERS = 96, 4, 8, 8, 8


@dataclasses.dataclass
class Contents:
    """What stands in a scene.

    Attributes:
        boxes: `(x0, x1, bottom, top, z0, z1, material)`, axis-aligned.
        turned: `(x, z, yaw, boxes)`, pieces turned by any angle about the vertical, boxes relative
            to (x, z).
        ellipsoids: `(x, height, z, radius_x, radius_y, radius_z, material)`.
        cylinders: `(x, z, radius, bottom, top, material)`, vertical.
        footprints: `(x0, z0, x1, z1)` of the floor that is taken.
        spare: places among the boxes that furniture leaves free.
    """

    boxes: list
    turned: list = dataclasses.field(default_factory=list)
    ellipsoids: list = dataclasses.field(default_factory=list)
    cylinders: list = dataclasses.field(default_factory=list)
    footprints: list = dataclasses.field(default_factory=list)
    spare: int = 6

    def add_boxes(self, boxes, spare=0):
        """Appends boxes if at least `spare` places remain after them; returns whether it did."""
        fits = len(self.boxes) + len(boxes) <= ALIGNED - spare
        if fits:
            self.boxes.extend(boxes)
        return fits

    def is_free(self, rectangle):
        """Whether a rectangle (x0, z0, x1, z1) overlaps no footprint."""
        x0, z0, x1, z1 = rectangle
        return not any(x0 < b[2] and x1 > b[0] and z0 < b[3] and z1 > b[1] for b in self.footprints)


def wall_box(room, side, along, across, bottom, top, material):
    """A box against one wall of a room.

    Args:
        room: (x0, z0, x1, z1).
        side: 0 to 3, the walls at x0, z0, x1, z1.
        along: (start, end) along the wall, absolute coordinates.
        across: (start, end) distance from the wall into the room.
        bottom, top: heights.
        material: a material row.

    Returns:
        `(x0, x1, bottom, top, z0, z1, material)`.
    """
    sign = 1 if side < 2 else -1
    low, high = sorted((room[side] + sign * across[0], room[side] + sign * across[1]))
    if side % 2 == 0:
        return (low, high, bottom, top, along[0], along[1], material)
    return (along[0], along[1], bottom, top, low, high, material)


def place(rng, contents, room, piece, ceiling):
    """Tries to stand a piece with its back against a wall."""
    width, depth, height, boxes = piece(rng, ceiling)
    for _ in range(4):
        side = int(rng.random() * 4)
        low, high = room[1 - side % 2], room[3 - side % 2]
        if high - low < width + 0.1:
            continue
        middle = between(rng, low + width / 2 + 0.02, high - width / 2 - 0.02)
        if rng.random() < 0.3:
            middle = pick(rng, (low + width / 2 + 0.02, high - width / 2 - 0.02))
        foot = wall_box(
            room, side, (middle - width / 2, middle + width / 2), (0.0, depth + 0.12), 0, 0, None
        )
        foot = (foot[0], foot[4], foot[1], foot[5])
        if not contents.is_free(foot):
            continue
        gap = depth / 2 + 0.01
        placed = [
            wall_box(
                room,
                side,
                (middle + b[0], middle + b[1]),
                (gap + b[4], gap + b[5]),
                b[2],
                b[3],
                b[6],
            )
            for b in boxes
        ]
        if contents.add_boxes(placed, spare=contents.spare):
            contents.footprints.append(foot)
        return


def stand(rng, contents, room, piece, ceiling):
    """Tries to stand a piece freely, turned by any angle where there is a place for that."""
    width, depth, height, boxes = piece(rng, ceiling)
    turn = len(contents.turned) < GROUPS and len(boxes) <= GROUP_BOXES and rng.random() < 0.85
    yaw = between(rng, -math.pi, math.pi) if turn else 0.0
    c, s = abs(math.cos(yaw)), abs(math.sin(yaw))
    half_x, half_z = (c * width + s * depth) / 2 + 0.03, (s * width + c * depth) / 2 + 0.03
    if room[2] - room[0] < 2 * half_x + 0.1 or room[3] - room[1] < 2 * half_z + 0.1:
        return
    for _ in range(4):
        x = between(rng, room[0] + half_x, room[2] - half_x)
        z = between(rng, room[1] + half_z, room[3] - half_z)
        foot = (x - half_x, z - half_z, x + half_x, z + half_z)
        if not contents.is_free(foot):
            continue
        if turn:
            contents.turned.append((x, z, yaw, boxes))
        else:
            placed = [(b[0] + x, b[1] + x, b[2], b[3], b[4] + z, b[5] + z, b[6]) for b in boxes]
            if not contents.add_boxes(placed, spare=contents.spare):
                return
        contents.footprints.append(foot)
        return


def plant(rng, contents, room):
    """A pot with leaves, in a free spot near a wall."""
    radius = between(rng, 0.12, 0.22)
    x = pick(rng, (room[0] + radius + 0.1, room[2] - radius - 0.1))
    z = between(rng, room[1] + radius + 0.1, room[3] - radius - 0.1)
    foot = (x - radius, z - radius, x + radius, z + radius)
    full = len(contents.cylinders) >= CYLINDERS or len(contents.ellipsoids) + 2 > ELLIPSOIDS
    if full or not contents.is_free(foot):
        return
    pot = between(rng, 0.25, 0.5)
    contents.cylinders.append((x, z, radius, 0.0, pot, materials.lacquer(rng)))
    green = materials.colour(rng, hue=(0.2, 0.4), saturation=(0.4, 0.8), value=(0.25, 0.6))
    leaves = materials.material(
        rng, green, materials.mixed(green, (0.0, 0.02, 0.0), 0.8), noise=2.0, grain=(14.0, 14.0)
    )
    tall, wide = between(rng, 0.25, 0.5), radius * between(rng, 0.9, 1.4)
    contents.ellipsoids.append((x, pot + tall * 0.8, z, wide, tall, wide, leaves))
    contents.ellipsoids.append(
        (x + 0.1, pot + tall * 0.4, z - 0.08, wide, tall * 0.6, wide, leaves)
    )
    contents.footprints.append(foot)


def hang_lamp(rng, contents, room, ceiling):
    """Hangs a lamp; returns the (x, height, z) that its light comes from."""
    x = between(rng, 0.35, 0.65) * (room[2] - room[0]) + room[0]
    z = between(rng, 0.35, 0.65) * (room[3] - room[1]) + room[1]
    if (
        rng.random() < 0.5
        and len(contents.ellipsoids) < ELLIPSOIDS
        and len(contents.cylinders) < CYLINDERS
    ):
        drop, radius = between(rng, 0.25, 0.55), between(rng, 0.1, 0.2)
        shade = radius * between(rng, 0.6, 1.0)
        contents.ellipsoids.append(
            (x, ceiling - drop, z, radius, shade, radius, materials.lamp(rng))
        )
        cord = materials.material(rng, (0.05, 0.05, 0.05))
        contents.cylinders.append((x, z, 0.012, ceiling - drop, ceiling, cord))
        return x, ceiling - drop - shade - 0.04, z
    half_x, half_z = between(rng, 0.1, 0.4), between(rng, 0.1, 0.4)
    panel = materials.lamp(rng)
    box = (x - half_x, x + half_x, ceiling - 0.06, ceiling, z - half_z, z + half_z, panel)
    contents.add_boxes([box])
    return x, ceiling - 0.12, z


def _decorate(rng, contents, room, side, reserved, outer, ceiling):
    """Hangs windows, doors and pictures on a wall; returns a window's (x, height, z), or None."""
    low, high = room[1 - side % 2], room[3 - side % 2]
    light = None
    for _ in range(pick(rng, (0, 1, 1, 2, 2))):
        kind = rng.random()
        if outer and kind < 0.4:
            width = between(rng, 0.6, min(2.4, 0.6 * (high - low)))
            bottom = pick(rng, (0.05, 0.8, 0.9, 1.0))
            height = min(between(rng, 1.9, 2.3), ceiling - 0.1) - bottom
            material = materials.window(rng, width, height)
        elif outer and kind < 0.55:
            width, bottom, height = 0.9, 0.0, 2.05
            leaf = materials.colour(rng, saturation=(0.0, 0.5), value=(0.35, 0.95))
            material = materials.panels(
                rng, leaf, width, height, pick(rng, (1, 2)), pick(rng, (1, 2, 3)), joint=0.025
            )
        else:
            width, height = between(rng, 0.3, 1.3), between(rng, 0.3, 0.9)
            bottom = between(rng, 1.55, 1.75) - height / 2
            material = materials.picture(rng, width, height)
        start = between(rng, low + 0.1, max(high - 0.1 - width, low + 0.11))
        end = start + width
        if end > high - 0.05 or any(start < b + 0.1 and end > a - 0.1 for a, b in reserved):
            continue
        across = (0.0, between(rng, 0.02, 0.05))
        box = wall_box(room, side, (start, end), across, bottom, bottom + height, material)
        if contents.add_boxes([box]):
            reserved.append((start, end))
            if outer and kind < 0.4:
                sign = 1 if side < 2 else -1
                point = (room[side] + sign * 0.3, start + width / 2)
                light = (point[side % 2], bottom + height / 2, point[1 - side % 2])
    return light


def rug(rng, contents, room):
    """A rug in the middle of a room."""
    half_x, half_z = between(rng, 0.6, 1.3), between(rng, 0.5, 1.0)
    x, z = (room[0] + room[2]) / 2, (room[1] + room[3]) / 2
    box = (x - half_x, x + half_x, 0.0, 0.015, z - half_z, z + half_z, materials.carpet(rng))
    contents.add_boxes([box], spare=contents.spare)


def pillar(rng, contents, room, ceiling):
    """A round pillar from floor to ceiling."""
    x = between(rng, 0.3, 0.7) * (room[2] - room[0]) + room[0]
    z = between(rng, 0.3, 0.7) * (room[3] - room[1]) + room[1]
    radius = between(rng, 0.12, 0.25)
    contents.cylinders.append((x, z, radius, 0.0, ceiling, pick(rng, materials.WALLS)(rng)))
    contents.footprints.append((x - radius, z - radius, x + radius, z + radius))


def keep_doorways(contents, plan):
    """Keeps the floor around doorways free; returns the openings (start, end) by room and side."""
    openings = [[[] for _ in range(4)] for _ in plan.rooms]
    for wall in plan.walls:
        low, high = wall.door[0] - 0.1, wall.door[1] + 0.1
        near, far = wall.position - 0.9, wall.position + 0.9
        contents.footprints.append(
            (near, low, far, high) if wall.axis == 0 else (low, near, high, far)
        )
        for room, sides in zip(plan.rooms, openings):
            for side in (wall.axis, wall.axis + 2):
                if abs(room[side] - wall.position) < plan.thickness:
                    sides[side].append(wall.door)
    return openings


def furnish(rng, plan, walls):
    """Fills a floor plan.

    Args:
        rng: numpy `Generator`.
        plan: `FloorPlan`.
        walls: boxes of the dividing walls, which come first.

    Returns:
        `(contents, lamps, windows)`: the `Contents`; for each room the (x, height, z) of its lamp,
        and of one of its windows or None.
    """
    contents = Contents(list(walls))
    lamps, windows = [], []
    for room, sides in zip(plan.rooms, keep_doorways(contents, plan)):
        lamps.append(hang_lamp(rng, contents, room, plan.ceiling))
        lights = []
        for side in range(4):
            outer = abs(abs(room[side]) - plan.size[side % 2] / 2) < 1e-6
            lights.append(_decorate(rng, contents, room, side, sides[side], outer, plan.ceiling))
        windows.append(next((light for light in lights if light), None))
    crowd = between(rng, 0.4, 1.0)
    for room in plan.rooms:
        area = (room[2] - room[0]) * (room[3] - room[1])
        against, free = furniture.ROOM_USES[pick(rng, tuple(furniture.ROOM_USES))]
        if rng.random() < 0.35 and area > 8:
            rug(rng, contents, room)
        if rng.random() < 0.08 and area > 14 and len(contents.cylinders) < CYLINDERS:
            pillar(rng, contents, room, plan.ceiling)
        for _ in range(round(crowd * min(area / 1.8, 12))):
            place(rng, contents, room, pick(rng, against), plan.ceiling)
        for _ in range(round(crowd * min(area / 6, 4))):
            stand(rng, contents, room, pick(rng, free), plan.ceiling)
        if rng.random() < 0.5:
            plant(rng, contents, room)
    return contents, lamps, windows
