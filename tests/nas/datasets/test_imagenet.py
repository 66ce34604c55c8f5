"""Image folders that are streamed, and ImageNet as TFDS prepares it."""

import io
import shutil

import numpy as np
import pytest
from PIL import Image

from nas.datasets import imagenet
from nas.datasets import open_images as open_images_lib
from nas.datasets.image_folder import Folder
from nas.datasets.images import Images
from nas.datasets.open_images import open_images
from nas.datasets.streamed import StreamedImages
from tests.nas.made_folders import CLASSES, jpeg, make_folder


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp('folders') / 'made')


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / 'made')


def test_an_image_folder_is_listed_by_class(copy):
    jpeg(copy / 'train/bee/more/x.jpg', 95, seed=7)
    (copy / 'train/.cache').mkdir()
    (copy / 'train/ant/._ant.JPEG').write_bytes(b'not an image')
    (copy / 'README.txt').write_text('hello')
    data = open_images(f'imagenet:{copy}', size=8, channels=3)
    assert (
        isinstance(data.train, StreamedImages)
        and data.train.classes == CLASSES == data.test.classes
    )
    assert (len(data.train), len(data.test)) == (21, 20) and data.test.name == 'made val'
    assert np.bincount(data.train.labels).tolist() == [5, 6, 5, 5]
    assert data.train.images.shape == (21, 8, 8, 3)
    levels = data.train.images[:].mean(axis=(1, 2, 3))
    np.testing.assert_allclose(levels, 30 + 65 * data.train.labels, atol=15)
    assert data.test.source.name(0) == f'{copy}: image val/ant/ant_0.JPEG'
    assert '8 of 9 pixels' in data.note


def test_images_are_scored_on_the_middle_of_a_resize(folder):
    data = open_images(f'imagenet:{folder}', size=28, channels=3)
    for number, path in enumerate(sorted((folder / 'val/bee').iterdir())):
        # The shorter side of 50 x 40 pixels to 32, then the middle 28 x 28.
        with Image.open(path) as image:
            whole = image.resize((40, 32), Image.Resampling.BILINEAR)
        expected = np.asarray(whole, int)[2:30, 6:34]
        found = data.test.images[5 + number]
        assert np.abs(found - expected).mean() < 1


def test_imagenet_has_its_usual_statistics_and_other_folders_their_own(folder):
    mean, std = open_images(f'imagenet:{folder}', size=8, channels=3).train.statistics()
    np.testing.assert_allclose(
        (mean, std), ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), rtol=1e-6
    )
    for spec, channels in ((f'folder:{folder},stream', 3), (f'imagenet:{folder}', 1)):
        train = open_images(spec, size=8, channels=channels).train
        pixels = train.images[:] / 255
        np.testing.assert_allclose(train.statistics()[0], pixels.mean(axis=(0, 1, 2)), rtol=1e-5)


def test_folders_are_streamed_if_told_so_or_if_they_are_large(folder, monkeypatch):
    assert isinstance(open_images(f'folder:{folder}', size=8).train, Images)
    assert isinstance(open_images(f'folder:{folder},stream', size=8).train, StreamedImages)
    assert open_images(f'folder:{folder},stream').train.images.shape[1:] == (224, 224, 3)
    decoded = 40 * 8 * 8 * 3
    assert Folder.of(folder).decoded_bytes(8, None) == decoded
    assert Folder.of(folder).decoded_bytes(8, 1) == decoded / 3
    monkeypatch.setattr(open_images_lib, 'MEMORY_BYTES', decoded)
    assert isinstance(open_images(f'folder:{folder}', size=8).train, Images)
    monkeypatch.setattr(open_images_lib, 'MEMORY_BYTES', decoded - 1)
    assert isinstance(open_images(f'folder:{folder}', size=8).train, StreamedImages)


def test_without_splits_a_fixed_fifth_is_the_test_split(tmp_path):
    root = make_folder(tmp_path, splits=('',))
    data, again = (open_images(f'folder:{root},stream', size=8) for _ in range(2))
    assert (len(data.train), len(data.test)) == (16, 4) and np.bincount(
        data.test.labels
    ).tolist() == [1] * 4
    assert set(data.train.rows) | set(data.test.rows) == set(range(20))
    np.testing.assert_array_equal(data.test.rows, again.test.rows)
    assert 'no test folder' in data.note


