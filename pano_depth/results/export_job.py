"""The depth network as files for other runtimes, in a run directory."""

import dataclasses
import pathlib

from common import export, export_workdir, options
from common.export_config import ExportConfig
from common.logs import say
from common.options import READ, check_options, option
from common.run import digest_of_tree
from pano_depth.learning import checkpoints
from pano_depth.learning.checkpoints import ModelChoice
from pano_depth.results import workdirs
from pano_depth.results.deployment import network as deployment
from pano_depth.results.export import exportable

NOT_CONDENSED = (
    'the training was stopped before its learned groups were condensed: they are pruned now, and'
    ' the files give another depth than the network of the checkpoint'
)


@dataclasses.dataclass(frozen=True)
class ExportDepthConfig:
    """Which network is exported, and how."""

    checkpoint: str | None = option(
        None,
        'networks to export: "default" (from the package), the workdir of a training run, or a'
        ' .npz of save_weights; default: the networks of the workdir, or of the package',
        path=READ,
    )
    export_height: int = option(
        0,
        'rows of the panorama that the file takes and of its depth, a multiple of 2 * face_size; 0'
        ' takes the largest up to 512',
        lower_bound=0,
    )
    model: ModelChoice = ModelChoice()
    export: ExportConfig = ExportConfig()

    def __post_init__(self):
        check_options(self)


def default_checkpoint(workdir: str | pathlib.Path | None) -> str:
    """The networks if none are named: those trained in the workdir, or the package's."""
    if workdir and (pathlib.Path(workdir).expanduser() / 'checkpoints').is_dir():
        return str(workdir)
    return 'default'


def export_depth(
    workdir: str | pathlib.Path,
    config: ExportDepthConfig = ExportDepthConfig(),
    *,
    overwrite: bool = False,
) -> dict:
    """Writes the depth network as ONNX or StableHLO; compares each file with JAX first.

    Args:
        workdir: a new directory, or the workdir of the networks themselves.
        config: which network, and how.
        overwrite: whether files of an earlier run in the workdir are removed; a training stays
            whose own workdir it is.

    Returns:
        What `export.json` holds, see `common.export.write`.

    Raises:
        ValueError: an unknown format, a missing package, a height that does not fit, or a file that
            does not give the results of JAX.
    """
    config = options.expand_paths(config)
    checkpoint = config.checkpoint or default_checkpoint(workdir)
    going = {'overwrite': overwrite, 'known': workdirs.FILES}
    export_workdir.check_destination(workdir, checkpoint, config, **going)
    params, model = checkpoints.trained_model(checkpoint, config.model)
    export.check_formats(config.export.format)
    network = exportable(params, model, height=config.export_height, pixels=config.export.pixels)
    if not deployment.is_condensed(params, model):
        say(NOT_CONDENSED)
    digests = {'--checkpoint': digest_of_tree(params, model)}
    with export_workdir.destination(workdir, checkpoint, config, inputs=digests, **going) as folder:
        record = export.write(
            network, folder, config.export.format, source={'checkpoint': checkpoint}
        )
    say(f'{export.summary(record)}\nfiles and {export.RECORD_FILE} are in {folder}')
    return record
