"""The record of a run, run.json: what it holds, and what is known of the machine."""

import contextlib
import importlib.metadata
import json
import pathlib
import platform
import subprocess

FLAGS_FILE = 'flags.txt'
RECORD_FILE = 'run.json'
# The entry of run.json that stands alone while files of an earlier run are taken away.
REMOVING = 'removing'
_PACKAGES = ('pano-dppnet', 'jax', 'jaxlib', 'flax', 'optax', 'orbax-checkpoint', 'numpy')


def earlier_run(workdir, *, overwrite: bool = False) -> tuple[str | None, dict]:
    """The flags and the record of an earlier run in a directory, without opening it.

    Args:
        workdir: the directory.
        overwrite: whether an earlier run is to be overwritten, so that it does not matter.

    Returns:
        (text of its flags.txt, what its run.json holds); None and {} where there was none.

    Raises:
        ValueError: its run.json is damaged; names the file.
    """
    path = pathlib.Path(workdir).expanduser().absolute()
    # `open_run` refuses a path that is no directory.
    if overwrite or not path.is_dir():
        return None, {}
    record = read_record(path)
    return (None, {}) if REMOVING in record else (read_flags(path), record)


def read_flags(path: pathlib.Path) -> str | None:
    """The text of flags.txt in a directory, or None."""
    try:
        return (path / FLAGS_FILE).read_text()
    except OSError:
        return None


def read_record(path: pathlib.Path) -> dict:
    """What run.json in a directory holds; {} where there is none.

    Raises:
        ValueError: it is damaged; names the file.
    """
    try:
        record = json.loads((path / RECORD_FILE).read_text())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f'{path / RECORD_FILE} is not the JSON of an earlier run: {error}'
        ) from error
    if not isinstance(record, dict):
        raise ValueError(f'{path / RECORD_FILE} is not the record of an earlier run')
    return record


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on."""
    found = {'python': platform.python_version()}
    for package in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def commit() -> str | None:
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
