"""Names of the files that a run writes, short enough for run.json however many files there are.

Names are relative to the run directory, with `/` between folders:

    cloud.ply                       one file
    depth/{000000..000031}.png      numbered files; a third number is the step between them
    checkpoints/                    a folder with all that is in it
    events.out.tfevents.*           files whose names are known in part, with `*` and `[0-9]`
"""

import fnmatch
import os
import pathlib
import re
from collections.abc import Iterable, Iterator, Sequence

_RANGE = re.compile(r'(.*)\{(\d+)\.\.(\d+)(?:\.\.(\d+))?\}(.*)')


def literal(name: str) -> str:
    """A name that stands for itself alone, whatever characters are in it."""
    return re.sub(r'[*?\[{]', r'[\g<0>]', name)


def numbered(form: str, numbers: Iterable[int], *, digits: int = 6) -> list[str]:
    """The names of numbered files.

    Args:
        form: the name, with `{}` in place of the number: 'depth/{}.png'.
        numbers: the numbers, increasing.
        digits: of a number in a name, with zeros in front.

    Returns:
        As few names as possible, such as 'depth/{000000..000031}.png'.
    """
    numbers, names, start = [int(number) for number in numbers], [], 0
    text = lambda number: f'{number:0{digits}d}'
    while start < len(numbers):
        stop = start + 1
        step = numbers[stop] - numbers[start] if stop < len(numbers) else 1
        while stop < len(numbers) and numbers[stop] - numbers[stop - 1] == step:
            stop += 1
        if stop - start == 2:
            stop, step = (stop, 1) if step == 1 else (start + 1, 1)
        first, last = text(numbers[start]), text(numbers[stop - 1])
        part = f'{{{first}..{last}{f"..{step}" if step > 1 else ""}}}'
        names.append(form.replace('{}', part if stop - start > 1 else first))
        start = stop
    return names


def expand(names: Iterable[str]) -> Iterator[str]:
    """The single files that names stand for; a folder or a name with `*` as it is."""
    for name in names:
        found = _RANGE.fullmatch(name)
        if not found:
            yield name
            continue
        before, first, last, step, after = found.groups()
        for number in range(int(first), int(last) + 1, int(step or 1)):
            yield f'{before}{number:0{len(first)}d}{after}'


class Names:
    """Tells whether a file is one of those that names stand for."""

    def __init__(self, names: Iterable[str]):
        """Reads the names."""
        single = set(expand(names))
        self._folders = tuple(name for name in single if name.endswith('/'))
        self._patterns = [name for name in single if '*' in name or '[' in name]
        self._files = single.difference(self._folders, self._patterns)

    def __contains__(self, name: str) -> bool:
        """Whether a file is among them."""
        return (
            name in self._files
            or name.startswith(self._folders)
            or any(_like(name, pattern) for pattern in self._patterns)
        )

    def missing(self, folder: pathlib.Path) -> str | None:
        """The first of the files and folders that a directory lacks; None if it has them all."""
        there = set(files_in(folder))
        for name in sorted(self._files):
            if name not in there:
                return name
        return next((name for name in self._folders if not (folder / name).is_dir()), None)


def _like(name, pattern):
    """Whether a name matches a pattern; `*` stands for no folder."""
    return name.count('/') == pattern.count('/') and fnmatch.fnmatchcase(name, pattern)


def exists(folder: pathlib.Path, name: str) -> bool:
    """Whether there is a file, folder or first file of a name."""
    if '*' in name or '[' in name:
        return any(folder.glob(name))
    return (folder / next(expand([name]))).exists()


def files_in(folder: pathlib.Path) -> Iterator[str]:
    """All files below a directory, as names; links to folders count as files."""
    for root, folders, files in os.walk(folder):
        inside = pathlib.Path(root).relative_to(folder).as_posix()
        start = '' if inside == '.' else f'{inside}/'
        links = [name for name in folders if os.path.islink(os.path.join(root, name))]
        yield from (f'{start}{name}' for name in [*files, *links])


def select(names: Sequence[str], pattern: str, folder: pathlib.Path) -> list[pathlib.Path]:
    """The files of a directory that names list and a pattern fits.

    Args:
        names: as in run.json.
        pattern: such as 'cloud*.ply'.
        folder: the run directory.

    Returns:
        Paths of existing files, sorted.
    """
    listed = Names(names)
    return [path for path in sorted(folder.glob(pattern)) if _name(path, folder) in listed]


def _name(path, folder):
    return path.relative_to(folder).as_posix()
