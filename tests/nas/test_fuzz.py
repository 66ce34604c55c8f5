"""Random cells, plans, fronts, logs and images: each gives a right answer or one clear error."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nas.cells import cell as cell_lib
from nas.cells import cost, plan, skeleton
from nas.cells.cell import Cell
from nas.cells.skeleton import Skeleton
from nas.datasets import tars
from nas.datasets.open_images import open_images
from nas.search import pareto
from nas.search.evaluations import Constraint, Failure, read_records, result_of
from tests.nas.datasets.test_image_folder import files, write_folder, write_tar

# Derandomised, so that a failure is everybody's failure.
quick = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

TOKENS = cell_lib.NORMS + cell_lib.CONVS
WORDS = ('', '\uff42\uff4e', 'BN', 'bn ', '\x00', 'conv5x5')
NUMBERS = (
    0.0,
    -0.0,
    1.0,
    1.0,
    2.5,
    -3.0,
    5e-324,
    1e-300,
    1e30,
    -1e30,
    1e300,
    np.inf,
    -np.inf,
    np.nan,
)
numbers = st.sampled_from(NUMBERS)


def grown(choices):
    """The cell that a list of choices grows from the root."""
    cell = Cell.ROOT
    for choice in choices:
        successors = cell.grow()
        cell = successors[choice % len(successors)]
    return cell


cells = st.lists(st.integers(0, 17), min_size=1, max_size=12).map(grown)


@quick
@given(
    st.one_of(
        st.text(max_size=60),
        st.lists(st.one_of(st.sampled_from(TOKENS), st.sampled_from(WORDS)), max_size=12).map(
            '-'.join
        ),
    ),
    st.sampled_from([1, 1, 20_000]),
)
def test_text_is_a_cell_or_a_short_message(text, times):
    text = text * times
    words = text.strip().split('-')
    right = all(
        word in (cell_lib.CONVS if place % 2 else cell_lib.NORMS)
        for place, word in enumerate(words)
    )
    try:
        cell = Cell.parse(text)
    except ValueError as error:
        assert not right and len(str(error)) < 1000
        assert 'accepted' in str(error) or 'cell is empty' in str(error)
    else:
        assert right and cell.ops == tuple(words) and Cell.parse(str(cell)) == cell


def test_a_cell_of_any_length_is_read():
    text = '-'.join(['bn_relu-conv3x3'] * 20_000)
    assert Cell.parse(text).level == 40_000 and str(Cell.parse(text)) == text


@quick
@given(cells, st.sampled_from([skeleton.tiny, skeleton.digits]), st.sampled_from([1, 2, 3, 4, 8]))
def test_counts_of_any_grown_cell(cell, base, groups):
    assert Cell.parse(str(cell)) == cell and cell.key in (str(cell), str(cell)[:-5])
    on = dataclasses.replace(base, groups=groups)
    try:
        layers = plan.build(cell, on)
    except ValueError as error:
        assert str(cell) in str(error) and (
            not cell.complete or 'groups' in str(error) and groups in (3, 8)
        )
        return
    assert cell.complete and all(
        0 <= x < place for place, layer in enumerate(layers) for x in layer.inputs
    )
    counted = cost.count(layers)
    assert (
        all(type(value) is int and value >= 0 for value in counted)
        and counted.macs <= counted.flops
    )
    classifier = layers[-1]
    assert counted.params > classifier.in_channels * classifier.out_channels


NUMBER_FIELDS = {
    name: st.sampled_from([-1, 0, 1, 3, 2.5, True, '4', None, 10**9, 10**30])
    for name in ('size', 'classes', 'stem', 'groups', 'stem_stride')
}
TUPLE_FIELDS = {
    name: st.sampled_from([(), (0,), (1, 1), (2, -2), (10**9, 1), (1.5, 2), (4, 8)])
    for name in ('stages', 'growth')
}


@quick
@given(st.fixed_dictionaries({}, optional=NUMBER_FIELDS | TUPLE_FIELDS))
def test_skeletons_of_any_numbers_end_in_a_plan_or_a_sentence(fields):
    try:
        on = Skeleton(**{'name': 'made', 'stages': (1, 1), 'growth': (4, 8), **fields})
        layers = plan.build(Cell.parse('bn_relu-conv1x1'), on)
    except ValueError as error:
        assert 'made' in str(error) and len(str(error)) < 500
    else:
        assert all(type(value) is int and value >= 0 for value in cost.count(layers))


points = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(numbers, min_size=width, max_size=width), max_size=12)
)


def dominates(a, b):
    return all(x <= y for x, y in zip(a, b)) and any(x < y for x, y in zip(a, b))


@quick
@given(points)
def test_fronts_of_degenerate_points(rows):
    if np.isnan(np.array(rows, np.float64)).any():
        for function in (pareto.non_dominated, pareto.fronts, pareto.crowding):
            with pytest.raises(ValueError, match=r'points has NaN in row \d+'):
                function(rows)
        return
    mask, ranks = pareto.non_dominated(rows), pareto.fronts(rows)
    expected = [not any(dominates(other, row) for other in rows) for row in rows]
    assert mask.dtype == bool and mask.tolist() == expected and (ranks == 0).tolist() == expected
    for row, rank in zip(rows, ranks):
        # A point stands one rank behind the last of those that dominate it.
        before = [other for point, other in zip(rows, ranks) if dominates(point, row)]
        assert rank == max(before, default=-1) + 1


@quick
@given(points, st.sampled_from([0.0, 2.0, 1e30, -1.0, np.inf, np.nan, (1.0, 2.0)]))
def test_hypervolumes_of_degenerate_points(rows, reference):
    array = np.array(rows, np.float64)
    try:
        volume = pareto.hypervolume(rows, reference)
        steps = pareto.hypervolume_by_step(rows, reference)
    except ValueError as error:
        assert any(word in str(error) for word in ('accepted', 'NaN', 'objectives')), error
        return
    assert np.isfinite(reference).all() and not np.isnan(array).any()
    # Of numbers such as 1e300 the product is infinite, as it has to be.
    assert volume >= 0 and len(steps) == len(rows) and (steps[1:] >= steps[:-1]).all()
    better = [row for row in rows if (np.array(row) < reference).all()]
    # A volume may be too small for a float.
    assert (volume > 0) == bool(better) or min(
        np.min(reference - np.array(row)) for row in better
    ) < 1e-90
    np.testing.assert_allclose(pareto.hypervolume([*rows, *rows[:1]], reference), volume, rtol=1e-9)


@pytest.mark.parametrize('function', [pareto.non_dominated, pareto.fronts, pareto.crowding])
@pytest.mark.parametrize('shape', [(3,), (2, 2, 2), (3, 0), ()])
def test_points_of_another_rank_are_refused(function, shape):
    with pytest.raises(ValueError, match='points has shape'):
        function(np.ones(shape))


LIMITS = ['5', '1e6', '-1', 'nan', 'inf', '1e999', '1_0', '\u0663', '0x1', '9' * 5000]


@quick
@given(
    st.one_of(
        st.text(max_size=30),
        st.tuples(
            st.sampled_from(['latency_ms', 'a b', '', '\uff58']),
            st.sampled_from(['<', '<=', '=', '<<']),
            st.sampled_from(LIMITS),
        ).map(''.join),
    )
)
def test_constraints_of_any_text(text):
    try:
        limit = Constraint.parse(text)
    except ValueError as error:
        assert 'is not understood' in str(error)
    else:
        assert np.isfinite(limit.limit) and limit.name and limit.name == limit.name.strip()


RECORD = {
    'index': 0,
    'level': 2,
    'cell': 'bn-conv1x1',
    'status': 'ok',
    'seconds': 1.5,
    'reason': '',
    'objectives': {'error': 5.5, 'params': 100},
    'predicted': {},
}
leaves = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just(10**400)
)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=2), st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=4,
)


def check_records(path):
    """What is read can be told; what cannot is refused by line."""
    try:
        records, notice = read_records(path)
    except ValueError as error:
        assert f'{path} line ' in str(error) and 'only the last line may be damaged' in str(error)
        return
    for record in records:
        result = result_of(record)
        objectives = result.objectives if isinstance(result, Failure) else result
        assert isinstance(record['cell'], str)
        assert np.isfinite(np.array(list(objectives.values()), float)).all()
    assert len(records) + bool(notice) == len(path.read_bytes().splitlines())


@quick
@given(st.sampled_from(sorted(RECORD)), values, st.integers(0, 2))
def test_records_with_values_of_any_type(tmp_path, name, value, place):
    path = tmp_path / 'evaluations.jsonl'
    lines = [json.dumps(RECORD)] * 3
    lines[place] = json.dumps(RECORD | {name: value})
    path.write_text('\n'.join(lines) + '\n')
    check_records(path)


flips = st.lists(st.tuples(st.floats(0, 0.999), st.integers(1, 255)), min_size=1, max_size=3)


def damaged(whole, damage):
    """Other bytes, the part of a file in front of a place, or a file in which bits are flipped."""
    if isinstance(damage, bytes):
        return damage
    if isinstance(damage, float):
        return whole[: int(damage * len(whole))]
    changed = bytearray(whole)
    for place, mask in damage:
        changed[int(place * len(whole))] ^= mask
    return bytes(changed)


BAD_LINES = [b'[' * 100_000, b'{"a":' * 50_000, b'9' * 5000, b'\xff\xfe\x00', b'"\\ud800"']


@quick
@given(
    st.one_of(st.floats(0, 0.999), flips, st.binary(max_size=40), st.sampled_from(BAD_LINES)),
    st.booleans(),
)
def test_damaged_logs_lose_no_more_than_their_last_line(tmp_path, damage, last):
    path, line = tmp_path / 'evaluations.jsonl', json.dumps(RECORD).encode() + b'\n'
    whole = line * 3
    extra = isinstance(damage, bytes)
    path.write_bytes(
        line + damage + b'\n' + (b'' if last else line) if extra else damaged(whole, damage)
    )
    check_records(path)
    if isinstance(damage, float):
        kept = int(damage * len(whole))
        records, notice = read_records(path, repair=True)
        assert len(records) == kept // len(line) and bool(notice) == bool(kept % len(line))
        assert path.read_bytes() == line * len(records)


@pytest.fixture(scope='module')
def packed(tmp_path_factory):
    """Small archives, plain and compressed, by their suffix."""
    folder = tmp_path_factory.mktemp('tars')
    for mode in ('', 'gz', 'xz'):
        write_tar(folder / f'whole.{mode}', files(count=1), mode=f'w:{mode}')
    return {mode: (folder / f'whole.{mode}').read_bytes() for mode in ('', 'gz', 'xz')}


@quick
@given(
    st.sampled_from(['', 'gz', 'xz']),
    st.one_of(st.binary(max_size=600), st.floats(0, 0.999), flips),
)
def test_damaged_tars_are_read_or_refused_by_name(tmp_path, packed, mode, damage):
    path = tmp_path / 'damaged.tar'
    path.write_bytes(damaged(packed[mode], damage))
    try:
        found = [(name, read()) for name, read in tars.files(path)]
    except ValueError as error:
        assert 'damaged.tar' in str(error)
    else:
        assert all('..' not in name and len(content) < tars.MAX_BYTES for name, content in found)


@settings(quick, max_examples=40)
@given(st.one_of(st.binary(max_size=100), st.floats(0, 0.999), flips), st.booleans())
def test_damaged_images_are_read_or_refused_by_name(tmp_path, damage, streamed):
    contents = files(count=2)
    payload = damaged(contents['train/cat/0.png'], damage)
    spec = write_folder(tmp_path, contents | {'train/cat/0.png': payload})
    try:
        images = open_images(spec + (',stream' if streamed else ''), size=6).train.images[:]
    except ValueError as error:
        assert 'image train/cat/0.png cannot be read' in str(error)
    else:
        assert images.shape == (4, 6, 6, 3) and images.dtype == np.uint8


PATHS = [':', '::', ':,stream', ':/nowhere', ':~nobody/x', ':a\x00b']


@quick
@given(
    st.one_of(
        st.text(max_size=20),
        st.tuples(
            st.sampled_from(['digits', 'cifar10', 'imagenet', 'folder']),
            st.sampled_from(PATHS),
            st.text(max_size=5),
        ).map(''.join),
    )
)
def test_data_sets_of_any_name(text):
    with pytest.raises(ValueError, match='accepted|null'):
        open_images(text if ':' in text else f'made {text}', size=4)
