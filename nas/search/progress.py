"""Shows the progress of a search."""

import time

from common.logs import Progress, format_seconds
from nas.search.evaluations import Evaluation
from nas.search.report import words
from nas.search.report.picks import objective_texts
from nas.search.search import Search


class Teller:
    """Shows how a search stands: after each evaluation, and in a line at the end of each batch.

    Attributes:
        progress: the bar or the lines, a context manager.
    """

    def __init__(self, search: Search, budget: int, *, done: int, interval: float = 0.0):
        """Prepares to show a search.

        Args:
            search: the search.
            budget: number of all evaluations.
            done: number of evaluations of an earlier run.
            interval: least number of seconds between two lines, except for lines at the end of a
                level.
        """
        self.progress = Progress(
            budget, unit='cell', description='search', initial=done, interval=interval
        )
        self._search, self._budget, self._done, self._interval = search, budget, done, interval
        self._start, self._before, self._said_at = time.monotonic(), done, -interval

    def __call__(self, evaluation: Evaluation) -> None:
        """Shows the next evaluation."""
        self._done += 1
        if evaluation.status != 'ok':
            self.progress.write(f'{evaluation.cell}: {evaluation.status}, {evaluation.reason}')
        values = evaluation.objectives if evaluation.status != 'failed' else {}
        self.progress.update(
            1, {name: values[name] for name in self._search.objectives if name in values}
        )
        closed = any(e is evaluation for e in self._search.history)
        now = time.monotonic()
        if closed and (self._search.stage != 'last' or now - self._said_at >= self._interval):
            self._said_at = now
            self.progress.write(self._standing(evaluation.level, now))

    def _standing(self, level: int, now: float) -> str:
        front, first = self._search.front(), objective_texts(self._search)[0]
        stages = {'given': 'given cells done', 'drawn': 'drawn cells done'}
        stages |= {'levels': f'level {level} done', 'last': 'across all levels'}
        parts = [stages[self._search.stage], f'{len(front)} cells on the front']
        if front:
            values = [e.objectives[words.bare(first)] for e in front]
            best, way = (min, 'lowest') if words.sense(first) > 0 else (max, 'highest')
            parts.append(f'{way} {words.title(first)} {words.quantity(best(values), first)}')
        tau = (
            self._search.rank_correlations().get(level) if self._search.stage == 'levels' else None
        )
        if tau is not None:
            parts.append(f'tau of the surrogate {tau:.2f}')
        left = (now - self._start) / (self._done - self._before) * max(self._budget - self._done, 0)
        return '-- ' + ', '.join(parts + [f'ETA {format_seconds(left)}'])
