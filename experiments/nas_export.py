"""--mode=export of `nas_main`: trained networks as files for other runtimes."""

from absl import flags as absl_flags

from common import export
from experiments import flags
from nas.training import export as nas_export
from nas.training.trained import open_trained


def define(values: absl_flags.FlagValues) -> None:
    """Defines the flags of this mode in `values`."""
    absl_flags.DEFINE_string(
        'checkpoint',
        None,
        '--mode=export: workdir of the --mode=train whose network '
        'is exported; default: --workdir itself.',
        flag_values=values,
    )
    absl_flags.DEFINE_enum(
        'which',
        'best',
        ['best', 'last'],
        '--mode=export: the network with the lowest held-out error, or that of the last step.',
        flag_values=values,
    )
    flags.define(export.ExportConfig, flag_values=values)


def main(values: absl_flags.FlagValues) -> None:
    """Writes the files that the flags ask for, and says how well they agree with JAX.

    Args:
        values: the flags.

    Raises:
        ValueError: for no trained network, an unknown format, a missing package, or a file that
            does not give the results of JAX.
    """
    for flag in ('network', 'cell', 'from_search'):
        if values[flag].value is not None:
            raise ValueError(
                f'--{flag}={values[flag].value} names a network that is not trained; train it '
                f'with --mode=train --{flag}={values[flag].value} --workdir=DIRECTORY, then '
                'export it with --mode=export --checkpoint=DIRECTORY'
            )
    checkpoint = values.checkpoint or values.workdir
    if not checkpoint:
        raise ValueError(
            '--mode=export takes a trained network: --checkpoint has to name the workdir of a '
            '--mode=train'
        )
    config = flags.build(export.ExportConfig, flag_values=values)
    export.check_formats(config.format)
    trained = open_trained(checkpoint, which=values.which)
    network = nas_export.exportable(trained, pixels=config.pixels)
    workdir, flags_text = values.workdir, flags.as_flagfile(flag_values=values)
    with export.destination(workdir, checkpoint, flags_text) as folder:
        record = export.write(
            network,
            folder,
            config.format,
            source={'checkpoint': checkpoint, 'which': values.which, 'step': trained.step},
        )
    print(f'{export.summary(record)}\nfiles and {export.RECORD_FILE} are in {folder}', flush=True)
