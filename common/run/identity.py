"""What a run reads, as digests: the same names with other content are another run."""

import hashlib
import os
import pathlib
from collections.abc import Mapping

import numpy as np


class Digest:
    """A SHA-256 over arrays, texts and numbers; `None` counts as well."""

    def __init__(self):
        """Starts empty."""
        self._sha = hashlib.sha256()

    def add(self, *parts) -> None:
        """Adds arrays with their shapes, and the texts of everything else."""
        for part in parts:
            if isinstance(part, np.ndarray):
                self._sha.update(f'{part.dtype}{part.shape}'.encode())
                self._sha.update(np.ascontiguousarray(part).tobytes())
            else:
                self._sha.update(f'{part!r};'.encode())

    def text(self) -> str:
        """The digest so far, in hexadecimal."""
        return self._sha.hexdigest()


def digest_of(*parts) -> str | None:
    """The digest of arrays, texts and numbers; None if all of them are None."""
    if all(part is None for part in parts):
        return None
    digest = Digest()
    digest.add(*parts)
    return digest.text()


def digest_of_tree(tree, *parts) -> str | None:
    """The digest of nested dicts of arrays, such as parameters; None for None."""
    if tree is None:
        return None
    digest, left = Digest(), [('', tree)]
    while left:
        name, value = left.pop()
        if isinstance(value, Mapping):
            left += [(f'{name}/{key}', value[key]) for key in sorted(value)]
        else:
            digest.add(name, np.asarray(value))
    digest.add(*parts)
    return digest.text()


def digest_of_path(path) -> str | None:
    """The digest of a file, or of all files of a folder with their names.

    None for None, and where there is nothing of that name.
    """
    if path is None:
        return None
    path = pathlib.Path(path).expanduser()
    if path.is_file():
        with open(path, 'rb') as file:
            return hashlib.file_digest(file, 'sha256').hexdigest()
    if not path.is_dir():
        return None
    found = []
    for root, _, files in os.walk(path, followlinks=True):
        found += [pathlib.Path(root) / name for name in files]
    return digest_of(
        *(
            text
            for file in sorted(found)
            for text in (str(file.relative_to(path)), digest_of_path(file))
        )
    )


def check_inputs(record: dict, inputs: Mapping[str, str | None], *, workdir, what: str) -> None:
    """Refuses to go on with a run that read something else.

    Args:
        record: what run.json of the earlier run holds; {} where there was none. One of before
            inputs were recorded is taken as it is.
        inputs: digest by what people call the input: a flag, or 'the images of --input'.
        workdir: the directory, for the message.
        what: what the run is, such as 'search'.

    Raises:
        ValueError: an input differs; the message names it.
    """
    earlier = record.get('inputs')
    if not inputs or not isinstance(earlier, dict):
        return
    for name in sorted({*inputs, *earlier}):
        if earlier.get(name) != inputs.get(name):
            held = f'an {what}' if what[0] in 'aeiou' else f'a {what}'
            raise ValueError(
                f'workdir {workdir} holds {held} that read something else: the content of {name}'
                f' has changed since; another {what} needs another --workdir, or --overwrite'
            )
