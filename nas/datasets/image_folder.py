"""Reads folders of images, in memory or streamed, and tars of them without unpacking.

`labels` says what their folders mean, `crops.Preparation` how a file becomes pixels. Both are the
same for every reader here, so that labels, order and pixels do not depend on the reader.
"""

import dataclasses
import functools
import pathlib
from concurrent import futures

import numpy as np

from common.images import is_grey, open_image
from nas.datasets import assemble, files, labels
from nas.datasets.crops import WHOLE, Preparation
from nas.datasets.image_tar import read_tar
from nas.datasets.images import Dataset
from nas.datasets.kept import kept
from nas.datasets.labels import TRAIN, Labelled
from nas.datasets.streamed import StreamedImages

SIZE, CHANNELS = 224, 3


@dataclasses.dataclass(frozen=True, eq=False)
class Folder:
    """A folder of images that has been listed, and not read.

    Attributes:
        path: the folder.
        labelled: its classes and names.
        notes: what is worth a remark.
    """

    path: pathlib.Path
    labelled: Labelled
    notes: tuple[str, ...]

    @classmethod
    def of(cls, path) -> 'Folder':
        """Lists a folder.

        Raises:
            ValueError: it does not exist or is a file, a link leads to nothing, or see
                `labels.label`.
        """
        path = pathlib.Path(path).expanduser()
        if not path.is_dir():
            what = 'is a file, and only folders are streamed' if path.exists() else 'does not exist'
            raise ValueError(f'image folder {path} {what}; {labels.ACCEPTED}')
        found = files.walk(path)
        labelled = assemble.labelled(path, found)
        return cls(path, labelled, tuple(filter(None, (found.note(), *labelled.notes))))

    def decoded_bytes(self, size: int, channels: int | None) -> int:
        """The memory in bytes that the images would take."""
        return len(self.labelled) * size * size * (channels or CHANNELS)

    def source(self, role: str) -> files.ImageFiles:
        """The files of a split."""
        part = self.labelled.parts[role]
        return files.ImageFiles(self.path, part.names, part.labels)

    def channels(self) -> int:
        """1 if all images are grey, otherwise 3; of many images, 64 are looked at.

        Raises:
            ValueError: one of these images cannot be read; the message names it.
        """
        source = self.source(TRAIN)
        for index in assemble.looked_at(len(source)):
            with assemble.named(source.name(index)), open_image(source.read(index)[0]) as image:
                if not is_grey(image):
                    return 3
        return 1


def open_folder(
    path,
    *,
    size: int | None = None,
    channels: int | None = None,
    cache=None,
    preparation: Preparation = WHOLE,
) -> Dataset:
    """Reads a folder of images, or a tar of one (.tar, .tar.gz, ...), into memory.

    Classes are numbered in the order of their names. If there are no splits, a fixed fifth of each
    class is the test split, and the note says so.

    Args:
        path: the folder or tar, or a `Folder` that has been listed.
        size: side in pixels to which images are resized; None if all are squares of the same size
            already.
        channels: 1, 3, or None for 1 if all images are grey.
        cache: folder that keeps the decoded images for later runs, as one file, or None.
        preparation: how files become pixels.

    Raises:
        ValueError: the path does not exist or has no images; an image is damaged; images differ in
            size and `size` is None; `labels.label` or `tars.files` refuses what is there. The
            message names the file.
    """
    folder = path if isinstance(path, Folder) else None
    path = folder.path if folder else pathlib.Path(path).expanduser()
    if not path.exists():
        raise ValueError(f'image folder {path} does not exist; {labels.ACCEPTED}')
    if folder is None and path.is_dir():
        folder = Folder.of(path)
    if folder:
        # Known before the file that keeps them is looked for: a search asks without a number, and
        # its candidates with it.
        channels = channels or folder.channels()
        names = [name for part in folder.labelled.parts.values() for name in part.names]
        read = functools.partial(_read_folder, folder, size, channels, preparation)
    else:
        names = ['']
        read = functools.partial(read_tar, path, size, channels, preparation)
    return kept(cache, path, names, preparation, (size, channels), read)


def open_streamed(
    folder: Folder,
    *,
    size: int | None = None,
    channels: int | None = None,
    preparation: Preparation = WHOLE,
    moments=None,
) -> Dataset:
    """Opens a folder of images for streaming: decodes none.

    Args:
        folder: by `Folder.of`.
        size: side in pixels to which crops are resized; None for 224.
        channels: 1 or 3; None for 1 if all images are grey.
        preparation: how files become pixels where they are scored.
        moments: (mean, std) by which images are normalised, or None for those of a sample.

    Raises:
        ValueError: a class without splits has fewer than two images.
    """
    options = {'size': size or SIZE, 'channels': channels or folder.channels()}
    options |= {'moments': moments, 'preparation': preparation}
    classes, name = folder.labelled.classes, folder.path.name
    parts = {
        role: StreamedImages(
            f'{name} {part.folder}', source, np.arange(len(source)), classes, **options
        )
        for role, part in folder.labelled.parts.items()
        for source in [folder.source(role)]
    }
    return assemble.dataset_of(folder.path, parts, folder.notes)


def _read_folder(
    folder: Folder, size: int | None, channels: int, preparation: Preparation
) -> Dataset:
    classes, parts = folder.labelled.classes, {}
    for role, part in folder.labelled.parts.items():
        source = folder.source(role)

        def read(index, source=source):
            with assemble.named(source.name(index)):
                return preparation.read(source.read(index)[0], size=size, channels=channels)

        with futures.ThreadPoolExecutor(thread_name_prefix='decode') as pool:
            decoded = pool.map(read, range(len(source)))
            pixels = assemble.stacked(decoded, len(source), source.name)
        parts[role] = assemble.in_memory(folder.path, part, pixels, classes, preparation)
    return assemble.dataset_of(folder.path, parts, folder.notes)
