"""The deployed depth network: its function with everything that it needs, and what it costs."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submodules=['network'], submod_attrs={'cost_job': ['DepthCostConfig', 'depth_cost']}
)
