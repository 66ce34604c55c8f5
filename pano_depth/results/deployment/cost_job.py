"""Counts the costs of the depth network of a checkpoint, or of one that is not trained yet."""

import dataclasses

from common.options import READ, check_options, expand_paths, option
from pano_depth.learning import checkpoints
from pano_depth.learning.cells import build, cost
from pano_depth.learning.checkpoints import ModelChoice

BY_HAND = 'hand-made'  # the name of networks without a cell


@dataclasses.dataclass(frozen=True)
class DepthCostConfig:
    """Which depth network is counted."""

    checkpoint: str | None = option(
        None,
        'networks to count: "default" (from the package), "none" (as the model is described; the'
        ' default if any part of it is), the workdir of a training run, or a .npz of save_weights',
        path=READ,
    )
    model: ModelChoice = ModelChoice()

    def __post_init__(self):
        check_options(self)


def depth_cost(config: DepthCostConfig = DepthCostConfig()) -> dict[str, str | int]:
    """Counts the deployed depth network, for one panorama of any size.

    Args:
        config: which network.

    Returns:
        {'name', 'params', 'flops', 'macs'}, see `learning.cells.cost.Cost`; the name is the
        checkpoint, or the tokens of the cell.

    Raises:
        ValueError: there is no such checkpoint, or the networks differ from what is asked for.
    """
    config = expand_paths(config)
    checkpoint = config.checkpoint
    if checkpoint is None:
        asked = {name for name, value in vars(config.model).items() if value is not None}
        checkpoint = 'none' if asked - set(checkpoints.FREE_FIELDS) else 'default'
    _, model = checkpoints.start_model(checkpoint, config.model)
    name = checkpoint
    if checkpoint == 'none':
        name = '-'.join(model.depth_cell) or BY_HAND
    return {'name': name, **cost.count(build.build(model))._asdict()}
