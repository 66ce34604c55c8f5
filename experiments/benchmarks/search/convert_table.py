"""Converts the public files of NAS-Bench-201, NATS-Bench, HW-NAS-Bench and Macro for --benchmark.

    python experiments/benchmarks/search/convert_table.py --accuracies=NAS-Bench-201-v1_1-096897.pth
        --latencies=HW-NAS-Bench-v1_0.pickle --output=nas_bench_201.npz

`--accuracies` takes NAS-Bench-201 (.pth), NATS-Bench's topology space (.pickle.pbz2, or the folder
of its `simple` form), NASLib's `nb201_cifar10_full_training.pickle`, NAS-Bench-Macro's JSON, or a
small JSON or CSV export with columns such as arch, val_acc, params, flops. `--latencies` takes
HW-NAS-Bench's pickle, or NAME=FILE (CSV, JSON, .npy, .txt) with the milliseconds of one device; it
may be repeated. PyTorch is not needed. Pickles are read by `nas.tables.public.pickles`, which runs
nothing that they hold. `nas.tables.tabular` documents the file that is written.
"""

import pathlib
import sys

# Works from a checkout, from any directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3]))

from absl import flags as absl_flags

from experiments import entry
from nas.tables.public.convert import convert

FLAGS = absl_flags.FLAGS


def define_flags() -> None:
    """Defines the flags, at a call only: other programs have flags of the same names."""
    absl_flags.DEFINE_string(
        'accuracies', None, 'File or folder with the accuracies of the cells.', required=True
    )
    absl_flags.DEFINE_multi_string(
        'latencies',
        [],
        "HW-NAS-Bench's pickle, or NAME=FILE with the milliseconds of one device; may be repeated.",
    )
    absl_flags.DEFINE_enum('epochs', '200', ['200', '12'], 'Epochs of the trainings that count.')
    for name, default in (
        ('arch', 'arch, arch_str, architecture ...'),
        ('accuracy', 'val_acc, accuracy, test_acc ...'),
        ('params', 'params'),
        ('macs', 'macs, flops'),
    ):
        absl_flags.DEFINE_string(
            f'{name}_column', None, f'Its column in a JSON or CSV export; default: {default}.'
        )
    absl_flags.DEFINE_string('output', None, 'The npz file to write.', required=True)


def main() -> None:
    """Converts what the flags name, and says how to search it."""
    names = {
        name: getattr(FLAGS, f'{name}_column')
        for name in ('arch', 'accuracy', 'params', 'macs')
        if getattr(FLAGS, f'{name}_column')
    }
    found = convert(
        FLAGS.accuracies, FLAGS.output, latencies=FLAGS.latencies, epochs=FLAGS.epochs, names=names
    )
    for column, count in found.without.items():
        print(f'{count} cells are left out, since they have no {column}')
    print(f'{found.path} holds {found.cells:,} cells: {", ".join(found.columns)}')
    devices = [name.removeprefix('lat_') for name in found.columns if name.startswith('lat_')]
    device = f' --device={devices[0]}' if devices else ''
    print(f'nas-search --benchmark={found.benchmark} --table={found.path}{device} --workdir=DIR')


if __name__ == '__main__':
    define_flags()
    entry.run(main)
