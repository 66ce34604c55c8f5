"""Exports a trained network as checked files for other runtimes."""

import os
from typing import Any

from common import export, options
from common.logs import say
from nas.training.config import ExportTrainedConfig
from nas.training.export import exportable
from nas.training.trained import load_trained


def export_trained(config: ExportTrainedConfig, workdir) -> dict[str, Any]:
    """Writes a trained network in the requested formats, and export.json.

    Needs the packages of the extra `export`.

    Args:
        config: the network and the files.
        workdir: directory of the export: a new one, or that of the training itself.

    Returns:
        What export.json holds, see `common.export.write`.

    Raises:
        ValueError: there is no trained network or directory, a format is unknown, a package is
            missing, or a file does not give the results of JAX. No files are left then.
    """
    checkpoint = config.checkpoint or workdir
    if not checkpoint:
        raise ValueError(
            '--mode=export takes a trained network: --checkpoint has to name the workdir of a '
            '--mode=train'
        )
    export.check_formats(config.files.format)
    trained = load_trained(checkpoint, which=config.which)
    network = exportable(trained, pixels=config.files.pixels)
    workdir = workdir and os.fspath(workdir)
    text = options.flagfile(config, mode='export', workdir=workdir)
    source = {'checkpoint': os.fspath(checkpoint), 'which': config.which, 'step': trained.step}
    with export.destination(workdir, os.fspath(checkpoint), text) as folder:
        record = export.write(network, folder, config.files.format, source=source)
    say(f'{export.summary(record)}\nfiles and {export.RECORD_FILE} are in {folder}')
    return record
