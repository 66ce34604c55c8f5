"""Takes failed evaluations out of a log, so that they can be done again."""

import json
import pathlib

from common.run import atomic_path, jsonable
from nas.search.evaluations import append_record, read_records


def set_failed_aside(path) -> list[str]:
    """Moves the lines of failed evaluations from a log to `NAME.failed` beside it.

    The other lines are numbered anew.

    Args:
        path: the log, which may be missing.

    Returns:
        The cells in `NAME.failed` that the log does not hold: those that were moved, and those that
        an earlier call has moved and that have not been evaluated since then.

    Raises:
        ValueError: as `read_records`.
        OSError: a file cannot be written; the log is then as it was.
    """
    path = pathlib.Path(path)
    aside = path.with_name(f'{path.name}.failed')
    records = read_records(path, repair=True)[0]
    rest = [record for record in records if record['status'] != 'failed']
    if len(rest) < len(records):
        for record in records:
            if record['status'] == 'failed':
                append_record(aside, record)
        numbered = [{**record, 'index': index} for index, record in enumerate(rest)]
        with atomic_path(path) as temporary:
            temporary.write_text(
                ''.join(json.dumps(jsonable(record)) + '\n' for record in numbered)
            )
    there = {record['cell'] for record in rest}
    cells = dict.fromkeys(record['cell'] for record in read_records(aside, repair=True)[0])
    return [cell for cell in cells if cell not in there]
