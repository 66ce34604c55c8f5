"""Tiny files in the layouts of NAS-Bench-201, NATS-Bench, HW-NAS-Bench and NASLib."""

import bz2
import collections
import io
import itertools
import pickle
import sys
import types
import zipfile

import numpy as np

from tests.nas.made_tables import arch_of

# All cells of two operations, in an order of their own, as the public numbers are.
OPS = np.random.default_rng(0).permutation(list(itertools.product((0, 3), repeat=6)))
ARCHS = [arch_of(ops) for ops in OPS]
CONVS = (OPS == 3).sum(axis=1)
SEEDS = (777, 888)


def accuracy(number, seed):
    return 60 + 5.0 * CONVS[number] + (0.5 if seed == 777 else 0.0)


def result(number, seed, epochs):
    """State of `ResultsCount`; the file has numbers of all epochs, and no weights."""
    return {
        'name': 'infer.tiny',
        'net_state_dict': None,
        'epochs': epochs,
        'seed': seed,
        'params': np.float64(0.07 + 0.01 * CONVS[number]),
        'flop': 7.0 + CONVS[number],
        'latency': [0.0123, 0.0125],
        'train_acc1es': {epoch: 99.0 for epoch in range(epochs)},
        'eval_names': ['x-valid', 'ori-test'],
        'eval_acc1es': {
            f'{name}@{epoch}': accuracy(number, seed) - (epochs - 1 - epoch) - (name == 'ori-test')
            for name in ('x-valid', 'ori-test')
            for epoch in range(epochs)
        },
        'arch_config': collections.OrderedDict(channel=16, num_cells=5),
    }


def info(number, epochs):
    """State of `ArchResults`."""
    return {
        'arch_index': number,
        'arch_str': ARCHS[number],
        'dataset_seed': {'cifar10-valid': list(SEEDS), 'cifar10': [777]},
        'all_results': {
            **{('cifar10-valid', seed): result(number, seed, epochs) for seed in SEEDS},
            ('cifar10', 777): result(number, 777, epochs),
        },
        'clear_net_done': True,
    }


def nas_bench_201():
    infos = {
        number: {'full': info(number, 3), 'less': info(number, 2)} for number in range(len(ARCHS))
    }
    return {
        'meta_archs': list(ARCHS),
        'arch2infos': collections.OrderedDict(infos),
        'evaluated_indexes': set(range(len(ARCHS))),
    }


def write_nats(folder):
    """A folder of NATS-Bench in its simple form."""
    folder.mkdir()
    with bz2.open(folder / 'meta.pickle.pbz2', 'wb') as file:
        pickle.dump({'meta_archs': ARCHS, 'evaluated_indexes': list(range(64))}, file, protocol=4)
    for number in range(len(ARCHS)):
        with bz2.open(folder / f'{number:06d}.pickle.pbz2', 'wb') as file:
            pickle.dump({'12': info(number, 2), '200': info(number, 3)}, file, protocol=4)


def hw_nas_bench():
    configs = [{'name': 'infer.tiny', 'arch_str': arch, 'num_classes': 10} for arch in ARCHS]
    return {
        'nasbench201': {
            'cifar10': {
                'config': configs,
                'raspi4_latency': [10.0 + 2 * convs for convs in CONVS],
                'edgegpu_latency': np.array(3.0 + CONVS),
                'edgegpu_energy': [20.0 + convs for convs in CONVS],
                'eyeriss_arithmetic_intensity': [1.0] * len(ARCHS),
            }
        },
        'fbnet': {},
    }


def naslib():
    return {
        arch: {
            'cifar10-valid': {
                'eval_acc1es': [50.0, accuracy(number, 777)],
                'cost_info': {'params': 0.07 + 0.01 * CONVS[number], 'flops': 7.0 + CONVS[number]},
            }
        }
        for number, arch in enumerate(ARCHS)
    }


class _Weight:
    """Pickles like a tensor: by a function of PyTorch and a storage outside the pickle."""

    def __reduce__(self):
        rebuild = sys.modules['torch._utils']._rebuild_tensor_v2
        return rebuild, ('a storage', 0, (2,), (1,), False, collections.OrderedDict())


class _Pickler(pickle.Pickler):
    def persistent_id(self, obj):
        return ('storage', 'FloatStorage', '0', 'cpu', 2) if obj == 'a storage' else None


def torch_bytes(value, *, zipped):
    """What `torch.save` writes, without PyTorch: `value` gets a tensor under 'weights'."""
    names = ('torch', 'torch._utils')
    kept = {name: sys.modules.get(name) for name in names}
    modules = {name: types.ModuleType(name) for name in names}

    def _rebuild_tensor_v2(*args):
        raise AssertionError('nothing of PyTorch may be called')

    _rebuild_tensor_v2.__module__ = 'torch._utils'
    _rebuild_tensor_v2.__qualname__ = '_rebuild_tensor_v2'
    modules['torch._utils']._rebuild_tensor_v2 = _rebuild_tensor_v2
    sys.modules.update(modules)
    try:
        out = io.BytesIO()
        if not zipped:
            for part in (0x1950A86A20F9469CFC6C, 1001, {'little_endian': True}):
                pickle.dump(part, out, protocol=2)
        _Pickler(out, protocol=2).dump({**value, 'weights': _Weight()})
        if not zipped:
            pickle.dump(['0'], out, protocol=2)
            return out.getvalue() + b'\0' * 16
    finally:
        for name, module in kept.items():
            sys.modules.pop(name)
            if module is not None:
                sys.modules[name] = module
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, 'w') as file:
        file.writestr('archive/data.pkl', out.getvalue())
        file.writestr('archive/data/0', b'\0' * 8)
    return archive.getvalue()
