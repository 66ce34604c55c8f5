"""Settings of a whole process: its memory, its cache of compiled programs, its fellow processes.

Programs make these settings once, before any computation; functions of the library never do. The
configuration needs no JAX; only `start` imports it.
"""

import dataclasses
import os

from absl import logging

from common.options import WRITTEN, option


@dataclasses.dataclass(frozen=True)
class RuntimeConfig:
    """How a process computes, whatever its job is."""

    compilation_cache: str = option(
        '~/.cache/pano_dppnet/jax', 'directory of compiled programs; empty for none', path=WRITTEN
    )
    coordinator_address: str | None = option(None, 'host:port of process 0 of a multi-host run')
    num_processes: int | None = option(None, 'processes of a multi-host run', lower_bound=1)
    process_id: int | None = option(None, 'rank of this process in a multi-host run', lower_bound=0)


def cache_folder(path: str) -> str | None:
    """The directory of compiled programs that an option names, or None for an empty one."""
    return os.path.expanduser(path) if path else None


def start(config: RuntimeConfig, *, join: bool = True) -> None:
    """Sets up memory, compiled programs and devices of this process, before any computation.

    Args:
        config: the settings; without an address, processes of a cluster find each other.
        join: whether to join the other processes of a multi-host run at all.

    Raises:
        ValueError: the processes cannot join each other; see `common.parallel.initialize`.
    """
    import jax

    from common import memory, parallel

    memory.keep_memory()
    folder = cache_folder(config.compilation_cache)
    if folder and _is_usable(folder):
        jax.config.update('jax_compilation_cache_dir', folder)
        jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.5)
    if join:
        parallel.initialize(
            coordinator_address=config.coordinator_address,
            num_processes=config.num_processes,
            process_id=config.process_id,
        )


def _is_usable(folder):
    """Makes the directory of compiled programs; says so if that cannot be done."""
    try:
        os.makedirs(folder, exist_ok=True)
        if os.access(folder, os.W_OK | os.X_OK):
            return True
        reason = 'it is read-only'
    except OSError as error:
        reason = error.strerror or str(error)
    logging.warning(
        'no compiled programs are kept, which only takes time: --compilation_cache=%s: %s',
        folder,
        reason,
    )
    return False
