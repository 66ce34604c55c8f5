"""Images that a network of a few thousand parameters learns in a second, and that network."""

import numpy as np

from nas.cells.cell import Cell
from nas.cells.skeleton import Skeleton
from nas.datasets.images import Images

CELL = Cell.parse('bn_relu-lgconv1x1')
SKELETON = Skeleton(name='test', size=4, channels=1, classes=3, stages=(1,), growth=(4,), stem=8)


def make_images(examples: int, *, seed: int = 0, noise: int = 120) -> Images:
    """Images whose mean brightness is the class."""
    rng = np.random.default_rng(seed)
    labels = np.arange(examples) % 3
    pixels = 60 * labels[:, None, None, None] + rng.integers(0, noise, (examples, 4, 4, 1))
    return Images(f'made {seed}', pixels.astype(np.uint8), labels, ('a', 'b', 'c'))
