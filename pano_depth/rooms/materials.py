"""Surface materials of the procedural rooms: one row of numbers each, read by `textures.albedo`.

A material is a lattice of cells (tiles, bricks, planks, checks, stripes, books, panels) with joints
between them and value noise (plaster, wood grain, fabric, paintings) on top. Colours are linear
reflectances.
"""

import colorsys

import numpy as np

# The columns of a row:
#   a, b, joint           linear colours of the cells (from a to b) and of the joints
#   cell                  size of a cell in metres
#   shift                 shift of each row of cells, as a part of a cell
#   joint                 half width of the joints in metres
#   parity, tint          how much cells alternate, and how much they differ from each other
#   noise, colourful      how much noise cells have, and how much a colour of their own
#   noise_u, noise_v      frequency of the noise in 1/m
#   phase                 phase of the lattice in cells
#   swap                  whether u and v change places
#   emission, seed        light that the surface emits; seed of its random numbers
#   mirror                share of the light that it mirrors, seen head on
FIELDS = (
    'a_red',
    'a_green',
    'a_blue',
    'b_red',
    'b_green',
    'b_blue',
    'joint_red',
    'joint_green',
    'joint_blue',
    'cell_u',
    'cell_v',
    'shift',
    'joint',
    'parity',
    'tint',
    'noise',
    'colourful',
    'noise_u',
    'noise_v',
    'phase_u',
    'phase_v',
    'swap',
    'emission',
    'seed',
    'mirror',
)
COLUMN = {name: index for index, name in enumerate(FIELDS)}
PLAIN_CELL = 1e3  # metres: one cell holds everything


def between(rng, low, high):
    """A uniform draw in [low, high): `rng.uniform` at a tenth of its cost."""
    return low + (high - low) * rng.random()


def pick(rng, options):
    """A uniformly drawn element of a sequence."""
    return options[int(rng.random() * len(options))]


def colour(rng, hue=(0.0, 1.0), saturation=(0.1, 0.6), value=(0.3, 0.9)):
    """A random colour as reflectances; hue, saturation and displayed value are in the ranges."""
    rgb = colorsys.hsv_to_rgb(
        between(rng, *hue) % 1.0, between(rng, *saturation), between(rng, *value)
    )
    return tuple(channel**2 for channel in rgb)


def mixed(a, b, part):
    """The colour `part` of the way from `a` to `b`."""
    return tuple(x + (y - x) * part for x, y in zip(a, b))


def material(
    rng,
    a,
    b=None,
    joint_colour=None,
    *,
    cell=(PLAIN_CELL, PLAIN_CELL),
    shift=0.0,
    joint=0.0,
    parity=0.0,
    tint=0.0,
    noise=0.0,
    colourful=0.0,
    grain=(1.0, 1.0),
    phase=(0.5, 0.5),
    swap=0,
    emission=0.0,
    mirror=0.0,
):
    """A row of `FIELDS` as a tuple of floats; `b` and `joint_colour` default to shades of `a`."""
    b = mixed(a, (0.0, 0.0, 0.0), 0.5) if b is None else b
    joint_colour = mixed(a, (0.0, 0.0, 0.0), 0.6) if joint_colour is None else joint_colour
    return (
        *a,
        *b,
        *joint_colour,
        *cell,
        shift,
        joint,
        parity,
        tint,
        noise,
        colourful,
        *grain,
        *phase,
        swap,
        emission,
        float(int(rng.random() * 4096)),
        mirror,
    )


def paint(rng):
    """Wall paint, mostly pale: plain, or mottled by light and rough plaster."""
    strong = rng.random() < 0.25
    saturation, value = ((0.2, 0.55), (0.35, 0.85)) if strong else ((0.02, 0.2), (0.7, 0.97))
    a = colour(rng, saturation=saturation, value=value)
    frequency = between(rng, 1.0, 7.0)
    return material(
        rng,
        a,
        mixed(a, colour(rng, saturation=(0.0, 0.3), value=(0.2, 0.6)), 0.6),
        noise=pick(rng, (0.0, 0.3, 0.6)),
        grain=(frequency, frequency * between(rng, 0.5, 2.0)),
    )


