"""The search on a small space that is fully known, with a linear surrogate instead of the LSTM."""

import functools
import itertools
import json
import math

import numpy as np
import pytest

from nas.cells import skeleton
from nas.cells.cell import Cell
from nas.search import pareto, search
from nas.search.search import Failure, PlannerConfig, Search
from nas.search.space import CellSpace, as_space
from nas.search.spaces.family import Family
from nas.surrogate import surrogate

LETTERS = 'abcd'
OBJECTIVES = ('error', 'size')


class Words:
    """Words of up to four letters; a trailing `a` changes nothing. Not a `Space`, and without
    `mutate`.
    """

    root = ''

    def grow(self, word):
        return tuple(word + letter for letter in LETTERS) if len(word) < 4 else ()

    def encode(self, word):
        return tuple(LETTERS.index(letter) + 1 for letter in word)

    def key(self, word):
        return word.rstrip('a') or 'a'[: len(word)]

    def costs(self, word):
        return {'size': 1.0 + sum(LETTERS.index(letter) for letter in self.key(word))}

    def parse(self, word):
        return word


def measure(word):
    """Errors fall with `d`s at the end and `c`s at the start; time grows with the size."""
    gain = sum(
        (i + 1) * (letter == 'd') + (4 - i) * (letter == 'c') for i, letter in enumerate(word)
    )
    return {'error': 40 / (1 + gain), 'time': 2 * Words().costs(word)['size'] ** 1.5}


class Linear:
    """Ridge regression, of logarithms where it can be, on one-hot tokens and features."""

    def __init__(self, length, vocabulary_size, features, *, seed):
        del seed
        self._size = length, vocabulary_size, features

    def _inputs(self, tokens, features):
        assert (tokens.shape[1], features.shape[1]) == (self._size[0], self._size[2])
        assert tokens.max() <= self._size[1]
        one_hot = tokens[:, :4, None] == np.arange(1, len(LETTERS) + 1)
        one = np.ones((len(tokens), 1))
        return np.concatenate([one_hot.reshape(len(tokens), -1), features, one], axis=1)

    def fit(self, tokens, features, values):
        inputs, self._log = self._inputs(tokens, features), (values > 0).all()
        gram = inputs.T @ inputs + 0.1 * np.eye(inputs.shape[1])
        targets = np.log(values) if self._log else values
        self._weights = np.linalg.solve(gram, inputs.T @ targets)

    def predict(self, tokens, features):
        mean = self._inputs(tokens, features) @ self._weights
        mean = np.exp(mean) if self._log else mean
        return mean, 0.2 * np.abs(mean)


def make(objectives=OBJECTIVES, *, space=None, **options):
    return Search(space or Words(), objectives, **{'seed': 0, 'surrogate': Linear} | options)


def drive(one, count, *, ask=100, order=lambda batch: batch, evaluate=measure):
    """Evaluates `count` cells; returns them as asked."""
    cells = []
    while len(cells) < count:
        batch = one.ask(min(ask, count - len(cells)))
        assert batch
        cells += batch
        for cell in order(batch):
            one.tell(cell, evaluate(cell))
    return cells


def all_words():
    return [''.join(w) for n in range(1, 5) for w in itertools.product(LETTERS, repeat=n)]


def test_levels_grow_what_was_kept_and_later_cells_come_from_all_levels():
    one = make(config=PlannerConfig(keep=4, explore=0))
    kept, level = {''}, 0
    while one.stage == 'levels':
        batch = one.ask(100)
        if one.stage != 'levels':
            break
        level += 1
        assert len(batch) <= min(4, level + 1)
        assert all(len(word) == level and word[:-1] in kept for word in batch)
        # A word whose key is known was not evaluated again, but can be grown.
        kept = set(batch) | {word + 'a' for word in kept}
        for word in batch:
            one.tell(word, measure(word))
    assert level == 4
    assert len({len(word) for word in batch}) > 1 and any(word[:-1] not in kept for word in batch)


