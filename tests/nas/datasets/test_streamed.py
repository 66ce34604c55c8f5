"""Images that are decoded on demand."""

import io

import numpy as np
import pytest
from PIL import Image

from common.patience import Unavailable
from nas.datasets.images import Dataset
from nas.datasets.streamed import StreamedImages, hold_out


class Pngs:
    """Images in memory as files: image i is noise of its own, its label i % 3."""

    def __init__(self, count, *, known=True):
        labels = np.int32(np.arange(count) % 3)
        self.labels, self._labels, self.files = labels if known else None, labels, []
        for number in range(count):
            pixels = np.random.default_rng(number).integers(0, 256, (10, 12, 3)).astype(np.uint8)
            buffer = io.BytesIO()
            Image.fromarray(pixels).save(buffer, 'png')
            self.files.append(buffer.getvalue())

    def __len__(self):
        return len(self.files)

    def read(self, index):
        return self.files[index], int(self._labels[index])

    def name(self, index):
        return f'made {index}'


def make(count=12, *, known=True, size=6, moments=None, rows=None):
    rows = np.arange(count) if rows is None else rows
    return StreamedImages('made', Pngs(count, known=known), rows, ('a', 'b', 'c'), size, 3, moments)


def test_pixels_are_an_array_that_is_decoded_where_it_is_indexed():
    images = make()
    pixels = images.images
    assert (
        pixels.shape == (12, 6, 6, 3)
        and pixels.dtype == np.uint8
        and len(pixels) == len(images) == 12
    )
    everything = pixels[:]
    assert (
        everything.shape == pixels.shape and everything.dtype == np.uint8 and everything.std() > 20
    )
    np.testing.assert_array_equal(pixels[3], everything[3])
    np.testing.assert_array_equal(pixels[-1], everything[11])
    np.testing.assert_array_equal(pixels[2:5], everything[2:5])
    np.testing.assert_array_equal(pixels[[5, 1]], everything[[5, 1]])
    assert pixels[[]].shape == (0, 6, 6, 3)


def test_an_example_is_a_function_of_its_seed():
    images = make()
    crop, label = images.example(4, (1, 2, 3))
    assert label == 1 and crop.shape == (6, 6, 3)
    np.testing.assert_array_equal(images.example(4, (1, 2, 3))[0], crop)
    others = [images.example(4, seed)[0] for seed in ((1, 2, 4), (1, 3, 3), (2, 2, 3), None)]
    assert all((other != crop).any() for other in others)
    np.testing.assert_array_equal(images.example(4)[0], images.images[4])


@pytest.mark.parametrize('known', [True, False])
def test_parts_keep_images_and_labels_together(known):
    images = make(known=known)
    np.testing.assert_array_equal(images.labels, np.arange(12) % 3)
    part = images.take(np.array([7, 2])).take(np.array([1, 0]), 'part')
    assert part.name == 'part' and part.classes == images.classes and part.labels.tolist() == [2, 1]
    np.testing.assert_array_equal(part.images[:], images.images[[2, 7]])
    assert part.example(1)[1] == 1


@pytest.mark.parametrize('known', [True, False])
def test_hold_out_is_disjoint_complete_and_seeded(known):
    images = make(60, known=known)
    train, held_out = hold_out(images, 0.25, seed=1)
    assert (len(train), len(held_out)) == (45, 15) and 'held out' in held_out.name
    assert sorted([*train.rows, *held_out.rows]) == list(range(60))
    np.testing.assert_array_equal(hold_out(images, 0.25, seed=1)[1].rows, held_out.rows)
    assert (hold_out(images, 0.25, seed=2)[1].rows != held_out.rows).any()
    if known:
        assert np.bincount(held_out.labels).tolist() == [5, 5, 5]
    with pytest.raises(ValueError, match='share is 0'):
        hold_out(images, 0, seed=0)


def test_statistics_are_known_or_those_of_a_sample():
    images = make()
    mean, std = images.statistics()
    pixels = images.images[:] / 255
    np.testing.assert_allclose(mean, pixels.mean(axis=(0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(std, pixels.std(axis=(0, 1, 2)), rtol=1e-5)
    known = make(moments=((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))).statistics()
    np.testing.assert_allclose(known, ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6)))
    assert known[0].dtype == np.float32


def test_a_sample_is_taken_of_many_images():
    images = make(4, rows=np.arange(5000) % 4)
    read, count = images.source.read, []
    images.source.read = lambda index: (count.append(index), read(index))[1]
    images.statistics(), images.statistics()
    assert len(count) == 1000 and set(count) == {0, 1, 2, 3}


def test_damaged_images_are_named():
    images = make()
    images.source.files[5] = images.source.files[5][:60]
    for ask in (
        lambda: images.example(5),
        lambda: images.example(5, (0, 0)),
        lambda: images.images[4:7],
    ):
        with pytest.raises(ValueError, match='made 5 cannot be read: .') as caught:
            ask()
        assert '\n' not in str(caught.value)
        # Hence it counts against no candidate.
        assert isinstance(caught.value, Unavailable)


def test_they_stand_where_images_do():
    assert Dataset(make(), make(6)).train.images.shape[1:] == (6, 6, 3)
    with pytest.raises(ValueError, match=r'\(6, 6, 3\), but made \(5, 5, 3\)'):
        Dataset(make(), make(size=5))
    with pytest.raises(ValueError, match='made: there are no images'):
        make(rows=np.arange(0))
