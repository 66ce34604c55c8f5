"""Copies of the user's own Python files in a workdir, and what differs from them later."""

import pathlib
from collections.abc import Mapping
from typing import Any


def write(path: pathlib.Path, source: str) -> None:
    """Writes the text of a file as a copy, and makes its folder."""
    # Imported here, since it loads JAX, which costs do without.
    from common.run import atomic_path

    path.parent.mkdir(exist_ok=True)
    with atomic_path(path) as temporary:
        temporary.write_bytes(source.encode())


def check_same(
    flag: str,
    digest: str,
    source: str | None,
    *,
    record: Mapping[str, Any],
    copy: pathlib.Path,
    workdir,
    what: str,
) -> None:
    """Refuses to go on with another content of a file than that of an earlier run.

    Args:
        flag: how the user names the file, such as '--ops=my_ops.py'.
        digest: SHA-256 of the file now.
        source: text of the file now; None of an installed module.
        record: run.json of the earlier run; one of before the file was recorded is taken as it is.
        copy: where the workdir keeps the file of the earlier run.
        workdir: the directory, for the message.
        what: what the run is, such as 'search'.

    Raises:
        ValueError: the content differs; the message names the flag and the first line that differs.
    """
    earlier = record.get('inputs')
    if not isinstance(earlier, dict) or earlier.get(flag, digest) == digest:
        return
    held = f'an {what}' if what[0] in 'aeiou' else f'a {what}'
    raise ValueError(
        f'workdir {workdir} holds {held} with another content of {flag}'
        f'{_first_difference(copy, source)}; it goes on with the same content, another'
        f' {what} needs another --workdir, or --overwrite'
    )


def _first_difference(copy: pathlib.Path, source: str | None) -> str:
    """Where a text differs from its copy in a workdir, as a part of a sentence."""
    try:
        then = copy.read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return ''
    now = (source or '').splitlines()
    for number, (before, line) in enumerate(zip(then, now), 1):
        if before != line:
            return f' (line {number} was {before.strip()!r}, and is {line.strip()!r} now)'
    return f' ({len(then)} lines then, {len(now)} now)' if len(then) != len(now) else ''
