"""Image folders of a few small JPEGs."""

import pathlib

import numpy as np
from PIL import Image

CLASSES = ('ant', 'bee', 'cat', 'dog')


def jpeg(path: pathlib.Path, level: int, *, seed: int, size=(50, 40)) -> None:
    """A JPEG of noise around a grey level."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(-30, 30, (size[1] // 5, size[0] // 5, 3))
    pixels = np.kron(noise + level, np.ones((5, 5, 1))).clip(0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(path, 'JPEG')


def make_folder(root: pathlib.Path, *, splits=('train', 'val'), per_class: int = 5) -> pathlib.Path:
    """`per_class` JPEGs of 50 x 40 pixels in each class and split; their brightness is their
    class.
    """
    for part, split in enumerate(splits):
        for label, name in enumerate(CLASSES):
            for number in range(per_class):
                jpeg(
                    root / split / name / f'{name}_{number}.JPEG',
                    30 + 65 * label,
                    seed=1000 * part + 100 * label + number,
                )
    return root
