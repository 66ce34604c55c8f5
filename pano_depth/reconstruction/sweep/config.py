"""The options of the sweep."""

import dataclasses
from typing import Literal

from common.options import check_options, option

Fill = Literal['networks', 'none']


@dataclasses.dataclass(frozen=True)
class SweepConfig:
    """How depth is refined."""

    sources: int = option(8, 'refinement: frames that each frame is compared with', lower_bound=1)
    hypotheses: int = option(80, 'refinement: distances that are tried for a pixel', lower_bound=8)
    step: float = option(
        0.004, 'refinement: cost of a step of one hypothesis between neighbours', lower_bound=0
    )
    jump: float = option(
        0.04, 'refinement: cost of a jump between neighbours of like colour', lower_bound=0
    )
    prior: float = option(
        0.003,
        'refinement: cost of leaving what the networks say by a factor of e, where images do not'
        ' tell',
        lower_bound=0,
    )

    def __post_init__(self):
        check_options(self)
