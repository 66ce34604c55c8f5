"""Files that end too early give what they have; damage in the middle is said; nothing else is."""

import numpy as np
import pytest

from pano_depth.footage import video
from pano_depth.footage.open_footage import open_footage

X264 = ('-c:v', 'libx264', '-pix_fmt', 'yuv420p', '-g', '12', '-bf', '2')
# Noise over the card, so that the frames take up room in the file.
SOURCE = 'testsrc2=s=64x32:r=24:d=2,noise=alls=40:allf=t'
KINDS = {
    'a.mp4': (*X264, '-movflags', '+faststart'),
    'a.mov': ('-c:v', 'prores_ks', '-movflags', '+faststart'),
    'hevc.mp4': ('-c:v', 'libx265', '-x265-params', 'log-level=none', '-movflags', '+faststart'),
    'a.mkv': X264,
    'a.webm': ('-c:v', 'libvpx-vp9', '-b:v', '300k', '-deadline', 'realtime'),
    'a.ts': X264,
    'frag.mp4': (*X264, '-movflags', 'frag_keyframe+empty_moov'),
    'a.avi': ('-c:v', 'mjpeg'),
}


def _cut(path, part):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])


@pytest.mark.parametrize('name', KINDS)
def test_a_file_that_is_cut_gives_the_frames_that_it_has(made, caplog, name):
    path = made(name, *KINDS[name], source=SOURCE)
    whole = np.stack(list(video.iter_video(path)))
    data = path.read_bytes()
    for part in (0.5, 0.777):
        caplog.clear()
        path.write_bytes(data[: int(len(data) * part)])
        (footage,) = open_footage(path)
        frames = [frame.image for frame in footage.frames()]
        assert 48 * part - 14 < len(frames) < 48 * part + 8
        # All but what the cut itself may have spoilt is as in the whole file.
        sure = len(frames) - 4
        np.testing.assert_array_equal(np.stack(frames[:sure]), whole[:sure])
        if name not in ('a.ts', 'frag.mp4'):
            # Those two do not say how long they are.
            ((where, reason),) = footage.skipped
            assert where == str(path) and 'cut short' in reason and name in caplog.text
        assert len(list(footage.frames(start=3, stride=4))) == len(range(3, len(frames), 4))
        assert len(footage.skipped) <= 1


def test_how_much_of_a_cut_file_is_there_is_said(made):
    path = made('a.mp4', *KINDS['a.mp4'], source=SOURCE)
    _cut(path, 0.6)
    frames = []
    with pytest.raises(video.CutShort, match=r'a\.mp4 is cut short') as error:
        for frame in video.iter_video(path):
            frames.append(frame)
    assert f'its first {len(frames)} of about 48 frames' in str(error.value)


@pytest.mark.parametrize('on_bad', ['refuse', 'skip'])
def test_a_file_without_its_index_has_nothing_to_read(made, on_bad):
    path = made('a.mp4', *X264, source=SOURCE)
    _cut(path, 0.6)
    with pytest.raises(ValueError, match=r'a\.mp4.*end is missing.*index \(moov\)'):
        open_footage(path, on_bad=on_bad)


def test_a_file_of_which_no_frame_is_left_is_refused(made):
    path = made('a.mp4', *KINDS['a.mp4'], source=SOURCE)
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b'mdat') + 40])
    with pytest.raises(ValueError, match=r'a\.mp4'):
        (footage,) = open_footage(path)
        next(footage.frames())


@pytest.mark.parametrize('name', ['a.mp4', 'a.mkv', 'a.ts', 'hevc.mp4'])
def test_damage_in_the_middle_is_refused_unless_it_is_to_be_skipped(made, name):
    path = made(name, *KINDS[name], source=SOURCE)
    data = bytearray(path.read_bytes())
    middle = len(data) // 3
    data[middle : middle + len(data) // 10] = bytes(len(data) // 10)
    path.write_bytes(data)
    (footage,) = open_footage(path)
    with pytest.raises(ValueError, match=rf'{name} is damaged or cut short.*--on_bad_frame=skip'):
        list(footage.frames())
    (footage,) = open_footage(path, on_bad='skip')
    assert len(list(footage.frames())) >= 10
    assert len(footage.skipped) == 1 and 'damaged' in footage.skipped[0][1]


@pytest.mark.parametrize('name', KINDS)
def test_whole_files_are_not_said_to_be_cut(made, name):
    (footage,) = open_footage(made(name, *KINDS[name], source=SOURCE))
    assert len(list(footage.frames())) == 48
    assert footage.skipped == []
    assert len(list(footage.frames(stride=30))) == 2 and footage.skipped == []
