"""Networks learn from what they reconstruct, round after round, without labels."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=['clips', 'config', 'job', 'rounds'],
    submod_attrs={'config': ['ImproveConfig'], 'job': ['improve']},
)
