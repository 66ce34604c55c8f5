"""Finds a cell of an earlier search by its number or its role."""

import json
import pathlib

from nas.search.evaluations import EVALUATIONS_FILE, read_records
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
