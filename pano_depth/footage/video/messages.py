"""What ffmpeg writes while it reads: the times of the frames, and what is wrong with the file."""

import re

_TIME = re.compile(r'frame:\d+ +pts:(-?\d+|NOPTS)')
_OTHER = 'pano_depth=0'
# How ffmpeg says that a file ends before what its header promises.
_END = re.compile(
    r': partial file$|File ended prematurely|Error during demuxing|^file:.*: Invalid data found'
)
# Formats without an index: only the decoder notices that the last frame is cut.
_WITHOUT_INDEX = ('mpegts', 'mpeg', 'h264', 'hevc', 'm4v', 'mpegvideo')
# Frames that a decoder may hold back behind the one that it complains of.
_HELD_BACK = 12


class Messages:
    """Follows a file to which ffmpeg writes.

    Attributes:
        errors: list of the lines that are no times.
        frames: how many frames have been decoded.
    """

    def __init__(self, file):
        """Takes `file`, open for reading in binary mode."""
        self._file, self._part, self._who = file, b'', ''
        self._times, self._first, self._before = {}, None, 0
        self.errors, self.frames = [], 0

    def time(self, index):
        """Seconds from frame 0 to frame `index`; None if unknown. Indices only grow."""
        self.read()
        for old in [number for number in self._times if number < index]:
            del self._times[old]
        time = self._times.get(index)
        return None if time is None or self._first is None else (time - self._first) / 1e6

    def read(self):
        """Takes what ffmpeg has written since."""
        lines = (self._part + self._file.read()).split(b'\n')
        self._part = lines.pop()
        for line in lines:
            text = line.decode(errors='replace').strip()
            # ffmpeg writes who complains, then why; another thread may write a time in between.
            if match := _TIME.search(text):
                self._add_time(match[1])
                self._who += text[: match.start()]
            elif text.endswith(_OTHER):
                self._who += text.removesuffix(_OTHER)
            elif text:
                if not self.errors:
                    self._before = self.frames
                self.errors.append(self._who + text)
                self._who = ''

    def _add_time(self, text):
        if text != 'NOPTS':
            self._times[self.frames] = int(text)
            if self.frames == 0:
                self._first = int(text)
        self.frames += 1

    def finish(self):
        """Takes the rest, also a last line without an end."""
        self.read()
        last = self._who + self._part.decode(errors='replace').strip()
        if last:
            self.errors.append(last)
        self._part, self._who = b'', ''

    def only_the_end_is_missing(self, container, count):
        """Whether everything up to some place in the file was well, and nothing stands behind it.

        Args:
            container: ffmpeg's name of the format.
            count: how many frames have come out.
        """
        if not self.errors or not count:
            return False
        if all(_END.search(line) for line in self.errors):
            return True
        return container in _WITHOUT_INDEX and self.frames - self._before <= _HELD_BACK
