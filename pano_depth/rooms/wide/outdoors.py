"""Simple places outdoors: ground, facades, trees, hedges, cars, and an infinitely far sky."""

import math

import numpy as np

from pano_depth.rooms import furniture, materials
from pano_depth.rooms.floor_plan import FloorPlan
from pano_depth.rooms.furnish import CYLINDERS, ELLIPSOIDS, Contents, stand
from pano_depth.rooms.materials import between, colour, material, mixed, pick
from pano_depth.rooms.scene import MAX_ROOMS, pack, wall_boxes

SIDE, SKY = 3000.0, 150.0  # metres: extent of the ground, height of the sky
SUN = 110.0  # metres: distance of the sun


def _paving(rng):
    """Slabs, cobbles, asphalt, gravel or grass."""
    grey = colour(rng, hue=(0.05, 0.15), saturation=(0.0, 0.15), value=(0.35, 0.75))
    kind = rng.random()
    if kind < 0.35:
        size = between(rng, 0.2, 1.0)
        return material(
            rng,
            grey,
            mixed(grey, (0.1, 0.1, 0.1), 0.5),
            cell=(size, size * pick(rng, (0.5, 1.0, 1.0))),
            shift=pick(rng, (0.0, 0.5)),
            joint=between(rng, 0.004, 0.015),
            tint=between(rng, 0.2, 0.8),
            noise=0.4,
            grain=(5.0, 5.0),
        )
    if kind < 0.6:
        fine = between(rng, 2.0, 12.0)
        dark = mixed(grey, (0.03, 0.03, 0.03), between(rng, 0.2, 0.8))
        return material(rng, grey, dark, noise=between(rng, 0.3, 0.8), grain=(fine, fine))
    return _leaves(rng, fine=between(rng, 1.0, 8.0))


def _leaves(rng, fine=None):
    """Grass, hedges and crowns."""
    green = colour(rng, hue=(0.16, 0.38), saturation=(0.3, 0.8), value=(0.25, 0.65))
    fine = fine or between(rng, 2.0, 12.0)
    dark = mixed(green, (0.01, 0.02, 0.0), between(rng, 0.6, 0.9))
    return material(rng, green, dark, noise=between(rng, 0.8, 2.0), grain=(fine, fine))


def _facade(rng):
    """A wall with rows of windows, or bare."""
    wall = colour(rng, hue=(0.0, 0.16), saturation=(0.02, 0.5), value=(0.4, 0.95))
    if rng.random() < 0.25:
        return pick(rng, (materials.bricks, materials.paint))(rng)
    pane = colour(rng, hue=(0.5, 0.7), saturation=(0.05, 0.4), value=(0.1, 0.5))
    across, up = between(rng, 1.2, 3.2), between(rng, 2.6, 3.6)
    return material(
        rng,
        pane,
        mixed(pane, (0.6, 0.65, 0.7), 0.6),
        wall,
        cell=(across, up),
        joint=between(rng, 0.22, 0.42) * across,
        tint=between(rng, 0.3, 1.0),
        phase=(rng.random(), 0.5),
    )


def _sky(rng):
    """Clouds above and the haze at the horizon."""
    cover = rng.random()
    blue = mixed((0.2, 0.42, 0.9), (0.75, 0.8, 0.85), cover)
    bright = between(rng, 0.7, 1.6)
    clouds = material(
        rng,
        blue,
        mixed((0.9, 0.9, 0.9), (0.45, 0.48, 0.52), cover * rng.random()),
        noise=between(rng, 0.3, 2.2),
        grain=(1 / between(rng, 60, 250), 1 / between(rng, 60, 250)),
        emission=bright,
    )
    mean = mixed(blue, clouds[3:6], min(1.0, 0.15 * clouds[materials.COLUMN['noise']] + 0.2))
    return clouds, material(rng, mean, mean, emission=bright), cover


def _before(side, near, far, lower, upper, along, row):
    """A box that reaches from `near` to `far` of the middle, on one side of the place."""
    low, high = (near, far) if side < 2 else (-far, -near)
    if side % 2:
        return (*along, lower, upper, low, high, row)
    return (low, high, lower, upper, *along, row)


