"""Corridors, with rooms beside them or a corner, and large halls."""

from pano_depth.rooms import furnish, furniture, materials
from pano_depth.rooms.floor_plan import FloorPlan, Wall
from pano_depth.rooms.furnish import CYLINDERS, Contents
from pano_depth.rooms.materials import between, material, pick
from pano_depth.rooms.scene import pack, room_materials, wall_boxes
from pano_depth.rooms.wide import dress, homes, moods

INDOORS = (moods.USUAL, moods.OFFICE, moods.OFFICE, moods.DAY, moods.EVENING)


def _flipped(plan):
    """The plan with x and z exchanged."""
    turn = lambda room: (room[1], room[0], room[3], room[2])
    walls = tuple(
        Wall(1 - w.axis, w.position, w.start, w.end, w.door, w.door_top) for w in plan.walls
    )
    return FloorPlan(
        plan.size[::-1], plan.ceiling, plan.thickness, tuple(map(turn, plan.rooms)), walls
    )


def _corridor_plan(rng):
    """A corridor along x, alone or with two rooms beside it."""
    length, wide = between(rng, 6.0, 24.0), between(rng, 1.3, 2.8)
    ceiling, thick = between(rng, 2.3, 3.4), between(rng, 0.1, 0.22)
    x = length / 2
    if rng.random() < 0.5:
        return FloorPlan((length, wide), ceiling, thick, ((-x, -wide / 2, x, wide / 2),), ())
    length = min(length, 14.0)
    x, deep = length / 2, between(rng, 2.8, 5.0)
    z = (wide + deep) / 2
    at, half, cut = wide - z, thick / 2, between(rng, -0.2, 0.2) * length

    def door(start, end):
        first = between(rng, start + 0.3, end - 1.6)
        return first, first + between(rng, 0.85, 1.2)

    top = between(rng, 2.0, min(2.25, ceiling - 0.05))
    walls = (
        Wall(1, at, -x, cut - half, door(-x, cut), top),
        Wall(1, at, cut - half, x, door(cut, x), top),
        Wall(0, cut, at + half, z, door(at, z), top),
    )
    rooms = ((-x, -z, x, at - half), (-x, at + half, cut - half, z), (cut + half, at + half, x, z))
    return FloorPlan((length, 2 * z), ceiling, thick, rooms, walls)


def make_corridor(rng):
    """Draws a corridor: straight, with a corner, or with open doors to rooms.

    Args:
        rng: numpy `Generator`.

    Returns:
        `(scene, plan, mood)`.
    """
    mood, plan = pick(rng, INDOORS), _corridor_plan(rng)
    plan = plan if rng.random() < 0.5 else _flipped(plan)
    blank = material(rng, (0.5, 0.5, 0.5))
    contents = Contents(wall_boxes(plan, blank), spare=4)
    lamps, windows = [], []
    openings = furnish.keep_doorways(contents, plan)
    kinds = ('door', 'door', 'door', 'picture', 'picture', 'mirror')
    for number, (room, sides) in enumerate(zip(plan.rooms, openings)):
        lamps.append(dress.light_panels(rng, contents, room, plan.ceiling, mood))
        windows.append(homes.walls_of(rng, contents, plan, room, sides, mood, glazed=0.25))
        for side in range(4) if number == 0 else ():
            for _ in range(pick(rng, (0, 2, 3))):
                dress.hang(rng, contents, room, side, sides[side], plan.ceiling, kinds)
        against = (furniture.wardrobe, furniture.cartons, homes.stool, furniture.bookcase)
        for _ in range(pick(rng, (0, 1, 2, 4))):
            furnish.place(rng, contents, room, pick(rng, against), plan.ceiling)
        for _ in range(pick(rng, (1, 2)) if number else 0):
            furnish.stand(rng, contents, room, homes.table, plan.ceiling)
        if rng.random() < 0.3:
            furnish.plant(rng, contents, room)
    lights = moods.lighting(rng, plan, lamps, windows, mood)
    rows = homes.polished(rng, room_materials(rng, plan.rooms))
    return pack(plan, contents, lights, rows, blank), plan, mood


