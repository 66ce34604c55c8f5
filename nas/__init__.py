"""Device-aware progressive search for Pareto-optimal cell architectures (DPP-Net)."""
