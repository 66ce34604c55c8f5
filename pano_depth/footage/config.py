"""How footage is read."""

import dataclasses
from typing import Literal

from common.options import check_options, option

AUTO, NONE = 'auto', 'none'


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
    mask: str = option(
        AUTO,
        'what is left out because it moves along with the camera, such as a hand or a tripod:'
        ' "auto" finds it, "none" leaves nothing out, else an image whose dark pixels are left out',
    )

    def __post_init__(self):
        check_options(self)
        if self.mask is None:
            # A flagfile has no line for None, and a missing line means the default.
            object.__setattr__(self, 'mask', NONE)

    @property
    def mask_path(self) -> str | None:
        """The image of the mask; None where there is none, or where it is to be found."""
        return mask_path(self.mask)


def mask_path(mask: str | None) -> str | None:
    """The image that a value of --mask names; None for 'auto', 'none' and None."""
    return None if mask in (AUTO, NONE, None) else mask
