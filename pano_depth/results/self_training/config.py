"""How networks learn from their own reconstructions, and what that means for each round."""

import dataclasses

from common.executors.config import ExecutorConfig
from common.options import READ, READ_LIST, check_options, held, option
from pano_depth.footage.config import FootageConfig, ReadingConfig
from pano_depth.learning.checkpoints import ModelChoice
from pano_depth.learning.objective import LossConfig
from pano_depth.learning.session import LogConfig
from pano_depth.learning.train import RecipeConfig
from pano_depth.reconstruction.bundle import BundleConfig
from pano_depth.reconstruction.sweep import SweepConfig
from pano_depth.results.evaluate_job import RoomsConfig
from pano_depth.results.reconstruct_job import ReconstructConfig
from pano_depth.results.train_job import TrainConfig
from pano_depth.results.training import found


@dataclasses.dataclass(frozen=True)
class ImproveConfig:
    """How networks learn from their own reconstructions."""

    checkpoint: str = option(
        'default',
        'networks to start from: "default" (from the package), "none" (fresh ones), the workdir'
        ' of a training run, or a .npz of save_weights',
        path=READ,
    )
    rounds: int = option(
        3,
        'how often clips are reconstructed and learned from, at most; it ends by itself when the'
        ' photometric error on held-out clips no longer falls',
        lower_bound=1,
    )
    eval_data: str | None = option(
        None,
        'footage to judge by, as PATH[,PATH...]; default: about a tenth of the clips, which are not'
        ' learned from',
        path=READ_LIST,
    )
    output_height: int = option(
        128, 'rows of the reconstructions; more than the networks see tells more', lower_bound=32
    )
    every: int = option(1, 'n takes every n-th frame of the footage', lower_bound=1)
    max_frames: int = option(
        0, 'takes at most so many frames of a clip; 0 takes all', lower_bound=0
    )
    label_weight: float = option(
        TrainConfig.label_weight,
        'weight of the supervised losses where reconstructions found depth and path',
        lower_bound=0.0,
    )
    rooms_share: float = option(
        0.0,
        'share of the steps that learn from live rooms, by their images alone unless'
        ' --truth_weight says otherwise',
        lower_bound=0.0,
        upper_bound=1.0,
    )
    stride: int = option(
        0, 'frames between two images that are compared; 0: chosen for each clip', lower_bound=0
    )
    executors: ExecutorConfig = ExecutorConfig()
    bundle: BundleConfig = held(BundleConfig(), prefix='bundle_')
    sweep: SweepConfig = held(SweepConfig(), prefix='sweep_')
    footage: FootageConfig = FootageConfig()
    data: RoomsConfig = RoomsConfig()
    model: ModelChoice = ModelChoice()
    loss: LossConfig = LossConfig()
    recipe: RecipeConfig = RecipeConfig()
    logs: LogConfig = LogConfig()

    def __post_init__(self):
        check_options(self)
        if self.output_height % 2:
            raise ValueError(f'--output_height is {self.output_height}; an even number is accepted')
        if self.loss.truth_weight and not self.rooms_share:
            raise ValueError(
                f'--truth_weight is {self.loss.truth_weight}, but networks improve without truth;'
                ' accepted: 0, or more with --rooms_share, for the rooms'
            )


def reconstruction(config: ImproveConfig, checkpoint: str) -> ReconstructConfig:
    """The options of the reconstructions of a round."""
    return ReconstructConfig(
        checkpoint=checkpoint,
        output_height=config.output_height,
        every=config.every,
        max_frames=config.max_frames,
        bundle=config.bundle,
        sweep=config.sweep,
        footage=config.footage,
        model=config.model,
    )


def training(config: ImproveConfig, data: str, **changes) -> TrainConfig:
    """The options of the training of a round."""
    names = [field.name for field in dataclasses.fields(ReadingConfig)]
    return TrainConfig(
        train_data=data + (f',{found.ROOMS}' if config.rooms_share else ''),
        eval_data=config.eval_data,
        label_weight=config.label_weight,
        rooms_share=config.rooms_share,
        mask=config.footage.mask,
        stride=config.stride,
        reading=ReadingConfig(**{name: getattr(config.footage, name) for name in names}),
        data=config.data,
        model=config.model,
        loss=config.loss,
        recipe=config.recipe,
        logs=config.logs,
        **changes,
    )
