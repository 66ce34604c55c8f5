"""Options of --mode=improve are those of its reconstructions and trainings."""

import dataclasses

from common.executors.config import ExecutorConfig
from pano_depth import ImproveConfig
from pano_depth.footage.config import FootageConfig
from pano_depth.learning import LogConfig, LossConfig, ModelChoice, RecipeConfig
from pano_depth.reconstruction.bundle import BundleConfig
from pano_depth.reconstruction.sweep import SweepConfig
from pano_depth.results.evaluate_job import RoomsConfig
from pano_depth.results.self_training import config as configs


def test_options_reach_reconstructions_and_trainings(tmp_path):
    own = ImproveConfig(
        checkpoint=str(tmp_path / 'a.npz'),
        rounds=7,
        eval_data='other',
        output_height=66,
        every=3,
        max_frames=9,
        label_weight=0.7,
        rooms_share=0.2,
        stride=2,
        executors=ExecutorConfig(workers=3),
        bundle=BundleConfig(points=99),
        sweep=SweepConfig(hypotheses=33),
        footage=FootageConfig(fps=7.0, mask='mask.png'),
        data=RoomsConfig(rooms='tiny'),
        model=ModelChoice(face_size=16),
        loss=LossConfig(ssim_weight=0.1),
        recipe=RecipeConfig(steps=77),
        logs=LogConfig(log_every=3),
    )
    given = {field.name: getattr(own, field.name) for field in dataclasses.fields(own)}
    assert all(value != getattr(ImproveConfig(), name) for name, value in given.items())
    reached = set()
    # A reconstruction does not train.
    for made, but in (
        (configs.reconstruction(own, 'b.npz'), {'stride', 'loss', 'recipe', 'logs'}),
        (configs.training(own, 'clips', checkpoint='b.npz'), set()),
    ):
        names = {field.name for field in dataclasses.fields(made)} & set(given) - but
        assert made.checkpoint == 'b.npz'
        assert all(getattr(made, name) == given[name] for name in names - {'checkpoint'})
        reached |= names
    assert made.reading.fps == 7.0 and made.mask == 'mask.png' and made.train_data == 'clips,rooms'
    assert set(given) - reached == {'rounds', 'executors'}
