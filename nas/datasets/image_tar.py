"""Reads a tar of a folder of images (.tar, .tar.gz, ...) without unpacking it."""

import pathlib

import numpy as np
from PIL import Image

from nas.datasets import assemble, files, tars
from nas.datasets.crops import Preparation
from nas.datasets.images import Dataset, fit_image
from nas.datasets.labels import TRAIN


def read_tar(
    path: pathlib.Path, size: int | None, channels: int | None, preparation: Preparation
) -> Dataset:
    """Reads a tar into memory, one image at a time, whatever their order in it.

    Args:
        path: the tar.
        size, channels, preparation: as for `image_folder.open_folder`.

    Raises:
        ValueError: `tars.files` or `labels.label` refuses what is there, or an image is damaged;
            the message names it.
    """
    found, decoded, folders = files.Found(), {}, []
    for member, read in tars.files(path, folders):
        name = _visible_name(member)
        if name and found.add(name):
            with assemble.named(f'{path}: image {name}'):
                decoded[name] = preparation.read(read(), size=size, channels=channels)
    # A name may come twice; the last one counts, as where a tar is unpacked.
    found.names, top = _without_top(decoded)
    below = f'{top}/' if top else ''
    known = filter(None, map(_visible_name, folders))
    found.folders = [name.removeprefix(below) for name in known if name.startswith(below)]
    labelled = assemble.labelled(path, found)
    full = lambda name: f'{top}/{name}' if top else name
    if channels is None:
        names = labelled.parts[TRAIN].names
        looked_at = (decoded[full(names[index])] for index in assemble.looked_at(len(names)))
        channels = 1 if all(image.shape[2] == 1 for image in looked_at) else 3
    parts = {}
    for role, part in labelled.parts.items():
        chosen = (_recoloured(decoded.pop(full(name)), channels) for name in part.names)
        name_of = lambda index, part=part: f'{path}: image {full(part.names[index])}'
        pixels = assemble.stacked(chosen, len(part.names), name_of)
        parts[role] = assemble.in_memory(path, part, pixels, labelled.classes, preparation)
    notes = [found.note(), *labelled.notes]
    if top and len(parts) == 1:
        notes.append(f'the classes are the folders in {top}')
    return assemble.dataset_of(path, parts, tuple(filter(None, notes)))


def _visible_name(member: str) -> str:
    """The name of a file or folder with `/` between folders; '' if it does not count."""
    pieces = pathlib.PurePosixPath(member).parts
    return '/'.join(pieces) if all(map(files.is_visible, pieces)) else ''


def _without_top(names) -> tuple[list[str], str]:
    """Names without the one folder that a tar usually holds everything in, and that folder."""
    tops = {name.partition('/')[0] for name in names}
    if len(tops) != 1 or not all(name.count('/') > 1 for name in names):
        return list(names), ''
    (top,) = tops
    return [name.partition('/')[2] for name in names], top


def _recoloured(pixels: np.ndarray, channels: int) -> np.ndarray:
    """Pixels [H, W, C] with another number of channels."""
    if pixels.shape[2] == channels:
        return pixels
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    return fit_image(image, None, channels)