def test_val_comes_before_test(tmp_path):
    root = make_folder(tmp_path, splits=('train', 'test'))
    assert 'test' in open_images(f'imagenet:{root}', size=8).test.name
    # ImageNet's own test images are in no classes.
    shutil.move(root / 'test', root / 'val')
    jpeg(root / 'test/0.JPEG', 100, seed=0)
    assert len(open_images(f'imagenet:{root}', size=8).test) == 20


@pytest.mark.parametrize(
    'change, named',
    [
        (lambda root: shutil.rmtree(root / 'train/bee'), "different classes, among them 'bee'"),
        (lambda root: shutil.rmtree(root / 'val/dog'), "different classes, among them 'dog'"),
        (lambda root: (root / 'train/wolf').mkdir(), 'class folder train/wolf holds no images'),
        (
            lambda root: jpeg(root / 'val/x.JPEG', 9, seed=0),
            'image val/x.JPEG lies in no folder of a class; acc',
        ),
        (
            lambda root: shutil.rmtree(root / 'val'),
            'has a folder train, but none of val, validation, test',
        ),
        (
            lambda root: [shutil.rmtree(root / f'val/{name}') for name in CLASSES],
            'val holds no images',
        ),
        (lambda root: shutil.rmtree(root), 'made does not exist; accepted: PATH/train/<class>'),
    ],
)
def test_folders_at_fault_are_named(copy, change, named):
    change(copy)
    with pytest.raises(ValueError, match=named) as caught:
        open_images(f'imagenet:{copy}', size=8)
    assert '\n' not in str(caught.value) and str(copy.name) in str(caught.value)


def test_tars_are_not_streamed(tmp_path):
    (tmp_path / 'a.tar').write_bytes(b'x')
    with pytest.raises(ValueError, match='a.tar is a file, and only folders are streamed'):
        open_images(f'folder:{tmp_path}/a.tar,stream', size=8)


def test_tfds_is_read_where_it_is_prepared_and_asked_for_where_not(tmp_path):
    tfds = pytest.importorskip('tensorflow_datasets')
    with pytest.raises(ValueError, match='imagenet2012 is not prepared by TFDS.*imagenet:PATH'):
        imagenet.open_tfds(data_dir=tmp_path)

    class Imagenet2012(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        """The registered data set's shape, with eight images."""

        VERSION = tfds.builder('imagenet2012', data_dir=tmp_path).version
        url_infos = {}  # nothing is downloaded

        def _info(self):
            return tfds.core.DatasetInfo(
                builder=self,
                features=tfds.features.FeaturesDict(
                    {
                        'file_name': tfds.features.Text(),
                        'image': tfds.features.Image(encoding_format='jpeg'),
                        'label': tfds.features.ClassLabel(num_classes=1000),
                    }
                ),
            )

        def _split_generators(self, unused_manager):
            return {'train': self._generate_examples(0), 'validation': self._generate_examples(500)}

        def _generate_examples(self, first):
            for number in range(first, first + 4):
                buffer = io.BytesIO()
                image = Image.new('RGB', (40 + number % 4, 50), (number // 4, 0, 200))
                image.save(buffer, 'jpeg', quality=99)
                yield (
                    number,
                    {'file_name': f'{number}', 'image': buffer.getvalue(), 'label': number},
                )

    Imagenet2012(data_dir=tmp_path, file_format='array_record').download_and_prepare()
    data = imagenet.open_tfds(size=8, data_dir=tmp_path)
    assert sorted(data.train.labels) == [0, 1, 2, 3] and sorted(data.test.labels) == [
        500,
        501,
        502,
        503,
    ]
    assert len(data.train.classes) == 1000 and data.test.images.shape == (4, 8, 8, 3)
    for index in range(4):
        pixels, label = data.test.example(index)
        assert label == data.test.labels[index] and abs(int(pixels[0, 0, 0]) - label // 4) < 4
        assert pixels[..., 2].min() > 195
    assert data.test.source.name(2) == 'imagenet2012 validation: record 2'
