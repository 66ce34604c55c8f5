"""Architecture search from the command line: `nas-search` or `python experiments/nas_main.py`.

    nas-search --flagfile=experiments/flagfiles/digits_cpu.flags --workdir=runs/digits
    nas-search --benchmark=nas_bench_201 --table=FILE --device=raspi4 --budget=500
        --workdir=runs/table
    nas-search --mode=train --from_search=runs/digits:balanced --dataset=digits
        --workdir=runs/balanced
    nas-search --mode=train --network=dpp-net-panacea --dataset=cifar10:PATH --workdir=runs/panacea
    nas-search --mode=cost --cell=bn_relu-lgconv1x1-bn_relu-gconv3x3 --skeleton=imagenet
    nas-search --mode=cost --network=condensenet-86
    nas-search --mode=cost --table
    nas-search --task=depth --device=onnx:threads=1 --workdir=runs/depth
    nas-search --mode=serve --budget=60 --workdir=runs/served
    nas-search --mode=cost --network=condensenet-86 --device=xla:cpu,onnx:threads=1

Each mode is one function of `nas` and one configuration, which the flags fill in; the search of
depth networks is `experiments.depth_search`.
"""

import json
import os
import pathlib
import sys

# Works from a checkout, from any directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from absl import flags as absl_flags

from common import runtime
from common.stopping import on_signals
from experiments import entry, flags, nas_flags
from experiments.nas_flags import FLAGS
from nas import cells

NOTHING_FEASIBLE = 3  # exit code of a search without a cell within its constraints


def main(values: absl_flags.FlagValues = FLAGS) -> int:
    """Runs the mode that the flags ask for; 1 if a device failed, 3 if no cell is feasible.

    Args:
        values: the flags; those of the process unless in a test.

    Raises:
        ValueError: for unusable input.
    """
    # A named network without a mode asks for its costs.
    counts = values.cell or values.network or values.table is True
    mode = values.mode or ('cost' if counts else 'search')
    if values.task == nas_flags.DEPTH:
        nas_flags.depth_config(mode, values)
    if mode == 'cost':
        return print_cost(values)
    if mode != 'train' and values.coordinator_address is not None:
        raise ValueError(
            f'--coordinator_address is for --mode=train, not --mode={mode}; a search spreads its'
            ' candidates with --executor=ray or slurm'
        )
    return run_job(mode, values)


def print_cost(values: absl_flags.FlagValues) -> int:
    """--mode=cost: prints a line of JSON or the table; 1 if a device failed. Loads no JAX."""
    config, measuring = nas_flags.cost_config(values)
    if values.table:
        print(cells.cost_table())
        return 0
    result = cells.cost_of(config)
    if config.ops:
        from nas.networks import own_ops

        own_ops.check_plan(cells.architecture_of(config).plan)
    if measuring.device:
        from nas.devices import measure_on

        result['devices'] = measure_on(cells.architecture_of(config).plan, measuring)
    print(json.dumps(result))
    return int(any('error' in figures for figures in result.get('devices', {}).values()))


def run_job(mode: str, values: absl_flags.FlagValues) -> int:
    """Runs the modes that compute: search, serve, train and export; returns the exit code."""
    config = nas_flags.config_of(mode, values)
    if not values.workdir and not (mode == 'export' and config.checkpoint is None):
        raise ValueError(entry.NO_WORKDIR)

    import nas
    from common import parallel

    settings = flags.build(runtime.RuntimeConfig, flag_values=values)
    runtime.start(settings, join=mode == 'train')
    code = 0
    with on_signals() as stop:
        if mode == 'train':
            nas.train(config, values.workdir, stop=stop, overwrite=values.overwrite)
        elif mode == 'export':
            nas.export_trained(config, values.workdir, overwrite=values.overwrite)
        elif mode == 'serve':
            nas.serve_search(
                config,
                values.workdir,
                sys.stdin.buffer,
                _own_stdout(),
                stop=stop,
                overwrite=values.overwrite,
            )
        else:
            search = nas.run_search
            if values.task == nas_flags.DEPTH:
                from experiments.depth_search.job import search_depth as search
            found = search(config, values.workdir, stop=stop, overwrite=values.overwrite)
            code = 0 if found.front() else NOTHING_FEASIBLE
        parallel.wait_for_all()
    return code


def _own_stdout():
    """Stdout for answers alone: whatever else this process prints goes to stderr from here on."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), 'w')
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return answers


def run() -> None:
    """Entry point of the console script `nas-search`."""
    # Not at import: `--mode` is a flag of depth_main too.
    nas_flags.define()
    entry.run(main, nas_flags.USAGE)


if __name__ == '__main__':
    run()
