"""Parts of a sheet of rooms: which scenes are on it, where they lie, what is said of them."""

import numpy as np

from pano_depth.rooms.wide import shots

GAP = 2  # pixels between the pictures


def chosen(style: str, seed: int, count: int, places: list[str]) -> list[tuple[int, str]]:
    """(index, kind of place) of the first `count` scenes of some kinds of places.

    Raises:
        ValueError: there is no such kind.
    """
    unknown = set(places) - set(shots.PLACES)
    if unknown or (places and style != shots.WIDE):
        raise ValueError(
            f'--places is {",".join(places)}; accepted with --style={shots.WIDE}:'
            f' {", ".join(shots.PLACES)}'
        )
    found, index = [], 0
    while len(found) < count:
        place = shots.place_of(seed, index) if style == shots.WIDE else style
        if not places or place in places:
            found.append((index, place))
        index += 1
    return found


def sheet(tiles: list[np.ndarray], columns: int) -> np.ndarray:
    """Tiles [h, w, 3] of one size, uint8, side by side in rows, on white."""
    height, width = tiles[0].shape[:2]
    rows = -(-len(tiles) // columns)
    shape = (rows * (height + GAP) + GAP, columns * (width + GAP) + GAP, 3)
    page = np.full(shape, 255, np.uint8)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        top, left = GAP + row * (height + GAP), GAP + column * (width + GAP)
        page[top : top + height, left : left + width] = tile
    return page


def table(rows: list[tuple[str, np.ndarray]]) -> str:
    """How near and far things are by kind of place; rows are (kind, depth [H, W])."""
    lines = [
        f'{"place":12}{"frames":>8}{"nearest":>9}{"median":>8}{"farthest":>10}{"no depth":>10}'
    ]
    for kind in sorted({kind for kind, _ in rows}):
        depths = [depth for name, depth in rows if name == kind]
        known = [depth[depth > 0] for depth in depths]
        nearest, middle, farthest = (
            np.median([part(depth) for depth in known]) for part in (np.min, np.median, np.max)
        )
        without = np.mean([(depth == 0).mean() for depth in depths])
        lines.append(
            f'{kind:12}{len(depths):8}{nearest:9.2f}{middle:8.2f}{farthest:10.2f}{without:10.1%}'
        )
    return '\n'.join(lines)
