"""Workdirs of the jobs: what is found out about one before the work, and what may lie in it."""

from collections.abc import Collection, Mapping
from typing import Any

from common import options
from common.export_config import FILES as EXPORTED
from common.run import check_workdir, earlier_run

_NUMBER = '[0-9]' * 6
# Names of what runs of before run.json listed their files may have written.
FILES = (
    *(f'depth/{_NUMBER}.png', f'depth/{_NUMBER}.npy', f'confidence/{_NUMBER}.png', 'refining*/*'),
    *('depth.mp4', 'trajectory*.txt', 'trajectory*.png', 'cloud*.ply', 'mask*.png', 'panels*.png'),
    *('eval.json', 'report.html', 'metrics.jsonl', 'events.out.tfevents.*', 'checkpoints/'),
    *EXPORTED,
)


def opening(config, *, overwrite: bool, **reads: str | None) -> dict[str, Any]:
    """How a job opens its workdir: arguments of `common.run.open_run` and `check_workdir`.

    Args:
        config: options of the job.
        overwrite: whether files of an earlier run are removed.
        **reads: paths that the job reads beside those of its options, by flag.
    """
    return {'overwrite': overwrite, 'known': FILES, 'reads': {**reads, **options.read_by(config)}}


def check(
    workdir,
    config,
    opened: Mapping[str, Any],
    *,
    what: str,
    free: Collection[str] = (),
    **beside: Any,
) -> tuple[str | None, dict]:
    """Refuses a directory that cannot be opened, or holds a run of other options.

    Args:
        workdir: the directory; None is accepted: nothing is written.
        config: options of the job.
        opened: see `opening`.
        what: what the job is, such as 'prediction', for messages.
        free: options that may differ when the run goes on.
        **beside: further flags of the command.

    Returns:
        (text of the flags, record) of an earlier run; None and {} where there is none.

    Raises:
        ValueError: the message names the directory, and what differs.
    """
    if workdir is None:
        return None, {}
    earlier, record = earlier_run(workdir, overwrite=opened['overwrite'])
    options.check_same(earlier, config, workdir=workdir, what=what, free=free, **beside)
    check_workdir(workdir, **opened)
    return earlier, record