def test_the_first_cells_are_drawn_from_the_whole_space_where_that_is_wished():
    config = PlannerConfig(keep=4, initial=12)
    one = make(config=config, include=['dddd', 'b'])
    assert drive(one, 2) == ['dddd', 'b'] and one.stage == 'given'
    drawn = one.ask(100)
    assert one.stage == 'drawn'
    assert len(drawn) == 10 == len({Words().key(word) for word in drawn} - {'dddd', 'b'})
    assert len({len(word) for word in drawn}) > 2, 'of many lengths'
    for word in drawn:
        one.tell(word, measure(word))
    assert 0 < len(one.ask(100)) <= 4 and one.stage == 'levels'
    other = make(config=config, seed=1)
    assert other.stage == 'drawn' and other.ask(100) != make(config=config, seed=2).ask(100)
    # What was told before restores the search.
    again = make(config=config, include=['dddd', 'b'])
    for word in ('dddd', 'b', *drawn[:4]):
        again.tell(word, measure(word))
    assert again.ask(100) == drawn[4:]


def test_what_an_earlier_search_knows_is_not_drawn_again():
    one = make(config=PlannerConfig(initial=8))
    one.warm_start([(word, measure(word)) for word in ('dc', 'cc', 'abd', 'bb', 'cab')])
    assert len(one.ask(100)) == 3
    one = make(config=PlannerConfig(initial=4))
    one.warm_start([(word, measure(word)) for word in ('dc', 'cc', 'abd', 'bb')])
    assert all(len(word) == 1 for word in one.ask(100))
    with pytest.raises(ValueError, match='initial is -1, it has to be at least 0'):
        PlannerConfig(initial=-1)


def test_drawn_cells_keep_to_limits_and_to_what_the_space_itself_draws():
    one = make(config=PlannerConfig(initial=8), constraints=['size<=4'])
    assert all(Words().costs(word)['size'] <= 4 for word in one.ask(100))

    class Own(Words):
        def sample(self, random):
            return 'dcba'[random.integers(4) :]

    drawn = make(space=Own(), config=PlannerConfig(initial=9)).ask(9)
    assert {Words().key(word) for word in drawn} == {'dcb', 'cb', 'b', 'a'}


@pytest.mark.parametrize('explore', [0, 0.5])
def test_a_part_of_every_level_is_grown_at_random_from_the_root(explore):
    one = make(config=PlannerConfig(keep=4, explore=explore))
    kept, strangers, sizes = {''}, [], []
    while one.stage == 'levels' and (batch := one.ask(100)) and one.stage == 'levels':
        sizes.append(len(batch))
        # A word stands for all words of its key, the longer of which end with `a`.
        grown = [word.ljust(len(sizes), 'a') for word in batch]
        strangers += [word for word in grown if word[:-1] not in kept]
        kept = set(grown) | {word + 'a' for word in kept}
        for word in batch:
            one.tell(word, measure(word))
    assert sizes == [2, 3, 4, 4]
    assert len(strangers) >= 2 if explore else not strangers, (
        'words that come of none that was evaluated'
    )


class Doubtful:
    """Expects too large an error of every word, but is not so sure of those with many letters
    `d`.
    """

    def __init__(self, length, vocabulary_size, features, *, seed):
        pass

    def fit(self, tokens, features, errors):
        pass

    def predict(self, tokens, features):
        many = (np.asarray(tokens) == 4).sum(axis=1) > 1
        return np.full(len(many), 100.0), np.where(many, 15.5, 0.0)


@pytest.mark.parametrize(
    'config, bold',
    [
        ({}, 4),
        ({'bold': 0.25}, 2),
        ({'bold': 0}, 0),
        ({'doubt': 1.0}, 0),
        ({'settled': 5, 'bold_later': 0.125}, 1),
    ],
)
def test_a_part_of_later_batches_goes_to_what_may_be_better_than_expected(config, bold):
    config = PlannerConfig(**{'batch': 8} | config)
    one = make(surrogate=Doubtful, reference={'error': 20, 'size': 14}, config=config)
    while one.stage == 'levels':
        batch = one.ask(100)
        if one.stage == 'levels':
            for word in batch:
                one.tell(word, measure(word))
    # Errors are expected to be alike and beyond the reference, so that the smallest words come
    # first.
    assert len(batch) == 8
    assert sum(word.count('d') > 1 for word in batch) == bold


