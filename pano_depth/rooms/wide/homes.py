"""Homes and offices full of things: tables, curtains, mirrors, and light of all kinds."""

from pano_depth.rooms import furnish, furniture, materials
from pano_depth.rooms.floor_plan import make_floor_plan
from pano_depth.rooms.furnish import Contents
from pano_depth.rooms.materials import between, material, pick
from pano_depth.rooms.scene import pack, room_materials, wall_boxes
from pano_depth.rooms.wide import dress, moods, windows

GLOSS = 0.5  # share of the rooms whose floors mirror a little


def table(rng, ceiling):
    """A table of any kind with things on it: low, for meals, for meetings, high, or a desk."""
    del ceiling
    kind = rng.random()
    height = between(rng, 0.3, 0.5) if kind < 0.3 else between(rng, 0.68, 0.8)
    height = between(rng, 0.9, 1.1) if kind > 0.92 else height
    width = between(rng, 0.6, 1.5) if kind < 0.6 else between(rng, 1.4, 3.2)
    depth = min(width, between(rng, 0.5, 1.3))
    row = pick(rng, (materials.wood, materials.wood, materials.lacquer))(rng)
    row = materials.changed(row, mirror=pick(rng, (0.0, 0.0, 0.02, 0.06)))
    x, z, thick = width / 2, depth / 2, between(rng, 0.02, 0.06)
    boxes = [(-x, x, height - thick, height, -z, z, row)]
    if rng.random() < 0.25:
        foot = between(rng, 0.1, 0.6) * x
        boxes.append((-foot, foot, 0.0, height - thick, -0.4 * z, 0.4 * z, row))
    else:
        inset = 2 * between(rng, 0.02, 0.08)
        leg = between(rng, 0.03, 0.09)
        boxes += furniture.legs(width - inset, depth - inset, height - thick, leg, row)
    boxes += dress.things(rng, height, width - 0.04, depth - 0.04, pick(rng, (0, 1, 3, 3, 6, 9)))
    return width, depth, height, boxes


def stool(rng, ceiling):
    """A seat on one foot, with or without a back: three boxes."""
    del ceiling
    side, seat = between(rng, 0.35, 0.5), between(rng, 0.42, 0.7)
    cover = pick(rng, (materials.fabric, materials.lacquer, materials.wood))(rng)
    dark = material(rng, (between(rng, 0.01, 0.2),) * 3)
    x = side / 2
    boxes = [
        (-0.05, 0.05, 0.0, seat - 0.06, -0.05, 0.05, dark),
        (-x, x, seat - 0.06, seat, -x, x, cover),
    ]
    if rng.random() < 0.7:
        boxes.append((-x, x, seat + 0.05, seat + between(rng, 0.2, 0.5), -x, -x + 0.05, cover))
    return side, side, seat, boxes


def dining(rng, ceiling):
    """A table with stools around it."""
    width, depth, height, boxes = table(rng, ceiling)
    for _ in range(pick(rng, (2, 3, 4, 5))):
        side = pick(rng, (-1, 1))
        at = between(rng, -width / 2 + 0.2, width / 2 - 0.2)
        gap = side * (depth / 2 + between(rng, -0.05, 0.35))
        for x0, x1, low, high, z0, z1, row in stool(rng, ceiling)[3]:
            # The backs stand on the far side.
            ends = (z0, z1) if side > 0 else (-z1, -z0)
            boxes.append((at + x0, at + x1, low, high, gap - ends[1], gap - ends[0], row))
    return width, depth + 0.9, height, boxes


