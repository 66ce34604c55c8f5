"""What the header of a video says.

Sizes, shapes of pixels, codecs and units of time come from ffmpeg's muxer `framecrc`, whose output
holds no text of the file. The rest stands in the `Stream` lines of ffmpeg's description, and in the
lines of their side data. These are anchored: titles, comments and names are never taken for them.
"""

import dataclasses
import re
import subprocess
from fractions import Fraction

from pano_depth.footage.video.program import check_file, program, url

# "  Stream #0:0[0x1](und): Video: h264 (High), yuv420p(tv, bt709), 1024x512, 24 fps (default)"
_STREAM = re.compile(r' {2,4}Stream #0:\d+(?:\[0x[0-9a-f]+\])?(?:\([^()]*\))?: (\w+): (.*)')
_DISPOSITION = re.compile(r'(?: \([a-z -]+\))*$')
_PIXELS = re.compile(r', ([a-z][a-z0-9_]*)(?:\(([^()]*)\))?, \d+x\d+')
_RATE = re.compile(r', ([\d.]+)(k?) fps\b')
_DURATION = re.compile(r' {2,4}Duration: (\d+):(\d\d):(\d\d(?:\.\d+)?), ')
_SIDE_DATA = re.compile(r' +Side data:\s*')
_SIDE_LINES = {
    'turn': re.compile(r' +display ?matrix: rotation of (-?[\d.]+) degrees', re.IGNORECASE),
    'spherical': re.compile(r' +spherical(?: mapping)?: (.*\S)', re.IGNORECASE),
    'stereo': re.compile(r' +stereo ?3d: (.*\S)', re.IGNORECASE),
}
_ALPHA_MODE = re.compile(r' +alpha_mode +: 1', re.IGNORECASE)
_WITH_ALPHA = re.compile(r'yuva|gbrap|rgba|argb|bgra|abgr|ya\d|ayuv|vuya|pal8')
_HDR = ('smpte2084', 'arib-std-b67')


@dataclasses.dataclass(frozen=True)
class VideoStream:
    """One video track of a file.

    Attributes:
        height, width: of the stored frames, pixels.
        sar: width over height of one stored pixel.
        turn: degrees by which ffmpeg turns the frames counterclockwise when it reads them.
        codec: ffmpeg's name of the codec.
        pixel_format: ffmpeg's name, '' if unknown.
        colours: what stands behind the pixel format, such as 'tv, bt2020nc/bt2020/smpte2084'.
        alpha: whether the frames have an alpha channel.
        time_base: seconds, the unit of the file's times.
        fps: average frames a second, 0 if the file does not say.
        spherical_text, stereo_text: how ffmpeg describes the sphere and the eyes in the file, such
            as 'equirectangular (0.000000/0.000000/0.000000)' and 'top and bottom'; or None.
    """

    height: int
    width: int
    sar: Fraction = Fraction(1)
    turn: float = 0.0
    codec: str = ''
    pixel_format: str = ''
    colours: str = ''
    alpha: bool = False
    time_base: Fraction = Fraction(1, 1000)
    fps: float = 0.0
    spherical_text: str | None = None
    stereo_text: str | None = None

    @property
    def shown(self):
        """(height, width) of the frames with square pixels, upright; no pixel gets smaller."""
        height, width = self.height, self.width
        if self.sar >= 1:
            width = max(1, round(width * self.sar))
        else:
            height = max(1, round(height / self.sar))
        return (width, height) if round(self.turn) % 180 else (height, width)

    @property
    def hdr(self):
        """The transfer of a high dynamic range, as ffmpeg calls it, or None: smpte2084 is PQ."""
        return next((name for name in _HDR if re.search(rf'\b{name}\b', self.colours)), None)


@dataclasses.dataclass(frozen=True)
class VideoInfo:
    """What the header of a video says.

    Attributes:
        height, width: frame size of the first track as it is shown: with square pixels, upright.
        fps: average frames a second, 0 if the file does not say.
        duration: seconds, 0 if the file does not say.
        frames: frames by duration and rate, an estimate; 0 if the file does not say.
        streams: tuple of `VideoStream`, the video tracks; pictures of covers are none.
        container: ffmpeg's name of the format of the file, such as 'mov,mp4,m4a,3gp,3g2,mj2'.
    """

    height: int
    width: int
    fps: float
    duration: float
    frames: int
    streams: tuple[VideoStream, ...] = ()
    container: str = ''

    @property
    def spherical_text(self) -> str | None:
        """How ffmpeg describes the sphere in the first track, or None."""
        return self.streams[0].spherical_text if self.streams else None

    @property
    def stereo_text(self) -> str | None:
        """How ffmpeg describes the eyes in the first track, or None."""
        return self.streams[0].stereo_text if self.streams else None


