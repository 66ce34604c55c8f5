"""Who trains candidates, known without JAX."""

import dataclasses
from typing import Literal

from common.options import check_options, option
from common.runtime import RuntimeConfig


@dataclasses.dataclass(frozen=True)
class ExecutorConfig:
    """Who trains candidates, and with what.

    Raises:
        ValueError: on creation, for a number out of bounds or an unknown executor.
    """

    executor: Literal['serial', 'process', 'ray', 'slurm'] = option(
        'serial',
        'who trains candidates: this process, processes of their own, a Ray cluster, or jobs of a'
        ' Slurm cluster',
    )
    workers: int = option(1, '--executor=process: candidates at once', lower_bound=1)
    candidate_timeout: float | None = option(
        None, 'seconds after which a candidate has failed (process, ray, slurm)', lower_bound=1
    )
    cuda_devices: tuple[str, ...] = option(
        (), '--executor=process: CUDA devices to share out, such as 0,1,2,3'
    )
    devices_per_candidate: int = option(
        1,
        'devices that each candidate gets (process with --cuda_devices, ray on nodes with GPUs)',
        lower_bound=0,
    )
    ray_address: str | None = option(
        None,
        '--executor=ray: the cluster, "auto" for the one of this machine; default a new local one',
    )
    slurm_options: tuple[str, ...] = option(
        (),
        '--executor=slurm: options of the jobs as submitit and sbatch name them, such as'
        ' partition=gpu,timeout_min=120,gpus_per_node=1,cpus_per_task=4,mem_gb=16,'
        'array_parallelism=8; cluster=local runs them on this machine, for a trial',
    )
    compilation_cache: str = option(
        RuntimeConfig.compilation_cache,
        'directory of compiled programs of candidates in processes of their own; empty for none',
    )

    def __post_init__(self):
        check_options(self)
