"""Every reader of an image folder gives the same labels, order and pixels."""

import io
import itertools
import shutil
import tarfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from common.images import composite, read_pixels
from nas.datasets.images import fit_image
from nas.datasets.open_images import open_images
from nas.datasets.streamed import training_parts
from tests.nas.datasets.test_image_folder import files, png, write_folder

KINDS = ('jpeg', 'grey jpeg', 'png', 'alpha', 'deep', 'palette')


def picture(seed, kind, orientation=1):
    """An image file of noise."""
    rng = np.random.default_rng(seed)
    height, width = rng.integers(3, 40, 2)
    image = Image.fromarray(rng.integers(0, 256, (height, width, 4)).astype(np.uint8))
    if kind == 'deep':
        image = Image.fromarray(rng.integers(0, 65536, (height, width)).astype(np.uint16))
    elif kind != 'alpha':
        modes = {'grey jpeg': 'L', 'palette': 'P'}
        image = image.convert('RGB').convert(modes.get(kind, 'RGB'))
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    image.save(buffer, 'jpeg' if 'jpeg' in kind else 'png', exif=exif)
    return buffer.getvalue()


folders = st.lists(st.sampled_from(['a', 'b 2', 'b', 'visit1', 'été']), max_size=2).map('/'.join)
images = st.tuples(folders, st.integers(0, 99), st.sampled_from(KINDS), st.integers(1, 8))
names = st.sampled_from(['cat', 'cat 2', 'Dog', 'dog', 'ä', 'zebra'])
classes = st.lists(names, min_size=2, max_size=4, unique=True)
SPLITS = [('',), ('train', 'test'), ('Train', 'val'), ('train', 'val', 'test')]


@st.composite
def trees(draw):
    """{path: bytes} of a folder of images, with splits or without, with folders in classes."""
    tree, splits, named = {}, draw(st.sampled_from(SPLITS)), draw(classes)
    for split, name in itertools.product(splits, named):
        found = draw(st.lists(images, min_size=2, max_size=4))
        for number, (below, seed, kind, turn) in enumerate(found):
            file = f'{number}.{"jpg" if "jpeg" in kind else "png"}'
            tree['/'.join(filter(None, (split, name, below, file)))] = picture(seed, kind, turn)
    return tree


def write_tar(path, contents):
    with tarfile.open(path, 'w') as tar:
        for name, payload in contents.items():
            member = tarfile.TarInfo(f'./top/{name}')
            member.size = len(payload)
            tar.addfile(member, io.BytesIO(payload))
    return f'folder:{path}'


@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(trees(), st.integers(1, 20), st.sampled_from([1, 3, None]), st.randoms())
def test_labels_order_and_pixels_do_not_depend_on_the_reader(tmp_path, tree, size, channels, rng):
    root = tmp_path / 'made'
    shutil.rmtree(root, ignore_errors=True)
    spec, shuffled = write_folder(root, tree), list(tree.items())
    rng.shuffle(shuffled)
    cache = tmp_path / 'cache'
    opened = [
        open_images(spec, size=size, channels=channels),
        open_images(f'{spec},stream', size=size, channels=channels),
        open_images(write_tar(tmp_path / 'made.tar', dict(shuffled)), size=size, channels=channels),
        *(open_images(spec, size=size, channels=channels, cache=cache) for _ in range(2)),
    ]
    first = opened[0].parts()
    for other in opened[1:]:
        assert list(other.parts()) == list(first)
        for role, part in other.parts().items():
            assert part.classes == first[role].classes
            np.testing.assert_array_equal(part.labels, first[role].labels)
            np.testing.assert_array_equal(part.images[:], first[role].images)
    # Each class has as many images as lie below its folder.
    tops = {path.partition('/')[0].lower() for path in tree}
    depth = 1 if tops & {'train', 'val'} else 0
    for role, part in first.items():
        counts = np.bincount(part.labels, minlength=len(part.classes))
        if depth:
            names = {'train': ('train',), 'validation': ('val',), 'test': ('test', 'val')}[role]
            top = next(name for name in names if name in tops)
            inside = [path for path in tree if path.lower().startswith(f'{top}/')]
            expected = [sum(p.split('/')[1] == name for p in inside) for name in part.classes]
            assert counts.tolist() == expected
    assert sorted(opened[0].train.classes) == sorted({path.split('/')[depth] for path in tree})