def video_info(path):
    """Reads a video's header.

    Args:
        path: a video file.

    Returns:
        `VideoInfo`.

    Raises:
        ValueError: the file is missing, empty, or no video that ffmpeg knows.
    """
    check_file(path)
    # The readers of imageio-ffmpeg fork, which can deadlock under JAX's threads; a plain subprocess
    # does not. One frame of each track is copied, not decoded.
    copy = ['-map', '0:V', '-c', 'copy', '-frames:v', '1', '-f', 'framecrc', '-']
    command = [program(), '-nostdin', '-hide_banner', '-i', url(path), *copy]
    run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True)
    # The name of the file stands in the description, and may hold anything, also lines.
    text = run.stderr.decode(errors='replace').replace(url(path), 'the file')
    tracks = _tracks(run.stdout.decode(errors='replace'))
    container, duration, described = _description(text.splitlines())
    if not tracks:
        raise ValueError(_why_not(path, text, run.returncode))
    described += [{}] * (len(tracks) - len(described))
    streams = tuple(VideoStream(**track, **more) for track, more in zip(tracks, described))
    height, width = streams[0].shown
    fps = streams[0].fps
    return VideoInfo(height, width, fps, duration, round(fps * duration), streams, container)


def _tracks(output):
    """Fields of `VideoStream` by the header of a framecrc file: a dict for each track."""
    found = {}
    for key, number, value in re.findall(r'^#(\w+) (\d+): (.*)$', output, re.MULTILINE):
        found.setdefault(int(number), {})[key] = value
    tracks = []
    for fields in (found[number] for number in sorted(found)):
        size = re.fullmatch(r'([1-9]\d*)x([1-9]\d*)', fields.get('dimensions', ''))
        if size is None:
            continue
        sar, base = (_fraction(fields.get(key, ''), 1) for key in ('sar', 'tb'))
        tracks.append(
            {
                'height': int(size[2]),
                'width': int(size[1]),
                'sar': sar,
                'codec': fields.get('codec_id', ''),
                'time_base': base,
            }
        )
    return tracks


def _fraction(text, default):
    """A positive fraction such as 4/3; `default` for anything else, such as 0/1 (unknown)."""
    match = re.fullmatch(r'([1-9]\d*)/([1-9]\d*)', text)
    return Fraction(int(match[1]), int(match[2])) if match else Fraction(default)


def _description(lines):
    """(container, duration, dict for each video track) of ffmpeg's description of an input."""
    container, duration, blocks = '', 0.0, []
    start = next((i for i, line in enumerate(lines) if line.startswith('Input #0, ')), len(lines))
    for line in lines[start:]:
        if line.startswith(('Output #0', 'Stream mapping:')):
            break
        if line.startswith('Input #0, '):
            container = line.removeprefix('Input #0, ').partition(", from '")[0]
        elif match := _STREAM.fullmatch(line):
            kind, words = match.groups()
            picture = '(attached pic)' in _DISPOSITION.search(words)[0]
            blocks.append((kind == 'Video' and not picture, words, []))
        elif blocks:
            blocks[-1][2].append(line)
        elif match := _DURATION.match(line):
            duration = int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3])
    return container, duration, [_track(*block) for is_video, *block in blocks if is_video]


def _track(words, lines):
    """Fields of `VideoStream` by a `Stream` line and the lines below it."""
    starts = [i for i, line in enumerate(lines) if _SIDE_DATA.fullmatch(line)]
    # Side data stands behind the tags, whose names may look like it.
    side = lines[starts[-1] :] if starts else []
    found = {
        name: next((match[1] for line in side if (match := pattern.match(line))), None)
        for name, pattern in _SIDE_LINES.items()
    }
    pixels, rate = _PIXELS.search(words), _RATE.findall(words)
    name, colours = (pixels[1], pixels[2] or '') if pixels else ('', '')
    marked = any(_ALPHA_MODE.fullmatch(line) for line in lines)
    return {
        'turn': float(found['turn'] or 0),
        'pixel_format': name,
        'colours': colours,
        'alpha': marked or _WITH_ALPHA.match(name) is not None,
        'fps': _exact(float(rate[-1][0]) * (1000 if rate[-1][1] else 1)) if rate else 0.0,
        'spherical_text': found['spherical'],
        'stereo_text': found['stereo'],
    }


def _exact(fps):
    """A rate of two decimals as it was meant: 29.97 is 30000 / 1001."""
    slower = round(fps) * 1000 / 1001
    return slower if fps != round(fps) and abs(slower - fps) < 0.006 else fps


def _why_not(path, text, status):
    """The sentence about a file in which there is no video to read."""
    problem = f'video {path} has no picture that can be read'
    if 'moov atom not found' in text and _starts_as_mp4(path):
        return (
            f'{problem}: its end is missing, and with it the index (moov), without which no frame '
            'of an mp4 or mov file can be found'
        )
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    reasons = [line for line in lines if re.match(r'(\[[^\]]*\] )?(Error|.*: Invalid)', line)]
    reason = (reasons or lines or [f'exit status {status}'])[-1]
    if 'matches no streams' in text:
        reason = 'the file holds no video track'
    return f'{problem}; ffmpeg says: {reason}'


def _starts_as_mp4(path):
    with open(path, 'rb') as file:
        return file.read(8)[4:] in (b'ftyp', b'mdat', b'wide', b'free', b'skip')
