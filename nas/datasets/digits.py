"""Scikit-learn's handwritten digits, always available: 1,797 grey images of 8 x 8 pixels."""

import numpy as np
from sklearn import datasets

from nas.datasets.images import Dataset, Images, split

TEST_SHARE = 0.2
NOTE = (
    'digits are 1,797 images of 8 x 8 pixels: one image of a fifth of them is 0.28 %, so figures '
    'demonstrate and prove nothing'
)


def open_digits() -> Dataset:
    """Reads the digits. A fixed fifth of them is the test split, each class in proportion.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits (UCI, 1998), the
    test part, as bundled with scikit-learn. Grey levels 0..16 become 0..255.
    """
    bundle = datasets.load_digits()
    images = np.rint(bundle.images * (255 / 16)).astype(np.uint8)[..., None]
    classes = tuple(map(str, bundle.target_names))
    train, test = split(bundle.target, TEST_SHARE, seed=0)
    everything = Images('digits', images, bundle.target, classes)
    return Dataset(
        everything.take(train, 'digits train'), everything.take(test, 'digits test'), NOTE
    )
