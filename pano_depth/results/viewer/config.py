"""How a result is shown in 3D."""

import dataclasses

from common.options import check_options, option


@dataclasses.dataclass(frozen=True)
class ViewConfig:
    """Where the viewer is found, and how much it shows."""

    port: int = option(
        8080,
        'port of the viewer; if it is taken, the next free one',
        lower_bound=1,
        upper_bound=65535,
    )
    host: str = option(
        '127.0.0.1',
        'address at which the viewer listens; 0.0.0.0 lets other machines of the network see it',
    )
    view_points: int = option(
        400_000, 'points that the viewer shows at once, at most', lower_bound=1
    )

    def __post_init__(self):
        check_options(self)
