"""Spaces with fewer cells, and searches that begin with given ones."""

import numpy as np
import pytest

from nas.cells import skeleton
from nas.cells.cell import Cell
from nas.search.evaluations import Constraint
from nas.search.search import PlannerConfig, Search
from nas.search.space import CellSpace, as_space
from nas.search.spaces.family import Family
from nas.search.spaces.restricted import NothingFeasible, check_feasible, complete_cells, restrict
from nas.surrogate.surrogate import Surrogate
from nas.tables import tabular
from tests.nas.made_tables import write_table

SPACE = CellSpace(skeleton.tiny, levels=3)


def light(*sizes, seed):
    return Surrogate.light(*sizes, seed=seed)


def texts(space):
    return {str(cell) for cell in complete_cells(space)}


def search(space, **options):
    config = PlannerConfig(keep=3, batch=4, parents=8, rounds=1)
    made = {'surrogate': light, 'config': config, 'seed': 0} | options
    return Search(space, 'error,params', **made)


def drive(one, count):
    cells = []
    while len(cells) < count and (batch := one.ask(count - len(cells))):
        cells += batch
        for cell in batch:
            one.tell(cell, {'error': 50 - 7 * cell.ops.count('conv3x3') - len(cell.ops)})
    return cells


@pytest.mark.parametrize(
    'forbid, prefixes',
    [
        (('conv3x3',), ()),
        (('none-gconv1x1', 'bn'), ()),
        ((), ('bn_relu-conv1x1',)),
        (('conv1x1',), ('bn', 'none-conv3x3')),
    ],
)
def test_the_cells_that_are_left_are_those_by_definition(forbid, prefixes):
    def left(text):
        return not any(f'-{run}-' in f'-{text}-' for run in forbid) and (
            not prefixes or any(f'{text}-'.startswith(f'{prefix}-') for prefix in prefixes)
        )

    restricted = restrict(SPACE, forbid=forbid, prefixes=prefixes)
    expected = {text for text in texts(SPACE) if left(text)}
    # A cell and the cell with a `none` behind it are one, under the name that is met first.
    assert {Cell.parse(t).key for t in texts(restricted)} == {Cell.parse(t).key for t in expected}
    asked = [str(cell) for cell in drive(search(restricted), 30)]
    assert asked and all(map(left, asked))


def test_a_search_without_restrictions_is_the_same_search():
    assert restrict(SPACE) is SPACE
    assert drive(search(restrict(SPACE, forbid=('none-lgconv1x1',))), 12) != drive(
        search(SPACE), 40
    )


class Foreign:
    """A space of another class, with tokens from 0 up."""

    root, length, vocabulary_size = '', 3, 2

    def grow(self, cell):
        return [cell + letter for letter in 'abc'] if len(cell) < 3 else []

    def encode(self, cell):
        return ['abc'.index(letter) for letter in cell]


def test_a_restricted_space_of_another_class_is_read_as_the_whole_one():
    for space in (as_space(Foreign()), restrict(Foreign(), forbid=('bbb',))):
        family = Family(space)
        family.add(['cab'])
        assert family.tokens().tolist() == [[1, 2, 3]], '0 would be padding'


def test_a_token_that_no_cell_of_a_table_holds_is_refused(tmp_path):
    write_table(tmp_path / 'table.npz')
    table = tabular.load_nas_bench_201(tmp_path / 'table.npz')
    with pytest.raises(ValueError, match="names 'conv3x3', .* accepted: .*nor_conv_3x3"):
        restrict(table, forbid=('conv3x3',))
    left = {cell for cell in table.cells if 'nor_conv_3x3' not in cell} - {table.root}
    assert len(left) > 10 and texts(restrict(table, forbid=('nor_conv_3x3',))) == left


