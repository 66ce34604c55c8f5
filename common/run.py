"""Run directories: one run at a time, and a record of it.

A run directory holds `flags.txt`, the flagfile that repeats the run, and `run.json`, facts about
the run and its machine; the run adds its metrics, checkpoints and results. Everything is written
under a temporary name and renamed, so a killed run leaves no incomplete file.
"""

import contextlib
import datetime
import errno
import fcntl
import importlib.metadata
import json
import math
import os
import pathlib
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

import numpy as np

from common import parallel

FLAGS_FILE = 'flags.txt'
RECORD_FILE = 'run.json'
_LOCK_FILE = '.lock'
_TEMPORARY = re.compile(r'\..+\.tmp\d+(\..+)?')
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_PACKAGES = ('pano-dppnet', 'jax', 'jaxlib', 'flax', 'optax', 'orbax-checkpoint', 'numpy')


@contextlib.contextmanager
def atomic_path(path):
    """Gives a temporary path to write to, and renames it to `path` when the block ends well.

    The temporary path is in the same folder and has the same suffix, since writers of images and
    video look at the suffix. A block that raises leaves nothing. A folder may be written the same
    way if none of that name exists yet.

    Args:
        path: the file to write; its parent has to exist.

    Yields:
        `pathlib.Path` of the temporary name.
    """
    path = pathlib.Path(path)
    temporary = path.with_name(f'.{path.stem}.tmp{os.getpid()}{path.suffix}')
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)


def write_json(path, value):
    """Writes JSON atomically; NumPy and JAX values become numbers and lists.

    Numbers that are not finite become null.

    Args:
        path: the file to write.
        value: nested dicts, lists and tuples of strings, numbers, paths and arrays.
    """
    text = json.dumps(jsonable(value), indent=2, allow_nan=False) + '\n'
    with atomic_path(path) as temporary:
        temporary.write_text(text)


def jsonable(value):
    """The value as strict JSON has it: arrays as lists, paths as strings, NaN and infinity as None.

    Raises:
        ValueError: if the value has no such form.
    """
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if hasattr(value, '__array__'):
        array = np.asarray(value)
        # tolist() leaves bfloat16 and the like as NumPy scalars.
        exact = array.dtype.kind in 'biuU'
        return jsonable((array if exact else array.astype(np.float64)).tolist())
    raise ValueError(f'{value!r} of type {type(value).__name__} has no JSON form')


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


def open_run(workdir, flags_text, *, argv=None):
    """Opens a run directory, new or an earlier run's, and records the run in it.

    Only process 0 of a multi-host run locks and writes; the other processes get a `RunDirectory` of
    the same path that writes nothing.

    Args:
        workdir: the directory: new, empty, or one in which a run was opened before.
        flags_text: the flagfile that repeats the run.
        argv: the command for the record; default `sys.argv`.

    Returns:
        The open `RunDirectory`.

    Raises:
        ValueError: in one sentence, if the directory cannot be made or written, holds something
            else than a run, or is in use by another process.
    """
    if not os.fspath(workdir):
        raise ValueError('workdir is empty, it has to name a directory')
    path = pathlib.Path(workdir).expanduser().absolute()
    if not parallel.is_main():
        return RunDirectory(path, lock=None, previous_flags=_read_flags(path), record={})
    try:
        path.mkdir(parents=True, exist_ok=True)
        _check_contents(path)
        lock = _take_lock(path)
    except OSError as error:
        reason = 'it is a file' if path.is_file() else (error.strerror or str(error)).lower()
        raise ValueError(f'workdir {workdir} cannot be written: {reason}') from error
    try:
        _remove_leftovers(path)
        run = RunDirectory(
            path, lock=lock, previous_flags=_read_flags(path), record=_read_record(path)
        )
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds')
        started = run.record.get('started', now)
        resumed = run.record.get('resumed', []) + ([now] if 'started' in run.record else [])
        with atomic_path(path / FLAGS_FILE) as temporary:
            temporary.write_text(flags_text if flags_text.endswith('\n') else flags_text + '\n')
        run.update(
            command=shlex.join(sys.argv if argv is None else argv),
            started=started,
            resumed=resumed,
            versions=_versions(),
            commit=_commit(),
            device=parallel.devices_summary(),
        )
    except BaseException as error:
        os.close(lock)
        if isinstance(error, OSError):
            raise ValueError(f'workdir {workdir} cannot be written: {error.strerror}') from error
        raise
    return run


def earlier_run(workdir) -> tuple[str | None, dict]:
    """The flags and the record of an earlier run in a directory, without opening it.

    Returns:
        (text of its flags.txt, what its run.json holds); None and {} where there was none.

    Raises:
        ValueError: its run.json is damaged; names the file.
    """
    path = pathlib.Path(workdir).expanduser().absolute()
    # `open_run` refuses a path that is no directory.
    return (_read_flags(path), _read_record(path)) if path.is_dir() else (None, {})


def _check_contents(path):
    names = [
        name
        for name in os.listdir(path)
        if name != _LOCK_FILE and not (name.startswith('.') and '.tmp' in name)
    ]
    if names and not {FLAGS_FILE, RECORD_FILE} & set(names):
        raise ValueError(
            f'workdir {path} holds {min(names)} but no earlier run; a new directory, an empty '
            'one or that of an earlier run is accepted'
        )


def _remove_leftovers(path):
    """Removes what killed writers of `atomic_path` left; nobody else writes into a locked run."""
    for leftover in [found for found in path.rglob('.*.tmp*') if _TEMPORARY.fullmatch(found.name)]:
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


def _take_lock(path):
    """Takes the lock of a directory and returns its descriptor."""
    # A bare descriptor: a file object would let the lock go when it is garbage collected.
    lock = os.open(path / _LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(lock, 20).decode().strip()
        os.close(lock)
        raise ValueError(
            f'workdir {path} is in use by another run (process {owner or "unknown"})'
        ) from None
    os.truncate(lock, 0)
    os.write(lock, f'{os.getpid()}\n'.encode())
    return lock


def _read_flags(path):
    try:
        return (path / FLAGS_FILE).read_text()
    except OSError:
        return None


def _read_record(path):
    try:
        record = json.loads((path / RECORD_FILE).read_text())
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f'{path / RECORD_FILE} is not the JSON of an earlier run: {error}'
        ) from error
    if not isinstance(record, dict):
        raise ValueError(f'{path / RECORD_FILE} is not the record of an earlier run')
    return record


def _versions():
    versions = {'python': platform.python_version()}
    for package in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return versions


def _commit():
    """The commit of this source tree, with `-dirty` if files differ; None outside a checkout."""
    here = pathlib.Path(__file__).resolve()

    def git(*arguments):
        return subprocess.run(
            ['git', '-C', str(here.parent), *arguments],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        ).stdout.strip()

    try:
        # An installed copy may lie inside some other project's checkout.
        git('ls-files', '--error-unmatch', here.name)
        return git('describe', '--always', '--dirty', '--abbrev=40', '--exclude=*')
    except (OSError, subprocess.SubprocessError):
        return None
