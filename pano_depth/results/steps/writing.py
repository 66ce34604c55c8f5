"""The files of a reconstruction in its run directory, which lists them before they are written."""

from common.logs import say
from common.run import RunDirectory, write_json
from common.stopping import Stop
from pano_depth.reconstruction import evaluate
from pano_depth.results import predict, report
from pano_depth.results.exports import folders
from pano_depth.results.files.fusion import file_name
from pano_depth.results.reconstruction import Reconstruction


def write(run: RunDirectory, result: Reconstruction, config, stop: Stop) -> None:
    """Writes images, paths, clouds and exports; adds what is known of them to the result's facts.

    Args:
        run: the directory.
        result: what is written.
        config: `ReconstructConfig`.
        stop: request to stop.

    Raises:
        Stopped: there was a request to stop; every file that is there is complete.
    """
    run.writes(*predict.files_of(result, npy=config.npy))
    result.facts.update(
        predict.write_all(
            run.path, result, npy=config.npy, cloud_voxel=config.cloud_voxel, stop=stop
        )
    )
    tools = config.exports.export_to
    if tools:
        made = [
            file_name(tool, number, '/') for tool in tools for number in range(len(result.pieces))
        ]
        run.writes(*made, keep=False)
        result.facts['exports'] = folders.export(run.path, result, config.exports, stop=stop)
        run.writes(*(name for name in made if (run.path / name).is_dir()))


def write_scores(run: RunDirectory, result: Reconstruction) -> None:
    """Writes scores, if there are any, and the report.

    Args:
        run: the directory.
        result: with its scores.
    """
    run.writes(report.REPORT_FILE)
    if result.scores is not None:
        run.writes('eval.json')
        write_json(run.path / 'eval.json', result.scores)
        say(evaluate.summary(result.scores))
    report.depth_report(run.path)
    say(f'results are in {run.path}, report.html shows them')
