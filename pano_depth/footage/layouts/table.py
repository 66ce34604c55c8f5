"""The layouts in which a frame can show the sphere, by name, with what ffmpeg's v360 calls them.

Orders and turns of the faces are v360's own. Its `c3x2` (right left up / down front back, all
upright) is the order of Facebook's transform and of Google's `cbmp` boxes; its `eac` is YouTube's
equi-angular cubemap: left front right upright, below them down back up, turned by a quarter, with a
border of two pixels around each row.
"""

import dataclasses
import math

AUTO = 'auto'
# Degrees that one circle shows, where neither a flag nor the picture says it.
FISHEYE_FOV = 190.0
_FULL, _HALF = 360.0, 180.0


@dataclasses.dataclass(frozen=True)
class Layout:
    """One way to show the sphere in a frame.

    Attributes:
        name: what `--projection` calls it.
        v360: what ffmpeg's v360 calls it.
        text: what it is, for people.
        grid: (columns, rows) of cube faces, or None.
        aspects: the widths over heights that frames of it have; empty if any will do.
        circles: how many fisheye circles a frame holds.
        options: further options of v360.
        full: whether it shows the whole sphere.
    """

    name: str
    v360: str
    text: str
    grid: tuple[int, int] | None = None
    aspects: tuple[float, ...] = ()
    circles: int = 0
    options: str = ''
    full: bool = True


# YouTube stores equi-angular cubemaps at 16:9 too: faces of 1280x1080 pixels in a frame of 4K.
_WIDE = (3 / 2, 16 / 9)
_ROWS = (
    Layout('equirect', 'e', 'an equirectangular panorama', aspects=(2.0,)),
    Layout('eac', 'eac', 'an equi-angular cubemap, as YouTube stores it', (3, 2), _WIDE),
    Layout('cubemap_3x2', 'c3x2', 'a cubemap of 3 x 2 faces', (3, 2), _WIDE),
    Layout('cubemap_6x1', 'c6x1', 'a cubemap of 6 faces in a row', (6, 1), (6.0,)),
    Layout('cubemap_1x6', 'c1x6', 'a cubemap of 6 faces in a column', (1, 6), (1 / 6,)),
    Layout('cubemap_cross', 'c6x1', 'a cubemap unfolded to a cross', (4, 3), (4 / 3,)),
    Layout('dual_fisheye', 'dfisheye', 'two fisheye circles side by side', None, (2.0,), 2),
    Layout('fisheye180', 'fisheye', 'one fisheye circle', None, (1.0,), 1, full=False),
    Layout('half_equirect', 'he', 'the front half of a panorama', None, (1.0,), full=False),
    Layout('barrel', 'barrel', "Facebook's barrel"),
    Layout('barrel_split', 'barrelsplit', "Facebook's split barrel"),
    Layout('tetrahedron', 'tetrahedron', 'a tetrahedron'),
    Layout('octahedron', 'octahedron', 'an octahedron'),
    Layout('pyramid', 'tsp', 'a truncated square pyramid'),
)
LAYOUTS = {layout.name: layout for layout in _ROWS}
PROJECTIONS = (AUTO, *LAYOUTS)


def check_projection(name):
    """Raises ValueError unless a projection is 'auto' or the name of a layout."""
    if name not in PROJECTIONS:
        raise ValueError(f'projection is {name!r}; accepted: {", ".join(PROJECTIONS)}')


def fits(layout, height, width):
    """Whether frames of height x width pixels can be of a `Layout`; within 2 %."""
    aspect = width / height
    return not layout.aspects or any(abs(aspect / one - 1) <= 0.02 for one in layout.aspects)


def check_fits(layout, height, width, name):
    """Raises ValueError unless frames of height x width pixels can be of a `Layout`.

    Args:
        layout: the `Layout`.
        height, width: of one eye, in pixels.
        name: the file that the message names.
    """
    if not fits(layout, height, width):
        accepted = ' or '.join(_ratio(aspect) for aspect in layout.aspects)
        raise ValueError(
            f'{name} is {width}x{height} pixels (width x height), but --projection={layout.name} '
            f'({layout.text}) takes frames of {accepted}'
        )


def _ratio(aspect):
    """'16:9' of 1.78."""
    return '{}:{}'.format(*min(
        ((w, h) for w in range(1, 17) for h in range(1, 10)),
        key=lambda pair: (round(abs(pair[0] / pair[1] - aspect), 6), pair[0]),
    ))  # fmt: skip


def equirect_size(layout, height, width, fov=None):
    """Size of the panorama that keeps the resolution of a frame.

    A cube face of s pixels shows 90 degrees, a circle of d pixels shows its field of view, and a
    panorama of width W shows 360 degrees. Where pixels are of many sizes, the panorama has as many
    as the frame.

    Args:
        layout: the `Layout`.
        height, width: of the frame (of one eye), in pixels.
        fov: degrees across a fisheye circle; None for `FISHEYE_FOV`.

    Returns:
        (height, width), width = 2 * height, a multiple of 16.
    """
    if layout.name == 'equirect':
        wide = width
    elif layout.grid:
        wide = 4 * max(width / layout.grid[0], height / layout.grid[1])
    elif layout.circles:
        wide = width / layout.circles * _FULL / (fov or FISHEYE_FOV)
    elif layout.name == 'half_equirect':
        wide = width * _FULL / _HALF
    else:
        wide = math.sqrt(2 * width * height)
    wide = 16 * max(2, round(wide / 16))
    return wide // 2, wide
