"""Photographs: what their files say of the sphere (GPano), and panoramas made of them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=['gpano', 'layout', 'level', 'open_photos', 'photo', 'placement'],
    submod_attrs={'photo': ['Photo', 'look_at', 'read_photo']},
)
