"""What hangs on the walls and ceilings of rooms, and what lies on their tables."""

import math

from pano_depth.rooms import materials
from pano_depth.rooms.furnish import CYLINDERS, ELLIPSOIDS, wall_box
from pano_depth.rooms.materials import between, colour, material, pick
from pano_depth.rooms.wide import moods


def _hanging(rng, kind, room_height):
    """(width, bottom, height, thickness, material) of one of the things on walls."""
    if kind == 'mirror':
        width, height = between(rng, 0.4, 1.6), between(rng, 0.6, 1.9)
        silver = material(
            rng,
            (0.5, 0.52, 0.52),
            joint_colour=colour(rng, saturation=(0.1, 0.7), value=(0.1, 0.8)),
            cell=(width, height),
            joint=pick(rng, (0.0, 0.03, 0.06)),
            mirror=between(rng, 0.8, 0.93),
        )
        bottom = between(rng, 0.05, max(0.1, min(1.1, room_height - height - 0.1)))
        return width, bottom, height, 0.03, silver
    if kind == 'door':
        width, height = between(rng, 0.8, 1.7), between(rng, 1.95, 2.2)
        leaf = colour(rng, saturation=(0.0, 0.6), value=(0.25, 0.95))
        columns, rows = (1 if width < 1.1 else 2), pick(rng, (1, 2, 3))
        row = materials.panels(rng, leaf, width, height, columns, rows, joint=0.03)
        return width, 0.0, height, between(rng, 0.02, 0.06), row
    if kind == 'screen':
        width = between(rng, 0.8, 2.2)
        height, glow = width * between(rng, 0.5, 0.62), rng.random() < 0.4
        row = materials.picture(rng, width, height)
        dark = material(rng, (0.01, 0.01, 0.012), mirror=between(rng, 0.04, 0.12))
        row = materials.changed(row, emission=between(rng, 0.3, 1.5)) if glow else dark
        return width, between(rng, 0.8, 1.3), height, 0.06, row
    if kind == 'mural':
        width, height = between(rng, 1.5, 4.5), between(rng, 1.0, room_height - 0.1)
        row = materials.picture(rng, width, height)
        return width, between(rng, 0.02, room_height - height - 0.02), height, 0.015, row
    width, height = between(rng, 0.25, 1.5), between(rng, 0.25, 1.0)
    bottom = between(rng, 1.5, 1.75) - height / 2
    return width, bottom, height, between(rng, 0.015, 0.05), materials.picture(rng, width, height)


KINDS = ('picture', 'picture', 'picture', 'mirror', 'door', 'screen', 'mural')


def hang(rng, contents, room, side, reserved, ceiling, kinds=KINDS):
    """A picture, a mirror, a door, a screen or a mural on a wall.

    Args:
        rng, contents, room, side, reserved, ceiling: as of `windows.hang_window`.
        kinds: to choose from.
    """
    low, high = room[1 - side % 2], room[3 - side % 2]
    width, bottom, height, thick, row = _hanging(rng, pick(rng, kinds), ceiling)
    if high - low < width + 0.3:
        return
    start = between(rng, low + 0.1, high - 0.1 - width)
    end = start + width
    if any(start < b + 0.05 and end > a - 0.05 for a, b in reserved):
        return
    box = wall_box(room, side, (start, end), (0.0, thick), bottom, bottom + height, row)
    if contents.add_boxes([box]):
        reserved.append((start, end))


def light_panels(rng, contents, room, ceiling, mood):
    """Rows of light panels or spots under the ceiling; returns the middle one's (x, height, z)."""
    spots = rng.random() < 0.3
    half = (
        [between(rng, 0.05, 0.1)] * 2 if spots else [between(rng, 0.1, 0.3), between(rng, 0.3, 0.7)]
    )
    if rng.random() < 0.5:
        half = half[::-1]
    pitch = between(rng, 1.6, 3.0)
    sizes = (room[2] - room[0], room[3] - room[1])
    columns, rows = (min(3, max(1, int(size / pitch))) for size in sizes)
    row = moods.lamp(rng, mood)
    for i in range(columns):
        for j in range(rows):
            x = room[0] + sizes[0] * (i + 0.5) / columns
            z = room[1] + sizes[1] * (j + 0.5) / rows
            box = (x - half[0], x + half[0], ceiling - 0.03, ceiling, z - half[1], z + half[1], row)
            contents.add_boxes([box], spare=8)
    return (room[0] + room[2]) / 2 + 0.1, ceiling - 0.15, (room[1] + room[3]) / 2 + 0.1


