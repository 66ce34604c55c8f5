"""Depth and camera motion from 360-degree video: training, evaluation, prediction, export.

    python experiments/depth_main.py --flagfile=FILE --workdir=runs/clip

Each mode is one function of `pano_depth` and one configuration, which the flags fill in.
"""

import pathlib
import sys

# Works from a checkout, from any directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from absl import flags as absl_flags

from common import runtime
from common.stopping import on_signals
from experiments import entry, flags

FLAGS = absl_flags.FLAGS


def main() -> None:
    """Runs the mode that the flags ask for. Raises ValueError for unusable input."""
    from experiments.depth_flags import MODES

    if not FLAGS.workdir:
        raise ValueError(entry.NO_WORKDIR)
    config = flags.build(MODES[FLAGS.mode])
    if FLAGS.mode == 'view':
        view(config)
        return
    compute(config)


def compute(config) -> None:
    """Runs the modes that compute: predict, eval, train, improve and export."""
    import tensorflow_datasets as tfds

    import pano_depth
    from common import parallel

    if not sys.stdout.isatty():
        tfds.disable_progress_bar()  # it would fill a log with its refreshed bars
    runtime.start(flags.build(runtime.RuntimeConfig))
    overwrite = {'overwrite': FLAGS.overwrite}
    with on_signals() as stop:
        if FLAGS.mode == 'train':
            pano_depth.train(config, FLAGS.workdir, stop=stop, **overwrite)
        elif FLAGS.mode == 'improve':
            pano_depth.improve(FLAGS.input, FLAGS.workdir, config, stop=stop, **overwrite)
        elif FLAGS.mode == 'eval':
            pano_depth.evaluate(FLAGS.input, FLAGS.workdir, config, **overwrite)
        elif FLAGS.mode == 'export':
            pano_depth.export_depth(FLAGS.workdir, config, **overwrite)
        else:
            pano_depth.reconstruct(
                FLAGS.input, FLAGS.workdir, config, stop=stop, again=False, **overwrite
            )
        parallel.wait_for_all()


def view(config) -> None:
    """Shows the run of --workdir until Ctrl-C; it takes no device, and writes and locks nothing."""
    import pano_depth

    page = pano_depth.view(
        FLAGS.workdir, port=config.port, host=config.host, points=config.view_points
    )
    print(f'{FLAGS.workdir} is shown at {page.url} until Ctrl-C', flush=True)
    page.wait()


def run() -> None:
    """Entry point of the console script `pano-depth`."""
    # Before the imports that take seconds.
    entry.require_workdir(sys.argv)
    from experiments import depth_flags

    depth_flags.define()
    entry.run(main, depth_flags.USAGE)


if __name__ == '__main__':
    run()
