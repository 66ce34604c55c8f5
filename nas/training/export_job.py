"""Exports a trained network as checked files for other runtimes."""

import os
import pathlib
import re
from typing import Any

from common import export, export_workdir, options
from common.logs import say
from common.run import digest_of_tree, earlier_run
from nas.cells import own_ops
from nas.training.config import ExportTrainedConfig
from nas.training.export import exportable
from nas.training.network_file import FILES
from nas.training.trained import load_trained


def export_trained(
    config: ExportTrainedConfig, workdir, *, overwrite: bool = False
) -> dict[str, Any]:
    """Writes a trained network in the requested formats, and export.json.

    Needs the packages of the extra `export`.

    Args:
        config: the network and the files.
        workdir: directory of the export: a new one, or that of the training itself.
        overwrite: whether files of an earlier run in the workdir are removed; a training stays
            whose own workdir it is.

    Returns:
        What export.json holds, see `common.export.write`.

    Raises:
        ValueError: there is no trained network or directory, a format is unknown, a package is
            missing, or a file does not give the results of JAX. No files are left then.
    """
    config = options.expand_paths(config)
    checkpoint = config.checkpoint or workdir
    if not checkpoint:
        raise ValueError(
            '--mode=export takes a trained network: --checkpoint has to name the workdir of a '
            '--mode=train'
        )
    export.check_formats(config.files.format)
    going = {'overwrite': overwrite, 'known': FILES}
    _check_workdir(workdir, os.fspath(checkpoint), overwrite)
    export_workdir.check_destination(workdir, os.fspath(checkpoint), config, **going)
    trained = load_trained(checkpoint, which=config.which, ops=config.ops)
    network = exportable(trained, pixels=config.files.pixels)
    digests = {'--checkpoint': digest_of_tree(trained.variables, trained.meta, config.which)}
    digests |= own_ops.read(config.ops).inputs()
    source = {'checkpoint': os.fspath(checkpoint), 'which': config.which, 'step': trained.step}
    with export_workdir.destination(
        workdir, os.fspath(checkpoint), config, inputs=digests, **going
    ) as folder:
        record = export.write(network, folder, config.files.format, source=source)
    say(f'{export.summary(record)}\nfiles and {export.RECORD_FILE} are in {folder}')
    return record


def _check_workdir(workdir, checkpoint: str, overwrite: bool) -> None:
    """Refuses the directory of a run that is no training, or an export of another program.

    Raises:
        ValueError: names the flag by which it is known.
    """
    if not workdir:
        return  # `export_workdir` says what is missing
    paths = [pathlib.Path(path).expanduser().resolve() for path in (workdir, checkpoint)]
    own = paths[0] == paths[1]
    # An export into the workdir of the training itself replaces nothing of it.
    earlier, _ = earlier_run(workdir, overwrite=overwrite and not own)
    flags = re.findall(r'^--(?:no)?(\w+)(?:=(.*))?$', earlier or '', re.MULTILINE)
    known = {'mode', 'workdir', *options.fields_of(ExportTrainedConfig)}
    if own:
        foreign = [
            f'--mode={value}' for name, value in flags if name == 'mode' and value != 'train'
        ]
    else:
        foreign = [
            f'--{name}' for name, _ in flags if name not in known and ('mode', 'export') in flags
        ]
    if foreign:
        raise ValueError(
            f'workdir {workdir} holds a run with {foreign[0]}, which is no'
            f' {"training" if own else "export of nas-search"}; an export needs another --workdir'
        )
