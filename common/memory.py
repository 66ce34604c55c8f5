"""How the C library allocates and frees memory."""

import ctypes

_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8  # names of mallopt(3)


def keep_memory():
    """Makes glibc keep freed memory, in one heap for all threads.

    XLA's convolutions on a CPU take scratch space anew in every call. Above 32 MB glibc gets it
    from the system and gives it back each time, and the page faults cost more than the arithmetic.
    Call this function before any computation: the heaps of other threads hold no more than 64 MB,
    so that larger blocks would still come from the system. A threshold cannot exceed 2 GB, less
    than a training step may take. Hence no block is mapped by itself, and the heap is never
    trimmed.

    Returns:
        Whether it succeeded; False if the C library is not glibc.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return all(
        [mallopt(*setting) for setting in ((_TRIM_THRESHOLD, -1), (_MMAP_MAX, 0), (_ARENA_MAX, 1))]
    )
