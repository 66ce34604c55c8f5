"""What a training shows on its page, and the commands that come after a search."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submodules=['next_steps', 'training_page']
)
