"""Trains by `rooms_gpu.flags` for some time and keeps the checkpoint, from which it goes on."""

import pathlib
import sys

from common.logs import read_metrics
from experiments.benchmarks.accelerators import limited

FLAGS, TOY = 'rooms_gpu.flags', 'rooms_quick.flags'
SAVING = 30  # seconds of the time in which the training may end its step and save its work


def run(output: pathlib.Path, seconds: float, *, toy: bool) -> tuple[list[dict], limited.Ended]:
    """Trains until the time is up; the same call goes on from the last step.

    Args:
        output: folder; the run directory is `rooms` in it, what it prints in `logs`.
        seconds: until the training is asked to stop, which it does with a checkpoint.
        toy: whether to take `rooms_quick.flags`, with steps without end.

    Returns:
        (one row, or none if nothing was learned, how the training ended).
    """
    workdir, name = output / ('rooms_toy' if toy else 'rooms'), TOY if toy else FLAGS
    before = _newest(workdir)
    command = [sys.executable, 'experiments/depth_main.py', f'--workdir={workdir.resolve()}']
    command += [f'--flagfile=experiments/flagfiles/{name}', '--log_every=10']
    # `input` compiles the same step.
    command += [f'--compilation_cache={(output / limited.COMPILED).resolve()}']
    command += ['--steps=1000000'] * toy
    log, until = output / 'logs' / 'rooms.log', max(1.0, seconds - SAVING)
    ended = limited.run(command, log, until, grace=SAVING)
    after, metrics = _newest(workdir), read_metrics(workdir)
    fresh = [row for row in metrics if row['step'] > (before or 0)]
    if after is None or not fresh:
        return [], ended
    if ended.how == 'out of time' and after > (before or 0):
        ended = ended._replace(how='done')  # it saved its work, as it was asked to
    return [
        {
            'flags': name,
            'from_step': before or 0,
            'to_step': after,
            'steps_per_second': fresh[-1]['steps_per_second'],
            'first_loss': fresh[0]['loss'],
            'last_loss': fresh[-1]['loss'],
            'checkpoint': str(workdir / 'checkpoints' / str(after)),
            'checkpoint_bytes': sum(
                path.stat().st_size
                for path in (workdir / 'checkpoints' / str(after)).rglob('*')
                if path.is_file()
            ),
        }
    ], ended


def _newest(workdir):
    """The step of the newest checkpoint of a run, or None."""
    folder = workdir / 'checkpoints'
    steps = [int(path.name) for path in folder.glob('*') if path.name.isdigit()]
    return max(steps, default=None)
