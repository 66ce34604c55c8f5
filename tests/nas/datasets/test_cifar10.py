"""CIFAR-10 in every accepted form, on generated files."""

import hashlib
import io
import os
import pickle
import struct
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
    return {
        b'batch_label': b'made',
        b'labels': [int(label) for label in np.arange(ROWS) % 10],
        b'data': rng.integers(0, 256, (ROWS, 3072), dtype=np.uint8),
        b'filenames': [b'a.png'] * ROWS,
    }


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
    assert data.train.images.shape == (5 * ROWS, 32, 32, 3) and data.test.images.shape == (
        ROWS,
        32,
        32,
        3,
    )
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
    with pytest.raises(
        ValueError, match=f'{cifar10.ARCHIVE} has the MD5 .* official one has c58f3010'
    ):
        open_images(f'cifar10:{archive_of(folder)}')


class Evil:
    def __reduce__(self):
        return os.system, ('echo run > evil_was_here',)


@pytest.mark.parametrize(
    'payload',
    [
        pickled({b'data': Evil(), b'labels': [0]}),
        pickled({b'labels': [0]}),
        b'junk',
        b'',
        pickled(batch(0))[:-50],
        pickled(batch(0) | {b'labels': [0]}),
        pickled(batch(0) | {b'data': np.zeros((ROWS, 3072), object)}),
        pickled(batch(0) | {b'labels': [10] * ROWS}),
    ],
)
def test_damaged_and_hostile_batches_are_named_and_run_nothing(folder, payload, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / 'data_batch_4').write_bytes(payload)
    with pytest.raises(
        ValueError, match='cifar10.*(data_batch_4 is not a batch|train: (images|labels))'
    ):
        open_images(f'cifar10:{folder}')
    assert not (folder / 'evil_was_here').exists()


def string(text):
    """A byte string as Python 2 pickled it."""
    return b'T' + struct.pack('<I', len(text)) + text


def by_python2(rows, labels):
    """A batch as Python 2 pickled it with protocol 2, opcode by opcode, as the official ones
    are.
    """
    dtype = (
        b'cnumpy\ndtype\nq\x04'
        + string(b'u1')
        + b'K\x00K\x01\x87Rq\x05(K\x03'
        + string(b'|')
        + b'NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb'
    )
    shape = b'M' + struct.pack('<H', len(rows)) + b'M\x00\x0c\x86'
    array = (
        b'cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85'
        + string(b'b')
        + b'\x87Rq\x03(K\x01'
        + shape
        + dtype
        + b'\x89'
        + string(rows.tobytes())
        + b'tb'
    )
    numbers = b']q\x06(' + b''.join(b'K' + bytes([label]) for label in labels) + b'e'
    return b'\x80\x02}q\x00(' + string(b'data') + array + string(b'labels') + numbers + b'u.'


def test_batches_of_python_2(folder):
    made = batch(7)
    (folder / 'test_batch').write_bytes(by_python2(made[b'data'], made[b'labels']))
    test = open_images(f'cifar10:{folder}').test
    (folder / 'test_batch').write_bytes(pickled(made))
    assert test.digest() == open_images(f'cifar10:{folder}').test.digest()


class Global:
    """Pickled as the bare name of a function, as an attacker would write it."""

    def __init__(self, function, *arguments):
        self._call = function, arguments

    def __reduce__(self):
        return self._call


def nested(depth):
    """A list that stands for 10**depth numbers and takes a few bytes."""
    return [0] * 10 if depth == 1 else [nested(depth - 1)] * 10


@pytest.mark.parametrize(
    'payload, message',
    [
        (
            pickled({b'data': Global(np.frombuffer, b'x'), b'labels': [0]}),
            'names .*frombuffer, which no batch',
        ),
        (pickled({b'data': Global(eval, '1'), b'labels': [0]}), 'names builtins.eval'),
        (pickled({b'data': np.ndarray, b'labels': [0]}), "no attribute 'array'"),
        (pickled(batch(0) | {b'data': np.zeros(3072, 'V1')}), 'array of another type than bytes'),
        (pickled(batch(0) | {b'labels': nested(12)}), 'labels are not whole numbers'),
        (b'\x80\x04Nr\xff\xff\xff\x7f.', 'numbers a value 2147483647'),
        (b'\x80\x04\x8e' + struct.pack('<Q', 1 << 40) + b'x.', 'bytes'),
    ],
)
def test_batches_call_nothing_and_fill_no_memory(folder, payload, message):
    (folder / 'data_batch_1').write_bytes(payload)
    with pytest.raises(ValueError, match=f'data_batch_1 is not a batch of CIFAR-10: .*{message}'):
        open_images(f'cifar10:{folder}')


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
            return tfds.core.DatasetInfo(
                builder=self,
                features=tfds.features.FeaturesDict(
                    {
                        'id': tfds.features.Text(),
                        'image': tfds.features.Image(shape=(32, 32, 3)),
                        'label': tfds.features.ClassLabel(num_classes=10),
                    }
                ),
            )

        def _split_generators(self, unused_manager):
            return {'train': self._generate_examples(0), 'test': self._generate_examples(4)}

        def _generate_examples(self, first):
            for number in range(first, first + 4):
                buffer = io.BytesIO()
                Image.new('RGB', (32, 32), (number, 0, 200)).save(buffer, 'png')
                yield number, {'id': str(number), 'image': buffer.getvalue(), 'label': number}

    Cifar10(data_dir=tmp_path, file_format='array_record').download_and_prepare()
    data = cifar10.open_tfds(tmp_path)
    assert (
        sorted(data.train.images[:, 3, 3, 0]) == [0, 1, 2, 3]
        and data.train.images[0, 0, 0, 2] == 200
    )
    np.testing.assert_array_equal(data.train.images[:, 0, 0, 0], data.train.labels)
    assert sorted(data.test.labels) == [4, 5, 6, 7]
