"""Splits, statistics and the size of images."""

import numpy as np
import pytest
from PIL import Image

from nas.datasets.images import Dataset, Images, fit, fit_image, hold_out, split
from nas.datasets.open_images import open_images


def make(examples=60, size=4, channels=3, classes=('a', 'b', 'c'), seed=0):
    rng = np.random.default_rng(seed)
    return Images(
        'made',
        rng.integers(0, 256, (examples, size, size, channels), dtype=np.uint8),
        np.arange(examples) % len(classes),
        classes,
    )


def test_digits_are_whole_balanced_and_the_same_every_time():
    data, again = open_images('digits'), open_images('digits')
    assert len(data.train) + len(data.test) == 1797 and data.train.images.shape[1:] == (8, 8, 1)
    assert data.train.images.max() == 255 and len(data.train.classes) == 10
    assert 350 < len(data.test) < 370 and min(np.bincount(data.test.labels)) >= 34
    assert data.test.digest() == again.test.digest() != data.train.digest()
    assert '0.28' in data.note


def test_hold_out_is_stratified_disjoint_complete_and_seeded():
    images = make(examples=300)
    train, validation = hold_out(images, 0.2, seed=1)
    np.testing.assert_array_equal(np.bincount(validation.labels), [20, 20, 20])
    rows = [set(map(bytes, part.images)) for part in (train, validation)]
    assert len(train) + len(validation) == 300 and not rows[0] & rows[1]
    assert rows[1] == set(map(bytes, hold_out(images, 0.2, seed=1)[1].images))
    assert rows[1] != set(map(bytes, hold_out(images, 0.2, seed=2)[1].images))


@pytest.mark.parametrize('share', [0.1, 0.5, 0.95])
@pytest.mark.parametrize('count', [2, 3, 40])
def test_every_class_of_two_has_an_example_on_both_sides(share, count):
    labels = np.repeat([4, 0, 2, 1], count)
    first, second = split(labels, share, seed=3)
    each = min(max(round(share * count), 1), count - 1)
    assert np.bincount(labels[second]).tolist() == [each, each, each, 0, each]
    assert sorted([*first, *second]) == list(range(4 * count))
    # A single example is trained on.
    alone = np.append(labels, 9)
    assert 9 in alone[split(alone, share, seed=3)[0]]


@pytest.mark.parametrize('share', [0, 1, 1e-4, -0.1])
def test_a_share_that_leaves_nothing_is_refused(share):
    with pytest.raises(ValueError, match=f'share (is|of) {share}'):
        hold_out(make(), share, seed=0)


def test_statistics_are_those_of_the_pixels():
    images = make()
    mean, std = images.statistics()
    np.testing.assert_allclose(mean, (images.images / 255).mean(axis=(0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(std, (images.images / 255).std(axis=(0, 1, 2)), rtol=1e-6)
    flat = Images('flat', np.full((2, 4, 4, 1), 7, np.uint8), np.zeros(2), ('a',))
    assert flat.statistics()[1] == 1


def test_fit_takes_the_middle_square_and_changes_channels():
    wide = np.zeros((4, 12, 3), np.uint8)
    wide[:, 4:8] = 200
    np.testing.assert_array_equal(fit_image(Image.fromarray(wide), 4, 3), np.full((4, 4, 3), 200))
    assert fit(make(), 2, 1).images.shape == (60, 2, 2, 1)
    grey = make(channels=1)
    np.testing.assert_array_equal(fit(grey, None, 3).images, np.repeat(grey.images, 3, axis=-1))
    assert fit(grey, 4, 1) is grey


@pytest.mark.parametrize(
    'change, message',
    [
        ({'images': np.zeros((3, 4, 4, 3))}, 'float64'),
        ({'images': np.zeros((3, 4, 5, 3), np.uint8)}, r'\(3, 4, 5, 3\)'),
        ({'labels': np.zeros(2, int)}, '3 images have labels'),
        ({'labels': np.array([0, 1, 2])}, 'from 0 to 2'),
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(change, message):
    fields = {'images': np.zeros((3, 4, 4, 3), np.uint8), 'labels': np.zeros(3, int)} | change
    with pytest.raises(ValueError, match=f'broken: .*{message}'):
        Images('broken', fields['images'], fields['labels'], ('a', 'b'))


def test_splits_of_different_classes_or_sizes_are_refused():
    with pytest.raises(ValueError, match="different classes, among them 'c'"):
        Dataset(make(), make(classes=('a', 'b', 'd')))
    with pytest.raises(ValueError, match=r'\(4, 4, 3\), but made \(5, 5, 3\)'):
        Dataset(make(), make(size=5))


@pytest.mark.parametrize('spec', ['mnist', 'folder:', 'cifar10:', ''])
def test_unknown_data_sets_are_answered_with_the_known_ones(spec):
    with pytest.raises(
        ValueError, match=f"'{spec}' is unknown; accepted: digits, cifar10 .*folder:PATH"
    ):
        open_images(spec)


def test_images_are_brought_to_the_skeleton():
    assert open_images('digits', size=16, channels=3).test.images.shape[1:] == (16, 16, 3)
    with pytest.raises(ValueError, match='channels 2'):
        open_images('digits', channels=2)
