"""Endless, resumable streams of short windows of frames, stored or to be rendered."""

import itertools

import grain
import numpy as np

from pano_depth.rooms.scene import Scene
from pano_depth.rooms.wide.look import Look
from pano_depth.rooms.wide.shots import USUAL, make_shot

LIVE_FAMILY = 2**41  # plus the stream's seed; the stored splits have other seeds


class Windows:
    """Random access to every window of every clip of a source, in the form that grain needs."""

    def __init__(self, source, length, stride):
        self._source, self._length, self._stride = source, length, stride
        clip_frames = len(source[0]) if len(source) else 0
        self._per_clip = clip_frames - (length - 1) * stride
        if self._per_clip < 1:
            raise ValueError(
                f'length {length} at stride {stride} needs clips of {(length - 1) * stride + 1}'
                f' frames; the source has {len(source)} clips of {clip_frames}'
            )

    def __len__(self):
        return len(self._source) * self._per_clip

    def __getitem__(self, index):
        clip, start = divmod(int(index), self._per_clip)
        source = self._source[clip]
        chosen = start + self._stride * np.arange(self._length)
        window = {'frames': source.frames[chosen], 'clip': np.int32(clip), 'start': np.int32(start)}
        if source.depth is not None:
            window['depth'] = source.depth[chosen]
        if source.poses is not None:
            window['rotation'], window['translation'] = (part[chosen] for part in source.poses)
        return window

    def __repr__(self):
        return f'Windows({self._source!r}, {self._length}, {self._stride})'


def _check(batch_size, length, start_step, process_index, process_count):
    if batch_size < 1 or length < 1 or start_step < 0:
        raise ValueError(
            f'batch_size, length, start_step are {batch_size}, {length}, {start_step}; '
            'at least 1, 1 and 0 are accepted'
        )
    if not 0 <= process_index < process_count:
        raise ValueError(
            f'process_index is {process_index} of {process_count}; accepted are 0 to'
            ' process_count - 1'
        )


def windows(
    source,
    *,
    batch_size,
    length=3,
    stride=1,
    seed=0,
    start_step=0,
    process_index=0,
    process_count=1,
):
    """Shuffled batches of windows of a clip source, for ever.

    The same arguments give the same batches; with `start_step=n` the stream begins with batch n of
    the same stream. Each process reads windows of its own.

    Args:
        source: random access to `Clip`s, all of one length and size, such as `pano_rooms.load`
            returns.
        batch_size: windows a batch, in this process.
        length: frames a window.
        stride: distance between a window's frames in the clip.
        seed: of the order.
        start_step: number of the first batch.
        process_index, process_count: which part of the data this process reads.

    Returns:
        A grain iterator (it has `get_state` and `set_state`) of
        dict(frames [B, length, H, W, 3] uint8, clip [B] int32, start [B] int32). `start` is the
        first frame of the window.

    Raises:
        ValueError: if the clips are too short, or a number is out of its range.
    """
    _check(batch_size, length, start_step, process_index, process_count)
    if stride < 1:
        raise ValueError(f'stride is {stride}; at least 1 is accepted')
    items = Windows(source, length, stride)
    if len(items) < process_count:
        raise ValueError(
            f'source has {len(items)} windows; at least process_count = {process_count} are'
            ' accepted'
        )
    order = grain.MapDataset.source(items).seed(seed).shuffle().repeat()
    order = order[process_index::process_count][start_step * batch_size :]
    # Each window reads a whole clip; a short queue makes it quick to open a stream.
    options = grain.ReadOptions(num_threads=2, prefetch_buffer_size=2 * batch_size)
    return iter(order.to_iter_dataset(options).batch(batch_size, drop_remainder=True))


def live_window(seed, index, *, length=3, style=USUAL, **path):
    """A fresh scene and a short walk in it, not rendered; it takes a few milliseconds of numpy.

    Args:
        seed, index: non-negative integers.
        length: frames.
        style: one of `wide.shots.STYLES`.
        **path: options of `camera_path`; of the usual style.

    Returns:
        `wide.shots.Shot` of numpy arrays, to be rendered by `wide.shots.shoot`; its poses are
        `Motion` of [length, 3, 3] and [length, 3] float32, camera to scene.
    """
    shot = make_shot(LIVE_FAMILY + seed, index, length, style=style, **path)
    poses = type(shot.poses)(*(np.asarray(part, np.float32) for part in shot.poses))
    return shot._replace(poses=poses)


def live_windows(
    seed,
    *,
    batch_size,
    length=3,
    start_step=0,
    process_index=0,
    process_count=1,
    style=USUAL,
    **path,
):
    """Batches of fresh scenes with camera poses, for ever, to be rendered where they are used.

    No scene comes twice.

    Args:
        seed: non-negative integer; the same arguments give the same batches.
        batch_size: scenes a batch, in this process.
        length: frames in each scene.
        start_step: number of the first batch.
        process_index, process_count: which of the scenes of a step this process makes.
        style: one of `wide.shots.STYLES`.
        **path: options of `camera_path`; of the usual style.

    Yields:
        dict of numpy arrays: scene (`Scene` of stacked arrays [B, ...]),
        rotation [B, length, 3, 3], translation [B, length, 3], index [B]; of the wide style also
        look (`Look` of stacked arrays). `jax.vmap` of `wide.shots.shoot` renders it.

    Raises:
        ValueError: if a number is out of its range.
    """
    _check(batch_size, length, start_step, process_index, process_count)

    def batches():
        for step in itertools.count(start_step):
            first = (step * process_count + process_index) * batch_size
            indices = range(first, first + batch_size)
            scenes, poses, looks = zip(
                *(live_window(seed, index, length=length, style=style, **path) for index in indices)
            )
            known = {} if looks[0] is None else {'look': Look(*map(np.stack, zip(*looks)))}
            yield {
                **known,
                'scene': Scene(*map(np.stack, zip(*scenes))),
                'rotation': np.stack([p.rotation for p in poses]),
                'translation': np.stack([p.translation for p in poses]),
                'index': np.array(indices),
            }

    return batches()