def _building(rng, contents, side, near, start, width):
    """A facade, often with a base, a roof's edge and doors, on one side of the place."""
    top, far = between(rng, 3.0, 16.0), near + between(rng, 4.0, 10.0)
    along, wall, plain = (start, start + width), _facade(rng), materials.paint(rng)
    boxes = [_before(side, near, far, 0.0, top, along, wall)]
    if rng.random() < 0.6:
        boxes.append(_before(side, near - 0.06, far, 0.0, between(rng, 0.4, 3.2), along, plain))
    if rng.random() < 0.6:
        edge = (start - 0.2, start + width + 0.2)
        upper = top + between(rng, 0.15, 1.2)
        boxes.append(_before(side, near - 0.3, far, top, upper, edge, plain))
    if not contents.add_boxes(boxes, spare=20):
        return
    for _ in range(pick(rng, (0, 1, 2))):
        first = start + between(rng, 0.1, 0.8) * width
        door = materials.panels(rng, colour(rng, value=(0.15, 0.7)), 1.0, 2.1, 1, 2)
        ends = (first, first + between(rng, 0.9, 1.6))
        contents.add_boxes([_before(side, near - 0.1, near, 0.0, 2.2, ends, door)], spare=20)


def _tree(rng, contents, reach):
    """A trunk with one or two crowns, or a lamp post."""
    angle, away = between(rng, -math.pi, math.pi), between(rng, 2.0, reach)
    x, z = away * math.sin(angle), away * math.cos(angle)
    radius, trunk = between(rng, 0.06, 0.3), between(rng, 1.5, 4.0)
    if len(contents.cylinders) >= CYLINDERS:
        return
    bark = colour(rng, hue=(0.04, 0.12), saturation=(0.1, 0.5), value=(0.2, 0.5))
    row = material(rng, bark, noise=1.0, grain=(8.0, 2.0))
    contents.cylinders.append((x, z, radius, 0.0, trunk, row))
    if rng.random() < 0.8 and len(contents.ellipsoids) + 1 <= ELLIPSOIDS:
        wide, tall = between(rng, 0.8, 2.8), between(rng, 0.9, 3.0)
        leaves = _leaves(rng)
        contents.ellipsoids.append((x, trunk + 0.7 * tall, z, wide, tall, wide, leaves))
        if rng.random() < 0.5 and len(contents.ellipsoids) + 1 <= ELLIPSOIDS:
            dx, dz = between(rng, -0.6, 0.6) * wide, between(rng, -0.6, 0.6) * wide
            part = between(rng, 0.5, 0.8)
            contents.ellipsoids.append(
                (x + dx, trunk + tall, z + dz, part * wide, part * tall, part * wide, leaves)
            )


def _car(rng, ceiling):
    """Body, cabin and wheels' shade, as a piece of furniture."""
    del ceiling
    length, width = between(rng, 3.6, 4.8), between(rng, 1.6, 1.9)
    paint = material(rng, colour(rng, saturation=(0.0, 0.8), value=(0.1, 0.95)), mirror=0.05)
    glass = material(rng, (0.02, 0.03, 0.04), mirror=0.15)
    black = material(rng, (0.01, 0.01, 0.01))
    x, z = length / 2, width / 2
    boxes = [
        (-x, x, 0.3, between(rng, 0.75, 0.95), -z, z, paint),
        (-0.55 * x, 0.6 * x, 0.75, between(rng, 1.35, 1.75), -z + 0.1, z - 0.1, glass),
        (-0.8 * x, -0.45 * x, 0.0, 0.55, -z + 0.02, z - 0.02, black),
        (0.45 * x, 0.8 * x, 0.0, 0.55, -z + 0.02, z - 0.02, black),
    ]
    return length, width, 1.5, boxes


def _bench(rng, ceiling):
    """A bench, a table, a bollard, a planter or a box."""
    return pick(rng, (furniture.desk, furniture.cartons, furniture.chair, furniture.desk))(
        rng, ceiling
    )


