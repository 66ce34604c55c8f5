"""Reads an earlier search: one of its cells, or all its evaluations for a warm start."""

import json
import pathlib

from nas.search.evaluations import EVALUATIONS_FILE, read_records, result_of
from nas.search.results import SUMMARY_FILE


def found_cell(text: str) -> tuple[str, pathlib.Path]:
    """Finds the cell that --from_search names.

    Args:
        text: WORKDIR:INDEX or WORKDIR:ROLE.

    Returns:
        (tokens joined by hyphens, the search's directory).

    Raises:
        ValueError: there is no such search, index or role, or the evaluation failed.
    """
    folder, colon, which = text.rpartition(':')
    flag, folder = f'--from_search={text}', pathlib.Path(folder).expanduser()
    if not colon or not which:
        raise ValueError(f'{flag} names no cell; WORKDIR:INDEX or WORKDIR:ROLE is accepted')
    records = read_records(folder / EVALUATIONS_FILE)[0]
    if not records:
        raise ValueError(f'{flag}: {folder / EVALUATIONS_FILE} holds no evaluations')
    if not which.isdecimal():
        return _standout(flag, folder, which), folder
    record = next((record for record in records if record.get('index') == int(which)), None)
    if record is None:
        raise ValueError(f'{flag}: {folder} has the evaluations 0 to {len(records) - 1}')
    if record['status'] == 'failed':
        raise ValueError(
            f'{flag}: the evaluation of {record["cell"]} failed: {record.get("reason")}'
        )
    return record['cell'], folder


def _standout(flag: str, folder: pathlib.Path, role: str) -> str:
    """The cell that search.json names for a role."""
    path = folder / SUMMARY_FILE
    try:
        chosen = json.loads(path.read_text())['chosen']
        cells = {name.replace(' ', '_'): entry['cell'] for name, entry in chosen.items()}
    except FileNotFoundError:
        raise ValueError(
            f'{flag}: {path} does not exist yet; the search has to end first, or give an index'
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f'{flag}: {path} is damaged: {error}') from error
    if role not in cells:
        raise ValueError(
            f'{flag}: the search names no {role!r}; accepted: an index, or '
            f'{", ".join(cells) or "no role, since its front is empty"}'
        )
    return cells[role]


def warm_start(search, path, *, own=None) -> tuple[int, int]:
    """Tells a search the evaluations of an earlier one.

    Args:
        search: a fresh `nas.search.Search`.
        path: evaluations.jsonl of the earlier search.
        own: the log of the search itself, or None.

    Returns:
        (number of cells taken over, number of evaluations in the file).

    Raises:
        ValueError: the file does not exist, is the search's own log, or is of another space.
    """
    path, flag = pathlib.Path(path), f'--warm_start={path}'
    if not path.is_file():
        raise ValueError(f'{flag} is no file; {EVALUATIONS_FILE} of an earlier search is accepted')
    if own is not None and own.exists() and own.samefile(path):
        raise ValueError(f'{flag} is the log of this run, which goes on by itself')
    try:
        records, space = read_records(path)[0], search.space
        pairs = [(space.parse(record['cell']), result_of(record)) for record in records]
        for cell, _ in pairs:
            space.encode(cell)
    except ValueError as error:
        raise ValueError(f'{flag} is not of this space: {error}') from error
    return search.warm_start(pairs), len(pairs)
