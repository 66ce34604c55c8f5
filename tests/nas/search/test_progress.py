"""The lines that show how a search stands."""

import pytest

from nas.cells import skeleton
from nas.search.config import PlannerConfig
from nas.search.progress import Teller
from nas.search.search import Search
from nas.search.space import CellSpace


@pytest.mark.parametrize(
    'objectives, best', [('-accuracy,params', 'highest accuracy 3'), ('loss', 'lowest loss -2')]
)
def test_the_line_of_a_level_tells_the_best_value(objectives, best):
    search = Search(CellSpace(skeleton.tiny), objectives, config=PlannerConfig(keep=2))
    teller, said = Teller(search, 9, done=0), []
    teller.progress.write = said.append
    cells = search.ask(9)
    assert len(cells) == 2
    for place, cell in enumerate(cells):
        teller(search.tell(cell, {'accuracy': 2.0 + place, 'loss': -1.0 - place}))
    assert sum(line.startswith('-- ') for line in said) == 1
    assert said[-1].startswith('-- level 2 done, ')
    assert f', {best}, ETA ' in said[-1]


def test_cells_that_were_given_and_drawn_are_no_level():
    config, given = PlannerConfig(keep=2, initial=4), ['bn-conv1x1']
    search = Search(CellSpace(skeleton.tiny), 'loss', config=config, include=given)
    teller, said = Teller(search, 9, done=0), []
    teller.progress.write = said.append
    for _ in range(2):
        for cell in search.ask(9):
            teller(search.tell(cell, {'loss': -1.0}))
    stages = [line.partition(',')[0] for line in said if line.startswith('-- ')]
    assert stages == ['-- given cells done', '-- drawn cells done']
