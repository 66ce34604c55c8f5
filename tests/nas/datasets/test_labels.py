"""What folders mean: splits, classes and labels."""

import pytest

from nas.datasets.labels import label


def names(*folders, count=2):
    return [f'{folder}/{number}.png' for folder in folders for number in range(count)]


def test_the_first_folder_is_the_class_whatever_lies_below():
    found = label('made', names('dog/visit2', 'cat/visit1', 'cat/visit10/left', 'dog', 'cat 2'))
    assert found.classes == ('cat', 'cat 2', 'dog') and found.notes == ()
    part = found.parts['train']
    assert list(found.parts) == ['train'] and part.folder == ''
    # By class, then folder by folder.
    assert part.names == (
        *('cat/visit1/0.png', 'cat/visit1/1.png'),
        *('cat/visit10/left/0.png', 'cat/visit10/left/1.png'),
        *('cat 2/0.png', 'cat 2/1.png'),
        *('dog/0.png', 'dog/1.png', 'dog/visit2/0.png', 'dog/visit2/1.png'),
    )
    assert part.labels.tolist() == [0] * 4 + [1] * 2 + [2] * 4


@pytest.mark.parametrize(
    'folders, expected',
    [
        (('train', 'test'), {'train': 'train', 'test': 'test'}),
        (('train', 'val'), {'train': 'train', 'test': 'val'}),
        (('Training', 'Valid'), {'train': 'Training', 'test': 'Valid'}),
        (('training_set', 'test_set'), {'train': 'training_set', 'test': 'test_set'}),
        (('train', 'val', 'test'), {'train': 'train', 'validation': 'val', 'test': 'test'}),
    ],
)
def test_splits_by_their_names(folders, expected):
    found = label('made', names(*(f'{top}/{name}/deep' for top in folders for name in 'ab')))
    assert {role: part.folder for role, part in found.parts.items()} == expected
    assert found.classes == ('a', 'b')
    assert all(part.labels.tolist() == [0, 0, 1, 1] for part in found.parts.values())


def test_test_images_without_classes_leave_the_scoring_to_val():
    found = label('made', [*names('train/a', 'train/b', 'val/a', 'val/b'), *names('test')])
    assert found.parts['test'].folder == 'val' and 'validation' not in found.parts
    assert found.notes == ('folder test of made is not read',)


def test_a_class_may_be_called_train():
    found = label('made', names('car', 'train', 'bus'))
    assert found.classes == ('bus', 'car', 'train')
    assert found.notes == ('folder train is taken as a class',)


SPLITS = names('train/a', 'train/b', 'val/a', 'val/b')


@pytest.mark.parametrize(
    'images, folders, message',
    [
        ([], (), 'made holds no images; accepted: PATH/train/<class>'),
        (['0.png', *names('a', 'b')], (), 'image 0.png lies in no folder of a class'),
        (names('a', 'b'), ('a', 'b', 'wolf'), 'class folder wolf holds no images'),
        (SPLITS, ('train/wolf',), 'class folder train/wolf holds no images'),
        (names('train/a', 'train/b'), ('train', 'val'), 'val holds no images'),
        (names('train', 'test'), (), 'image train/0.png lies in no folder of a class'),
        ([*SPLITS, 'val/0.png'], (), 'image val/0.png lies in no folder of a class'),
        (names('train/a', 'train/b'), (), 'has a folder train, but none of val, validation, test'),
        (names('val/a', 'val/b', 'test/a', 'test/b'), (), 'none called train'),
        ([*SPLITS, *names('extra/a')], (), 'image extra/a/0.png is in neither split, train or val'),
        (names('train/x', 'train/y', 'car/x'), (), 'folder train may be a split or a class'),
        ([*SPLITS, *names('valid/a')], (), 'folders val and valid, which are the same split'),
        (
            [*SPLITS, *names('val/c')],
            (),
            "image val/c/0.png is of class 'c', which has no training",
        ),
        ([*SPLITS, *names('train/c')], (), "class 'c' has images in train, but val/c has no"),
        (names('photos'), (), "one class only, 'photos'; accepted: at least two classes$"),
        (names('photos/a', 'photos/b'), (), 'if the classes are the folders in it, give made/pho'),
        (names('a', 'b', 'c', count=1), (), 'as many classes as images, 3, so its folders are'),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(images, folders, message):
    with pytest.raises(ValueError, match=message) as caught:
        label('made', images, folders)
    assert '\n' not in str(caught.value) and str(caught.value).startswith('made')


def test_a_folder_without_images_beside_splits_is_said():
    found = label('made', SPLITS, ('annotations', 'train', 'val', 'train/a', 'train/a/deep'))
    assert found.notes == ('folder annotations of made is not read',)
