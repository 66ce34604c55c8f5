"""The server of JSON lines: its answers, and that no line ends it."""

import io
import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.serve import lines
from nas.serve.shared import SharedSearch
from tests.nas.serve.numbers import make


@pytest.fixture
def shared(tmp_path):
    return SharedSearch(make(), tmp_path / 'evaluations.jsonl', budget=12)


def ask(shared, request):
    text = request if isinstance(request, bytes) else json.dumps(request).encode()
    return lines.answer(shared, text + b'\n')


def test_a_conversation(shared):
    first = ask(shared, {'ask': 2, 'id': 'a'})
    assert first['id'] == 'a' and first['left'] == 12 and len(first['cells']) == 2
    told = {'cell': first['cells'][0], 'objectives': {'error': 3}, 'seconds': 1.5}
    assert ask(shared, {'tell': told}) == {'told': told['cell'], 'status': 'ok', 'left': 11}
    rest = ask(shared, {'ask': 100})['cells']
    assert ask(shared, {'ask': 1}) == {'cells': [], 'left': 11, 'wait': 1 + len(rest)}
    failed = {'cell': first['cells'][1], 'failed': 'no memory'}
    assert ask(shared, {'tell': failed}) == {
        'told': failed['cell'],
        'status': 'failed',
        'reason': 'no memory',
        'left': 10,
    }
    front = ask(shared, {'front': True})['front']
    assert front == [
        {'cell': told['cell'], 'objectives': {'error': 3.0, 'size': float(len(told['cell']))}}
    ]
    if rest:
        assert ask(shared, {'release': rest[0]}) == {'released': rest[0]}
        assert ask(shared, {'ask': 1})['cells'] == [rest[0]]
    while not ask(shared, {'ask': 1}).get('done'):
        for cell in [c for c in shared._batch]:
            ask(shared, {'tell': {'cell': cell, 'objectives': {'error': 1}}})
    assert ask(shared, {'ask': 1}) == {'cells': [], 'left': 0, 'done': True}
    record = json.loads(shared.path.read_text().splitlines()[0])
    assert record['seconds'] == 1.5


@pytest.mark.parametrize(
    'request_, message',
    [
        (b'garbage', "'garbage' is no JSON; accepted"),
        (b'\xff\xfe{}', 'is no JSON'),
        (b'[' * 100_000, 'is no JSON'),
        (b'{"tell": {"cell": "12", "failed": "\\ud800"}}', 'is no JSON'),
        (b'{"ask": 1, "id": ' + b'[' * 700 + b']' * 700 + b'}', '"id" is [['),
        ([1], 'is no request; accepted is one of {"ask": ...}'),
        ({}, 'is no request'),
        ({'ask': 1, 'tell': {}}, 'is no request'),
        ({'stop': True}, 'is no request'),
        ({'ask': 0}, 'a number of cells from 1'),
        ({'ask': True}, 'a number of cells from 1'),
        ({'ask': '1'}, 'a number of cells from 1'),
        ({'tell': '12'}, '"tell" is "12"; accepted'),
        ({'tell': {'cell': 12, 'failed': 'x'}}, 'accepted: {"cell": "..."'),
        ({'tell': {'cell': '12', 'error': 3}}, 'accepted: {"cell": "..."'),
        ({'tell': {'cell': '12'}}, 'takes either "objectives" or "failed"'),
        ({'tell': {'cell': '12', 'objectives': 3}}, '"objectives" is 3; numbers by name'),
        ({'tell': {'cell': '12', 'objectives': {'error': '3'}}}, '\'error\' is "3"; a number'),
        ({'tell': {'cell': '12', 'objectives': {'error': True}}}, "'error' is true; a number"),
        ({'tell': {'cell': '12', 'objectives': {'error': 10**400}}}, 'too large'),
        ({'tell': {'cell': '12', 'objectives': {'loss': 3}}}, "unknown objective 'error'"),
        ({'tell': {'cell': '12', 'failed': 'x', 'seconds': -1}}, "'seconds' is -1"),
        ({'tell': {'cell': 'bn', 'failed': 'x'}}, "cell 'bn' is no number"),
        ({'release': '12'}, "cell '12' is not asked for"),
        ({'release': 7}, '"release" is 7; a cell'),
    ],
)
def test_lines_that_are_no_requests(shared, request_, message):
    answer = ask(shared, request_)
    assert set(answer) == {'error'} and message in answer['error']
    json.dumps(answer, allow_nan=False)
    assert not shared.evaluations and ask(shared, {'ask': 1})['cells']


def test_a_number_that_is_not_finite_is_the_failure_of_that_cell(shared):
    (cell,) = ask(shared, {'ask': 1})['cells']
    told = {'cell': cell, 'objectives': {'error': math.nan}}
    answer = ask(shared, {'tell': told})
    assert answer['status'] == 'failed' and 'error is nan' in answer['reason']


@settings(max_examples=40, deadline=None)
@given(
    st.binary(max_size=60)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(['ask', 'tell', 'id', 'cell', 'failed']), inner)
        ),
    ).map(lambda value: json.dumps(value).encode())
)
def test_no_line_ends_the_server(tmp_path_factory, line):
    shared = SharedSearch(make(), tmp_path_factory.mktemp('any') / 'log.jsonl', budget=5)
    answer = lines.answer(shared, line.replace(b'\n', b' ') + b'\n')
    json.dumps(answer, allow_nan=False)
    assert answer is None or set(answer) - {'id'}


def test_lines_that_are_too_long_are_read_to_their_end():
    long = b'x' * (2 * lines.LONGEST + 5)
    found = list(lines.read_lines(io.BytesIO(b'one\n' + long + b'\ntwo')))
    assert found == [b'one\n', None, b'two']