def wallpaper(rng):
    """Stripes, checks or a small repeated motif."""
    a = colour(rng, saturation=(0.05, 0.45), value=(0.55, 0.95))
    b = mixed(a, colour(rng, saturation=(0.1, 0.6)), between(rng, 0.25, 0.8))
    size = between(rng, 0.12, 0.5)
    kind = rng.random()
    if kind < 0.5:
        return material(rng, a, b, cell=(size, PLAIN_CELL), parity=between(rng, 0.4, 1.0))
    if kind < 0.75:
        return material(rng, a, b, cell=(size, size), parity=between(rng, 0.3, 0.8))
    return material(
        rng, a, b, b, cell=(size, size * 1.3), shift=0.5, joint=between(rng, 0.01, 0.03), tint=0.5
    )


def ceiling(rng):
    """A pale ceiling: plain, plaster, coffered, boarded or in panels."""
    a = colour(rng, saturation=(0.0, 0.08), value=(0.85, 1.0))
    kind = rng.random()
    if kind < 0.25:
        return material(rng, a)
    if kind < 0.5:
        return material(
            rng,
            a,
            mixed(a, (0.2, 0.2, 0.2), 0.5),
            noise=between(rng, 0.3, 0.7),
            grain=(between(rng, 1.5, 6.0),) * 2,
        )
    if kind < 0.75:
        size = between(rng, 0.4, 1.0)
        return material(
            rng,
            a,
            mixed(a, (0.3, 0.3, 0.3), 0.6),
            cell=(size, size * pick(rng, (1.0, 2.0))),
            joint=between(rng, 0.008, 0.04),
            tint=between(rng, 0.1, 0.4),
            noise=0.2,
            grain=(8.0, 8.0),
        )
    boards = planks(rng)
    pale = mixed(boards[:3], (0.9, 0.88, 0.85), between(rng, 0.0, 0.8))
    return (*pale, *mixed(pale, (0.0, 0.0, 0.0), 0.3), *boards[6:])


def wood(rng, *, dark=None):
    """Wood with a grain along u, no joints."""
    value = (0.25, 0.45) if dark else (0.35, 0.85)
    a = colour(rng, hue=(0.05, 0.11), saturation=(0.25, 0.65), value=value)
    grain = (between(rng, 1.0, 3.0), between(rng, 14.0, 40.0))
    return material(
        rng,
        a,
        mixed(a, (0.0, 0.0, 0.0), 0.6),
        noise=between(rng, 0.4, 0.9),
        grain=grain,
        swap=pick(rng, (0, 1)),
    )


def planks(rng):
    """A floor of wooden boards or parquet."""
    a = colour(rng, hue=(0.04, 0.11), saturation=(0.25, 0.65), value=(0.35, 0.85))
    width = between(rng, 0.1, 0.24)
    return material(
        rng,
        a,
        mixed(a, (0.02, 0.01, 0.0), between(rng, 0.4, 0.8)),
        cell=(width * between(rng, 4.0, 9.0), width),
        shift=between(rng, 0.25, 0.75),
        joint=0.003,
        tint=between(rng, 0.5, 1.0),
        noise=between(rng, 0.3, 0.7),
        grain=(2.0, 25.0),
        swap=pick(rng, (0, 1)),
    )


def tiles(rng):
    """Square or checked tiles with light or dark joints."""
    a = colour(rng, saturation=(0.02, 0.3), value=(0.5, 0.95))
    b = mixed(a, colour(rng, saturation=(0.05, 0.5), value=(0.1, 0.8)), between(rng, 0.3, 0.9))
    size = pick(rng, (0.2, 0.3, 0.45, 0.6))
    return material(
        rng,
        a,
        b,
        cell=(size, size),
        joint=between(rng, 0.003, 0.008),
        tint=between(rng, 0.1, 0.5),
        parity=pick(rng, (0.0, 0.0, 0.9)),
        noise=0.2,
        grain=(6.0, 6.0),
    )


def bricks(rng):
    """Bare or painted brickwork."""
    a = colour(rng, hue=(0.0, 0.07), saturation=(0.1, 0.65), value=(0.4, 0.85))
    return material(
        rng,
        a,
        mixed(a, (0.05, 0.02, 0.01), 0.7),
        colour(rng, saturation=(0.0, 0.1), value=(0.5, 0.85)),
        cell=(0.25, 0.08),
        shift=0.5,
        joint=0.006,
        tint=0.9,
        noise=0.4,
        grain=(12.0, 12.0),
    )


