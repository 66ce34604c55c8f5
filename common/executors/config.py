"""The configuration of executors, which loads no JAX."""

import dataclasses
from typing import Literal

from common.options import WRITTEN, check_options, option
from common.runtime import RuntimeConfig


@dataclasses.dataclass(frozen=True)
class ExecutorConfig:
    """Where candidates are trained, and with which resources.

    Raises:
        ValueError: on creation, for a number out of bounds or an unknown executor.
    """

    executor: Literal['serial', 'process', 'ray', 'slurm'] = option(
        'serial',
        'where candidates are trained, or clips reconstructed: serial (here, in turn), process'
        ' (several processes on this machine), ray (a Ray cluster) or slurm (a Slurm cluster)',
    )
    workers: int = option(1, '--executor=process: how many at once', lower_bound=1)
    candidate_timeout: float | None = option(
        None,
        'seconds after which a candidate or clip is stopped, and has failed (process, ray, slurm)',
        lower_bound=1,
    )
    cuda_devices: tuple[str, ...] = option(
        (), '--executor=process: CUDA devices to divide among candidates, such as 0,1,2,3'
    )
    devices_per_candidate: int = option(
        1,
        'number of devices per candidate (process with --cuda_devices, ray on nodes with GPUs)',
        lower_bound=0,
    )
    ray_address: str | None = option(
        None,
        '--executor=ray: cluster address; "auto" joins that of this machine; default: a new one',
    )
    slurm_options: tuple[str, ...] = option(
        (),
        '--executor=slurm: options of the jobs, named as in submitit and sbatch, such as'
        ' partition=gpu,timeout_min=120,gpus_per_node=1,cpus_per_task=4,mem_gb=16,'
        'array_parallelism=8; cluster=local runs them on this machine, for a trial',
    )
    compilation_cache: str = option(
        RuntimeConfig.compilation_cache,
        'directory in which processes of candidates keep compiled programs; empty for none',
        path=WRITTEN,
    )

    def __post_init__(self):
        check_options(self)
