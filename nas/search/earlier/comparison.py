"""Compares the records of an earlier search with what a new one needs, value by value."""

import collections
import dataclasses
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from common.run import earlier_run
from nas.search.earlier.provenance import ENTRY, Facts, Provenance, describe, differing, parts_of
from nas.search.space import Space


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What a search needs of each evaluation.

    Attributes:
        names: objectives, and values that constraints limit.
        measured: those of them that a device measures.
        made_with: what the search makes its values with.
    """

    names: tuple[str, ...]
    measured: tuple[str, ...]
    made_with: Provenance


class Comparison:
    """Compares records with a search, and counts what differs."""

    def __init__(self, space: Space, wanted: Wanted, facts: Mapping[str, Facts], way: str):
        self._space, self._wanted, self._way, self._facts = space, wanted, way, facts
        self._now, self._keys = wanted.made_with.facts(), wanted.made_with.keys()
        self._counts = collections.Counter()  # by (name, what differs, what is done)

    def fit(self, cell, record) -> tuple | None:
        """(cell, values that hold, names to measure), or None if it is left out."""
        held, exact = record['objectives'], self._space.costs(cell)
        made_with = record.get(ENTRY)
        made_with = made_with if isinstance(made_with, dict) else {}
        values, again = {}, []
        for name in self._wanted.names:
            if name in exact:
                continue
            why = self._difference(name, record, made_with) if name in held else 'is not recorded'
            if why is None:
                values[name] = held[name]
                continue
            measured = name in self._wanted.measured
            self._counts[name, why, 'measured again' if measured else 'left out'] += 1
            if not measured:
                return None
            again.append(name)
        return cell, values, tuple(again)

    def prior(self, records: Sequence) -> Iterator[tuple[Any, dict[str, float]]]:
        """(cell, values) of the objectives that are not counted."""
        for cell, record in records:
            exact, held = self._space.costs(cell), record['objectives']
            values = {n: held[n] for n in self._wanted.names if n in held and n not in exact}
            if values:
                yield cell, values
            else:
                self._counts[', '.join(self._wanted.names), 'is not recorded', 'left out'] += 1

    def _difference(self, name: str, record, made_with: Mapping[str, str]) -> str | None:
        """How a value was made differently, as the end of a sentence; None if it was not."""
        parts = parts_of(
            name, measured=self._wanted.measured, told=self._wanted.made_with.functions
        )
        if 'device' in parts and record.get('device_id') is not None:
            # Only a new measurement tells which board is there now.
            return f'was measured on board {record["device_id"]}'
        part = differing(parts, made_with, self._keys)
        if part is None:
            return None
        then = self._facts.get(made_with.get(part))
        if part == 'device' and then is None and isinstance(record.get('device'), str):
            then = {'name': record['device']}
        if part in made_with and then is None:
            return f'was made with another {part}'
        return describe(part, then, self._now.get(part, {}))

    def remarks(self, folder: pathlib.Path) -> list[str]:
        """Sentences about what was counted, the most frequent first."""
        lines = []
        for (name, why, done), count in self._counts.most_common():
            hint = ''
            if done == 'left out' and self._way != 'prior':
                hint = ' (--warm_start_as=prior lets the surrogate learn from it)'
            cells = f'{count} cell{"s" if count > 1 else ""}'
            lines.append(f'{name} of {cells} of {folder} {why}: {done}{hint}')
        return lines


def facts_beside(path: pathlib.Path) -> dict[str, Facts]:
    """What keys stand for, by key, from run.json beside a log; {} where nothing is known."""
    try:
        held = earlier_run(path.parent)[1].get(ENTRY)
    except (ValueError, OSError):
        return {}
    parts = held.values() if isinstance(held, dict) else ()
    return {
        key: facts
        for part in parts
        if isinstance(part, dict)
        for key, facts in part.items()
        if isinstance(facts, dict)
    }
