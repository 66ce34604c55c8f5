"""Skeletons for images of any size: strides, stages, and what does not fit."""

import dataclasses

import pytest

from nas.cells import plan
from nas.cells.cell import Cell
from nas.cells.choice import Sizes, search_skeleton, skeleton_of
from nas.cells.skeleton import SKELETONS, Skeleton, fitting

CELL = Cell.parse('bn_relu-lgconv1x1-bn_relu-gconv3x3')


@pytest.mark.parametrize('on', SKELETONS.values(), ids=SKELETONS)
def test_sizes_are_those_of_the_plan(on):
    layers = plan.build(CELL, on)
    for stage, size in enumerate(on.sizes):
        inside = [layer for layer in layers if layer.name.startswith(f'stage{stage}_cell')]
        assert inside and {layer.out_size for layer in inside} == {size}


@pytest.mark.parametrize(
    'size, sizes',
    [
        (28, (28, 14, 7)),
        (32, (32, 16, 8)),
        (64, (32, 16, 8)),
        (96, (48, 24, 12, 6)),
        (224, (112, 56, 28, 14, 7)),
        (300, (75, 37, 18, 9)),
        (512, (128, 64, 32, 16, 8)),
    ],
)
@pytest.mark.parametrize('channels', [1, 3])
def test_a_skeleton_fits_images_of_28_to_512_pixels(size, sizes, channels):
    found = skeleton_of('images', Sizes(image_size=size, channels=channels, classes=5))
    assert found.sizes == sizes and found.input == (size, channels, 5)
    assert found.growth == tuple(8 << stage for stage in range(len(sizes)))
    layers = plan.build(CELL, found)
    assert layers[0].out_channels == channels and layers[-1].out_channels == 5


def test_every_size_of_8_pixels_up_has_a_skeleton():
    for size in range(8, 1100):
        sizes = fitting(size).sizes
        assert sizes[0] <= 128 and 6 <= sizes[-1] < 13, size


def test_stages_and_growth_change_the_skeleton_for_any_images():
    found = skeleton_of('images', Sizes(image_size=64, stages=(3, 4)))
    assert (found.stages, found.growth, found.stem, found.stem_stride) == ((3, 4), (8, 16), 16, 2)
    found = skeleton_of('images', Sizes(growth=(4, 12), stem_stride=1))
    assert (found.stages, found.growth, found.stem) == ((2, 2), (4, 12), 8)
    assert found.sizes == (64, 32)


def test_other_skeletons_take_a_stem_that_suits_the_size():
    found = skeleton_of('cifar10', Sizes(image_size=128))
    assert found == dataclasses.replace(
        SKELETONS['cifar10'], name='cifar10 image size 128', size=128, stem_stride=2
    )
    assert skeleton_of('cifar10', Sizes(image_size=32, channels=1)).stem_stride == 1


@pytest.mark.parametrize(
    'name, sizes, message',
    [
        (
            'imagenet',
            Sizes(image_size=28),
            r'28 pixels cannot be halved 4 times .* would have 28, 14, 7, 3, 1 pixels; accepted',
        ),
        ('images', Sizes(image_size=4, stages=(1, 1)), 'would have 4, 2 pixels'),
        ('images', Sizes(image_size=2), 'would have 2 pixels; accepted: at least 3'),
        ('cifar10', Sizes(image_size=64, stem_stride=16), '64 pixels cannot be halved'),
    ],
)
def test_sizes_that_leave_too_few_pixels_are_refused(name, sizes, message):
    with pytest.raises(ValueError, match=message):
        skeleton_of(name, sizes)


def test_two_channels_are_refused():
    with pytest.raises(ValueError, match='channels is 2; accepted: 1'):
        Sizes(channels=2)


@pytest.mark.parametrize(
    'dataset, name',
    [
        ('digits', 'digits'),
        ('cifar10:x', 'cifar10'),
        ('imagenet', 'imagenet'),
        ('folder:x', 'images'),
    ],
)
def test_a_search_takes_the_skeleton_of_its_data(dataset, name):
    assert search_skeleton(dataset, None) == SKELETONS[name]
    assert search_skeleton(dataset, 'tiny', Sizes(channels=1)).channels == 1


def test_a_number_of_classes_has_to_be_that_of_the_data():
    Sizes(classes=3).check_classes(3, 'folder:x')
    Sizes().check_classes(7, 'folder:x')
    with pytest.raises(ValueError, match='--classes=4, but --dataset=folder:x has 3 classes'):
        Sizes(classes=4).check_classes(3, 'folder:x')


def test_very_many_stages_are_counted_and_not_listed():
    with pytest.raises(ValueError, match=r'64, 32, 16, 8, 4, 2, \.\.\., 0 pixels') as caught:
        Skeleton(size=64, stages=(1,) * 900, growth=(8,) * 900)
    assert len(str(caught.value)) < 400
