"""A search and its images are brought together before any work."""

import json

import pytest

from common import options
from nas.cells.skeleton import SKELETONS
from nas.training.config import SearchConfig
from nas.training.data.fitting import open_for_search, searched_skeleton
from tests.nas.datasets.test_image_folder import files, png, write_folder


def config_of(**values):
    return options.make(SearchConfig, values)


@pytest.mark.parametrize('stream', ['', ',stream'])
@pytest.mark.parametrize('mode, channels', [('L', 1), ('RGB', 3)])
def test_classes_and_channels_are_those_of_the_images(tmp_path, stream, mode, channels):
    contents = {f'{name}/{i}.png': png(i, size=40, mode=mode) for name in 'abc' for i in range(5)}
    spec = write_folder(tmp_path, contents) + stream
    skeleton, dataset = open_for_search(config_of(dataset=spec, image_size=28))
    assert skeleton.input == (28, channels, 3) and skeleton.sizes == (28, 14, 7)
    assert dataset.train.images.shape[1:] == (28, 28, channels)
    told, _ = open_for_search(config_of(dataset=spec, channels=4 - channels, image_size=28))
    assert told.channels == 4 - channels


def test_built_in_data_sets_keep_their_skeletons():
    skeleton, dataset = open_for_search(config_of())
    assert skeleton == SKELETONS['digits'] and len(dataset.train.classes) == 10
    skeleton, dataset = open_for_search(config_of(skeleton='cifar10', image_size=28, channels=1))
    assert skeleton.input == (28, 1, 10) and dataset.test.images.shape[1:] == (28, 28, 1)


def test_own_validation_images_need_no_share(tmp_path):
    tree = files(splits=('train/', 'val/', 'test/'), count=1)
    _, dataset = open_for_search(config_of(dataset=write_folder(tmp_path / 'a', tree)))
    assert len(dataset.validation) == 2
    few = files(count=1)
    with pytest.raises(ValueError, match='--validation_share=0.1: b train: .* leaves nothing'):
        open_for_search(config_of(dataset=write_folder(tmp_path / 'b', few)))


def test_searches_from_before_skeletons_were_recorded_go_on_with_theirs(tmp_path):
    config = config_of(dataset=write_folder(tmp_path / 'data', files()))
    run = tmp_path / 'run'
    run.mkdir()
    (run / 'run.json').write_text(json.dumps({'finished': False}))
    assert open_for_search(config, run)[0].input == (8, 1, 2)
    assert searched_skeleton(config, run) == SKELETONS['digits']
    assert open_for_search(config)[0].input == (64, 3, 2)
