"""The workdir of an export: a run of its own, or the workdir of the network that is exported."""

import contextlib
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence

from common import options
from common.export_config import FILES, RECORD_FILE
from common.run import RECORD_FILE as RUN_FILE
from common.run import check_workdir, earlier_run, open_run, write_json


@contextlib.contextmanager
def destination(
    workdir: str | None,
    checkpoint: str,
    config,
    *,
    overwrite: bool = False,
    known: Sequence[str] = (),
    inputs: Mapping[str, str | None] | None = None,
) -> Iterator[pathlib.Path]:
    """Opens the directory that an export goes to.

    Args:
        workdir: directory of a new run, or the workdir of the network itself; there, flags.txt
            stays as the training wrote it, and an earlier export is replaced, all its files.
        checkpoint: where the network comes from.
        config: the options of the export.
        overwrite, known: as for `common.run.open_run`; the files of a training stay.
        inputs: digests of what is exported, as for `open_run`.

    Yields:
        The directory.

    Raises:
        ValueError: no workdir is given, it cannot be opened, it holds another run, or a training
            that has not ended.
    """
    path = _path_of(workdir)
    names = {RECORD_FILE, *(f'model.{name}' for name in options.values_of(config)['format'])}
    if _is_own(path, checkpoint):
        with _beside_training(path, _ended(path), names):
            yield path
        return
    text = options.flagfile(config, mode='export', workdir=os.fspath(workdir))
    with open_run(
        workdir, text, overwrite=overwrite, known=known, inputs=inputs, what='export'
    ) as run:
        run.writes(*names)
        yield run.path
        run.finish()


def check_destination(
    workdir: str | None,
    checkpoint: str,
    config,
    *,
    overwrite: bool = False,
    known: Sequence[str] = (),
) -> None:
    """Refuses a directory that `destination` would refuse, before the work.

    Args:
        workdir, checkpoint, config, overwrite, known: as for `destination`.

    Raises:
        ValueError: as `destination`.
    """
    path = _path_of(workdir)
    if _is_own(path, checkpoint):
        _ended(path)
        return
    earlier, _ = earlier_run(workdir, overwrite=overwrite)
    options.check_same(earlier, config, workdir=workdir, what='export', mode='export')
    check_workdir(workdir, overwrite=overwrite, known=known, reads={'checkpoint': checkpoint})


def _path_of(workdir):
    if not workdir:
        raise ValueError(
            '--workdir has to name a directory: a new one, or the workdir of the network'
        )
    return pathlib.Path(workdir).expanduser()


def _is_own(path, checkpoint):
    """Whether an export goes into the workdir of the network itself."""
    return path.resolve() == pathlib.Path(checkpoint).expanduser().resolve()


def _ended(path):
    """The record of the training in a directory. Raises ValueError if it has not ended."""
    _, record = earlier_run(path)
    if record.get('files') and not record.get('finished'):
        raise ValueError(
            f'workdir {path} holds a training that has not ended, whose network changes; an export'
            ' of what it has learned so far needs another --workdir'
        )
    return record


@contextlib.contextmanager
def _beside_training(path, record, names):
    """Lists an export in the record of the training; takes away what an earlier one left."""
    listed = record.get('files')
    update = lambda files: write_json(path / RUN_FILE, {**record, 'files': sorted(files)})
    if listed:
        update({*listed, *names})
    try:
        yield
        for name in set(FILES) - names:
            (path / name).unlink(missing_ok=True)
    finally:
        if listed:
            there = {name for name in FILES if (path / name).exists()}
            update(set(listed) - set(FILES) | there)
