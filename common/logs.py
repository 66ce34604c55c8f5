"""The output of a run: metrics for files and TensorBoard, progress for the terminal."""

import json
import os
import pathlib
import sys
import time

import numpy as np
import tqdm
from tensorboardX import summary
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto import event_pb2

from common import parallel
from common.run import atomic_path, jsonable

METRICS_FILE = 'metrics.jsonl'
_FLUSH_SECONDS = 10


class MetricLog:
    """Writes flat dicts of metrics to `metrics.jsonl` and to TensorBoard event files, in process 0.

    A loop that resumes logs each step once if it writes the metrics of a step before its
    checkpoint, and passes the restored step as `resume_step`.
    """

    def __init__(self, directory, *, resume_step=None):
        """Opens the log of a run.

        Args:
            directory: the run directory, which exists.
            resume_step: the last step to keep of an earlier log (0 starts over where steps count
                from 1); later lines are dropped, the file is rewritten atomically. None keeps all.
                A line that a kill cut short is always dropped.
        """
        self._file = self._events = None
        if not parallel.is_main():
            return
        path = pathlib.Path(directory) / METRICS_FILE
        if path.exists():
            kept = [
                row
                for row in read_metrics(directory)
                if resume_step is None or row['step'] <= resume_step
            ]
            with atomic_path(path) as temporary:
                temporary.write_text(''.join(_line(row) for row in kept))
        self._file = open(path, 'a')  # noqa: SIM115 - it stays open until `close`
        purge = None if resume_step is None else resume_step + 1
        self._events = _Events(directory, purge_step=purge)

    def write(self, step, metrics):
        """Writes the metrics of one step; the line is on its way to disk when this returns.

        Args:
            step: the index of the step.
            metrics: flat dict of names to numbers or arrays of one element; NaN and infinities
                become null in the file and are left out of the events.

        Raises:
            ValueError: if a metric is not a single number or is called `step`.
            OSError: for example, the disk is full.
        """
        values = {name: _scalar(name, value) for name, value in metrics.items()}
        if self._file is None:
            return
        self._file.write(_line({'step': int(step), **values}))
        self._file.flush()
        self._events.write(
            int(step), {name: value for name, value in values.items() if np.isfinite(value)}
        )

    def close(self):
        """Flushes and closes the files."""
        if self._file is not None:
            self._file.close()
            self._events.close()
            self._file = None

    def __enter__(self):
        return self

    def __exit__(self, *unused_exception):
        self.close()


class _Events:
    """Scalars in a TensorBoard event file, written by the thread that calls.

    On a full disk, the thread and the queue of tensorboardX's SummaryWriter would block a run for
    ever.
    """

    def __init__(self, directory, *, purge_step):
        """Opens a file; TensorBoard then hides entries of other files from `purge_step` on."""
        self._writer = EventsWriter(os.path.join(directory, 'events'))
        self._flushed = time.monotonic()
        if purge_step is not None:
            start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
            self._add(step=purge_step, file_version='brain.Event:2')
            self._add(step=purge_step, session_log=start)

    def _add(self, **fields):
        self._writer.write_event(event_pb2.Event(wall_time=time.time(), **fields))

    def write(self, step, values):
        for name, value in values.items():
            self._add(step=step, summary=summary.scalar(name, value))
        if time.monotonic() - self._flushed > _FLUSH_SECONDS:
            self._writer.flush()
            self._flushed = time.monotonic()

    def close(self):
        self._writer.close()


def read_metrics(directory):
    """The rows of a run's `metrics.jsonl`, as dicts with `step`; incomplete lines are left out.

    Args:
        directory: the run directory.

    Returns:
        List of dicts, in the order of the file; empty if there is no file.
    """
    path = pathlib.Path(directory) / METRICS_FILE
    rows = []
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and 'step' in row:
            rows.append(row)
    return rows


def _line(row):
    return json.dumps(jsonable(row), allow_nan=False) + '\n'