def _hedge(rng, contents, reach):
    """A hedge or a low wall beside the walk."""
    row = (
        _leaves(rng) if rng.random() < 0.6 else pick(rng, (materials.bricks, materials.paint))(rng)
    )
    length, thick, top = between(rng, 2, 14), between(rng, 0.2, 1.0), between(rng, 0.4, 2.2)
    near, start = between(rng, 1.5, reach), between(rng, -reach, 0.3 * reach)
    near = near if rng.random() < 0.5 else -near - thick
    ends = (start, start + length, 0.0, top, near, near + thick)
    if rng.random() < 0.5:
        ends = (near, near + thick, 0.0, top, start, start + length)
    contents.add_boxes([(*ends, row)], spare=10)


def _lighting(rng, cover):
    """A sun with hard shadows, and the light of the sky from above, as `Scene` has them."""
    light, colours = np.zeros((2, MAX_ROOMS, 3)), np.zeros((3, MAX_ROOMS, 3))
    turn, up = between(rng, -math.pi, math.pi), between(rng, 0.25, 1.3)
    light[0] = SUN * np.array(
        [math.cos(up) * math.sin(turn), -math.sin(up), math.cos(up) * math.cos(turn)]
    )
    light[1] = (0.0, -SUN, 0.0)
    warm = np.array([1.0, between(rng, 0.8, 0.97), between(rng, 0.6, 0.95)])
    sky = np.array([between(rng, 0.75, 1.0), 0.95, 1.0])
    colours[0] = SUN**2 * (1 - cover) ** 1.5 * between(rng, 0.8, 2.2) * warm
    colours[1] = SUN**2 * between(rng, 0.2, 0.5) * sky
    colours[2] = between(rng, 0.12, 0.3) * sky
    return light[0], colours[0], light[1], colours[1], colours[2]


def make_outdoors(rng):
    """Draws a street, a square, a yard or a garden.

    Args:
        rng: numpy `Generator`.

    Returns:
        `(scene, reach)`: `Scene`, and the half size of the square where a camera may walk.
    """
    room = (-SIDE / 2, -SIDE / 2, SIDE / 2, SIDE / 2)
    plan = FloorPlan((SIDE, SIDE), SKY, 0.1, (room,), ())
    blank = material(rng, (0.5, 0.5, 0.5))
    contents = Contents(wall_boxes(plan, blank))
    reach = between(rng, 3.0, 14.0)
    contents.footprints.append((-0.8, -0.8, 0.8, 0.8))  # somewhere to begin
    built = pick(rng, (0.0, 0.5, 0.8, 1.0))
    for side in range(4):
        near = reach * pick(rng, (1.0, 1.0, 2.0))
        start = -between(rng, 1.0, 2.2) * near
        while start < 1.5 * near:
            width = between(rng, 4.0, 16.0)
            if rng.random() < built:
                _building(rng, contents, side, near + between(rng, 0, 1.0), start, width)
            start += width + pick(rng, (0.0, 0.0, between(rng, 1.0, 6.0)))
    if rng.random() < 0.6:
        # A path, a lawn or a road across the place.
        half, row = between(rng, 0.8, 4.0), _paving(rng)
        off, high = between(rng, -0.5, 0.5) * reach, between(rng, 0.005, 0.1)
        ends = (-60.0, 60.0, 0.0, high, off - half, off + half)
        contents.add_boxes([(*ends, row)])
    for _ in range(pick(rng, (0, 0, 1, 2, 3))):
        _hedge(rng, contents, reach)
    for _ in range(pick(rng, (0, 1, 2, 4, 6))):
        _tree(rng, contents, 1.5 * reach)
    yard = (-reach, -reach, reach, reach)
    for _ in range(pick(rng, (0, 0, 1, 2, 3))):
        stand(rng, contents, yard, pick(rng, (_car, _bench, _bench)), 3.0)
    clouds, haze, cover = _sky(rng)
    ground = _paving(rng)
    rows = [ground, clouds, haze, haze] * MAX_ROOMS
    return pack(plan, contents, _lighting(rng, cover), rows, blank), reach
