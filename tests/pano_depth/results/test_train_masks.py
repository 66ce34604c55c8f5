"""What moves along with the camera in footage to learn from is found, kept and left out."""

import cv2
import numpy as np
import pytest

from pano_depth import TrainConfig
from pano_depth.footage.config import ReadingConfig
from pano_depth.results.training import along, cache, collection, data, found
from pano_depth.rooms import rooms
from tests.pano_depth.results import made_footage

FRAMES, ROWS = 12, 64
NADIR = slice(52, 64)


@pytest.fixture(scope='module')
def walk():
    return rooms.sample_clip(frames=FRAMES, height=ROWS, width=2 * ROWS).frames


@pytest.fixture(scope='module')
def patched(walk):
    """The walk with a textured patch below the camera that moves along."""
    image = np.random.default_rng(0).integers(20, 235, (32, 64, 3)).repeat(2, 0).repeat(2, 1)
    frames = walk.copy()
    frames[:, NADIR] = image[NADIR]
    return frames


def _write(folder, frames, alpha=None):
    folder.mkdir()
    for i, frame in enumerate(frames):
        image = frame[..., ::-1] if alpha is None else np.dstack([frame[..., ::-1], alpha])
        assert cv2.imwrite(str(folder / f'{i:03d}.png'), image)
    return folder


def _gathered(folder, data_dir, rows=32, **options):
    items = found.items_of([str(folder)], ReadingConfig(), flag='train_data')
    reading = {'flag': 'train_data', 'rows': rows, 'data_dir': data_dir}
    return collection.collect(items, ReadingConfig(), **reading, **options).pieces


def test_what_moves_along_does_not_count(patched, tmp_path, capsys, monkeypatch):
    alpha = np.full((ROWS, 2 * ROWS), 255, np.uint8)
    alpha[:8, :40] = 0
    folder = _write(tmp_path / 'clip', patched, alpha)
    (piece,) = _gathered(folder, tmp_path)
    valid = collection.valid_of(piece.clip)
    assert valid.shape == (FRAMES, 32, 64)
    assert valid[:, 27:].mean() < 0.05 and valid[:, 5:23].mean() > 0.98
    assert not valid[:, :4, :20].any(), 'what the files say stays'
    assert 'mask of clip: ' in capsys.readouterr().out
    # The cache has it, and the option decides whether it counts.
    monkeypatch.setattr(along, 'find', None)
    (again,) = _gathered(folder, tmp_path)
    np.testing.assert_array_equal(collection.valid_of(again.clip), valid)
    (without,) = _gathered(folder, tmp_path, masks=False)
    kept = collection.valid_of(without.clip)
    assert kept[:, 4:].all() and not kept[:, :4, :20].any()


def test_a_damaged_mask_is_found_anew(patched, tmp_path):
    folder = _write(tmp_path / 'clip', patched)
    (piece,) = _gathered(folder, tmp_path)
    (path,) = cache.place(tmp_path, 32).glob('*.hidden')
    before = path.read_bytes()
    path.write_bytes(bytes(len(before)))
    (again,) = _gathered(folder, tmp_path)
    assert path.read_bytes() == before
    np.testing.assert_array_equal(*(collection.valid_of(one.clip) for one in (piece, again)))


def test_what_a_reconstruction_left_out_is_not_looked_for_again(tmp_path):
    run = made_footage.write_reconstruction(tmp_path / 'run', 0)
    with made_footage.quick_looks(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(along, 'find', None)
        (piece,) = _gathered(run, tmp_path)
    assert piece.clip.labels.confidence is not None


def test_all_of_a_clear_walk_counts(walk):
    assert along.find(walk) == along.Along(None, '')


def test_bars_are_left_out_too(walk, monkeypatch):
    frames, known, found = walk.copy(), [], along.stationary.find
    spy = lambda *args, mask: known.append(mask) or found(*args, mask=mask)
    monkeypatch.setattr(along.stationary, 'find', spy)
    frames[:, :10] = 0
    mask, reason = along.find(frames)
    assert not known[0][:10].any(), 'they say nothing about what moves along'
    assert not mask[:10].any() and mask[14:50].mean() > 0.95 and 'black' in reason


def test_the_option_is_that_of_reconstructions(tmp_path, monkeypatch):
    seen = []

    def collect(*_, masks, **__):
        seen.append(masks)
        return collection.Collection([], [], '')

    monkeypatch.setattr(data, 'split', lambda pieces: (pieces, []))
    monkeypatch.setattr(collection, 'collect', collect)
    monkeypatch.setattr(data, '_items', lambda *_: {'train_data': ['clip'], 'eval_data': []})
    for mask in ('auto', 'none', None, 'mask.png'):
        data.prepare(TrainConfig(train_data='clips', mask=mask), 32)
    assert seen == [True, False, False, False] and TrainConfig().mask == 'auto'
