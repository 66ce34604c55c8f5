"""Options that are paths: `~` is the home directory, words and the rest of a text stay."""

import dataclasses

import pytest

from common import options
from common.options import (
    READ,
    READ_BEFORE_COLON,
    READ_BEHIND_COLON,
    READ_LIST,
    WRITTEN,
    held,
    option,
)


@dataclasses.dataclass(frozen=True)
class Inner:
    mask: str = option('auto', 'a mask', path=READ)


@dataclasses.dataclass(frozen=True)
class Config:
    name: str = option('~name', 'no path')
    weights: str | None = option(None, 'a file', path=WRITTEN)
    data: str = option('digits', 'a data set', path=READ_BEHIND_COLON)
    cell: str | None = option(None, 'of a search', path=READ_BEFORE_COLON)
    clips: str | None = option(None, 'paths', path=READ_LIST)
    inner: Inner = held(Inner(), prefix='inner_')


@pytest.fixture(autouse=True)
def home(monkeypatch):
    monkeypatch.setenv('HOME', '/home/ann')


def test_every_path_of_a_configuration_is_expanded():
    config = Config(
        '~x',
        '~/a b.npz',
        'folder:~/c:d,stream',
        '~/e:f:3',
        '~/a.mp4, rooms, ~/b c',
        Inner('~/m%d.png'),
    )
    assert options.expand_paths(config) == Config(
        '~x',
        '/home/ann/a b.npz',
        'folder:/home/ann/c:d,stream',
        '/home/ann/e:f:3',
        '/home/ann/a.mp4,rooms,/home/ann/b c',
        Inner('/home/ann/m%d.png'),
    )


@pytest.mark.parametrize('text', ['-odd.mp4', 'a~b', './~', 'ü/目.png', 'a: b%20.npz', 'auto', ''])
def test_other_names_stay_as_they_are(text):
    config = Config(weights=text, data=f'folder:{text}', inner=Inner(text))
    assert options.expand_paths(config) is config
    text = options.flagfile(config)
    assert options.from_flagfile(Config, text) == config and not list(
        options.differences(text, config)
    )


def test_what_a_configuration_reads_is_listed():
    config = Config('n', 'w', 'folder:/d:e', '/s:t:3', '/a,/b', Inner('/m'))
    assert options.read_by(config) == {
        'data': '/d:e',
        'cell': '/s:t',
        'clips': '/a',
        'clips[1]': '/b',
        'inner_mask': '/m',
    }
    assert options.path_options(Config) == {
        'weights': WRITTEN,
        'data': READ_BEHIND_COLON,
        'cell': READ_BEFORE_COLON,
        'clips': READ_LIST,
        'inner_mask': READ,
    }


def test_words_behind_a_path_are_no_part_of_it(tmp_path):
    (tmp_path / 'a,b').mkdir()
    of = lambda text: options.read_by(Config(data=text))['data']
    assert of(f'folder:{tmp_path}/a,b,stream,background=black') == f'{tmp_path}/a,b'
    assert of(f'folder:{tmp_path}/a,b') == f'{tmp_path}/a,b'
    assert of(f'folder:{tmp_path}/none,stream') == f'{tmp_path}/none,stream'


def test_a_flagfile_of_before_paths_were_expanded_is_the_same_run():
    now = options.expand_paths(Config(weights='~/w.npz', data='folder:~/d'))
    earlier = '--weights=~/w.npz\n--data=folder:~/d\n--name=~name\n'
    assert not list(options.differences(earlier, now))
    assert list(options.differences('--weights=~/v.npz\n--data=folder:~/d', now)) == [
        ('--weights=~/v.npz', '--weights=/home/ann/w.npz')
    ]


def test_another_mode_is_told_first():
    with pytest.raises(ValueError, match='holds a run with --mode=eval, not --mode=predict'):
        options.check_same(
            '--data=x\n--mode=eval\n', Config(), workdir='w', what='prediction', mode='predict'
        )
