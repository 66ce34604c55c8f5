"""The light of indoor places: bright days behind large windows, even offices, dark evenings."""

import dataclasses

import numpy as np

from pano_depth.rooms import materials
from pano_depth.rooms.materials import between, pick
from pano_depth.rooms.scene import MAX_ROOMS


@dataclasses.dataclass(frozen=True)
class Mood:
    """Ranges of the light of a place.

    Attributes:
        lamp: of a room's lamp, which casts shadows.
        window: of the light from a window.
        ambient: of the light from all sides.
        pane: emission of windows.
        shade: emission of lamps and light panels.
        warm: (green, blue) of lamps, the lowest.
        dark: how dark it is, 0 to 1, for `look.draw_look`.
        standing: whether standing lamps light the rooms instead of those on the ceiling.
    """

    lamp: tuple
    window: tuple
    ambient: tuple
    pane: tuple
    shade: tuple
    warm: tuple = (0.8, 0.6)
    dark: float = 0.0
    standing: bool = False


USUAL = Mood((0.9, 1.6), (0.0, 1.4), (0.16, 0.32), (0.5, 1.2), (1.0, 2.5))
DAY = Mood((0.0, 0.5), (1.0, 3.5), (0.12, 0.35), (2.0, 8.0), (0.0, 0.6))
OFFICE = Mood((0.6, 1.2), (0.0, 1.0), (0.3, 0.55), (0.8, 4.0), (3.0, 8.0), warm=(0.93, 0.88))
EVENING = Mood((0.5, 1.1), (0.0, 0.0), (0.04, 0.14), (0.0, 0.03), (2.0, 8.0), (0.7, 0.4), 1.0, True)
MOODS = (USUAL, USUAL, DAY, DAY, OFFICE, OFFICE, EVENING)


def draw_mood(rng):
    """One of the moods."""
    return pick(rng, MOODS)


def lamp(rng, mood):
    """The material of a lamp or of a light panel."""
    return materials.material(
        rng,
        (1.0, between(rng, mood.warm[0], 1.0), between(rng, mood.warm[1], 0.95)),
        emission=between(rng, *mood.shade),
    )


def lighting(rng, plan, lamps, windows, mood):
    """Positions and colours of lamps and windows and the ambient light, as in `Scene`.

    Args:
        rng: numpy `Generator`.
        plan: `FloorPlan`.
        lamps: (x, height, z) of each room's lamp.
        windows: (x, height, z) of one of each room's windows, or None.
        mood: `Mood`.
    """
    light, window = np.zeros((MAX_ROOMS, 3)), np.zeros((MAX_ROOMS, 3))
    colours = np.zeros((3, MAX_ROOMS, 3))
    level = between(rng, 0.8, 1.2)
    for index, (room, bulb, pane) in enumerate(zip(plan.rooms, lamps, windows)):
        area = (room[2] - room[0]) * (room[3] - room[1])
        light[index] = (bulb[0], -bulb[1], bulb[2])
        middle = ((room[0] + room[2]) / 2, plan.ceiling * 0.6, (room[1] + room[3]) / 2)
        x, height, z = pane or middle
        window[index] = (x, -height, z)
        warm = np.array([1.0, between(rng, mood.warm[0], 0.97), between(rng, mood.warm[1], 0.95)])
        sky = np.array([between(rng, 0.75, 0.95), 0.93, 1.0])
        # A high lamp needs more light, a standing one lights its corner.
        reach = 1.2 + area / 10 + 0.25 * max(0.0, plan.ceiling - 3) ** 2
        reach = 1.6 if mood.standing else reach
        colours[0, index] = level * between(rng, *mood.lamp) * reach * warm
        shine = between(rng, *mood.window) * (0.8 + area / 14)
        colours[1, index] = (shine if pane else 0.05) * sky
        colours[2, index] = level * between(rng, *mood.ambient) * (warm + sky) / 2
    return light, colours[0], window, colours[1], colours[2]
