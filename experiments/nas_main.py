"""Architecture search from the command line: `nas-search` or `python experiments/nas_main.py`.

nas-search --flagfile=experiments/flagfiles/digits_cpu.flags --workdir=runs/digits
nas-search --benchmark=nas_bench_201 --table=FILE --device=raspi4 --budget=500 --workdir=runs/table
nas-search --mode=train --from_search=runs/digits:balanced --dataset=digits --workdir=runs/balanced
nas-search --mode=train --network=dpp-net-panacea --dataset=cifar10:PATH --workdir=runs/panacea
nas-search --mode=cost --cell=bn_relu-lgconv1x1-bn_relu-gconv3x3 --skeleton=imagenet
nas-search --mode=cost --network=condensenet-86
nas-search --mode=cost --table
nas-search --mode=cost --network=condensenet-86 --device=xla:cpu,onnx:threads=1
"""

import json
import pathlib
import sys

# Works from a checkout, from any directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from absl import flags as absl_flags

from experiments import entry, flags, nas_choice
from experiments.nas_choice import Sizes
from nas.cells import plan, zoo
from nas.cells.cost import Cost, count


def plan_of(
    cell: str | None, network: str | None, skeleton: str | None, sizes: Sizes = Sizes()
) -> tuple[str, plan.Plan]:
    """Builds one cell on a skeleton, or one published network.

    Args:
        cell: tokens joined by hyphens, or a name in `zoo.CELLS`.
        network: a name in `zoo.NETWORKS`; exactly one of `cell` and `network` is given.
        skeleton: a name in `SKELETONS`, or None for the network's own, or cifar10 for a cell.
        sizes: what to change of the skeleton.

    Returns:
        (name, layer records).

    Raises:
        ValueError: for anything that does not exist or does not fit.
    """
    if (cell is None) == (network is None):
        given = 'both were given' if cell is not None else 'neither was given'
        raise ValueError(
            f'--mode=cost counts either a --cell or a --network, but {given}; '
            '--table counts all networks'
        )
    architecture = nas_choice.choose(cell, network, skeleton, sizes)
    return architecture.name, architecture.plan


def cost_of(
    cell: str | None, network: str | None, skeleton: str | None, sizes: Sizes = Sizes()
) -> dict[str, str | int]:
    """Counts one cell on a skeleton, or one published network; arguments and errors are those of
    `plan_of`.

    Returns:
        {'name', 'params', 'flops', 'macs'}.
    """
    name, layers = plan_of(cell, network, skeleton, sizes)
    return {'name': name, **count(layers)._asdict()}


def measure_on(layers: plan.Plan, lists: list[str], cache_folder: str) -> dict[str, dict]:
    """Measures a network on devices, one after the other.

    Args:
        layers: the network.
        lists: devices, see `nas.devices.specs.open_device`; each text may hold several with commas
            between.
        cache_folder: where measurements are kept, '' for nowhere.

    Returns:
        By spec, the fields of a `Measurement`, or {'error': reason} where the device gave none.

    Raises:
        ValueError: if a device does not exist or is not there; before anything is measured.
    """
    # Counting alone starts without JAX.
    from nas.devices import cache, specs
    from nas.devices.base import DeviceError

    devices = {spec: specs.open_device(spec) for text in lists for spec in specs.split_specs(text)}
    store = cache.Cache(cache_folder) if cache_folder else None
    results = {}
    for spec, device in devices.items():
        try:
            results[spec] = cache.measure(
                device, layers, cache=store, timing_lock=store and store.timing_lock
            ).as_dict()
        except DeviceError as error:
            results[spec] = {'error': str(error)}
    return results


def cost_table() -> str:
    """Returns the costs of all published networks, with the figures that their publications
    print.
    """
    header = ('network', *Cost._fields, 'published params', 'published flops')
    rows = [header]
    for network in zoo.NETWORKS.values():
        costs = (f'{value:,}' for value in count(network.plan()))
        rows.append((network.name, *costs, *(text or '-' for text in network.published)))
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = []
    for name, *figures in rows:
        figures = (text.rjust(width) for text, width in zip(figures, widths[1:]))
        lines.append('  '.join([name.ljust(widths[0]), *figures]))
    return '\n'.join(lines)


def run_cost(values: absl_flags.FlagValues) -> int:
    """--mode=cost: prints; 1 if a device failed."""
    if isinstance(values.table, str):
        raise ValueError(
            f'--table={values.table} belongs to --benchmark; with --mode=cost the flag stands alone'
        )
    chosen = values.cell, values.network, values.skeleton, flags.build(Sizes, flag_values=values)
    if values.table:
        if (*chosen, values.device) != (None, None, None, Sizes(), []):
            raise ValueError(
                '--table counts all published networks; give it without --cell, --network, '
                '--skeleton, --stages, --growth and --device'
            )
        print(cost_table())
        return 0
    result = cost_of(*chosen)
    if values.device:
        _, layers = plan_of(*chosen)
        result['devices'] = measure_on(layers, values.device, values.measurement_cache)
    print(json.dumps(result))
    return int(any('error' in figures for figures in result.get('devices', {}).values()))


def main() -> int:
    """Runs the mode that the flags ask for; 1 if a device failed. Raises ValueError for unusable
    input.
    """
    values = absl_flags.FLAGS
    # Who names one network without a mode wants to know about it.
    mode = values.mode or (
        'cost' if values.cell or values.network or values.table is True else 'search'
    )
    if mode == 'cost':
        return run_cost(values)
    if mode != 'train' and values.coordinator_address is not None:
        raise ValueError(
            f'--coordinator_address is for --mode=train, not --mode={mode}; a search spreads its'
            ' candidates with --executor=ray or slurm'
        )
    # No mode needs what the others import.
    if mode == 'train':
        from experiments import nas_train as job
    elif mode == 'export':
        from experiments import nas_export as job
    else:
        from experiments import nas_search as job
    job.main(values)
    return 0


def run() -> None:
    """Entry point of the console script `nas-search`."""
    # Not at import: `--mode` is a flag of depth_main too.
    from experiments import nas_flags  # with the recipe's flags comes JAX

    nas_flags.define(absl_flags.FLAGS)
    entry.run(main)


if __name__ == '__main__':
    run()
