"""Takes away the files of an earlier run: all of them, and nothing that no run wrote."""

import contextlib
import os
import pathlib

from common.run.files import TEMPORARY, remove, write_json
from common.run.names import Names, files_in
from common.run.record import FLAGS_FILE, RECORD_FILE, REMOVING, read_record

LOCK_FILE = '.lock'
OWN = (FLAGS_FILE, RECORD_FILE, LOCK_FILE)


def clear(path, overwrite, known, reads):
    """Removes the files of an earlier run if they are to be overwritten, or if that began."""
    removing = overwrite and any(name != LOCK_FILE for name in os.listdir(path))
    if not removing:
        with contextlib.suppress(ValueError):
            removing = REMOVING in read_record(path)
    if not removing:
        return
    names = removable(path, known, reads)
    # From here on this is no run any more, whatever of its files is still there.
    write_json(path / RECORD_FILE, {REMOVING: names})
    (path / FLAGS_FILE).unlink(missing_ok=True)
    owned = Names(names)
    remove_files(path, [name for name in files_in(path) if name in owned and name not in OWN])
    (path / RECORD_FILE).unlink(missing_ok=True)


def removable(path, known, reads):
    """Names of the files of an earlier run. Raises ValueError if they are not all that is there."""
    try:
        record = read_record(path)
    except ValueError:
        record = {}
    names = record.get(REMOVING, record.get('files'))
    names = list(known) if names is None else names
    owned = Names([*names, *OWN])
    for name in sorted(files_in(path)):
        parts = pathlib.PurePosixPath(name).parts
        if name not in owned and not any(TEMPORARY.fullmatch(part) for part in parts):
            raise ValueError(
                f'workdir {path} holds {name}, which no run wrote; --overwrite removes files of'
                ' runs only: move it away, or take another --workdir'
            )
    for flag, read in reads.items():
        found = None if read is None else pathlib.Path(read).expanduser()
        if found and found.exists() and found.resolve().is_relative_to(path.resolve()):
            raise ValueError(
                f'--overwrite would remove --{flag}={read}, which this run reads; take another'
                ' --workdir'
            )
    return names


def remove_files(path, names):
    """Removes files of a directory, and its folders that are empty then."""
    for name in names:
        file = path / name
        remove(file)
        for folder in file.parents:
            if folder == path:
                break
            with contextlib.suppress(OSError):  # there are other files in it
                folder.rmdir()
