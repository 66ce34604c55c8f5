"""The sheet of rooms: which scenes it shows, how tiles lie on it, what its table says."""

import numpy as np
import pytest

from experiments.benchmarks.depth.support import sheets
from pano_depth.rooms.wide import shots


def test_scenes_are_the_first_ones_of_the_kinds_that_are_asked_for():
    every = sheets.chosen('wide', 1, 30, [])
    assert [index for index, _ in every] == list(range(30))
    halls = sheets.chosen('wide', 1, 3, ['hall'])
    assert halls == [(index, place) for index, place in every if place == 'hall'][:3]
    assert all(shots.place_of(1, index) == 'hall' for index, _ in halls)
    assert sheets.chosen('usual', 1, 2, []) == [(0, 'usual'), (1, 'usual')]
    for style, places in (('wide', ['cave']), ('usual', ['hall'])):
        with pytest.raises(ValueError, match='--places is'):
            sheets.chosen(style, 1, 1, places)


def test_tiles_lie_in_rows_on_white():
    tiles = [np.full((4, 6, 3), value, np.uint8) for value in (10, 20, 30)]
    page = sheets.sheet(tiles, 2)
    gap = sheets.GAP
    assert page.shape == (2 * (4 + gap) + gap, 2 * (6 + gap) + gap, 3)
    assert page[gap, gap, 0] == 10 and page[gap, 6 + 2 * gap, 0] == 20
    assert page[4 + 2 * gap, gap, 0] == 30 and page[-1, -1, 0] == page[-5, -5, 0] == 255


def test_the_table_leaves_out_what_has_no_depth():
    depth = np.array([[0.0, 2.0], [4.0, 3.0]])
    line = sheets.table([('hall', depth)]).splitlines()[1].split()
    assert line == ['hall', '1', '2.00', '3.00', '4.00', '25.0%']
