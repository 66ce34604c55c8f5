"""Files of any name are read and written."""

import os

import numpy as np
import pytest

from pano_depth.footage import video
from pano_depth.footage.open_footage import open_footage

NAMES = (
    'a:b.mp4',
    'http:x.mp4',
    '100%.mp4',
    'walk%03d.mp4',
    '%d%%.mp4',
    '-y.mp4',
    '-.mp4',
    'two words.mp4',
    '~.mp4',
    '~root.mp4',
    "it's [a] \\ ;,=@#?*.mp4",
    'Straße 東京 🎥.mp4',
    'two\nlines.mp4',
    'concat:a|b.mp4',
)


@pytest.mark.parametrize('name', NAMES)
def test_a_name_in_and_out(tmp_path, monkeypatch, smooth, name):
    # Names that a shell or ffmpeg could take for something else stand alone, without a folder.
    monkeypatch.chdir(tmp_path)
    with video.write_video(name, 12) as append:
        for frame in smooth:
            append(frame)
    assert os.listdir() == [name]
    assert video.video_info(name).frames == 10
    read = np.stack(list(video.iter_video(name)))
    assert np.abs(read.astype(int) - smooth).mean() < 3
    (footage,) = open_footage(name)
    assert footage.length == 10 and next(footage.frames(start=9)).index == 9


def test_folders_of_such_names(tmp_path, written, smooth):
    folder = tmp_path / 'a:b' / '-%d' / "it's\n"
    folder.mkdir(parents=True)
    path = written(folder / 'a.mp4', smooth)
    assert len(list(video.iter_video(path, size=(16, 32)))) == 10
    assert len(video.look(path)) >= 1
