"""Windows, bright by day and dark mirrors in the evening, with curtains or blinds."""

from pano_depth.rooms import materials
from pano_depth.rooms.furnish import wall_box
from pano_depth.rooms.materials import PLAIN_CELL, between, colour, material, mixed, pick
from pano_depth.rooms.wide.moods import Mood


def _pane(rng, mood: Mood, width, height):
    """A window: bright outside by day, dark and mirroring in the evening."""
    row = materials.window(rng, width, height)
    columns = pick(rng, (1, 2, 3)) if width < 3 else round(width / between(rng, 0.8, 1.6))
    values = {
        'emission': between(rng, *mood.pane),
        'cell_u': width / columns,
        'phase_u': 0.5 * (columns % 2),
    }
    if mood.pane[1] < 0.1:
        dark = (0.01, 0.012, 0.02)
        names = ('a_red', 'a_green', 'a_blue', 'b_red', 'b_green', 'b_blue')
        values |= dict(zip(names, dark + dark)) | {'mirror': between(rng, 0.15, 0.4)}
    return materials.changed(row, **values)


def _blind(rng, mood: Mood):
    """Slats before a window, which light shines through."""
    pale = colour(rng, saturation=(0.0, 0.2), value=(0.6, 0.95))
    return material(
        rng,
        pale,
        mixed(pale, (0.25, 0.3, 0.4), 0.5),
        cell=(PLAIN_CELL, between(rng, 0.05, 0.12)),
        parity=1.0,
        emission=0.15 * between(rng, *mood.pane),
    )


def _curtain(rng):
    """Cloth in folds."""
    row = colour(rng, saturation=(0.0, 0.6), value=(0.3, 0.95))
    fold = between(rng, 0.05, 0.14)
    return material(
        rng,
        row,
        mixed(row, (0.02, 0.02, 0.02), between(rng, 0.3, 0.6)),
        cell=(fold, PLAIN_CELL),
        parity=between(rng, 0.4, 1.0),
        noise=0.4,
        grain=(1 / fold, 0.5),
    )


def hang_window(rng, contents, room, side, reserved, ceiling, mood):
    """A window, often large, with curtains or a blind; returns its (x, height, z) or None.

    Args:
        rng: numpy `Generator`.
        contents: `furnish.Contents`.
        room, side: see `furnish.wall_box`.
        reserved: (start, end) of what the wall has already; the window is added to it.
        ceiling: height, metres.
        mood: `Mood`.
    """
    low, high = room[1 - side % 2], room[3 - side % 2]
    large = rng.random() < 0.45
    width = min(between(rng, 1.6, 6.0) if large else between(rng, 0.6, 2.0), high - low - 0.3)
    bottom = pick(rng, (0.03, 0.03, 0.4, 0.9)) if large else pick(rng, (0.8, 0.9, 1.1))
    top = ceiling - between(rng, 0.05, 0.4) if large else between(rng, 1.9, ceiling - 0.1)
    if width < 0.5 or top - bottom < 0.4:
        return None
    start = between(rng, low + 0.12, high - 0.12 - width)
    end = start + width
    if any(start < b + 0.1 and end > a - 0.1 for a, b in reserved):
        return None
    put = lambda along, across, bottom, top, row: wall_box(
        room, side, along, across, bottom, top, row
    )
    pane = put((start, end), (0.0, 0.03), bottom, top, _pane(rng, mood, width, top - bottom))
    if not contents.add_boxes([pane]):
        return None
    reserved.append((start, end))
    kind = rng.random()
    if kind < 0.45:
        cloth, upper = _curtain(rng), min(top + between(rng, 0.05, 0.25), ceiling)
        lower = 0.02 if rng.random() < 0.7 else max(bottom - 0.15, 0.02)
        part = between(rng, 0.12, 0.5) * width
        first, last = max(low + 0.02, start - 0.15), min(high - 0.02, end + 0.15)
        sides = pick(rng, ((0,), (1,), (0, 1), (0, 1)))
        ends = ((first, first + part), (last - part, last))
        deep = (0.06, between(rng, 0.1, 0.16))
        contents.add_boxes([put(ends[which], deep, lower, upper, cloth) for which in sides])
    elif kind < 0.65:
        lower = between(rng, bottom, top - 0.2)
        contents.add_boxes([put((start, end), (0.04, 0.06), lower, top, _blind(rng, mood))])
    sign = 1 if side < 2 else -1
    point = (room[side] + sign * 0.3, start + width / 2)
    return point[side % 2], (bottom + top) / 2, point[1 - side % 2]
