"""Run directories: opened by one process at a time, with a record of the run and of its files.

An earlier run goes on, or is refused, or is overwritten: results of two commands never stand side
by side. What a run is about to write is recorded before it is written, so that all of it can be
told from files of other origin, and taken away.
"""

import contextlib
import datetime
import errno
import fcntl
import os
import pathlib
import shlex
import sys
import tempfile
from collections.abc import Iterable, Mapping

from common import parallel
from common.run import record as records
from common.run.files import atomic_path, jsonable, nearest, remove_leftovers, write_json
from common.run.identity import check_inputs
from common.run.names import Names, exists, files_in, literal
from common.run.overwrite import LOCK_FILE, clear, removable, remove_files
from common.run.record import FLAGS_FILE, RECORD_FILE

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class RunDirectory:
    """An open run directory, locked until `close` or the end of the process; made by `open_run`.

    Attributes:
        path: `pathlib.Path` of the directory, absolute.
        previous_flags: text of the earlier run's flags.txt, or None if the directory was new.
        record: what run.json holds.
    """

    def __init__(self, path, *, lock, previous_flags, record):
        self.path = path
        self.previous_flags = previous_flags
        self.record = record
        self._lock = lock
        self._written = {FLAGS_FILE, RECORD_FILE}

    @property
    def resumed(self):
        """Whether an earlier run was here."""
        return self.previous_flags is not None

    @property
    def checkpoints(self):
        """Path of the checkpoints, for `common.checkpoint.Checkpoints`."""
        return self.path / 'checkpoints'

    def update(self, **facts):
        """Adds facts to run.json at once; only process 0 writes them to disk."""
        self.record.update(jsonable(facts))
        if self._lock is not None:
            write_json(self.path / RECORD_FILE, self.record)

    def writes(self, *names: str, keep: bool = True) -> None:
        """Records the names of files before they are written, see `common.run.names`.

        Only what has been recorded belongs to the run: `finish` keeps it, the report shows it, and
        an overwriting run takes it away.

        Args:
            *names: relative to the directory, or paths in it; others are left out.
            keep: False for files that are needed only until `finish`.
        """
        names = {name for name in map(self._name, names) if name}
        if keep:
            self._written.update(names)
        listed = sorted({*self.record.get('files', ()), *names})
        if listed != self.record.get('files'):
            self.update(files=listed)

    def _name(self, name):
        """A name, or a path in the directory, as a name; None of a path elsewhere."""
        if not os.path.isabs(name):
            return name
        path = pathlib.Path(name)
        if not path.is_relative_to(self.path):
            return None
        return literal(path.relative_to(self.path).as_posix())

    def finish(self) -> None:
        """Records that the run has ended well; removes what only earlier runs of it wrote."""
        if self._lock is not None:
            earlier, kept = Names(self.record.get('files', ())), Names(self._written)
            remove_files(
                self.path, [n for n in files_in(self.path) if n in earlier and n not in kept]
            )
        there = [name for name in self._written if exists(self.path, name)]
        self.update(files=sorted(there), finished=_now())

    def close(self):
        """Releases the lock; the directory stays."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self):
        return self

    def __exit__(self, unused_kind, error, unused_trace):
        """Releases the lock; turns the OSError of a full disk into a ValueError of one sentence."""
        self.close()
        if isinstance(error, OSError) and error.errno in _FULL:
            raise ValueError(
                f'{error.strerror}, in {self.path} or, for temporary files, '
                f'{tempfile.gettempdir()}; what is written is whole, and the same command goes on '
                'once there is room'
            ) from error


def open_run(
    workdir,
    flags_text,
    *,
    argv=None,
    overwrite: bool = False,
    known: Iterable[str] = (),
    reads: Mapping[str, object] | None = None,
    inputs: Mapping[str, str | None] | None = None,
    what: str = 'run',
) -> RunDirectory:
    """Opens a run directory, new or an earlier run's, and records the run in it.

    Only process 0 of a multi-host run locks and writes; the other processes get a `RunDirectory` of
    the same path that writes nothing.

    Args:
        workdir: the directory: new, empty, or one in which a run was opened before.
        flags_text: the flagfile that repeats the run.
        argv: the command for the record; default `sys.argv`.
        overwrite: whether the files of an earlier run are removed first, all of them. Killed in
            between, it leaves a directory that any command takes as an empty one.
        known: names of the files that runs of before run.json listed them may have written.
        reads: {flag: path} of what the run reads, which an overwriting run must not remove.
        inputs: digests of what the run reads, by what people call it, see `identity`: an earlier
            run with others is refused.
        what: what the run is, such as 'search', for the message.

    Returns:
        The open `RunDirectory`.

    Raises:
        ValueError: in one sentence, if the directory cannot be made or written, holds something
            else than a run, is in use by another process, or holds a run with other inputs.
    """
    path = _absolute(workdir)
    if not parallel.is_main():
        previous = None if overwrite else records.read_flags(path)
        return RunDirectory(path, lock=None, previous_flags=previous, record={})
    with _writing(workdir, path):
        path.mkdir(parents=True, exist_ok=True)
        _check_contents(path)
        lock = _take_lock(path)
    try:
        with _writing(workdir, path):
            remove_leftovers(path)
            clear(path, overwrite, known, reads or {})
            flags, record = records.read_flags(path), records.read_record(path)
            check_inputs(record, inputs or {}, workdir=workdir, what=what)
            run = RunDirectory(path, lock=lock, previous_flags=flags, record=record)
            with atomic_path(path / FLAGS_FILE) as temporary:
                temporary.write_text(flags_text if flags_text.endswith('\n') else flags_text + '\n')
            run.update(
                **_opened(path, record, known, argv), **({'inputs': inputs} if inputs else {})
            )
    except BaseException:
        os.close(lock)
        raise
    return run


def _opened(path, record, known, argv):
    """What run.json says of a run that starts or goes on."""
    legacy = Names(known)
    files = record.get('files', [name for name in files_in(path) if name in legacy])
    return {
        'command': shlex.join(sys.argv if argv is None else argv),
        'started': record.get('started', _now()),
        'resumed': record.get('resumed', []) + ([_now()] if 'started' in record else []),
        'finished': None,
        'files': sorted({*files, FLAGS_FILE, RECORD_FILE}),
        'versions': records.versions(),
        'commit': records.commit(),
        'device': parallel.devices_summary(),
    }


def check_workdir(
    workdir,
    *,
    overwrite: bool = False,
    known: Iterable[str] = (),
    reads: Mapping[str, object] | None = None,
) -> None:
    """Refuses what `open_run` would refuse, before the work; changes nothing on disk.

    Args:
        workdir, overwrite, known, reads: as for `open_run`.

    Raises:
        ValueError: as `open_run`.
    """
    path = _absolute(workdir)
    if not parallel.is_main():
        return
    with _writing(workdir, path):
        place = nearest(path)
        if not place.is_dir():
            raise OSError(errno.ENOTDIR, f'{place} is a file')
        if not os.access(place, os.W_OK | os.X_OK):
            raise OSError(errno.EACCES, f'{place} is read-only')
        if place == path:
            _check_contents(path)
            _check_lock(path)
            if overwrite:
                removable(path, known, reads or {})


def _absolute(workdir):
    if not os.fspath(workdir):
        raise ValueError('workdir is empty, it has to name a directory')
    return pathlib.Path(workdir).expanduser().absolute()


def _now():
    return datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds')


@contextlib.contextmanager
def _writing(workdir, path):
    """Turns an error of the disk into a ValueError that names the directory."""
    try:
        yield
    except OSError as error:
        text = error.strerror or str(error)
        reason = 'it is a file' if path.is_file() else text[:1].lower() + text[1:]
        raise ValueError(f'workdir {workdir} cannot be written: {reason}') from error


def _check_contents(path):
    names = [
        name
        for name in os.listdir(path)
        if name != LOCK_FILE and not (name.startswith('.') and '.tmp' in name)
    ]
    if names and not {FLAGS_FILE, RECORD_FILE} & set(names):
        raise ValueError(
            f'workdir {path} holds {min(names)} but no earlier run; a new directory, an empty '
            'one or that of an earlier run is accepted'
        )


def _take_lock(path):
    """Takes the lock of a directory and returns its descriptor."""
    # A bare descriptor: a file object would let the lock go when it is garbage collected.
    lock = os.open(path / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644)
    _hold(path, lock)
    os.truncate(lock, 0)
    os.write(lock, f'{os.getpid()}\n'.encode())
    return lock


def _hold(path, lock):
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(lock, 20).decode().strip()
        os.close(lock)
        raise ValueError(
            f'workdir {path} is in use by another run (process {owner or "unknown"})'
        ) from None


def _check_lock(path):
    """Raises ValueError if another process has the lock."""
    with contextlib.suppress(FileNotFoundError):
        lock = os.open(path / LOCK_FILE, os.O_RDWR)
        _hold(path, lock)
        os.close(lock)
