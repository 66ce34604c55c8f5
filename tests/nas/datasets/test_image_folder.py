"""Folders and tars of images, whole and damaged."""

import io
import tarfile

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image

from nas.datasets.open_images import open_images


def png(value, size=6, mode='RGB'):
    buffer = io.BytesIO()
    Image.new(mode, (size, size), (value,) * 3 if mode == 'RGB' else value).save(buffer, 'png')
    return buffer.getvalue()


def files(splits=('train/', 'test/'), classes=('cat', 'ant'), count=5):
    """{path: bytes}; the pixels of each image are its own number."""
    names = [
        f'{split}{label}/{i}.png' for split in splits for label in classes for i in range(count)
    ]
    return {name: png(number) for number, name in enumerate(names)}


def write_folder(root, contents):
    for name, payload in contents.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(payload)
    return f'folder:{root}'


def write_tar(path, contents, prefix='', mode='w:xz'):
    with tarfile.open(path, mode) as tar:
        for name, payload in contents.items():
            member = tarfile.TarInfo(prefix + name)
            member.size = len(payload)
            tar.addfile(member, io.BytesIO(payload))
    return f'folder:{path}'


def test_a_folder_with_splits(tmp_path):
    data = open_images(
        write_folder(tmp_path, files() | {'README.txt': b'x', 'train/.hidden/a.png': b'x'})
    )
    assert data.train.classes == ('ant', 'cat') and data.note == ''
    # train/cat holds the values 0..4 and train/ant 5..9.
    np.testing.assert_array_equal(data.train.images[:, 0, 0, 0], [5, 6, 7, 8, 9, 0, 1, 2, 3, 4])
    np.testing.assert_array_equal(data.train.labels, [0] * 5 + [1] * 5)
    assert len(data.test) == 10 and data.test.images.min() == 10


@pytest.mark.parametrize(
    'name, mode, prefix',
    [('a.tar.xz', 'w:xz', ''), ('a.tar', 'w', './'), ('a.tgz', 'w:gz', 'top/')],
)
def test_a_tar_holds_the_same_as_its_folder_and_nothing_is_unpacked(tmp_path, name, mode, prefix):
    folder = open_images(write_folder(tmp_path / 'folder', files()))
    shuffled = dict(sorted(files().items(), key=lambda item: hash(item[1])))
    tar = open_images(write_tar(tmp_path / name, shuffled, prefix, mode))
    assert folder.train.digest() == tar.train.digest() and folder.test.digest() == tar.test.digest()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == sorted(['folder', name])


def test_of_two_files_with_one_name_in_a_tar_the_last_one_counts(tmp_path):
    spec = write_tar(tmp_path / 'a.tar', files(), mode='w')
    with tarfile.open(tmp_path / 'a.tar', 'a') as tar:
        member, payload = tarfile.TarInfo('./train/cat/0.png'), png(99)
        member.size = len(payload)
        tar.addfile(member, io.BytesIO(payload))
    train = open_images(spec).train
    assert len(train) == 10 and train.images[5, 0, 0, 0] == 99


@pytest.mark.parametrize('top', ['.', 'top'])
def test_a_tar_with_an_empty_class_is_refused_like_its_folder(tmp_path, top):
    spec = write_folder(tmp_path / 'made', files())

    def pack(name):
        with tarfile.open(tmp_path / name, 'w') as tar:
            tar.add(tmp_path / 'made', top)
        return f'folder:{tmp_path / name}'

    assert open_images(pack('whole.tar')).note == ''
    (tmp_path / 'made/train/wolf').mkdir()
    for lacking in (spec, pack('lacking.tar')):
        with pytest.raises(ValueError, match='class folder train/wolf holds no images'):
            open_images(lacking)


def test_without_splits_a_fixed_fifth_is_the_test_split(tmp_path):
    spec = write_folder(tmp_path, files(splits=('',), count=10))
    data, again = open_images(spec), open_images(spec)
    assert len(data.train) == 16 and np.bincount(data.test.labels).tolist() == [2, 2]
    assert 'no test folder' in data.note and data.test.digest() == again.test.digest()


