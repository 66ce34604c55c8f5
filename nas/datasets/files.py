"""Image files below a folder: which there are, and reading them."""

import collections
import dataclasses
import os
import pathlib

import numpy as np

SUFFIXES = ('.jpg', '.jpeg', '.jpe', '.jfif', '.png', '.bmp', '.webp', '.ppm', '.pgm', '.gif')
SUFFIXES += ('.tif', '.tiff')
# Images of other kinds are named, since they are missed otherwise.
_OTHERS = ('.heic', '.heif', '.avif', '.jp2', '.jxl', '.dng', '.cr2', '.cr3', '.nef', '.arw')
_OTHERS += ('.raw', '.svg', '.psd', '.exr', '.hdr', '.pbm', '.tga')
# Folders that tools leave behind.
_IGNORED = ('__MACOSX', '@eaDir', '__pycache__', 'lost+found')


@dataclasses.dataclass(frozen=True, eq=False)
class ImageFiles:
    """`Encoded` files below a folder; `names` are relative to `root`, `labels` are [N] int32."""

    root: pathlib.Path
    names: tuple[str, ...]
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.names)

    def read(self, index: int) -> tuple[bytes, int]:
        """The bytes of a file and its label. Raises OSError."""
        with open(os.path.join(self.root, self.names[index]), 'rb') as file:
            return file.read(), int(self.labels[index])

    def name(self, index: int) -> str:
        """The path of a file below the root."""
        return f'{self.root}: image {self.names[index]}'


@dataclasses.dataclass
class Found:
    """What lies below a folder or in a tar; paths are relative to it, with `/` between folders.

    Attributes:
        names: the images.
        folders: all visible folders.
        others: number of files of image formats that are not read, by suffix.
    """

    names: list[str] = dataclasses.field(default_factory=list)
    folders: list[str] = dataclasses.field(default_factory=list)
    others: collections.Counter = dataclasses.field(default_factory=collections.Counter)

    def add(self, name: str) -> bool:
        """Takes in a file; returns whether it is an image that is read."""
        suffix = os.path.splitext(name)[1].lower()
        if suffix in _OTHERS:
            self.others[suffix] += 1
        elif suffix in SUFFIXES:
            self.names.append(name)
            return True
        return False

    def note(self) -> str:
        """A remark on files that are not read, or ''."""
        if not self.others:
            return ''
        counts = ', '.join(f'{count} {suffix}' for suffix, count in self.others.most_common())
        return f'files that are not read: {counts} (read: {", ".join(SUFFIXES)})'


def is_visible(name: str) -> bool:
    """Whether a file or folder of this name counts."""
    return name[:1] != '.' and name not in _IGNORED


def walk(root: pathlib.Path) -> Found:
    """Finds the images below a folder; follows links, but not in circles.

    Raises:
        ValueError: a folder cannot be listed, or what may be an image or a folder of them is a
            link to nothing; the message names it.
    """
    found, pending = Found(), [('', frozenset([os.path.realpath(root)]))]
    while pending:
        below, above = pending.pop()
        try:
            entries = list(os.scandir(os.path.join(root, below)))
        except OSError as error:
            raise ValueError(f'{root}: folder {below} cannot be read: {error.strerror}') from error
        for entry in entries:
            if not is_visible(entry.name):
                continue
            name = f'{below}/{entry.name}' if below else entry.name
            # Unlike `entry.is_dir`, it raises nothing for a link that leads to itself.
            if os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir():
                real = os.path.realpath(entry.path) if entry.is_symlink() else None
                if real in above:
                    continue
                found.folders.append(name)
                # The folders above a link are those of its target, so that circles end.
                pending.append((name, above | {real or os.path.realpath(entry.path)}))
                continue
            is_image = found.add(name)
            # Without a suffix it may be the folder of a class, say on a disk that is not there.
            may_count = is_image or not os.path.splitext(entry.name)[1]
            if may_count and entry.is_symlink() and not os.path.exists(entry.path):
                raise ValueError(f'{root}: {"image " * is_image}{name} is a link to nothing')
    return found
