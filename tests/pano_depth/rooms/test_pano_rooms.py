"""PanoRooms as a TFDS data set, and the streams that training reads."""

import itertools
import sys

import numpy as np
import pytest

from pano_depth.footage.clip import Clip
from pano_depth.rooms import pano_rooms, streams
from pano_depth.rooms.rooms import render_clip


@pytest.fixture(scope='module')
def data_dir(tmp_path_factory):
    return tmp_path_factory.mktemp('tfds')


def numbered_clips(clips=3, frames=5):
    """A source whose pixels tell the clip and the frame."""
    return [
        Clip(str(c), np.stack([np.full((2, 4, 3), 10 * c + f, np.uint8) for f in range(frames)]))
        for c in range(clips)
    ]


def take(stream, count):
    return list(itertools.islice(stream, count))


def test_builder_round_trip_without_tensorflow(data_dir):
    splits = {split: pano_rooms.load(split, 'tiny', data_dir) for split in ('train', 'val', 'test')}
    assert 'tensorflow' not in sys.modules
    assert {split: len(source) for split, source in splits.items()} == {
        'train': 4,
        'val': 2,
        'test': 2,
    }
    clips = [source[i] for source in splits.values() for i in range(len(source))]
    assert len({clip.name for clip in clips}) == len(clips)
    first = next(clip for clip in clips if clip.name == 'val_00001')
    direct = render_clip(pano_rooms.FAMILIES['val'], 1, frames=6, height=32, width=64)
    np.testing.assert_array_equal(first.frames, direct.frames)
    np.testing.assert_array_equal(first.depth, direct.depth)
    np.testing.assert_array_equal(first.poses.rotation, direct.poses.rotation)
    np.testing.assert_array_equal(first.poses.translation, direct.poses.translation)
    # Different scenes everywhere, and none left half-made.
    for a, b in itertools.combinations(clips, 2):
        assert np.abs(a.depth[0] - b.depth[0]).mean() > 0.05
    assert not list(data_dir.glob('**/incomplete*'))


def test_no_family_of_scenes_is_shared():
    families = list(pano_rooms.FAMILIES.values())
    assert (
        len(set(families)) == 3 and max(families) < streams.LIVE_FAMILY and min(families) >= 2**32
    )


@pytest.mark.parametrize(
    'arguments, words',
    [(('dev', 'tiny'), "split is 'dev'"), (('train', '7x14'), "config is '7x14'")],
)
def test_unknown_names_are_refused(arguments, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        pano_rooms.load(*arguments, tmp_path)
    assert not list(tmp_path.iterdir())


def test_windows_are_consecutive_and_cover_each_epoch():
    batches = take(streams.windows(numbered_clips(), batch_size=3, length=3, seed=1), 3)
    frames = np.concatenate([batch['frames'] for batch in batches])[..., 0, 0, 0].astype(int)
    np.testing.assert_array_equal(np.diff(frames, axis=1), 1)
    # 3 clips of 3 windows: one epoch shows each once, in a shuffled order.
    starts = frames[:, 0].tolist()
    assert sorted(starts) == [0, 1, 2, 10, 11, 12, 20, 21, 22] and starts != sorted(starts)
    np.testing.assert_array_equal(
        np.concatenate([b['clip'] * 10 + b['start'] for b in batches]), starts
    )
    wide = next(streams.windows(numbered_clips(), batch_size=3, length=3, stride=2, seed=1))
    np.testing.assert_array_equal(np.diff(wide['frames'][..., 0, 0, 0].astype(int), axis=1), 2)


def test_windows_resume_at_the_same_batch():

    def open_at(step):
        return streams.windows(numbered_clips(), batch_size=2, seed=5, start_step=step)

    whole = take(open_at(0), 12)
    for step in (1, 4, 9):
        for a, b in zip(whole[step:], take(open_at(step), 3)):
            np.testing.assert_array_equal(a['frames'], b['frames'])
    stream = open_at(0)
    take(stream, 4)
    state = stream.get_state()
    np.testing.assert_array_equal(next(stream)['frames'], whole[4]['frames'])
    stream.set_state(state)
    np.testing.assert_array_equal(next(stream)['frames'], whole[4]['frames'])
    other = take(streams.windows(numbered_clips(), batch_size=2, seed=6), 12)
    assert any((a['frames'] != b['frames']).any() for a, b in zip(whole, other))


def test_processes_read_different_windows():
    parts = [
        take(
            streams.windows(
                numbered_clips(4), batch_size=3, seed=2, process_index=p, process_count=2
            ),
            2,
        )
        for p in range(2)
    ]
    starts = [np.concatenate([b['frames'][:, 0, 0, 0, 0] for b in part]) for part in parts]
    assert len(set(starts[0]) | set(starts[1])) == 12 and not set(starts[0]) & set(starts[1])


@pytest.mark.parametrize(
    'options, words',
    [
        (dict(length=6), 'length 6'),
        (dict(batch_size=0), 'batch_size'),
        (dict(stride=0), 'stride'),
        (dict(process_index=2, process_count=2), 'process_index'),
    ],
)
def test_bad_windows_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        streams.windows(numbered_clips(), **{'batch_size': 2, **options})


def test_live_windows_are_addressed_by_step_and_process():
    batches = take(streams.live_windows(7, batch_size=2), 3)
    resumed = next(streams.live_windows(7, batch_size=2, start_step=2))
    np.testing.assert_array_equal(resumed['translation'], batches[2]['translation'])
    np.testing.assert_array_equal(resumed['scene'].material, batches[2]['scene'].material)
    assert (
        batches[0]['rotation'].shape == (2, 3, 3, 3) and batches[0]['rotation'].dtype == np.float32
    )
    assert batches[0]['scene'].box_half.shape[0] == 2
    indices = np.concatenate([b['index'] for b in batches])
    assert len(set(indices)) == 6
    second = next(streams.live_windows(7, batch_size=1, process_index=1, process_count=2))
    np.testing.assert_array_equal(second['translation'][0], batches[0]['translation'][1])
    assert not np.array_equal(
        next(streams.live_windows(8, batch_size=2))['translation'], batches[0]['translation']
    )