@pytest.mark.parametrize(
    'values, message',
    [
        ({'forbid': ('conv5x5',)}, "--forbid=conv5x5 names 'conv5x5', .* accepted: bn_relu, bn"),
        ({'prefixes': ('bn-', 'bn')}, "--prefix=bn- names ''"),
        ({'forbid': ('bn_relu', 'bn', 'none')}, '--forbid=bn_relu,bn,none leaves no cell'),
        ({'forbid': ('bn',), 'prefixes': ('bn',)}, '--forbid=bn with --prefix=bn leaves no cell'),
    ],
)
def test_what_leaves_nothing_is_said_before_the_work(values, message):
    with pytest.raises(ValueError, match=message):
        restrict(SPACE, **values)


def test_limits_on_exact_costs_that_leave_nothing_name_the_nearest_cell():
    fewest = min(complete_cells(SPACE), key=lambda cell: SPACE.costs(cell)['params'])
    least = SPACE.costs(fewest)['params']
    check_feasible(SPACE, [Constraint.parse(f'params<={least}'), Constraint.parse('error<1')])
    with pytest.raises(NothingFeasible) as caught:
        check_feasible(SPACE, [Constraint.parse(f'params<{least}')])
    assert f'params<{least:.10g} leaves no cell' in str(caught.value)
    assert f'params {least:,.10g}' in str(caught.value) and caught.value.exit_code == 3


def test_cells_that_are_drawn_from_a_space_are_among_those_that_are_left():
    class Own(CellSpace):
        def sample(self, random):
            return Cell.parse(['bn-conv1x1', 'none-conv1x1', 'bn'][random.integers(3)])

    space = restrict(Own(SPACE.skeleton, levels=3), forbid=('none',))
    random = np.random.default_rng(0)
    assert {str(space.sample(random)) for _ in range(20)} == {'bn-conv1x1'}
    assert restrict(SPACE, forbid=('none',)).sample(random) is None
    every = restrict(Own(SPACE.skeleton, levels=3), prefixes=('bn_relu',))
    assert every.sample(random) is None


def test_included_cells_come_first_count_and_are_grown_on():
    include = ('none-conv3x3-bn_relu', 'bn-conv1x1', 'bn-conv1x1-none')
    one = search(SPACE, include=include)
    assert one.stage == 'given'
    cells = drive(one, 20)
    assert [str(cell) for cell in cells[:2]] == list(include[:2]), 'one for each key'
    assert len({cell.key for cell in cells}) == 20 == len(one.history)
    again = search(SPACE, include=include)
    for cell in cells[:7]:
        again.tell(cell, one.history[cells.index(cell)].objectives)
    assert drive(again, 13) == cells[7:]


def test_included_cells_that_are_known_from_an_earlier_search_are_not_evaluated_again():
    one = search(SPACE, include=('bn-conv1x1', 'bn-conv3x3'))
    one.warm_start([(Cell.parse('bn-conv1x1'), {'error': 3.0})])
    assert [str(cell) for cell in one.ask(9)] == ['bn-conv3x3']
    # One that knows enough to predict does so.
    one = search(SPACE, include=('bn-conv1x1', 'bn-conv3x3'))
    earlier = ('bn-conv1x1', 'bn_relu-conv1x1', 'none-conv1x1', 'none-conv3x3')
    one.warm_start([(Cell.parse(text), {'error': 3.0}) for text in earlier])
    (cell,) = one.ask(9)
    assert one.tell(cell, {'error': 2.0}).predicted['error'] > 0


@pytest.mark.parametrize(
    'space, text, message',
    [
        (SPACE, 'bn-conv9x9', "--include=bn-conv9x9 is no cell of this space: .*'conv9x9'"),
        (SPACE, 'bn-conv1x1-bn-conv1x1', 'is no cell of this space: length 3 is too short'),
        (SPACE, 'bn-dwconv3x3', '--include=bn-dwconv3x3 cannot be evaluated: it is incomplete'),
        (restrict(SPACE, forbid=('bn',)), 'bn-conv1x1', 'cannot be evaluated: .* leaves it out'),
    ],
)
def test_included_cells_that_are_none_of_the_space_are_refused(space, text, message):
    with pytest.raises(ValueError, match=message):
        search(space, include=(text,))
