"""Times and complaints are told apart, whichever way the threads of ffmpeg mix them."""

import io

import pytest

from pano_depth.footage.video.messages import Messages

PARTS = ('[in#0/matroska,webm @ 0x55]  ', 'File ended prematurely\n')
TIMES = [f'frame:{i}    pts:{40 * i + 700}     pts_time:{i}\n' for i in range(4)]
LINES = [line for time in TIMES for line in (time, 'pano_depth=0\n')]


def _read(text):
    messages = Messages(io.BytesIO(text.encode()))
    messages.read()
    return messages


@pytest.mark.parametrize('first', range(9))
@pytest.mark.parametrize('second', range(9))
def test_a_complaint_between_times(first, second):
    if second < first:
        first, second = second, first
    parts = [*LINES[:first], PARTS[0], *LINES[first:second], PARTS[1], *LINES[second:]]
    messages = _read(''.join(parts))
    assert messages.errors == [''.join(PARTS).strip()]
    assert messages.frames == 4 and messages.time(3) == pytest.approx(120e-6)
    assert messages.only_the_end_is_missing('matroska,webm', 4)


def test_what_arrives_in_pieces_is_put_together(tmp_path):
    text = ''.join([*LINES, *PARTS, 'no end of line']).encode()
    with open(tmp_path / 'file', 'ab') as written, open(tmp_path / 'file', 'rb') as read:
        messages = Messages(read)
        for i in range(0, len(text), 7):
            written.write(text[i : i + 7])
            written.flush()
            messages.read()
        messages.finish()
    assert messages.frames == 4 and len(messages.errors) == 2
    assert messages.errors[1] == 'no end of line'
    assert not messages.only_the_end_is_missing('matroska,webm', 4)


def test_times_that_are_unknown_are_none():
    messages = _read('frame:0    pts:NOPTS   pts_time:NOPTS\npano_depth=0\n' + TIMES[1])
    assert messages.time(0) is None and messages.time(1) is None and messages.frames == 2


@pytest.mark.parametrize('behind, cut', [(3, True), (60, False)])
def test_a_decoder_alone_notices_the_end_of_some_formats(behind, cut):
    lines = [f'frame:{i} pts:{i} pts_time:{i}\npano_depth=0\n' for i in range(100)]
    lines.insert(100 - behind, '[h264 @ 0x1] error while decoding MB 2 0\n')
    messages = _read(''.join(lines))
    assert messages.only_the_end_is_missing('mpegts', 100) == cut
    assert not messages.only_the_end_is_missing('matroska,webm', 100)
