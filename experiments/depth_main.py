"""Depth and camera motion from 360-degree video: training, evaluation, prediction, export.

    python experiments/depth_main.py --flagfile=FILE --workdir=runs/clip
    pano-depth --mode=cost --depth_cell=bn_relu,dwconv3x3,bn_relu,conv1x1 --depth_merge=add

Each mode is one function of `pano_depth` and one configuration, which the flags fill in.
"""

import json
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

    config = flags.build(MODES[FLAGS.mode])
    if FLAGS.mode == 'cost':
        print_cost(config)
        return
    if not FLAGS.workdir:
        raise ValueError(entry.NO_WORKDIR)
    if FLAGS.mode == 'view':
        view(config)
        return
    compute(config)


def print_cost(config) -> None:
    """--mode=cost: prints a line of JSON; it takes no accelerator, and writes nothing."""
    import jax

    from pano_depth.results.deployment import depth_cost

    jax.config.update('jax_platforms', 'cpu')
    print(json.dumps(depth_cost(config)))


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


def needs_workdir(argv) -> bool:
    """Whether a command line and its flagfiles ask for a mode that has a --workdir.

    Args:
        argv: name of the program and arguments.
    """
    values = absl_flags.FlagValues()
    for name, default in (('mode', None), ('flagfile', '')):
        absl_flags.DEFINE_string(name, default, '', flag_values=values)
    try:
        values(list(argv), known_only=True)
    except (absl_flags.Error, ValueError):
        return True
    return values.mode != 'cost'


def run() -> None:
    """Entry point of the console script `pano-depth`."""
    # Before the imports that take seconds.
    if needs_workdir(sys.argv):
        entry.require_workdir(sys.argv)
    from experiments import depth_flags

    depth_flags.define()
    entry.run(main, depth_flags.USAGE)


if __name__ == '__main__':
    run()
