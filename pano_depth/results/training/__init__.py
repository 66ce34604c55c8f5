"""What a training on footage needs: clips found in paths, their cache, held-out parts, scores."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=['cache', 'collection', 'data', 'decode', 'found', 'judge', 'shown', 'split'],
)
