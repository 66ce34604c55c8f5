"""Opens an executor by its configuration."""

import contextlib
import csv
import pathlib

from common.executors.base import Executor
from common.executors.config import ExecutorConfig
from common.executors.process import ProcessExecutor
from common.executors.serial import SerialExecutor
from common.runtime import cache_folder


def open_executor(config: ExecutorConfig, workdir) -> Executor:
    """Opens the executor of a search.

    Args:
        config: the executor and its settings.
        workdir: of the search; jobs of a Slurm cluster keep their files in it.

    Raises:
        ValueError: a setting belongs to another executor, or its package is missing.
    """
    if config.slurm_options and config.executor != 'slurm':
        raise ValueError('--slurm_options belongs to --executor=slurm')
    common = {
        'timeout': config.candidate_timeout,
        'compilation_cache': cache_folder(config.compilation_cache),
    }
    if config.executor == 'process':
        return ProcessExecutor(
            workers=config.workers,
            devices=config.cuda_devices,
            devices_per_candidate=max(1, config.devices_per_candidate),
            **common,
        )
    if config.workers > 1 or config.cuda_devices:
        raise ValueError('--workers and --cuda_devices belong to --executor=process')
    if config.executor == 'slurm':
        from common.executors.slurm import SlurmExecutor  # the extra [slurm]

        folder = pathlib.Path(workdir).expanduser() / 'slurm'
        return SlurmExecutor(folder=folder, options=slurm_options(config.slurm_options), **common)
    if config.executor == 'ray':
        return _open_ray(config, common)
    if config.candidate_timeout:
        raise ValueError(
            '--candidate_timeout belongs to --executor=process, ray and slurm; the serial '
            'executor cannot stop what it runs'
        )
    return SerialExecutor()


def _open_ray(config: ExecutorConfig, common: dict) -> Executor:
    import jax

    from common.executors.ray import RayExecutor  # the extra [ray]

    gpus = config.devices_per_candidate if jax.default_backend() == 'gpu' else 0
    return RayExecutor(address=config.ray_address, devices_per_candidate=gpus, **common)


def slurm_options(texts: tuple[str, ...]) -> dict[str, int | float | str]:
    """Reads texts 'name=value' into a dict; a text of a flag may be quoted: '"exclude=a,b"'.

    Raises:
        ValueError: for a text of another form.
    """
    if any('"' in text for text in texts):
        # A value in quotes may hold commas, although flags split their lists at commas.
        texts = next(csv.reader([','.join(texts)]))
    options = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition('='))
        if not (name and equals and value):
            raise ValueError(f'--slurm_options has {text!r}; name=value is accepted')
        options[name.replace('-', '_')] = _number(value)
    return options


def _number(text: str) -> int | float | str:
    """The text as a number if it is one, or else the text."""
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return text