# What stands against the walls and what stands free, by the use of a room.
USES = {
    'living': (
        (furniture.sofa, furniture.bookcase, furniture.television, furniture.wardrobe, table),
        (table, furniture.sofa, table, stool, furniture.cartons),
    ),
    'bedroom': (
        (furniture.bed, furniture.bed, furniture.wardrobe, table, furniture.chair),
        (furniture.bed, stool, furniture.cartons, table),
    ),
    'office': (
        (table, furniture.bookcase, furniture.wardrobe, furniture.cartons, table),
        (table, table, stool, stool, furniture.chair),
    ),
    'kitchen': (
        (furniture.kitchen, furniture.kitchen, furniture.wardrobe, table),
        (dining, table, stool),
    ),
    'meeting': ((furniture.wardrobe, furniture.television, stool), (dining, dining, stool)),
    'store': (
        (furniture.bookcase, furniture.cartons, furniture.cartons, furniture.wardrobe),
        (furniture.cartons, furniture.cartons, table),
    ),
}


def polished(rng, rows):
    """Room materials of which some floors mirror a little."""
    gloss = [between(rng, 0.01, 0.08) if rng.random() < GLOSS else 0.0 for _ in rows]
    return [
        materials.changed(row, mirror=gloss[i]) if i % 4 == 0 else row for i, row in enumerate(rows)
    ]


def walls_of(rng, contents, plan, room, sides, mood, glazed=0.5):
    """Hangs windows and things on the walls of a room.

    Args:
        rng: numpy `Generator`.
        contents: `furnish.Contents`.
        plan, room: the floor plan, one of its rooms.
        sides: (start, end) of what each of the four walls has already.
        mood: `moods.Mood`.
        glazed: share of the places for windows that have one.

    Returns:
        The (x, height, z) of one of the windows, or None.
    """
    found = []
    for side in range(4):
        outer = abs(abs(room[side]) - plan.size[side % 2] / 2) < 1e-6
        reserved = sides[side]
        for _ in range(2):
            if outer and rng.random() < glazed:
                light = windows.hang_window(rng, contents, room, side, reserved, plan.ceiling, mood)
                found += [light] if light else []
        for _ in range(pick(rng, (0, 1, 1, 2))):
            dress.hang(rng, contents, room, side, reserved, plan.ceiling)
    return found[0] if found else None


def light_of(rng, contents, plan, room, mood):
    """Hangs or stands lamps in a room; returns the place of the one that gives light."""
    standing = dress.standing_lamp(rng, contents, room, mood) if mood.standing else None
    if standing:
        return standing
    if mood is moods.OFFICE or rng.random() < 0.3:
        return dress.light_panels(rng, contents, room, plan.ceiling, mood)
    return furnish.hang_lamp(rng, contents, room, plan.ceiling)


def make_home(rng):
    """Draws a home or an office.

    Args:
        rng: numpy `Generator`.

    Returns:
        `(scene, plan, mood)`.
    """
    mood = moods.draw_mood(rng)
    plan = make_floor_plan(rng, roominess=between(rng, 0.9, 1.6))
    blank = material(rng, (0.5, 0.5, 0.5))
    contents = Contents(wall_boxes(plan, blank), spare=4)
    lamps, panes = [], []
    for room, sides in zip(plan.rooms, furnish.keep_doorways(contents, plan)):
        lamps.append(light_of(rng, contents, plan, room, mood))
        panes.append(walls_of(rng, contents, plan, room, sides, mood))
    crowd = between(rng, 0.5, 1.5)
    for room in plan.rooms:
        area = (room[2] - room[0]) * (room[3] - room[1])
        against, free = USES[pick(rng, tuple(USES))]
        if rng.random() < 0.4 and area > 8:
            furnish.rug(rng, contents, room)
        if rng.random() < 0.15:
            dress.beams(rng, contents, room, plan.ceiling)
        for _ in range(round(crowd * min(area / 4, 5))):
            furnish.stand(rng, contents, room, pick(rng, free), plan.ceiling)
        for _ in range(round(crowd * min(area / 2.5, 8))):
            furnish.place(rng, contents, room, pick(rng, against), plan.ceiling)
        if rng.random() < 0.4:
            furnish.plant(rng, contents, room)
    dress.round_things(rng, contents, chance=0.5)
    lights = moods.lighting(rng, plan, lamps, panes, mood)
    rows = polished(rng, room_materials(rng, plan.rooms))
    return pack(plan, contents, lights, rows, blank), plan, mood