def _pillars(rng, contents, room, ceiling):
    """Two or four pillars, round or square."""
    row, radius = pick(rng, materials.WALLS)(rng), between(rng, 0.15, 0.5)
    round_ones = rng.random() < 0.5
    for u in (0.27, 0.73):
        for v in pick(rng, ((0.5,), (0.25, 0.75))):
            x = room[0] + u * (room[2] - room[0])
            z = room[1] + v * (room[3] - room[1])
            foot = (x - radius, z - radius, x + radius, z + radius)
            if round_ones and len(contents.cylinders) < CYLINDERS:
                contents.cylinders.append((x, z, radius, 0.0, ceiling, row))
            else:
                box = (foot[0], foot[2], 0.0, ceiling, foot[1], foot[3], row)
                contents.add_boxes([box], spare=20)
            contents.footprints.append(foot)


def _rows_of(rng, contents, room):
    """Rows of benches, counters or shelves."""
    width, depth, height = between(rng, 1.5, 5), between(rng, 0.4, 1.0), between(rng, 0.4, 2.0)
    row = pick(rng, (materials.wood, materials.lacquer, materials.fabric, materials.paint))(rng)
    pitch, start = depth + between(rng, 0.8, 2.5), room[1] + between(rng, 1.0, 3.0)
    first = between(rng, room[0] + 0.5, max(room[0] + 0.6, room[2] - width - 0.5))
    for number in range(pick(rng, (2, 3, 5, 8))):
        z = start + number * pitch
        foot = (first, z, first + width, z + depth)
        if z + depth > room[3] - 0.5 or not contents.is_free(foot):
            continue
        box = (first, first + width, 0.0, height, z, z + depth, row)
        if contents.add_boxes([box], spare=16):
            contents.footprints.append(foot)


def make_hall(rng):
    """Draws a large hall: a lobby, a gymnasium, a church, a shop, an open-plan office.

    Args:
        rng: numpy `Generator`.

    Returns:
        `(scene, plan, mood)`.
    """
    mood = pick(rng, (moods.USUAL, moods.OFFICE, moods.DAY, moods.DAY))
    size = (between(rng, 9.0, 28.0), between(rng, 7.0, 20.0))
    x, z = size[0] / 2, size[1] / 2
    plan = FloorPlan(size, between(rng, 3.0, 9.0), 0.15, ((-x, -z, x, z),), ())
    blank = material(rng, (0.5, 0.5, 0.5))
    contents = Contents(wall_boxes(plan, blank), spare=4)
    room, sides = plan.rooms[0], [[] for _ in range(4)]
    lamp = dress.light_panels(rng, contents, room, plan.ceiling, mood)
    if rng.random() < 0.5:
        _pillars(rng, contents, room, plan.ceiling)
    windows = [homes.walls_of(rng, contents, plan, room, sides, mood, glazed=0.7)]
    for side in range(4):
        for _ in range(pick(rng, (0, 1, 2))):
            dress.hang(rng, contents, room, side, sides[side], plan.ceiling)
    if rng.random() < 0.4:
        dress.beams(rng, contents, room, plan.ceiling)
    if rng.random() < 0.4:
        _rows_of(rng, contents, room)
    free = (homes.table, homes.dining, homes.stool, furniture.sofa, furniture.cartons)
    for _ in range(pick(rng, (0, 2, 4, 8))):
        furnish.stand(rng, contents, room, pick(rng, free), plan.ceiling)
    for _ in range(pick(rng, (0, 2, 4))):
        against = (furniture.wardrobe, furniture.bookcase, furniture.sofa, homes.table)
        furnish.place(rng, contents, room, pick(rng, against), plan.ceiling)
    dress.round_things(rng, contents, chance=0.3)
    lights = moods.lighting(rng, plan, [lamp], windows, mood)
    rows = homes.polished(rng, room_materials(rng, plan.rooms))
    return pack(plan, contents, lights, rows, blank), plan, mood
