"""Which other tools get a folder of their own, and what is in it."""

import dataclasses
from typing import Literal

from common.options import check_options, option

FORMATS = ('colmap', 'nerfstudio', 'clip')


@dataclasses.dataclass(frozen=True)
class ExportConfig:
    """Folders for other tools."""

    export_to: tuple[str, ...] = option(
        (),
        'other tools that get a folder of their own in the workdir: colmap, nerfstudio and clip'
        ' (a clip folder, which eval and train read again), separated by commas',
    )
    export_views: Literal['both', 'panoramas', 'faces'] = option(
        'both',
        'what COLMAP and nerfstudio get: panoramas (camera model EQUIRECTANGULAR), the faces of a'
        ' cube (PINHOLE, for tools such as gaussian splatting that know no panoramas), or both',
    )
    faces_fov: float = option(
        90.0,
        'horizontal field of view of a face in degrees; below 90 something is left out between the'
        ' faces, above it they overlap',
        lower_bound=30,
        upper_bound=140,
    )
    faces_size: int | None = option(
        None,
        'rows and columns of a face; default: as many as keep the resolution of the footage, which'
        ' at 90 degrees is half its rows',
        lower_bound=16,
    )

    def __post_init__(self):
        check_options(self)
        for name in self.export_to:
            if name not in FORMATS:
                raise ValueError(
                    f'--export_to names {name!r}; accepted: {", ".join(FORMATS)}, separated by'
                    ' commas'
                )
