"""The words of a command: `~` in them, and the content of the files that they name."""

import functools
import hashlib
import os
import pathlib
import shlex
import shutil
from collections.abc import Iterator, Sequence

# What a command writes rather than reads, by its suffix; else each call would change the command.
WRITTEN = ('.csv', '.err', '.jsonl', '.log', '.onnx', '.out', '.tmp', '.txt')


def split_words(template: str) -> list[str]:
    """Splits a command into words as a shell does, with `~` for the home directory.

    A `~` counts at the beginning of a word without quotes; `ssh board '~/bench {model}'` leaves it
    to the board.

    Raises:
        ValueError: the quotes do not match.
    """
    words = shlex.split(template)
    raw = shlex.split(template, posix=False)
    if len(raw) != len(words):  # quotes inside words: the two ways of reading split differently
        raw = words[:1]
    for place, text in enumerate(raw):
        if text.startswith('~'):
            words[place] = os.path.expanduser(words[place])
    return words


def content_of(words: Sequence[str]) -> str:
    """SHA-256 of the files that the words of a command name; the same text without any.

    The program counts if it is a file on the search path, and every file after it, also behind `=`
    as in `--script=FILE`, unless its suffix is one of `WRITTEN`. What these files load is not seen.
    """
    digest = hashlib.sha256()
    for path in _files(words):
        try:
            status = path.stat()
            digest.update(_digest(str(path), status.st_mtime_ns, status.st_size, status.st_ino))
        except OSError as error:  # for example not readable
            digest.update(f'{path} {error.strerror}'.encode())
    return digest.hexdigest()


def _files(words: Sequence[str]) -> Iterator[pathlib.Path]:
    program = shutil.which(words[0]) if words else None
    if program is not None:
        yield pathlib.Path(program)
    for word in words[1:]:
        for text in dict.fromkeys((word, word.partition('=')[2])):
            try:
                path = pathlib.Path(text)
                if text and path.suffix not in WRITTEN and path.is_file():
                    yield path
            except (OSError, ValueError):  # no possible name of a file
                continue


@functools.lru_cache(maxsize=256)
def _digest(path: str, *unused_version) -> bytes:
    """SHA-256 of a file; the version lets a changed file be read again."""
    with open(path, 'rb') as file:
        return hashlib.file_digest(file, 'sha256').digest()
