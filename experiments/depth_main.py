"""Depth and camera motion from 360-degree video: training, evaluation, prediction, export.

python experiments/depth_main.py --flagfile=experiments/flagfiles/clip_cpu.flags --workdir=/tmp/clip
"""

import os
import pathlib
import sys

# Works from a checkout, from any directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import jax
import tensorflow_datasets as tfds

from common import parallel
from common.memory import keep_memory
from common.stopping import on_signals
from experiments import depth_eval, depth_export, depth_predict, depth_train, entry
from experiments.depth_flags import FLAGS


def main():
    """Runs the mode that the flags ask for. Raises ValueError for unusable input."""
    if FLAGS.compilation_cache:
        cache = os.path.expanduser(FLAGS.compilation_cache)
        os.makedirs(cache, exist_ok=True)
        jax.config.update('jax_compilation_cache_dir', cache)
        jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.5)
    if not sys.stdout.isatty():
        tfds.disable_progress_bar()  # it would fill a log with its refreshed bars
    keep_memory()
    parallel.initialize(
        coordinator_address=FLAGS.coordinator_address,
        num_processes=FLAGS.num_processes,
        process_id=FLAGS.process_id,
    )
    with on_signals() as stop:
        if FLAGS.mode == 'train':
            depth_train.main(FLAGS, stop)
        elif FLAGS.mode == 'eval':
            depth_eval.main(FLAGS)
        elif FLAGS.mode == 'export':
            depth_export.main(FLAGS)
        else:
            depth_predict.main(FLAGS, stop)
        parallel.wait_for_all()


def run():
    """Entry point of the console script `pano-depth`."""
    entry.run(main)


if __name__ == '__main__':
    run()
