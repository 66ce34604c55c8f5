"""Search of depth networks: the cells and devices of `nas`, the networks and rooms of `pano_depth`.

Neither half knows the other; what joins them stands here.
"""