def test_images_are_resized_and_the_decoded_ones_are_kept_until_the_files_change(tmp_path):
    spec, cache = write_folder(tmp_path / 'data', files()), tmp_path / 'cache'
    with pytest.raises(ValueError, match='train/ant/9.png is 7 x 7 pixels; without a size'):
        (tmp_path / 'data/train/ant/9.png').write_bytes(png(9, size=7))
        open_images(spec)
    data = open_images(spec, size=4, channels=1, cache=cache)
    assert data.train.images.shape == (11, 4, 4, 1)
    (stored,) = cache.iterdir()
    assert open_images(spec, size=4, channels=1, cache=cache).train.digest() == data.train.digest()
    stored.write_bytes(b'damaged')
    assert open_images(spec, size=4, channels=1, cache=cache).train.digest() == data.train.digest()
    (tmp_path / 'data/train/ant/9.png').unlink()
    assert len(open_images(spec, size=4, channels=1, cache=cache).train) == 10


@pytest.mark.parametrize(
    'change, message',
    [
        ({'train/cat/0.png': b'not an image'}, 'image train/cat/0.png cannot be read'),
        ({'train/cat/0.png': png(0)[:45]}, 'image train/cat/0.png cannot be read'),
        (
            {'test/dog/0.png': png(0)},
            "test/dog/0.png is of class 'dog', which has no training images",
        ),
        ({'0.png': png(0)}, 'image 0.png lies in no folder of a class'),
        ({'extra/cat/0.png': png(0)}, 'extra/cat/0.png is in neither split'),
    ],
)
def test_the_file_at_fault_is_named(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        open_images(write_folder(tmp_path / 'folder', files() | change))
    with pytest.raises(ValueError, match=message):
        open_images(write_tar(tmp_path / 'a.tar', files() | change, mode='w'))


def test_what_holds_no_images_is_refused(tmp_path):
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'text.tar').write_text('no tar')
    for name, message in (
        ('empty', 'holds no images'),
        ('text.tar', 'neither a folder nor a whole tar'),
        ('absent', 'does not exist'),
    ):
        with pytest.raises(ValueError, match=f'{name} {message}|{name} is {message}'):
            open_images(f'folder:{tmp_path / name}')


def test_a_cut_tar_is_refused(tmp_path):
    write_tar(tmp_path / 'a.tar.xz', files())
    (tmp_path / 'a.tar.xz').write_bytes((tmp_path / 'a.tar.xz').read_bytes()[:300])
    with pytest.raises(ValueError, match='neither a folder nor a whole tar'):
        open_images(f'folder:{tmp_path / "a.tar.xz"}')


@pytest.mark.parametrize('name', ['../evil/cat/0.png', '/evil/cat/0.png'])
def test_members_that_lead_out_of_a_tar_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match=f"'{name}' leads out of the archive"):
        open_images(write_tar(tmp_path / 'a.tar', files() | {name: png(0)}, mode='w'))


def test_links_in_a_tar_are_refused(tmp_path):
    with tarfile.open(tmp_path / 'a.tar', 'w') as tar:
        link = tarfile.TarInfo('train/cat/0.png')
        link.type, link.linkname = tarfile.SYMTYPE, '/etc/passwd'
        tar.addfile(link)
    with pytest.raises(ValueError, match="'train/cat/0.png' is a link"):
        open_images(f'folder:{tmp_path / "a.tar"}')


def test_no_program_is_started_for_an_image(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(
        EpsImagePlugin, 'Ghostscript', lambda *arguments, **options: calls.append(arguments)
    )
    script = b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 6 6\n%%EndComments\nshowpage\n'
    for stream in ('', ',stream'):
        spec = write_folder(tmp_path, files() | {'train/cat/0.png': script})
        with pytest.raises(ValueError, match='image train/cat/0.png cannot be read'):
            open_images(spec + stream, size=6).train.images[:]
    assert not calls