def carpet(rng):
    """A floor covering with fine noise, sometimes striped or checked."""
    a = colour(rng, saturation=(0.05, 0.6), value=(0.25, 0.8))
    size = between(rng, 0.1, 0.5)
    return material(
        rng,
        a,
        colour(rng, saturation=(0.1, 0.7), value=(0.2, 0.9)),
        cell=pick(rng, ((PLAIN_CELL,) * 2, (size, size), (size, PLAIN_CELL))),
        parity=between(rng, 0.3, 1.0),
        noise=between(rng, 0.2, 0.5),
        grain=(between(rng, 8.0, 30.0),) * 2,
    )


def fabric(rng):
    """Upholstery: one colour with a fine or a coarse pattern."""
    a = colour(rng, saturation=(0.05, 0.75), value=(0.2, 0.9))
    b = mixed(a, colour(rng), between(rng, 0.2, 0.7))
    size = between(rng, 0.04, 0.15)
    return material(
        rng,
        a,
        b,
        cell=pick(rng, ((PLAIN_CELL,) * 2, (PLAIN_CELL,) * 2, (size, PLAIN_CELL), (size, size))),
        parity=between(rng, 0.3, 1.0),
        noise=between(rng, 0.2, 0.6),
        grain=(between(rng, 5.0, 25.0),) * 2,
    )


def lacquer(rng):
    """A plain painted or plastic surface."""
    return material(rng, colour(rng, saturation=(0.0, 0.8), value=(0.15, 0.98)))


def books(rng, height):
    """Rows of book spines, each with a colour of its own; `height` of a row in metres."""
    return material(
        rng,
        (0.2, 0.15, 0.1),
        (0.4, 0.35, 0.3),
        (0.02, 0.015, 0.01),
        cell=(between(rng, 0.03, 0.06), height),
        joint=0.004,
        tint=0.6,
        colourful=between(rng, 0.5, 1.0),
    )


def picture(rng, width, height):
    """A framed abstract painting that fills one cell of the given size in metres."""
    border = between(rng, 0.02, 0.05)
    frequency = between(rng, 2.0, 6.0) / max(width, height)
    return material(
        rng,
        colour(rng, value=(0.3, 1.0)),
        colour(rng, value=(0.1, 0.9)),
        pick(rng, ((0.01,) * 3, (0.9,) * 3, (0.3, 0.2, 0.05))),
        cell=(width, height),
        joint=border,
        noise=2.5,
        tint=0.3,
        colourful=0.2,
        grain=(frequency, frequency),
    )


def panels(rng, a, width, height, columns, rows, joint=0.008):
    """Panelled fronts (doors, drawers): `columns` x `rows` cells on `width` x `height` metres."""
    return material(
        rng,
        a,
        cell=(width / columns, height / rows),
        joint=joint,
        tint=0.08,
        noise=0.15,
        grain=(1.5, 12.0),
        phase=(0.5 * (columns % 2), 0.5 * (rows % 2)),
    )


def window(rng, width, height):
    """Bright panes with clouds behind them and a white frame."""
    sky = mixed((0.45, 0.65, 1.0), (0.9, 0.9, 0.9), rng.random())
    columns = 1 + int(width / 0.7)
    return material(
        rng,
        sky,
        colour(rng, hue=(0.2, 0.6), saturation=(0.1, 0.4), value=(0.5, 0.9)),
        (0.8, 0.8, 0.8),
        cell=(width / columns, height),
        joint=0.035,
        noise=0.9,
        grain=(1.2, 1.8),
        phase=(0.5 * (columns % 2), 0.5),
        emission=between(rng, 0.5, 1.2),
    )


def lamp(rng):
    """A shining shade."""
    return material(rng, (1.0, 0.93, between(rng, 0.6, 0.95)), emission=between(rng, 1.0, 2.5))


FLOORS = (planks, planks, planks, tiles, tiles, carpet)
WALLS = (paint, paint, paint, paint, wallpaper, wallpaper, bricks)


def changed(row, **values):
    """A material row with other values in the named columns."""
    row = list(row)
    for name, value in values.items():
        row[COLUMN[name]] = value
    return tuple(row)


def table(rows):
    """Stacks material rows to [M, len(FIELDS)] float32."""
    return np.asarray(rows, np.float32)
