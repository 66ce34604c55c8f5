"""What a page says of its run: the command, and what run.json and flags.txt hold."""

import pathlib
from collections.abc import Mapping
from typing import Any

from common.report.page import Report
from common.run import FLAGS_FILE, RECORD_FILE, earlier_run

# What the page shows elsewhere, or what says nothing to a reader.
_NOT_SHOWN = ('command', 'finished', 'files', 'inputs')


def subtitle(folder) -> str:
    """When, from which source and on which device a run was started; '' without run.json."""
    record = _record(folder)[1]
    started, commit, device = (record.get(name) for name in ('started', 'commit', 'device'))
    parts = [
        started and f'started {started}',
        commit and f'commit {str(commit)[:12]}',
        isinstance(device, dict) and f'on {device.get("count")} \u00d7 {device.get("kind")}',
    ]
    return ', '.join(part for part in parts if part)


def add_command(page: Report, folder) -> None:
    """Adds the command of the run in a folder, if run.json tells it."""
    command = _record(folder)[1].get('command')
    if isinstance(command, str):
        page.code(command)


def add_run(page: Report, folder, facts: Mapping[str, Any] | None = None) -> None:
    """Adds a section about the run in a folder: facts, versions, device, data, time, flags.

    Args:
        page: the page.
        folder: the run directory; without run.json and flags.txt only `facts` are shown.
        facts: shown first, such as the seed.
    """
    flags, record = _record(folder)
    page.section('Run')
    shown = {name: value for name, value in record.items() if name not in _NOT_SHOWN and value}
    page.facts({**(facts or {}), **shown})
    inputs = record.get('inputs')
    if isinstance(inputs, dict) and any(inputs.values()):
        page.facts(inputs, summary=f'What was read, as SHA-256 ({RECORD_FILE})')
    if flags:
        page.code(flags, summary=f'Flags ({FLAGS_FILE})')


def _record(folder) -> tuple[str | None, dict]:
    """(text of flags.txt or None, what run.json holds)."""
    try:
        return earlier_run(pathlib.Path(folder))
    except ValueError:  # a damaged record keeps no page from being written
        return None, {}
