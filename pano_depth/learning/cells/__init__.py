"""Depth networks whose blocks are cells of tokens: their plan, network, costs and condensation."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submodules=['build', 'condense', 'cost', 'network', 'plan', 'tokens']
)
