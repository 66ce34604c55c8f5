"""Exports a trained network as checked files for other runtimes."""

import os
from typing import Any

from common import export, export_workdir, options
from common.logs import say
from common.run import digest_of_tree
from nas.training.config import ExportTrainedConfig
from nas.training.export import exportable
from nas.training.trained import FILES, load_trained


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
    export_workdir.check_destination(workdir, os.fspath(checkpoint), config, **going)
    trained = load_trained(checkpoint, which=config.which)
    network = exportable(trained, pixels=config.files.pixels)
    digests = {'--checkpoint': digest_of_tree(trained.variables, trained.meta, config.which)}
    source = {'checkpoint': os.fspath(checkpoint), 'which': config.which, 'step': trained.step}
    with export_workdir.destination(
        workdir, os.fspath(checkpoint), config, inputs=digests, **going
    ) as folder:
        record = export.write(network, folder, config.files.format, source=source)
    say(f'{export.summary(record)}\nfiles and {export.RECORD_FILE} are in {folder}')
    return record
