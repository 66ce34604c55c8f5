"""Footage of a high dynamic range comes out with the range and the colours of screens."""

import numpy as np
import pytest

from pano_depth.footage import video
from pano_depth.footage.layouts.decision import Conversion
from pano_depth.footage.open_footage import open_footage

STEPS, HEIGHT, WIDTH = 32, 32, 64
# Signal values of BT.2408 table 1: 18 % grey (26 cd/m2) and white paper (203 cd/m2).
GREY = {'smpte2084': 0.38, 'arib-std-b67': 0.38}
PAPER = {'smpte2084': 0.58, 'arib-std-b67': 0.75}


@pytest.fixture
def clip(ffmpeg, tmp_path):
    """A function (transfer, signal [W] in [0, 1], colours named?) -> path of a 10-bit clip."""

    def make(transfer, signal, named=True):
        luma = np.broadcast_to(np.round(64 + 876 * signal), (HEIGHT, WIDTH)).astype('<u2')
        chroma = np.full((HEIGHT // 2, WIDTH // 2), 512, '<u2').tobytes()
        raw = ['-f', 'rawvideo', '-pix_fmt', 'yuv420p10le', '-s', f'{WIDTH}x{HEIGHT}', '-i', '-']
        tags = f'color_primaries=bt2020:colorspace=bt2020nc:color_trc={transfer}'
        tags = tags if named else f'color_trc={transfer}'
        path = tmp_path / f'{transfer}.mkv'
        encode = ['-vf', f'setparams=range=tv:{tags}', '-c:v', 'ffv1']
        ffmpeg(*raw, *encode, path, data=(luma.tobytes() + 2 * chroma) * 2)
        return path

    return make


@pytest.mark.parametrize('transfer', ['smpte2084', 'arib-std-b67'])
@pytest.mark.parametrize('named', [True, False])
def test_a_ramp_stays_a_ramp_of_grey(clip, transfer, named):
    path = clip(transfer, np.repeat(np.linspace(0, 1, STEPS), WIDTH // STEPS), named)
    row = next(video.iter_video(path))[HEIGHT // 2, 1 :: WIDTH // STEPS].astype(int)
    assert np.ptp(row, axis=-1).max() <= 2
    levels = row[:, 1]
    assert levels[0] <= 1 and levels[-1] >= 250
    assert (np.diff(levels) >= 0).all() and (np.diff(levels[:24]) > 0).all()
    # A conversion sees the same.
    same = Conversion('[v0]null[out]', HEIGHT, WIDTH)
    converted = next(video.iter_video(path, conversion=same))[HEIGHT // 2, 1 :: WIDTH // STEPS]
    assert np.abs(converted[:, 1].astype(int) - levels).max() <= 3


@pytest.mark.parametrize('transfer', ['smpte2084', 'arib-std-b67'])
def test_grey_stays_grey_and_paper_stays_white(clip, transfer):
    for signal, low, high in ((GREY[transfer], 110, 140), (PAPER[transfer], 210, 245)):
        path = clip(transfer, np.full(WIDTH, signal))
        assert low <= next(video.iter_video(path)).mean() <= high
        assert low <= next(video.iter_video(path, size=(16, 32))).mean() <= high


@pytest.mark.parametrize('transfer, name', [('smpte2084', 'PQ'), ('arib-std-b67', 'HLG')])
def test_it_is_said(clip, monkeypatch, transfer, name):
    path = clip(transfer, np.full(WIDTH, 0.38))
    (footage,) = open_footage(path)
    assert [note for note in footage.notes if name in note and 'tone-mapped' in note]
    assert next(footage.frames()).image.mean() == pytest.approx(125, abs=10)
    # An ffmpeg without these filters reads the file as it is, and that is said.
    monkeypatch.setattr(video.graph.program, 'has', lambda *names: False)
    (footage,) = open_footage(path)
    assert [note for note in footage.notes if name in note and 'look flat' in note]
    assert next(footage.frames()).image.mean() == pytest.approx(0.38 * 255, abs=3)


def test_the_usual_range_is_left_alone(made):
    path = made('a.mp4', '-c:v', 'libx264', '-pix_fmt', 'yuv420p', source='color=gray:s=64x32:d=1')
    assert next(video.iter_video(path)).mean() == pytest.approx(128, abs=2)
    (footage,) = open_footage(path)
    assert not [note for note in footage.notes if 'range' in note]