def test_no_key_is_asked_twice_until_the_space_is_exhausted():
    one = make(config=PlannerConfig(batch=30))
    words = []
    while not one.exhausted:
        batch = one.ask(50)
        words += batch
        for word in batch:
            one.tell(word, measure(word))
    keys = [Words().key(word) for word in words]
    assert len(set(keys)) == len(keys)
    assert set(keys) == {Words().key(word) for word in all_words()}
    assert one.ask(3) == []


def test_the_front_is_found_with_a_part_of_the_evaluations():
    points = np.array([[measure(w)['error'], Words().costs(w)['size']] for w in all_words()])
    best = pareto.hypervolume(points, (20, 13))
    found = []
    for seed in range(3):
        one = make(seed=seed, reference={'error': 20, 'size': 13})
        drive(one, 60)
        found.append(pareto.hypervolume(one.points(one.front()), (20, 13)) / best)
    assert min(found) > 0.97
    drawn = [
        pareto.hypervolume(np.random.default_rng(s).permutation(points)[:60], (20, 13)) / best
        for s in range(9)
    ]
    assert min(found) > np.median(drawn)


def test_asking_depends_on_the_seed_and_the_tells_alone():
    whole = drive(make(), 50)
    assert drive(make(), 50, ask=3) == whole
    one = make()
    assert sorted(drive(one, 50, order=lambda batch: batch[::-1])) == sorted(whole)
    assert [e.cell for e in one.history] == [e.cell for e in make_told(whole).history]
    assert drive(make(seed=1), 50) != whole


def make_told(cells):
    one = make()
    for cell in cells:
        one.tell(cell, measure(cell))
    return one


@pytest.mark.parametrize('done', [1, 5, 21, 33])
def test_telling_again_restores_a_search(done):
    whole = drive(make(), 50)
    again = make_told(whole[:done])
    assert drive(again, 50 - done) == whole[done:]
    assert [e.predicted for e in again.history] == [e.predicted for e in make_told(whole).history]


def test_failures_count_and_are_not_grown():
    one = make(config=PlannerConfig(keep=3, explore=0))
    first = one.ask(10)
    for word in first:
        one.tell(word, Failure('out of memory') if word != first[0] else measure(word))
    assert [e.status for e in one.history].count('failed') == len(first) - 1
    assert all(word.startswith(first[0]) for word in one.ask(10))
    assert one.front()[0].cell == first[0] and len(one.front()) == 1


def test_a_value_that_is_not_finite_is_a_failure_with_its_reason():
    one = make()
    evaluation = one.tell(one.ask(1)[0], {'error': math.nan})
    assert (evaluation.status, evaluation.reason, evaluation.objectives) == (
        'failed',
        'error is nan',
        {},
    )
    with pytest.raises(ValueError, match="unknown objective 'error'"):
        one.tell(one.ask(1)[0], {'loss': 1.0})


def test_what_can_be_counted_is_counted_whatever_is_told():
    one = make()
    word = one.ask(1)[0]
    told = one.tell(word, {'error': 9.0, 'size': 1e9, 'time': 2.0})
    assert told.objectives == {'error': 9.0, 'time': 2.0, **Words().costs(word)}


def test_stopped_cells_teach_the_surrogate_but_are_not_on_the_front():
    one = make()
    words = drive(
        one,
        30,
        evaluate=lambda word: (
            Failure('dominated', 'stopped', {'error': 0.5}) if word.endswith('d') else measure(word)
        ),
    )
    assert any(word.endswith('d') for word in words)
    assert one.front() and not any(e.cell.endswith('d') for e in one.front())


