"""What frames do not show, each for itself: no depth there, none of it in the cloud, no harm."""

import dataclasses
import json

import numpy as np
import pytest

from pano_depth import ReconstructConfig, reconstruct
from pano_depth.footage import media
from pano_depth.footage.config import FootageConfig
from pano_depth.footage.footage import from_clip
from pano_depth.learning import LogConfig, LossConfig, ModelChoice, RecipeConfig
from pano_depth.reconstruction.bars import Bars
from pano_depth.reconstruction.stationary import Stationary
from pano_depth.results.steps.hidden import Hidden
from pano_depth.rooms import rooms
from tests.compiling import quickly

FRAMES, HEIGHT = 8, 64
TINY = ReconstructConfig(
    checkpoint='none',
    adapt=2,
    stride=1,
    ordered='yes',
    refine='off',
    adjust=False,
    model=ModelChoice(face_size=16, depth_channels=(8, 8), pose_channels=(8, 8)),
    loss=LossConfig(pyramid=1),
    recipe=RecipeConfig(batch_size=4, rotation='none', mirror=False),
    logs=LogConfig(log_every=1),
)
# With networks that learn.
learn = quickly()(reconstruct)


@pytest.fixture(scope='module')
def clip():
    return rooms.sample_clip(frames=FRAMES, height=HEIGHT, width=2 * HEIGHT)


@pytest.fixture(scope='module')
def valid():
    """All but a patch that moves around, and a frame that shows nothing."""
    counts = np.ones((FRAMES, HEIGHT, 2 * HEIGHT), bool)
    for i, one in enumerate(counts):
        one[22:42, (30 + 15 * i + np.arange(22)) % (2 * HEIGHT)] = False
    counts[5] = False
    return counts


def _footage(clip, valid=None, seed=0):
    """The clip as footage; what does not count holds noise."""
    rng = np.random.default_rng(seed)
    frames = clip.frames
    if valid is not None:
        noise = rng.integers(0, 256, frames.shape, np.uint8)
        frames = np.where(valid[..., None], frames, noise)
    whole = from_clip(dataclasses.replace(clip, frames=frames, depth=None, poses=None))
    if valid is None:
        return whole

    def read(size, start, stride):
        for frame in whole.read(size, start, stride):
            counts = media.resize_valid(valid[frame.index], *frame.image.shape[:2])
            yield frame._replace(valid=counts)

    return dataclasses.replace(whole, read=read)


def _config(mask='none', **options):
    return ReconstructConfig(footage=FootageConfig(mask=mask), ordered='yes', **options)


@pytest.fixture(scope='module')
def found(clip, valid, tmp_path_factory):
    workdir = tmp_path_factory.mktemp('hidden') / 'run'
    return reconstruct(_footage(clip, valid), workdir, _config()), workdir


def _error(result, clip, index, where):
    ratio = result.depth(index)[where] / clip.depth[index][where]
    return np.abs(ratio / np.median(ratio) - 1).mean()


def test_there_is_no_depth_where_a_frame_shows_nothing(found, clip, valid):
    result, _ = found
    for index in range(FRAMES):
        np.testing.assert_array_equal(result.depth(index) > 0, valid[index])
        np.testing.assert_array_equal(result.confidence(index) > 0, valid[index])
    whole = reconstruct(_footage(clip), config=_config())
    shown = [i for i in range(FRAMES) if i != 5]
    errors = [np.mean([_error(one, clip, i, valid[i]) for i in shown]) for one in (whole, result)]
    # It is 0.082 off in the mean without the holes, about as much with them.
    assert errors[0] < 0.1 and errors[1] < 1.1 * errors[0]


def test_files_and_record_say_what_is_hidden(found, valid):
    result, workdir = found
    picture = media.read_image(workdir / 'mask.png')[..., 0]
    np.testing.assert_allclose(picture, 255 * valid.mean(axis=0), atol=1)
    facts = json.loads((workdir / 'run.json').read_text())['prediction']['mask']
    assert facts['share'] == pytest.approx(result.facts['mask']['share'])
    assert 0.15 < facts['share'] < 0.25 and '1 of 8 frames show nothing at all' in facts['reason']
    # What is hidden is noise of all colours, which the room does not have.
    colours = result.cloud()[1].astype(int)
    assert len(colours) > 500 and (np.ptp(colours, axis=1) > 150).mean() < 0.001


