"""Rendered rooms in files: made once, the same again, unseen ones apart."""

import dataclasses
import errno
import io
import pathlib
import shutil

import numpy as np
import pytest

from experiments.depth_search import frames
from experiments.depth_search.config import RoomsConfig


def _folder(config):
    return pathlib.Path(config.data_dir) / frames.FOLDER


def _files(config):
    return sorted(_folder(config).rglob('*.npy'))


def test_rooms_are_rendered_once_and_read_afterwards(rooms, capsys):
    train, unseen = frames.open_frames(rooms)
    capsys.readouterr()
    written = {path: path.stat().st_mtime_ns for path in _files(rooms)}
    again, _ = frames.open_frames(rooms)
    assert written == {path: path.stat().st_mtime_ns for path in _files(rooms)}
    assert 'rendering' not in capsys.readouterr().out
    assert train.images.shape == (8, 32, 64, 3) and train.images.dtype == np.uint8
    assert unseen.depth.shape == (4, 32, 64) and unseen.depth.dtype == np.float16
    np.testing.assert_array_equal(train.images, again.images)
    # Every room is another one, and looks like one: walls are some metres away.
    whole = np.concatenate([train.depth, unseen.depth]).astype(float)
    assert len({frame.tobytes() for frame in whole}) == 12
    assert 0.3 < np.median(whole) < 5 and train.images.std() > 20


def test_unseen_rooms_stay_when_there_are_more_to_learn_from(rooms):
    _, unseen = frames.open_frames(rooms)
    fewer = dataclasses.replace(rooms, train_frames=3)
    few, same = frames.open_frames(fewer)
    np.testing.assert_array_equal(unseen.images, same.images)
    np.testing.assert_array_equal(few.images, frames.open_frames(rooms)[0].images[:3])
    assert frames.digest(fewer) != frames.digest(rooms)
    moved = dataclasses.replace(rooms, data_dir='/elsewhere')
    assert frames.digest(moved) == frames.digest(rooms)


@pytest.mark.parametrize('left', [0, 100])
def test_damaged_files_are_rendered_anew(rooms, left):
    before = frames.open_frames(rooms)[1].images.copy()
    for path in _files(rooms):
        path.write_bytes(path.read_bytes()[:left])
    np.testing.assert_array_equal(frames.open_frames(rooms)[1].images, before)


class _Full(io.BytesIO):
    """A file on a full disk."""

    def write(self, data):
        raise OSError(errno.ENOSPC, 'No space left on device')


def test_a_full_disk_is_an_error_that_names_the_folder_and_leaves_nothing(
    rooms, tmp_path, monkeypatch
):
    # A map of a file would get a signal in place of the error.
    monkeypatch.setattr(frames, '_new_array', lambda *_: _Full())
    moved = dataclasses.replace(rooms, data_dir=str(tmp_path))
    with pytest.raises(OSError, match=f'No space left.*{tmp_path}'):
        frames.open_frames(moved)
    assert not any(_folder(moved).iterdir())


def test_frames_that_another_process_has_rendered_meanwhile_are_taken(rooms, tmp_path, monkeypatch):
    moved = dataclasses.replace(rooms, data_dir=str(tmp_path))
    rendered = frames._rendered

    def late(config, first, count):
        shutil.copytree(_folder(rooms), _folder(moved), dirs_exist_ok=True)
        yield from rendered(config, first, count)

    monkeypatch.setattr(frames, '_rendered', late)
    train, _ = frames.open_frames(moved)
    np.testing.assert_array_equal(train.images, frames.open_frames(rooms)[0].images)
    names = {path.name for path in _folder(moved).iterdir()}
    assert names <= {path.name for path in _folder(rooms).iterdir()}, 'nothing is left'


@pytest.mark.parametrize(
    'options, message',
    [
        ({'panorama_height': 48}, 'panorama_height is 48; accepted: multiples of 32'),
        ({'panorama_height': 0}, 'panorama_height is 0'),
        ({'train_frames': 0}, 'train_frames is 0, it has to be at least 1'),
        ({'rooms_style': 'vast'}, "rooms_style is 'vast'; accepted: usual, wide"),
    ],
)
def test_impossible_rooms_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        RoomsConfig(**options)