def test_constraints_bound_what_is_asked_and_what_is_optimal():
    one = make(constraints=('size<=6', 'time<25'))
    words = drive(one, 40)
    assert max(Words().costs(word)['size'] for word in words) == 6
    assert all(measure(e.cell)['time'] < 25 for e in one.front())
    # Time is predicted from the size: hardly any cell over its limit is tried once it is known.
    slow = sum(measure(word)['time'] >= 25 for word in words[20:])
    assert slow < 5
    with pytest.raises(ValueError, match="constraint 'time=3'"):
        make(constraints=('time=3',))


def test_measured_objectives_are_predicted_from_costs_and_both_are_recorded():
    one = make('error, time')
    drive(one, 40)
    late = [e for e in one.history[25:] if e.predicted]
    assert len(late) > 5 and set(late[0].predicted) == {'error', 'time'}
    ratios = [e.predicted['time'] / e.objectives['time'] for e in late]
    assert min(ratios) > 0.5 and max(ratios) < 2
    assert one.rank_correlations()[4] > 0


class Silent:
    """The words of `Words`, whose space tells no costs."""

    root, grow, encode = '', Words.grow, Words.encode


def test_a_space_without_costs_predicts_measured_objectives_from_its_tokens():
    one = make('error, time', space=Silent())
    drive(one, 40)
    late = [e for e in one.history[25:] if e.predicted]
    predicted, told = zip(*((e.predicted['time'], e.objectives['time']) for e in late))
    assert len(late) > 5 and len({round(value, 6) for value in predicted}) > 5
    assert np.corrcoef(np.log(predicted), np.log(told))[0, 1] > 0.7


def test_warm_start_knows_but_does_not_count():
    earlier = make()
    drive(earlier, 30)
    one = make()
    told = [(e.cell, e.result()) for e in earlier.history]
    assert one.warm_start([*told, ('dddd', Failure('no'))]) == len(told) > 20
    assert not {*one.ask(5)} & {e.cell for e in earlier.history} and one.history == []
    assert {e.cell for e in one.front()} == {e.cell for e in earlier.front()}
    with pytest.raises(ValueError, match='before the first ask'):
        one.warm_start([])


def test_what_breaks_a_constraint_is_not_on_the_front():
    one = make(constraints=('time<20',))
    for word in ('d', 'ddd'):
        one.tell(word, measure(word))
    assert measure('d')['time'] < 20 < measure('ddd')['time']
    assert [e.cell for e in one.front()] == ['d']


def test_bad_calls_are_refused():
    for objectives in ('', 'error,error', ()):
        with pytest.raises(ValueError, match='objectives'):
            make(objectives)
    with pytest.raises(ValueError, match='reference names'):
        make(reference={'speed': 1})
    with pytest.raises(ValueError, match='no encode'):
        make(space=type('Half', (), {'root': 0, 'grow': None})())
    one = make()
    word = one.ask(1)[0]
    one.tell(word, measure(word))
    with pytest.raises(ValueError, match='told before'):
        one.tell(word, measure(word))
    with pytest.raises(ValueError, match='n is 0'):
        one.ask(0)


def test_mutations_change_one_choice_of_the_growth():
    family = Family(as_space(Words()))
    for word in ('', 'b', 'bc'):
        family.grow(word)
    assert sorted(family.mutate('bcd')) == [
        'acd',
        'bad',
        'bbd',
        'bca',
        'bcb',
        'bcc',
        'bdd',
        'ccd',
        'dcd',
    ]
    assert family.mutate('ddd') == ()  # not grown here
    assert Words().key('acd') in family.row


# The loop and its log.


