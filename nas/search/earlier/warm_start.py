"""What a search takes over from an earlier one: values that were made with the same, and no others.

Costs that are counted are counted again. What a device measured elsewhere is measured again. An
error that was trained otherwise is left out; as a prior it only informs the surrogate.
"""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

from common.patience import Patience
from common.run import atomic_path
from common.stopping import Stop
from nas.search.earlier.comparison import Comparison, Wanted, facts_beside
from nas.search.earlier.provenance import ENTRY, Provenance, describe, key_of
from nas.search.evaluations import (
    EVALUATIONS_FILE,
    Evaluation,
    Failure,
    append_record,
    read_records,
    to_record,
)
from nas.search.space import Space

# In the workdir: what was taken over, as it was then, for a search that goes on.
TAKEN_FILE = 'warm_start.jsonl'
WAYS = ('evaluations', 'prior')
_PATIENCE = Patience()


@dataclasses.dataclass(frozen=True)
class Earlier:
    """What an earlier search offers.

    Attributes:
        usable: (cell, values that hold here, names that the device has to measure again).
        prior: (cell, values made in any way), to inform a surrogate.
        known: number of evaluations in the file.
        remarks: sentences about what is measured again or left out.
    """

    usable: tuple[tuple[Any, dict[str, float], tuple[str, ...]], ...]
    prior: tuple[tuple[Any, dict[str, float]], ...]
    known: int
    remarks: tuple[str, ...]


def read_earlier(space: Space, path, wanted: Wanted, *, way: str = WAYS[0], own=None) -> Earlier:
    """Reads the evaluations of an earlier search and compares what they were made with.

    Args:
        space: of the present search.
        path: evaluations.jsonl of the earlier search; run.json beside it says what keys stand for.
        wanted: what is needed.
        way: 'evaluations', or 'prior' if nothing is to be taken over as an evaluation.
        own: the log of the search itself, or None.

    Raises:
        ValueError: the file does not exist, is the search's own log, is of another space, or there
            is nothing in it that could be used.
    """
    path, flag = pathlib.Path(path).expanduser(), f'--warm_start={path}'
    if not path.is_file():
        raise ValueError(f'{flag} is no file; {EVALUATIONS_FILE} of an earlier search is accepted')
    if own is not None and own.exists() and own.samefile(path):
        raise ValueError(f'{flag} is the log of this run, which goes on by itself')
    try:
        records = read_records(path)[0]
        cells = [space.parse(record['cell']) for record in records]
        for cell in cells:
            space.encode(cell)
    except ValueError as error:
        raise ValueError(f'{flag} is not of this space: {error}') from error
    good = [pair for pair in zip(cells, records) if pair[1]['status'] == 'ok']
    compared = Comparison(space, wanted, facts_beside(path), way)
    usable = [] if way == 'prior' else [fit for pair in good if (fit := compared.fit(*pair))]
    prior = list(compared.prior(good)) if way == 'prior' else []
    remarks = compared.remarks(path.parent)
    if good and not usable and not prior:
        raise ValueError(f'{flag} holds nothing that this search could use: {"; ".join(remarks)}')
    return Earlier(tuple(usable), tuple(prior), len(records), tuple(remarks))


def take_over(
    search,
    earlier: Earlier,
    folder: pathlib.Path,
    *,
    measure: Callable[[Any], Mapping[str, float] | Failure] | None = None,
    done: int = 0,
    patience: Patience = _PATIENCE,
    stop: Stop | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> None:
    """Tells a search what it takes over, after measuring what has to be measured again.

    What is taken over is kept in `TAKEN_FILE`, so that a search that goes on has the same figures.

    Args:
        search: a fresh `nas.search.Search`; of an earlier search that is a prior, one whose space
            is `Informed`.
        earlier: of `read_earlier`.
        folder: the workdir.
        measure: gives what a device measures of a cell; None if nothing is measured.
        done: number of evaluations that the search has already.
        patience: how often and how long to wait for a device that does not answer.
        stop: what ends the measuring early, or None.
        say: takes sentences about what happens.

    Raises:
        ValueError: the file of what was taken over is damaged.
        OSError: the device does not answer, or the file cannot be written.
        Stopped: a stop was requested.
    """
    for line in earlier.remarks:
        say(f'warm start: {line}')
    if earlier.prior:
        count = f'{len(earlier.prior)} of {earlier.known} evaluations'
        say(f'warm start: {count} inform the surrogate, none counts as evaluated')
        return
    path = folder / TAKEN_FILE
    if done and path.exists():
        records = read_records(path)[0]
        pairs = [(search.space.parse(record['cell']), record['objectives']) for record in records]
    else:
        pairs = []
        for cell, values, again in earlier.usable:
            told = _patient(measure, cell, patience, stop, say) if again else {}
            if isinstance(told, Failure):
                say(f'warm start: {cell} is left out: {told.reason}')
            else:
                pairs.append((cell, {**values, **{name: told[name] for name in again}}))
        _keep(path, search.space, pairs)
    say(f'warm start: {search.warm_start(pairs)} of {earlier.known} evaluations taken over')


def _patient(measure, cell, patience, stop, say):
    """What a device measures of a cell, asked again after a pause while it is away."""
    failures = 0
    while True:
        if stop is not None:
            stop.check()
        try:
            return measure(cell)
        except OSError as error:
            failures += 1
            patience.wait(failures, error, stop=stop, say=say)


def _keep(path: pathlib.Path, space: Space, pairs) -> None:
    """Writes what is taken over as lines like those of evaluations.jsonl."""
    with atomic_path(path) as temporary:
        temporary.touch()
        for number, (cell, values) in enumerate(pairs):
            evaluation = Evaluation(cell, space.level(cell) or 0, values)
            append_record(temporary, to_record(number, evaluation))


def check_device(folder: pathlib.Path, made_with: Provenance) -> None:
    """Refuses to go on with a search that was measured on another device under the same flags.

    Args:
        folder: the workdir; a log that does not say what it was made with is taken as it is.
        made_with: of the present search.

    Raises:
        ValueError: the device differs; the message says how.
    """
    path, now = folder / EVALUATIONS_FILE, made_with.facts().get('device')
    for record in read_records(path)[0] if now else ():
        told = record.get(ENTRY)
        key = told.get('device') if isinstance(told, dict) else None
        board = record.get('device_id')
        here = now if board is None else {**now, 'id': board}
        if key is not None and key != key_of(here):
            then = facts_beside(path).get(key) or {'name': record.get('device'), 'id': board}
            raise ValueError(
                f'workdir {folder} holds a search that {describe("device", then, here)}; it goes on'
                ' with the same device, another search needs another --workdir, and'
                f' --warm_start={path} takes over what still holds'
            )
