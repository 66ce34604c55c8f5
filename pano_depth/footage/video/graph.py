"""The filter graph by which ffmpeg makes frames of 8-bit RGB out of what a file holds."""

from typing import TYPE_CHECKING, NamedTuple

from pano_depth.footage.video import program

if TYPE_CHECKING:
    from pano_depth.footage.layouts.decision import Conversion
    from pano_depth.footage.video.probe import VideoInfo

# A line with the time of every frame, in microseconds, goes to where ffmpeg's messages go. It is
# written before the frame goes on. Other metadata of a frame could hold anything.
_TIMES = (
    'settb=1/1000000,metadata=mode=delete,metadata=mode=add:key=pano_depth:value=0,'
    "metadata=mode=print:file='pipe\\:2':direct=1"
)
# Frames whose times are equal in the unit of the output, one frame at the average rate, would be
# errors: from here on there is one frame in 100 seconds.
_APART = 'setpts=100*N/TB'
# BT.2408: grey of 18 % has 26 cd/m2 in HDR, and is to have a linear value of 0.18 here.
_UNIT = 144
# The brightest value of each transfer, cd/m2.
_PEAKS = {'smpte2084': 10000, 'arib-std-b67': 1000}
_TONE_FILTERS = ('zscale', 'tonemap')
# A conversion counts the tracks of its further files from a multiple of this on.
_FILE = 100


class Graph(NamedTuple):
    """A filter graph.

    Attributes:
        text: ffmpeg's text of it; its output is [frames].
        height, width: of the output, pixels.
        channels: 3 for RGB, 4 with alpha.
    """

    text: str
    height: int
    width: int
    channels: int


def can_tone_map():
    """Whether ffmpeg has the filters that map a high dynamic range."""
    return program.has('filters', *_TONE_FILTERS)


def frame_graph(
    info: 'VideoInfo', *, size=None, start=0, stride=1, conversion: 'Conversion | None' = None
) -> Graph:
    """The graph of all steps from the tracks of a file to the frames that are asked for.

    Frames are chosen first. Then, without a conversion, they get their size and last their range of
    brightness, which costs less on small frames. A conversion takes frames with square pixels and
    the usual range.

    Args:
        info: `VideoInfo` of the file.
        size: (height, width) of the output; None for the size as shown, or of the conversion.
        start, stride: which frames.
        conversion: `layouts.decision.Conversion` or None.
    """
    channels = 4 if info.streams[0].alpha else 3
    last = f'format={"rgba" if channels == 4 else "rgb24"},{_APART}'
    choice = [] if start == 0 and stride == 1 else [_select(start, stride)]
    if conversion is None:
        stream = info.streams[0]
        height, width = size or (info.height, info.width)
        steps = [*_times(), *choice, _scale((info.height, info.width), (height, width))]
        text = ','.join([*steps, *_tone_map(stream), last])
        return Graph(f'[0:V:0]{text}[frames]', height, width, channels)
    if size is not None:
        # v360 takes long: it gives no more pixels than small frames need.
        conversion = conversion.at(size[0])
    lines = []
    for number, source in enumerate(conversion.streams):
        file, track = divmod(source, _FILE)
        stream = info.streams[track if file == 0 else 0]
        steps = [*(_times() if number == 0 else ()), *choice]
        if len(conversion.streams) > 1:
            # Filters that join tracks go by times, which may differ by a little.
            steps.append('settb=1/1000,setpts=N')
        steps += _tone_map(stream)
        if stream.sar != 1:
            steps.append(_scale(None, stream.shown))
        lines.append(f'[{file}:V:{track}]{",".join([*steps, "setsar=1"])}[v{number}]')
    own = (conversion.height, conversion.width)
    height, width = size or own
    lines += [conversion.graph, f'[out]{_scale(own, (height, width))},{last}[frames]']
    return Graph(';'.join(lines), height, width, channels)


def _times():
    # Old versions keep such lines back, so that they would come long after their frames.
    return () if program.is_old() else (_TIMES,)


def _select(start, stride):
    return f"select='gte(n,{start})*not(mod(n-{start},{stride}))'"


def _scale(old, new):
    """The filter that resizes; smaller frames are averaged by area. `old` is None if unknown."""
    if old == tuple(new):
        # The exact kinds would take twice the time and change nothing but the colours' last bit.
        return f'scale={new[1]}:{new[0]}'
    smaller = old is not None and new[0] <= old[0] and new[1] <= old[1]
    kind = 'area' if smaller else 'bicubic'
    return f'scale={new[1]}:{new[0]}:flags={kind}+accurate_rnd+full_chroma_int'


def _tone_map(stream):
    """Filters from PQ or HLG to BT.709; none for the usual range, or if ffmpeg has none."""
    if stream.hdr is None or not can_tone_map():
        return []
    alpha = 'a' if stream.alpha else ''
    peak = _PEAKS[stream.hdr] / _UNIT
    known = []
    if 'bt2020' not in stream.colours:
        # zscale refuses colours that a file does not name; PQ and HLG go with BT.2020.
        known = [f'setparams=color_primaries=bt2020:color_trc={stream.hdr}:colorspace=bt2020nc']
    return [
        *known,
        f'zscale=t=linear:npl={_UNIT}',
        f'format=gbr{alpha}pf32le',
        'zscale=p=bt709',
        f'tonemap=tonemap=mobius:param=0.3:desat=0:peak={peak:.3f}',
        'zscale=t=bt709:r=pc',
        f'format=gbr{alpha}p',
    ]