@pytest.mark.parametrize('stream', ['', ',stream'])
@pytest.mark.parametrize('channels', [1, 3])
def test_pixels_are_those_of_the_whole_decoder(tmp_path, stream, channels):
    tree = {
        f'{name}/{number}.png': picture(number, kind, 1 + number)
        for name in ('a', 'b')
        for number, kind in enumerate(KINDS)
    }
    spec = write_folder(
        tmp_path,
        {'train/' + path: data for path, data in tree.items()}
        | {'test/a/0.png': png(1), 'test/b/0.png': png(1)},
    )
    for colour, background in (('black', (0, 0, 0)), ('#0a141e', (10, 20, 30))):
        data = open_images(f'{spec}{stream},background={colour}', size=7, channels=channels)
        found = data.train.images[:]
        for number, payload in enumerate(tree.values()):
            whole = Image.fromarray(composite(read_pixels(payload), background))
            difference = found[number].astype(int) - fit_image(whole, 7, channels)
            # A turn before or after the resize rounds differently.
            assert abs(difference).max() <= 1
        assert data.train.preparation.background == background


@pytest.mark.parametrize('stream', ['', ',stream'])
def test_an_unknown_background_is_refused(tmp_path, stream):
    spec = write_folder(tmp_path, files())
    with pytest.raises(ValueError, match="background 'glass' .* is unknown; accepted: names such"):
        open_images(f'{spec}{stream},background=glass', size=4)


@pytest.mark.parametrize('stream', ['', ',stream'])
def test_own_validation_images_take_the_place_of_a_share(tmp_path, stream):
    tree = files(splits=('train/', 'val/', 'test/'))
    data = open_images(write_folder(tmp_path, tree) + stream, size=6)
    assert (len(data.train), len(data.validation), len(data.test)) == (10, 10, 10)
    train, validation = training_parts(data, 0.5, seed=0)
    assert train is data.train and validation is data.validation
    assert set(validation.images[:][:, 0, 0, 0]) == set(range(10, 20)) and 'val' in data.note
    before = data.digest(), data.test.digest()
    changed = open_images(write_folder(tmp_path, {'val/ant/0.png': png(77)}) + stream, size=6)
    assert changed.digest() != before[0] and changed.test.digest() == before[1]


@pytest.mark.parametrize('stream', ['', ',stream'])
def test_grey_data_sets_are_grey_unless_told_otherwise(tmp_path, stream):
    contents = {f'{name}/{i}.png': png(i, mode='L') for name in 'ab' for i in range(5)}
    spec = write_folder(tmp_path, contents)
    assert open_images(spec + stream, size=6).train.images.shape[3] == 1
    assert open_images(spec + stream, size=6, channels=3).train.images.shape[3] == 3
    write_folder(tmp_path, {'a/0.png': png(1)})
    assert open_images(spec + stream, size=6).train.images.shape[3] == 3


def test_images_are_kept_once_whether_or_not_their_channels_are_told(tmp_path):
    spec, cache = write_folder(tmp_path / 'made', files()), tmp_path / 'cache'
    for channels in (None, 3):
        open_images(spec, size=4, channels=channels, cache=cache)
    assert len(list(cache.iterdir())) == 1
    open_images(f'{spec},background=black', size=4, cache=cache)
    assert len(list(cache.iterdir())) == 2


@pytest.mark.parametrize('stream', ['', ',stream'])
@pytest.mark.parametrize('per_class, sentence', [(1, 'as many classes as images'), (2, None)])
def test_very_few_images(tmp_path, stream, per_class, sentence):
    spec = write_folder(tmp_path, files(splits=('',), count=per_class)) + stream
    if sentence:
        with pytest.raises(ValueError, match=sentence):
            open_images(spec, size=4)
        return
    data = open_images(spec, size=4)
    assert data.train.labels.tolist() == data.test.labels.tolist() == [0, 1]


@pytest.mark.parametrize('stream', ['', ',stream'])
def test_a_class_with_a_single_image_is_named(tmp_path, stream):
    spec = write_folder(tmp_path, files(splits=('',)) | {'rare/0.png': png(0)}) + stream
    with pytest.raises(ValueError, match="1 of 3 classes have a single image, among them 'rare'"):
        open_images(spec, size=4)
