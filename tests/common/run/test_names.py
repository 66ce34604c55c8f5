"""Names of files in run.json: short for many files, exact, and safe to remove by."""

import pytest

from common.run.names import Names, exists, expand, files_in, literal, numbered, select


@pytest.mark.parametrize(
    'numbers, names',
    [
        ([], []),
        ([5], ['d/000005.png']),
        ([0, 1], ['d/{000000..000001}.png']),
        (range(10_000), ['d/{000000..009999}.png']),
        (range(3, 40, 4), ['d/{000003..000039..4}.png']),
        ([0, 1, 3, 4, 5], ['d/{000000..000001}.png', 'd/{000003..000005}.png']),
        ([0, 7], ['d/000000.png', 'd/000007.png']),
    ],
)
def test_numbered_files_are_few_names_that_stand_for_each_of_them(numbers, names):
    found = numbered('d/{}.png', numbers)
    assert found == names
    assert sorted(expand(found)) == [f'd/{number:06d}.png' for number in numbers]


def test_only_what_is_named_is_among_the_names():
    names = Names(['a.ply', 'd/{000002..000006..2}.png', 'checkpoints/', 'events.out.*', 'x_[0-9]'])
    for name in ('a.ply', 'd/000004.png', 'checkpoints/3/state/0', 'events.out.7.host', 'x_4'):
        assert name in names
    for name in ('b/a.ply', 'd/000003.png', 'd/4.png', 'checkpoint', 'mine/events.out.7', 'x_a'):
        assert name not in names


@pytest.mark.parametrize('name', ['a*.npz', 'w{0..3}.npz', 'a[1].npz', 'what?.npz', 'plain.npz'])
def test_a_name_that_people_give_stands_for_itself_alone(name, tmp_path):
    names = Names([literal(name)])
    assert name in names
    assert not [other for other in ('ab.npz', 'w1.npz', 'a1.npz', 'whats.npz') if other in names]
    assert not exists(tmp_path, literal(name))
    (tmp_path / name).touch()
    assert exists(tmp_path, literal(name))


def test_missing_files_are_found(tmp_path):
    (tmp_path / 'd').mkdir()
    for number in range(3):
        (tmp_path / 'd' / f'{number:06d}.png').touch()
    assert Names(['d/{000000..000002}.png', 'd/']).missing(tmp_path) is None
    assert Names(['d/{000000..000003}.png']).missing(tmp_path) == 'd/000003.png'
    assert Names(['e/']).missing(tmp_path) == 'e/'
    (tmp_path / 'd' / '000009.png').touch()
    found = select(['d/{000001..000003}.png'], 'd/*.png', tmp_path)
    assert [path.name for path in found] == ['000001.png', '000002.png']


def test_links_are_files_and_are_not_followed(tmp_path):
    (tmp_path / 'elsewhere').mkdir()
    (tmp_path / 'elsewhere' / 'mine').touch()
    (tmp_path / 'run').mkdir()
    (tmp_path / 'run' / 'link').symlink_to(tmp_path / 'elsewhere')
    assert list(files_in(tmp_path / 'run')) == ['link']
