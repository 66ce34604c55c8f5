"""Metric logs that resume, and progress lines."""

import io
import json
import math

import jax.numpy as jnp
import numpy as np
import pytest
from tensorboardX.proto import event_pb2

from common import logs


def read_events(directory):
    """All events of all event files; a TFRecord is length, its checksum, payload, its checksum."""
    for path in sorted(directory.glob('events.out.tfevents.*')):
        data = path.read_bytes()
        while data:
            size = int.from_bytes(data[:8], 'little')
            yield event_pb2.Event.FromString(data[12 : 12 + size])
            data = data[12 + size + 4 :]


def read_scalars(directory):
    return [
        (event.step, value.tag, round(value.simple_value, 4))
        for event in read_events(directory)
        for value in event.summary.value
    ]


def test_lines_and_events(tmp_path):
    with logs.MetricLog(tmp_path) as log:
        log.write(1, {'loss': jnp.float32(0.5), 'rate': np.ones(1)})
        # On disk before the log is closed: a kill loses nothing.
        assert (tmp_path / 'metrics.jsonl').read_text() == '{"step": 1, "loss": 0.5, "rate": 1.0}\n'
        log.write(2, {'loss': 0.25})
    assert logs.read_metrics(tmp_path) == [
        {'step': 1, 'loss': 0.5, 'rate': 1.0},
        {'step': 2, 'loss': 0.25},
    ]
    assert read_scalars(tmp_path) == [(1, 'loss', 0.5), (1, 'rate', 1.0), (2, 'loss', 0.25)]


def test_non_finite_metrics_are_valid_json(tmp_path):
    with logs.MetricLog(tmp_path) as log:
        log.write(1, {'a': math.nan, 'b': jnp.inf, 'c': 1})
    line = (tmp_path / 'metrics.jsonl').read_text()
    assert json.loads(line, parse_constant=pytest.fail) == {
        'step': 1,
        'a': None,
        'b': None,
        'c': 1.0,
    }


def test_a_killed_and_resumed_run_has_each_step_once(tmp_path):
    with logs.MetricLog(tmp_path) as log:
        for step in range(1, 8):
            log.write(step, {'loss': step})
    with open(tmp_path / 'metrics.jsonl', 'a') as file:
        file.write('{"step": 8, "lo')  # the kill
    with logs.MetricLog(tmp_path, resume_step=5) as log:
        for step in range(6, 10):
            log.write(step, {'loss': -step})
    rows = logs.read_metrics(tmp_path)
    assert [row['step'] for row in rows] == list(range(1, 10))
    assert [row['loss'] for row in rows] == [1, 2, 3, 4, 5, -6, -7, -8, -9]
    with logs.MetricLog(tmp_path):
        assert len(logs.read_metrics(tmp_path)) == 9
    with logs.MetricLog(tmp_path, resume_step=0):
        assert logs.read_metrics(tmp_path) == []


def test_a_resumed_run_tells_tensorboard_which_steps_are_done_again(tmp_path):
    with logs.MetricLog(tmp_path, resume_step=5) as log:
        log.write(6, {'loss': 1})
    (tmp_path / 'fresh').mkdir()
    with logs.MetricLog(tmp_path / 'fresh') as log:
        log.write(6, {'loss': 1})
    start = event_pb2.SessionLog.START
    marks = [event.step for event in read_events(tmp_path) if event.session_log.status == start]
    assert marks == [6] and read_scalars(tmp_path) == [(6, 'loss', 1)]
    assert all(event.session_log.status != start for event in read_events(tmp_path / 'fresh'))


@pytest.mark.parametrize('metrics', [{'loss': np.ones(2)}, {'loss': 'low'}, {'step': 1}])
def test_what_is_no_metric_is_refused(tmp_path, metrics):
    with logs.MetricLog(tmp_path) as log, pytest.raises(ValueError, match='metric (loss|step) is'):
        log.write(1, metrics)
    assert (tmp_path / 'metrics.jsonl').read_text() == ''


class Clock:
    """Stands for time.monotonic."""

    now = 0.0

    def __call__(self):
        return self.now


def test_progress_lines_give_rate_and_time_left(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(logs.time, 'monotonic', clock)
    stream = io.StringIO()
    with logs.Progress(1000, description='train', initial=100, stream=stream) as progress:
        clock.now = 8.0  # the first step compiles
        progress.update(metrics={'loss': 0.5})
        for step in range(99):
            clock.now += 0.25
            progress.update(metrics={'loss': jnp.float32(0.1234567)} if step == 50 else None)
        progress.write('saved')
    lines = stream.getvalue().splitlines()
    assert lines == [
        'train 109/1000  4 steps/s  ETA 03:43  loss 0.5',
        'train 149/1000  4 steps/s  ETA 03:33  loss 0.5',
        'train 189/1000  4 steps/s  ETA 03:23  loss 0.1235',
        'saved',
        'train 200/1000  4 steps/s  ETA 03:20  loss 0.1235',
    ]


def test_slow_units_and_the_end(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(logs.time, 'monotonic', clock)
    stream = io.StringIO()
    with logs.Progress(3, unit='frame', interval=0, stream=stream) as progress:
        for _ in range(3):
            clock.now += 5000.0
            progress.update()
    assert stream.getvalue().splitlines() == [
        '1/3  5e+03 s/frame  ETA 2:46:40',
        '2/3  5e+03 s/frame  ETA 1:23:20',
        '3/3  5e+03 s/frame',
    ]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_gets_a_bar():
    stream = Terminal()
    with logs.Progress(4, description='train', stream=stream) as progress:
        progress.update(4, {'loss': 0.25})
        progress.write('saved')
    assert (
        '4/4' in stream.getvalue()
        and 'loss 0.25' in stream.getvalue()
        and 'saved\n' in stream.getvalue()
    )


def test_below_a_cell_of_a_notebook_there_is_a_bar():
    class Cell(io.StringIO):
        """What ipykernel puts in the place of stdout."""

    Cell.__module__ = 'ipykernel.iostream'
    for stream, bar in ((Cell(), True), (io.StringIO(), False)):
        with logs.Progress(3, unit='frame', description='reading', stream=stream) as progress:
            progress.update(3)
        assert 'reading' in stream.getvalue() and ('3/3 [' in stream.getvalue()) == bar