def test_run_logs_every_evaluation_and_a_killed_run_goes_on(tmp_path):
    whole, broken = tmp_path / 'whole.jsonl', tmp_path / 'broken.jsonl'
    expected = search.run(make(), measure, budget=40, path=whole)
    lines = whole.read_text().splitlines(keepends=True)
    records = [json.loads(line) for line in lines]
    assert [record['index'] for record in records] == list(range(40))
    assert [record['cell'] for record in records] == [e.cell for e in expected]
    assert {'level', 'status', 'objectives', 'seconds', 'reason', 'predicted'} <= set(records[0])
    cell = records[9]['cell']
    assert records[9]['objectives'] == pytest.approx({**Words().costs(cell), **measure(cell)})
    for kept, cut in ((13, 0), (27, 20)):  # between two lines, and within one
        broken.write_text(''.join(lines[:kept]) + lines[kept][:cut])
        evaluated, notices = [], []
        again = search.run(
            make(),
            lambda word, evaluated=evaluated: evaluated.append(word) or measure(word),
            budget=40,
            path=broken,
            on_notice=notices.append,
        )
        assert evaluated == [e.cell for e in expected[kept:]]
        assert [e.cell for e in again] == [e.cell for e in expected]
        logged = [json.loads(line)['cell'] for line in broken.read_text().splitlines()]
        assert logged == [e.cell for e in expected]
        assert bool(notices) == bool(cut)
    assert f'line {kept + 1}' in notices[0]
    assert (tmp_path / 'broken.jsonl.corrupt').read_text() == lines[kept][:cut]


class Backwards:
    """An executor whose candidates finish in reverse order."""

    def map(self, function, jobs):
        return [(index, function(jobs[index])) for index in reversed(range(len(jobs)))]


def test_the_order_in_which_candidates_finish_changes_nothing():
    one, other = make(), make()
    search.run(one, measure, budget=45)
    search.run(other, measure, budget=45, executor=Backwards())
    assert len(one.history) > 35
    assert one.history[:35] == other.history[:35]
    assert {e.cell for e in one.front()} == {e.cell for e in other.front()}


def test_exceptions_are_the_candidates_own_failures(tmp_path):
    def fragile(word):
        if 'd' in word:
            raise MemoryError('too large')
        return measure(word)

    evaluations = search.run(make(), fragile, budget=30, path=tmp_path / 'log.jsonl')
    failed = [e for e in evaluations if e.status == 'failed']
    assert failed and all('d' in e.cell and e.reason == 'MemoryError: too large' for e in failed)
    assert len(evaluations) == 30
    with pytest.raises(ValueError, match='all of the first .* failed: RuntimeError: no data'):
        search.run(make(), lambda word: (_ for _ in ()).throw(RuntimeError('no data')), budget=30)


def test_bad_runs_are_refused(tmp_path):
    with pytest.raises(ValueError, match='--budget=3 is smaller than a level of 6'):
        search.run(make(), measure, budget=3)
    log = tmp_path / 'log.jsonl'
    search.run(make(), measure, budget=12, path=log)
    lines = log.read_text().splitlines()
    log.write_text('\n'.join([lines[0], 'garbage', *lines[1:]]) + '\n')
    with pytest.raises(ValueError, match='line 2 is not JSON'):
        search.run(make(), measure, budget=12, path=log)


def test_dpp_net_cells_with_the_lstm_ensemble():
    """Growth passes through incomplete cells, and every cell that is asked can be built."""
    small = surrogate.SurrogateConfig(members=2, steps=20, warm_steps=5)
    space = CellSpace(skeleton.tiny, levels=4)
    one = Search(
        space,
        'error,params',
        surrogate=functools.partial(surrogate.Surrogate, config=small),
        config=PlannerConfig(keep=4, batch=4, parents=10, rounds=1),
    )
    cells = []
    for _ in range(5):
        for cell in one.ask(4):
            cells.append(cell)
            one.tell(cell, {'error': 10 + 5 * cell.ops.count('dwconv3x3') + len(cell.ops)})
    assert all(cell.complete and not cell.key.endswith('none') for cell in cells[:3])
    assert cells[0].level == 2 and {cell.level for cell in cells} > {2, 4}
    assert len({cell.key for cell in cells}) == len(cells) > 12
    assert one.history[-1].predicted['error'] > 0
    assert (
        space.parse(str(cells[-1])) == cells[-1]
        and space.complete(Cell.parse('bn-dwconv3x3')) is False
    )
