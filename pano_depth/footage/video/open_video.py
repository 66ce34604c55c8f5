"""A video file as footage: what its frames show, what size they get, and what is said about it."""

import contextlib
import dataclasses
import functools
import pathlib

import numpy as np
from absl import logging

from pano_depth.footage import eyes, media
from pano_depth.footage.clip import Clip
from pano_depth.footage.footage import BadFrames, Footage, Frame
from pano_depth.footage.layouts.decision import Decision
from pano_depth.footage.layouts.find_layout import decide
from pano_depth.footage.telemetry import read_gravity
from pano_depth.footage.video import graph, probe, reader
from pano_depth.footage.video.probe import VideoInfo

# A panorama that somebody calls one may be squeezed or stretched to these widths over heights.
_STRETCHED = (4 / 3, 3)
# What may be missing of the duration at the end of a whole file: sound may go on for longer.
_LEFT_OVER, _LEFT_OVER_PART = 0.5, 0.05


@dataclasses.dataclass(frozen=True, eq=False)
class _Source:
    """A file with all that was decided about it.

    Attributes:
        path: the file.
        info: `VideoInfo` of it.
        decision: `Decision` about its layout.
        stored: (height, width) of the frames as they come out of ffmpeg, with both eyes.
        stereo: how these hold two eyes, or None.
        bad: `BadFrames`.
    """

    path: pathlib.Path
    info: VideoInfo
    decision: Decision
    stored: tuple[int, int]
    stereo: str | None
    bad: BadFrames


def open_video(
    path, *, stereo=None, on_bad='refuse', projection='auto', fisheye_fov=None
) -> Footage:
    """Opens a video file; arguments and errors as for `open_footage`."""
    path, bad = pathlib.Path(path), BadFrames(on_bad)
    info, notes = _pixels_as_meant(path, probe.video_info(path), stereo)
    look = functools.partial(reader.look, path, info)
    decision = decide(path, info, projection, stereo, look, fov=fisheye_fov)
    if decision.conversion is None:
        stereo = decision.stereo or stereo
        named = projection == 'equirect' or decision.spherical is not None
        stored, more = _panorama_size(path, info, stereo, named)
        notes += more
    else:
        stereo, stored = decision.stereo, (decision.conversion.height, decision.conversion.width)
    source = _Source(path, info, decision, stored, stereo, bad)
    height, width = eyes.left_eye(*stored, stereo)
    notes += (*decision.notes, *_brightness_notes(path, info))
    return Footage(
        path.stem,
        height,
        width,
        info.fps or Clip.fps,
        info.frames,
        functools.partial(_read, source),
        spherical=decision.spherical,
        skipped=bad.skipped,
        down=decision.down,
        gravity=read_gravity(path, as_stored=_as_stored(decision)),
        notes=notes,
    )


def _as_stored(decision):
    """Whether panoramas are made here of two tracks of faces, as GoPro's cameras store them."""
    conversion = decision.conversion
    return decision.projection == 'eac' and conversion is not None and len(conversion.streams) == 2


def _pixels_as_meant(path, info, stereo):
    """(info, notes): the aspect ratio of the pixels is obeyed, unless only that spoils a panorama.

    ffmpeg keeps the old shape of the picture in the ratio when it makes 2:1 out of another size.
    """
    first = info.streams[0]
    if first.sar == 1:
        return info, ()
    plain = dataclasses.replace(first, sar=probe.Fraction(1))
    ratio = f'{first.sar.numerator}:{first.sar.denominator}'
    shown, stored = f'{info.width}x{info.height}', f'{plain.shown[1]}x{plain.shown[0]}'
    good = media.nearest_equirect(*info.streams[0].shown) is not None
    if stereo is None and not good and media.nearest_equirect(*plain.shown) is not None:
        height, width = plain.shown
        info = dataclasses.replace(
            info, height=height, width=width, streams=(plain, *info.streams[1:])
        )
        return info, (
            f'{path} says that its pixels are {ratio} (width to height), which would make it '
            f'{shown}; its {stored} pixels are taken as square, which makes it a panorama',
        )
    return info, (
        f'{path} has pixels that are {ratio} (width to height): its {stored} are read as {shown}',
    )


