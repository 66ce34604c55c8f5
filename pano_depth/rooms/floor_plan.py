"""Floor plans: a rectangle cut into one to four rooms, with a doorway in every dividing wall."""

import dataclasses

from pano_depth.rooms.materials import between, pick

MAX_ROOMS = 4
SMALLEST = 2.5  # metres, the shortest side of a room


@dataclasses.dataclass(frozen=True)
class Wall:
    """A dividing wall with one opening, in metres.

    Attributes:
        axis: 0 when the wall's plane is x = position, 1 when it is z = position.
        position: of the wall's middle.
        start, end: extent along the other axis.
        door: (start, end) of the opening along the other axis.
        door_top: height of the opening.
    """

    axis: int
    position: float
    start: float
    end: float
    door: tuple
    door_top: float


@dataclasses.dataclass(frozen=True)
class FloorPlan:
    """Rooms and the walls between them; x and z in metres, the origin in the middle of the plan.

    Attributes:
        size: (x, z) of the whole rectangle.
        ceiling: height of the ceiling.
        thickness: of the dividing walls.
        rooms: tuple of (x0, z0, x1, z1), the inner faces of each room's walls.
        walls: tuple of `Wall`, one fewer than there are rooms.
    """

    size: tuple
    ceiling: float
    thickness: float
    rooms: tuple
    walls: tuple


def _cut(rng, rooms):
    """Cuts the largest room in two: (rooms, (axis, position, start, end)); None if too small."""
    index = max(
        range(len(rooms)), key=lambda i: (rooms[i][2] - rooms[i][0]) * (rooms[i][3] - rooms[i][1])
    )
    room = rooms[index]
    extents = (room[2] - room[0], room[3] - room[1])
    axis = 0 if extents[0] > extents[1] else 1
    margin = SMALLEST + 0.1
    if extents[axis] < 2 * margin:
        return None
    middle = room[axis] + extents[axis] * between(rng, 0.33, 0.67)
    position = min(max(middle, room[axis] + margin), room[axis + 2] - margin)
    first, second = list(room), list(room)
    first[axis + 2] = second[axis] = position
    cut = (axis, position, room[1 - axis], room[3 - axis])
    return rooms[:index] + [tuple(first), tuple(second)] + rooms[index + 1 :], cut


def _door(rng, cut, cuts, ceiling):
    """An opening in a wall that keeps clear of the walls that end on it: ((start, end), top)."""
    axis, position, start, end = cut
    joints = [
        other[1]
        for other in cuts
        if other[0] != axis
        and min(abs(other[2] - position), abs(other[3] - position)) < 1e-6
        and start < other[1] < end
    ]
    top = ceiling if rng.random() < 0.2 else between(rng, 2.0, min(2.25, ceiling - 0.05))
    width = between(rng, 0.85, 1.1) if rng.random() < 0.5 else between(rng, 1.2, 2.4)
    stops = [start] + sorted(joints) + [end]
    low, high = max(
        zip(stops[:-1], stops[1:]), key=lambda gap: (gap[1] - gap[0]) * between(rng, 0.5, 1.0)
    )
    width = min(width, high - low - 0.5)
    first = between(rng, low + 0.25, high - 0.25 - width)
    return (first, first + width), top


def _inner(room, size, thickness):
    """A room's rectangle moved in by half a wall's thickness where it borders on another room."""
    half = thickness / 2
    return (
        room[0] + half * (room[0] > -size[0] / 2 + 1e-6),
        room[1] + half * (room[1] > -size[1] / 2 + 1e-6),
        room[2] - half * (room[2] < size[0] / 2 - 1e-6),
        room[3] - half * (room[3] < size[1] / 2 - 1e-6),
    )


def make_floor_plan(rng, *, roominess=1.0):
    """Draws a floor plan.

    Args:
        rng: numpy `Generator`.
        roominess: factor of the plan's sides; ceilings and doors stay as they are.

    Returns:
        `FloorPlan` of one to four rooms with sides of 2.5 to 8 m (times `roominess`) and a ceiling
        at 2.3 to 3.4 m.
    """
    count = pick(rng, (1, 1, 1, 2, 2, 2, 3, 3, 4))
    side = {1: (3.0, 8.0), 2: (5.8, 10.0), 3: (6.8, 11.5), 4: (7.5, 12.0)}[count]
    long = between(rng, *side) * roominess
    short = min(max(long * between(rng, 0.45, 1.0), SMALLEST + 0.3), 8.0 * roominess)
    size = (long, short) if rng.random() < 0.5 else (short, long)
    rooms, cuts = [(-size[0] / 2, -size[1] / 2, size[0] / 2, size[1] / 2)], []
    while len(rooms) < count and (result := _cut(rng, rooms)):
        rooms, cut = result
        cuts.append(cut)
    ceiling = between(rng, 2.3, 3.4)
    thickness = between(rng, 0.1, 0.22)
    walls = [Wall(*cut, *_door(rng, cut, cuts, ceiling)) for cut in cuts]
    return FloorPlan(
        size,
        ceiling,
        thickness,
        tuple(_inner(room, size, thickness) for room in rooms),
        tuple(walls),
    )
