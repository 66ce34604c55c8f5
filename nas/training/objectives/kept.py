"""What a workdir keeps of the functions of `--objective`: digests, and copies of their files."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from nas.cells import copies
from nas.training.objectives.functions import OwnObjective

FOLDER = 'objectives'


def inputs_of(functions: Sequence[OwnObjective]) -> dict[str, str]:
    """{flag: digest} for run.json."""
    return {_flag(own): own.digest for own in functions}


def files_of(functions: Sequence[OwnObjective]) -> tuple[str, ...]:
    """Names of what `write_functions` writes, relative to the workdir."""
    return tuple(_copy(own) for own in functions if own.source is not None)


def write_functions(functions: Sequence[OwnObjective], workdir) -> None:
    """Copies the file of each function into a workdir, as `objectives/<function>.py`."""
    for own in functions:
        if own.source is not None:
            copies.write(pathlib.Path(workdir) / _copy(own), own.source)


def check_same_functions(
    functions: Sequence[OwnObjective], record: Mapping[str, Any], *, workdir
) -> None:
    """Refuses to go on with another content of a function's file than that of an earlier search.

    Args:
        functions: those of now.
        record: run.json of the earlier search.
        workdir: the directory of the search.

    Raises:
        ValueError: names the file, and the first line that differs.
    """
    for own in functions:
        copies.check_same(
            _flag(own),
            own.digest,
            own.source,
            record=record,
            copy=pathlib.Path(workdir).expanduser() / _copy(own),
            workdir=workdir,
            what='search',
        )


def _flag(own: OwnObjective) -> str:
    return f'--objective={own.text}'


def _copy(own: OwnObjective) -> str:
    # Functions have different names, while files of different folders may share one.
    return f'{FOLDER}/{own.name}.py'
