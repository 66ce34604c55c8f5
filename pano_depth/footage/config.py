"""How footage is read."""

import dataclasses
import os
from typing import Literal

from common.options import READ, check_options, option
from pano_depth.footage.layouts.table import PROJECTIONS, check_projection

AUTO, NONE = 'auto', 'none'


@dataclasses.dataclass(frozen=True)
class ReadingConfig:
    """How files of footage are read."""

    stereo: Literal['top_bottom', 'left_right'] | None = option(
        None, 'takes one eye, the left one, of frames that hold two'
    )
    on_bad_frame: Literal['refuse', 'skip'] = option(
        'refuse',
        'what to do about frames that are damaged or missing: stop, or leave them out; a video'
        ' whose end is missing gives the frames that it has in any case',
    )
    depth_scale: float | None = option(
        None, 'metres per unit of 16-bit depth files; default 0.001', lower_bound=1e-9
    )
    projection: str = option(
        AUTO,
        'how a frame shows the sphere: "auto" finds out by metadata, tracks and pictures;'
        f' "equirect" takes the pixels as they are; {", ".join(PROJECTIONS[2:])} are turned into'
        ' panoramas while reading',
    )
    fisheye_fov: float | None = option(
        None,
        'degrees across a fisheye circle, for the fisheye projections; default: as measured where'
        ' two lenses see the same, else 190, or 180 for a single circle',
        lower_bound=60.0,
        upper_bound=280.0,
    )
    fps: float | None = option(
        None,
        'frames a second, whatever the files say: of images in a folder, which have 24 without it,'
        ' or of a video that was slowed down or sped up',
        lower_bound=1e-6,
    )

    def __post_init__(self):
        check_options(self)
        check_projection(self.projection)


@dataclasses.dataclass(frozen=True)
class FootageConfig(ReadingConfig):
    """How footage is read, for footage of every kind."""

    mask: str = option(
        AUTO,
        'what is left out because it moves along with the camera, such as a hand or a tripod:'
        ' "auto" finds it, and black bars; "none" leaves nothing of the images out; else an image'
        ' whose dark or transparent pixels are left out, or a folder with such an image for each'
        ' frame. Transparent pixels, and what lies outside of a partial panorama, never count',
        path=READ,
    )

    def __post_init__(self):
        super().__post_init__()
        if self.mask is None:
            # A flagfile has no line for None, and a missing line means the default.
            object.__setattr__(self, 'mask', NONE)

    @property
    def mask_path(self) -> str | None:
        """The image of one mask for all frames; None where there is none or it is to be found."""
        path = mask_path(self.mask)
        return None if path is None or os.path.isdir(os.path.expanduser(path)) else path

    @property
    def mask_folder(self) -> str | None:
        """The folder of a mask for each frame, or None."""
        path = mask_path(self.mask)
        return path if path is not None and os.path.isdir(os.path.expanduser(path)) else None


def mask_path(mask: str | None) -> str | None:
    """The image or folder that a value of --mask names; None for 'auto', 'none' and None."""
    return None if mask in (AUTO, NONE, None) else mask
