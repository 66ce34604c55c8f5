"""Depth and camera motion from 360-degree video: training, evaluation, prediction, export.

    python experiments/depth_main.py --flagfile=FILE --workdir=runs/clip

Each mode is one function of `pano_depth` and one configuration, which the flags fill in.
"""

import pathlib
import sys

# Works from a checkout, from any directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import tensorflow_datasets as tfds

import pano_depth
from common import parallel, runtime
from common.stopping import on_signals
from experiments import depth_flags, entry, flags
from experiments.depth_flags import FLAGS, MODES


def main() -> None:
    """Runs the mode that the flags ask for. Raises ValueError for unusable input."""
    if not sys.stdout.isatty():
        tfds.disable_progress_bar()  # it would fill a log with its refreshed bars
    if not FLAGS.workdir:
        raise ValueError("--workdir has to name a directory, new or an earlier run's")
    config = flags.build(MODES[FLAGS.mode])
    runtime.start(flags.build(runtime.RuntimeConfig))
    with on_signals() as stop:
        if FLAGS.mode == 'train':
            pano_depth.train(config, FLAGS.workdir, stop=stop)
        elif FLAGS.mode == 'eval':
            pano_depth.evaluate(FLAGS.input, FLAGS.workdir, config)
        elif FLAGS.mode == 'export':
            pano_depth.export_depth(FLAGS.workdir, config)
        else:
            pano_depth.reconstruct(FLAGS.input, FLAGS.workdir, config, stop=stop)
        parallel.wait_for_all()


def run() -> None:
    """Entry point of the console script `pano-depth`."""
    depth_flags.define()
    entry.run(main, depth_flags.USAGE)


if __name__ == '__main__':
    run()
