"""--mode=export of `depth_main`: the depth network as files for other runtimes."""

import pathlib

from absl import flags as absl_flags

from common import export
from experiments import flags
from experiments.depth_choice import say, trained_model
from pano_depth.results import export as depth_export


def default_checkpoint(workdir: str | None) -> str:
    """The networks that are meant if none are named: those trained in the workdir, or the
    package's.
    """
    trained = workdir and (pathlib.Path(workdir).expanduser() / 'checkpoints').is_dir()
    return workdir if trained else 'default'


def export_depth(params, model, checkpoint: str, values: absl_flags.FlagValues) -> str:
    """Writes the files that the flags ask for.

    Args:
        params: {'depth', 'pose'} parameters.
        model: their `ModelConfig`.
        checkpoint: where they come from.
        values: the flags.

    Returns:
        What to tell the user.

    Raises:
        ValueError: for an unknown format, a missing package, a height that does not fit, or a file
            that does not give the results of JAX.
    """
    config = flags.build(export.ExportConfig, flag_values=values)
    export.check_formats(config.format)
    network = depth_export.exportable(
        params, model, height=values.export_height, pixels=config.pixels
    )
    with export.destination(
        values.workdir, checkpoint, flags.as_flagfile(flag_values=values)
    ) as folder:
        record = export.write(network, folder, config.format, source={'checkpoint': checkpoint})
    return f'{export.summary(record)}\nfiles and {export.RECORD_FILE} are in {folder}'


def main(values: absl_flags.FlagValues) -> None:
    """Exports."""
    checkpoint = values.checkpoint or default_checkpoint(values.workdir)
    params, model = trained_model(values, checkpoint)
    say(export_depth(params, model, checkpoint, values))
