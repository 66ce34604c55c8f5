"""CIFAR-10 in every form its holders have, on generated files."""

import hashlib
import io
import os
import pickle
import tarfile

import numpy as np
import pytest
from PIL import Image

from nas.datasets import cifar10
from nas.datasets.open_images import open_images

ROWS = 20
NAMES = [f'data_batch_{i}' for i in range(1, 6)] + ['test_batch']


def batch(seed):
    """A batch as the official files hold it: rows of a red, a green and a blue plane."""
    rng = np.random.default_rng(seed)
    return {b'batch_label': b'made', b'labels': [int(label) for label in np.arange(ROWS) % 10],
            b'data': rng.integers(0, 256, (ROWS, 3072), dtype=np.uint8), b'filenames': [b'a.png'] * ROWS}


def pickled(value):
    # Protocol 4 holds bytes as bytes; the official files are of protocol 2, written by Python 2.
    return pickle.dumps(value, protocol=4)


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / cifar10.FOLDER
    path.mkdir()
    for seed, name in enumerate(NAMES):
        (path / name).write_bytes(pickled(batch(seed)))
    (path / 'batches.meta').write_bytes(b'never read')
    return path


def archive_of(folder):
    path = folder.parent / cifar10.ARCHIVE
    with tarfile.open(path, 'w:gz') as tar:
        tar.add(folder, cifar10.FOLDER)
    return path


def test_official_folder_and_archive_hold_the_pixels_in_their_planes(folder):
    data = open_images(f'cifar10:{folder}')
    assert data.train.images.shape == (5 * ROWS, 32, 32, 3) and data.test.images.shape == (ROWS, 32, 32, 3)
    assert data.train.classes[3] == 'cat' and data.note == ''
    row = batch(2)[b'data'][7]
    image = data.train.images[2 * ROWS + 7]
    # Red of row 5, column 9, and blue of row 31, column 0.
    assert image[5, 9, 0] == row[5 * 32 + 9] and image[31, 0, 2] == row[2048 + 31 * 32]
    np.testing.assert_array_equal(data.test.labels, np.arange(ROWS) % 10)
    archive = archive_of(folder)
    md5 = hashlib.md5(archive.read_bytes()).hexdigest()
    assert cifar10.open_cifar10(archive, archive_md5=md5).train.digest() == data.train.digest()
    renamed = archive.rename(folder.parent / 'renamed.tgz')
    assert cifar10.open_cifar10(renamed, archive_md5=md5).train.digest() == data.train.digest()
    assert open_images(f'cifar10:{folder.parent}').train.digest() == data.train.digest()


def test_an_archive_with_a_wrong_checksum_is_refused_by_name(folder):
    with pytest.raises(ValueError, match=f'{cifar10.ARCHIVE} has the MD5 .* official one has c58f3010'):
        open_images(f'cifar10:{archive_of(folder)}')


class Evil:
    def __reduce__(self):
        return os.system, ('echo run > evil_was_here',)


@pytest.mark.parametrize('payload', [
    pickled({b'data': Evil(), b'labels': [0]}), pickled({b'labels': [0]}), b'junk', b'',
    pickled(batch(0))[:-50], pickled(batch(0) | {b'labels': [0]}),
    pickled(batch(0) | {b'data': np.zeros((ROWS, 3072), object)}),
    pickled(batch(0) | {b'labels': [10] * ROWS})])
def test_damaged_and_hostile_batches_are_named_and_run_nothing(folder, payload, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / 'data_batch_4').write_bytes(payload)
    with pytest.raises(ValueError, match='cifar10.*(data_batch_4 is not a batch|train: (images|labels))'):
        open_images(f'cifar10:{folder}')
    assert not (folder / 'evil_was_here').exists()


def test_a_missing_batch_is_named(folder):
    (folder / 'data_batch_5').unlink()
    with pytest.raises(ValueError, match='data_batch_5 cannot be read: No such file'):
        open_images(f'cifar10:{folder}')


def test_an_image_folder_is_marked_and_has_the_right_classes(tmp_path):
    for split in ('train', 'test'):
        for label in cifar10.CLASSES:
            (tmp_path / split / label).mkdir(parents=True)
            Image.new('RGB', (32, 32), (9, 9, 9)).save(tmp_path / split / label / '0.jpg')
    data = open_images(f'cifar10:{tmp_path}')
    assert data.note == 'JPEG re-encoded' and len(data.train) == 10
    (tmp_path / 'train/dog').rename(tmp_path / 'train/wolf')
    (tmp_path / 'test/dog').rename(tmp_path / 'test/wolf')
    with pytest.raises(ValueError, match='wolf.*CIFAR-10 has airplane'):
        open_images(f'cifar10:{tmp_path}')


def test_tfds_is_read_where_it_is_prepared_and_asked_for_where_not(tmp_path):
    tfds = pytest.importorskip('tensorflow_datasets')
    with pytest.raises(ValueError, match='cifar10 is not prepared by TFDS.*cifar10:PATH'):
        cifar10.open_tfds(tmp_path)

    class Cifar10(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        """The registered data set's shape, with four images."""

        VERSION = tfds.builder('cifar10', data_dir=tmp_path).version
        url_infos = {}  # nothing is downloaded

        def _info(self):
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict({
                'id': tfds.features.Text(), 'image': tfds.features.Image(shape=(32, 32, 3)),
                'label': tfds.features.ClassLabel(num_classes=10)}))

        def _split_generators(self, unused_manager):
            return {'train': self._generate_examples(0), 'test': self._generate_examples(4)}

        def _generate_examples(self, first):
            for number in range(first, first + 4):
                buffer = io.BytesIO()
                Image.new('RGB', (32, 32), (number, 0, 200)).save(buffer, 'png')
                yield number, {'id': str(number), 'image': buffer.getvalue(), 'label': number}

    Cifar10(data_dir=tmp_path, file_format='array_record').download_and_prepare()
    data = cifar10.open_tfds(tmp_path)
    assert sorted(data.train.images[:, 3, 3, 0]) == [0, 1, 2, 3] and data.train.images[0, 0, 0, 2] == 200
    np.testing.assert_array_equal(data.train.images[:, 0, 0, 0], data.train.labels)
    assert sorted(data.test.labels) == [4, 5, 6, 7]