def test_what_a_frame_does_not_show_changes_nothing(found, clip, valid):
    one, other = found[0], reconstruct(_footage(clip, valid, 1), config=_config())
    for index in (0, 6):
        np.testing.assert_array_equal(one.depth(index), other.depth(index))
    np.testing.assert_array_equal(one.poses.translation, other.poses.translation)


def test_networks_learn_from_what_frames_show(clip, valid):
    config = dataclasses.replace(TINY, footage=FootageConfig(mask='none'))
    first = learn(_footage(clip, valid, 1), config=config)
    np.testing.assert_array_equal(first.depth(2) > 0, valid[2])
    other = learn(_footage(clip, valid, 2), config=config)
    np.testing.assert_array_equal(first.depth(2), other.depth(2))
    # What moves along is looked for too, and there is nothing.
    sought = dataclasses.replace(TINY, footage=FootageConfig(mask='auto'))
    whole = learn(_footage(clip, np.ones_like(valid)), config=sought)
    ratio = whole.depth(2)[valid[2]] / first.depth(2)[valid[2]]
    assert np.abs(ratio - 1).max() > 1e-4 and whole.facts['mask']['share'] == 0


def test_a_mask_of_an_image_goes_with_those_of_the_frames(clip, valid, tmp_path):
    mask = np.full((HEIGHT, 2 * HEIGHT, 3), 255, np.uint8)
    mask[56:] = 0
    media.write_image(tmp_path / 'mask.png', mask)
    config = dataclasses.replace(TINY, footage=FootageConfig(mask=str(tmp_path / 'mask.png')))
    found = learn(_footage(clip, valid), config=config)
    np.testing.assert_array_equal(found.depth(1) > 0, valid[1] & (mask[..., 0] > 0))
    nothing = np.broadcast_to(mask[..., 0] == 0, valid.shape)
    with pytest.raises(ValueError, match='no pixel that counts'):
        learn(_footage(clip, nothing), config=config)


def test_unrelated_images_have_masks_of_their_own(clip, valid, tmp_path):
    config = _config()
    config = dataclasses.replace(config, ordered='no')
    found = reconstruct(_footage(clip, valid), tmp_path / 'run', config)
    for index in (0, 5):
        np.testing.assert_array_equal(found.depth(index) > 0, valid[index])
    page = (tmp_path / 'run' / 'report.html').read_text()
    assert 'show nothing and are left out (1 of 8 frames show nothing at all)' in page


def test_black_bars_are_masked_and_said(clip, tmp_path, capsys):
    frames = clip.frames.copy()
    frames[:, :10] = frames[:, 54:] = 2
    footage = from_clip(dataclasses.replace(clip, frames=frames, depth=None, poses=None))
    found = reconstruct(footage, tmp_path / 'run', ReconstructConfig(refine='off', adjust=False))
    assert not found.depth(3)[:10].any() and not found.depth(3)[54:].any()
    assert (found.depth(3)[13:51] > 0).all()
    facts = found.facts['mask']
    assert facts['reason'].startswith('black bars (top and bottom) take')
    assert facts['reason'] in capsys.readouterr().out
    assert facts['reason'][1:] in (tmp_path / 'run' / 'report.html').read_text()
    told = reconstruct(footage, config=_config(refine='off', adjust=False))
    assert told.depth(3).min() > 0


def test_all_that_is_hidden_is_said_at_once(tmp_path):
    rows = np.arange(16)[:, None] + np.zeros(32)
    own = np.stack([rows < 15, rows < 16, rows < 0])
    bars = Bars(rows > 1, 0.05, 'black bars')
    along = Stationary(rows < 12, 0.1, 'a hand')
    hidden = Hidden(bars.mask, lambda height: own, tmp_path, bars)
    part = hidden.of_piece(slice(0, 2), along)
    np.testing.assert_array_equal(part.mask(16), own[:2] & (rows > 1) & (rows < 12))
    facts = part.facts(16)['mask']
    assert facts['reason'].startswith('black bars; ') and facts['reason'].endswith('; a hand')
    assert '1 of' not in facts['reason']
    assert '1 of 3 frames' in hidden.of_piece(slice(0, 3)).facts(16)['mask']['reason']
    # Without anything that was sought or that frames say there is nothing to say.
    alone = Hidden(None, lambda height: None, tmp_path)
    assert alone.of_piece(slice(0, 2)).facts(16) == {}
    assert alone.of_piece(slice(0, 2)).mask(16) is None
    assert alone.of_piece(slice(0, 2), along).facts(16) == {
        'mask': {'share': 0.1, 'reason': 'a hand'}
    }
