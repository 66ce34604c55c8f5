"""What the benchmark programs share: Markdown tables, and logs of finished runs."""

import json
import pathlib
from collections.abc import Sequence

from common.run import atomic_path


def markdown(rows: Sequence[Sequence[str]], *, texts: Sequence[str]) -> str:
    """A Markdown table.

    Args:
        rows: the header first.
        texts: names of the columns that are aligned left; all others are numbers, aligned right.
    """
    header, *rest = rows
    rule = ['---' if name in texts else '---:' for name in header]
    return '\n'.join(f'| {" | ".join(row)} |' for row in (header, rule, *rest))


def write_text(path: pathlib.Path, text: str) -> None:
    """Writes a file atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text)


def read_runs(path: pathlib.Path, names: Sequence[str]) -> dict[tuple, dict]:
    """Runs of a log, one JSON dict a line, by the values of `names`; skips a cut last line."""
    runs = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            found = json.loads(line)
        except ValueError:
            continue
        runs[tuple(found[name] for name in names)] = found
    return runs