def beams(rng, contents, room, ceiling):
    """Beams or ducts under the ceiling."""
    axis, count = int(rng.random() * 2), pick(rng, (1, 2, 3))
    row = pick(rng, (materials.wood, materials.paint, materials.lacquer))(rng)
    half, drop = between(rng, 0.06, 0.2), between(rng, 0.1, 0.3)
    for i in range(count):
        at = room[axis] + (room[axis + 2] - room[axis]) * (i + 1) / (count + 1)
        ends = [(room[0], room[2]), (room[1], room[3])]
        ends[axis] = (at - half, at + half)
        contents.add_boxes([(*ends[0], ceiling - drop, ceiling, *ends[1], row)], spare=8)


def standing_lamp(rng, contents, room, mood):
    """A lamp on a pole in a free place; returns the (x, height, z) of its light, or None."""
    if len(contents.ellipsoids) >= ELLIPSOIDS or len(contents.cylinders) >= CYLINDERS:
        return None
    for _ in range(6):
        x = between(rng, room[0] + 0.3, room[2] - 0.3)
        z = between(rng, room[1] + 0.3, room[3] - 0.3)
        foot = (x - 0.2, z - 0.2, x + 0.2, z + 0.2)
        if contents.is_free(foot):
            break
    else:
        return None
    top, wide = between(rng, 1.2, 1.8), between(rng, 0.12, 0.25)
    tall = wide * between(rng, 0.6, 1.0)
    pole = material(rng, (between(rng, 0.02, 0.4),) * 3)
    contents.cylinders.append((x, z, 0.02, 0.0, top, pole))
    contents.ellipsoids.append((x, top, z, wide, tall, wide, moods.lamp(rng, mood)))
    contents.footprints.append(foot)
    return x, top + tall + 0.05, z


def things(rng, top, width, depth, count):
    """Boxes that lie on a rectangle: papers, books, laptops, parcels, screens, bottles.

    Args:
        rng: numpy `Generator`.
        top: height of the rectangle.
        width, depth: of the rectangle, around (0, 0).
        count: how many things.

    Returns:
        Boxes as of a piece of furniture.
    """
    found = []
    for _ in range(count):
        kind = rng.random()
        w, d, h = between(rng, 0.15, 0.32), between(rng, 0.12, 0.28), between(rng, 0.003, 0.02)
        row = None
        if kind < 0.3:
            row = materials.picture(rng, w, d)  # papers, a magazine
        elif kind < 0.5:
            h, row = between(rng, 0.03, 0.25), pick(rng, (materials.lacquer, materials.wood))(rng)
        elif kind < 0.65:
            w, d, h = between(rng, 0.25, 0.6), 0.04, between(rng, 0.2, 0.4)  # a screen
            row = material(rng, (0.01, 0.01, 0.012), mirror=0.06)
        elif kind < 0.8:
            w = d = between(rng, 0.05, 0.1)  # a bottle, a cup
            h, row = between(rng, 0.08, 0.3), materials.lacquer(rng)
        else:
            h, row = between(rng, 0.02, 0.15), materials.fabric(rng)  # cloths, cushions
        if w > width or d > depth:
            continue
        x = between(rng, -width / 2, width / 2 - w)
        z = between(rng, -depth / 2, depth / 2 - d)
        found.append((x, x + w, top, top + h, z, z + d, row))
    return found


def round_things(rng, contents, chance):
    """Cups, bottles, bowls and fruit on what is flat and at the height of a table."""
    for x0, x1, _, top, z0, z1, _ in list(contents.boxes):
        flat = 0.35 < top < 1.15 and x1 - x0 > 0.5 and z1 - z0 > 0.4
        if not flat or rng.random() > chance:
            continue
        x, z = between(rng, x0 + 0.1, x1 - 0.1), between(rng, z0 + 0.1, z1 - 0.1)
        radius = between(rng, 0.03, 0.13)
        if rng.random() < 0.5 and len(contents.cylinders) < CYLINDERS:
            tall = between(rng, 0.08, 0.3)
            contents.cylinders.append((x, z, radius, top, top + tall, materials.lacquer(rng)))
        elif len(contents.ellipsoids) < ELLIPSOIDS:
            tall = radius * math.sqrt(between(rng, 0.2, 1.5))
            row = pick(rng, (materials.lacquer, materials.fabric, materials.wood))(rng)
            contents.ellipsoids.append((x, top + 0.8 * tall, z, radius, tall, radius, row))
