"""Layouts of 360 footage other than equirect, and how ffmpeg's v360 turns them into equirect.

`table` names the layouts; `find_layout` finds out which one a file has: by what the user says, by
its metadata (`mesh`), its tracks (`by_tracks`) or its pictures (`looks`: `seams`, `circles`). What
comes of it is a `Conversion`, a filter graph (`graphs`), that readers of video hand to ffmpeg and
`images` runs on still images.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        'find_layout': ['decide', 'decide_image'],
        'decision': ['Conversion', 'Decision'],
        'images': ['convert_image'],
        'table': ['LAYOUTS', 'PROJECTIONS', 'check_projection'],
    },
)