def _panorama_size(path, info, stereo, named):
    """(height, width) of equirectangular frames as they are to come out, and notes.

    Args:
        path: the file.
        info: `VideoInfo` of it.
        stereo: how the frames hold two eyes, or None.
        named: whether the file or the user says that the frames are equirectangular.
    """
    height, width = eyes.left_eye(info.height, info.width, stereo)
    good = media.nearest_equirect(height, width)
    if good is None and named and _STRETCHED[0] <= width / height <= _STRETCHED[1]:
        rows = 2 * round(max(width, 2 * height) / 4)
        good = rows, 2 * rows
    if good is None or good[0] < media.MIN_HEIGHT:
        eyes.eye_size(info.height, info.width, stereo, str(path))
        media.check_equirect(height, width, str(path))
        good = height, width
    if good == (height, width):
        return eyes.stored_size(good, stereo), ()
    eye = 'one eye of ' if stereo else ''
    return eyes.stored_size(good, stereo), (
        f'{eye}{path} is {width}x{height} pixels (width x height), not exactly twice as wide as '
        f'high; it is resampled to {good[1]}x{good[0]}',
    )


def _brightness_notes(path, info):
    """What is said about a high dynamic range, as a tuple."""
    name = {'smpte2084': 'PQ', 'arib-std-b67': 'HLG'}.get(info.streams[0].hdr)
    if name is None:
        return ()
    done = f'{path} has a high dynamic range ({name}); '
    if graph.can_tone_map():
        return (done + 'its colours are tone-mapped to BT.709 while reading',)
    return (
        done + 'this ffmpeg has no filters zscale and tonemap, so its colours are taken as they '
        'are and look flat; the ffmpeg of imageio-ffmpeg 0.6 has them',
    )


def _read(source, size, start, stride):
    """The `Frame`s of a file."""
    wanted = source.stored if size is None else eyes.stored_size(size, source.stereo)
    shape = size or eyes.left_eye(*source.stored, source.stereo)
    shown = media.resize_valid(source.decision.valid, *shape)
    stream = reader.iter_frames(
        source.path,
        size=wanted,
        start=start,
        stride=stride,
        conversion=source.decision.conversion,
        info=source.info,
    )
    last = None
    with contextlib.closing(stream):
        for last in _until_damage(source, stream):
            yield Frame(
                last.index,
                f'{source.path} frame {last.index}',
                eyes.take_eye(last.image, source.stereo),
                valid=_valid(last.valid, shown, source.stereo),
                time=last.time,
            )
    _check_length(source, last, stride)


def _valid(opaque, shown, stereo):
    """The pixels that count: opaque ones [both eyes] that the layout shows; None for all."""
    valid = None if opaque is None else eyes.take_eye(opaque, stereo)
    valid = shown if valid is None else valid if shown is None else valid & shown
    return None if valid is None or np.all(valid) else valid


def _until_damage(source, stream):
    """The frames up to what is damaged; ValueError if not even the first can be read.

    A file whose end is missing is used, with a warning: what there is of it is whole.
    """
    started = False
    try:
        for frame in stream:
            yield frame
            started = True
    except reader.CutShort as error:
        if not started:
            raise
        _warn(source, str(error))
    except ValueError as error:
        if not started:
            raise
        source.bad.report(str(source.path), str(error))


def _warn(source, reason):
    """Notes, once, that the end of a file is missing."""
    name, skipped = str(source.path), source.bad.skipped
    if all(name != known for known, _ in skipped):
        skipped.append((name, reason))
        logging.warning('%s', reason)


def _check_length(source, last, stride):
    """Warns if a file ends before its time: ffmpeg does not say so of all formats."""
    info = source.info
    if _riff_is_cut(source.path):
        _warn(source, f'video {source.path} is cut short: it is smaller than its header says')
    if last is None or last.time is None or not info.fps:
        return
    end = last.time + stride / info.fps
    if info.duration - end > max(_LEFT_OVER, _LEFT_OVER_PART * info.duration):
        _warn(
            source,
            f'video {source.path} seems to be cut short: its frames end after {end:.1f} s '
            f'(frame {last.index}), its header says {info.duration:.1f} s',
        )


def _riff_is_cut(path):
    """Whether an AVI file is smaller than it says; ffmpeg then takes it for a shorter one."""
    with open(path, 'rb') as file:
        start = file.read(12)
    if start[:4] != b'RIFF' or start[8:] != b'AVI ':
        return False
    return int.from_bytes(start[4:8], 'little') + 8 > path.stat().st_size