def _scalar(name, value):
    array = np.asarray(value)
    if array.size != 1 or array.dtype.kind in 'OSU' or name == 'step':
        raise ValueError(
            f'metric {name} is {value!r} of shape {array.shape}; a single number under another '
            'name than "step" is accepted'
        )
    return float(array.reshape(()))


class Progress:
    """Progress of a long loop: a bar with rate and time left, or lines where a bar is impossible.

    Lines, one every `interval` seconds at most, read `train 120/1000 3.4 steps/s ETA 04:18 loss
    0.123`. Rates leave out the first update, which compiles.
    """

    def __init__(
        self, total, *, unit='step', initial=0, description='', interval=10.0, stream=None
    ):
        """Starts the clock.

        Args:
            total: number of units of the whole job.
            unit: what is counted, in the singular.
            initial: number of units done before, in an earlier run.
            description: one word in front.
            interval: least number of seconds between two lines; it does not limit the bar.
            stream: where to print; default `sys.stdout`.
        """
        self._stream = sys.stdout if stream is None else stream
        self._total = total
        self._unit = unit
        self._description = description
        self._interval = interval
        self._done = self._clock_done = initial
        self._start = self._clock = time.monotonic()
        self._printed_at, self._printed_done = self._start, None
        self._text = ''
        self._silent = not parallel.is_main()
        self._bar = None
        if not self._silent and _shows_bars(self._stream):
            self._bar = tqdm.tqdm(
                total=total,
                initial=initial,
                desc=description or None,
                unit=unit,
                file=self._stream,
                dynamic_ncols=True,
                smoothing=0.1,
            )

    def update(self, count=1, metrics=None):
        """Counts units as done.

        Args:
            count: number of units since the last call.
            metrics: dict of numbers to show from now on, or None to go on showing the last ones.
        """
        first = self._done == self._clock_done and self._clock == self._start
        self._done += count
        if metrics is not None:
            self._text = '  '.join(f'{name} {float(value):.4g}' for name, value in metrics.items())
        if self._bar is not None:
            if metrics is not None:
                self._bar.set_postfix_str(self._text, refresh=False)
            self._bar.update(count)
            return
        now = time.monotonic()
        if now - self._printed_at >= self._interval:
            self._print(now)
        if first:
            self._clock, self._clock_done = now, self._done

    def write(self, message):
        """Prints a line of its own without tearing the bar."""
        if self._bar is not None:
            self._bar.write(message, file=self._stream)
        elif not self._silent:
            print(message, file=self._stream, flush=True)

    def close(self):
        """Ends the bar, or prints the last line."""
        if self._bar is not None:
            self._bar.close()
        elif self._done != self._printed_done:
            self._print(time.monotonic())
        self._silent, self._bar, self._printed_done = True, None, self._done

    def __enter__(self):
        return self

    def __exit__(self, *unused_exception):
        self.close()

    def _print(self, now):
        done, seconds = self._done - self._clock_done, now - self._clock
        parts = [f'{self._description} {self._done}/{self._total}'.strip()]
        if done > 0 and seconds > 0:
            rate = done / seconds
            parts.append(
                f'{rate:.3g} {self._unit}s/s' if rate >= 1 else f'{1 / rate:.3g} s/{self._unit}'
            )
            if self._done < self._total:
                parts.append(f'ETA {format_seconds((self._total - self._done) / rate)}')
        self._printed_at, self._printed_done = now, self._done
        self.write('  '.join(parts + [self._text] * bool(self._text)))


def _shows_bars(stream):
    """Whether a bar can be drawn: on a terminal, or below the cell of a notebook."""
    return stream.isatty() or type(stream).__module__.partition('.')[0] == 'ipykernel'


def say(text: str) -> None:
    """Prints a line, in process 0 only."""
    if parallel.is_main():
        print(text, flush=True)


def format_seconds(seconds):
    """Formats a duration as mm:ss, or h:mm:ss from an hour on."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f'{hours}:{minutes:02}:{seconds:02}' if hours else f'{minutes:02}:{seconds:02}'
