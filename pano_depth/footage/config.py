"""How footage is read."""

import dataclasses
from typing import Literal

from common.options import check_options, option


@dataclasses.dataclass(frozen=True)
class FootageConfig:
    """How footage is read, for footage of every kind."""

    stereo: Literal['top_bottom', 'left_right'] | None = option(
        None, 'takes one eye, the left one, of frames that hold two'
    )
    on_bad_frame: Literal['refuse', 'skip'] = option(
        'refuse', 'what to do about frames that are damaged or missing: stop, or leave them out'
    )
    depth_scale: float | None = option(
        None, 'metres per unit of 16-bit depth files; default 0.001', lower_bound=1e-9
    )
    mask: str | None = option(
        None, 'image whose dark pixels are left out: the tripod, the photographer'
    )

    def __post_init__(self):
        check_options(self)
