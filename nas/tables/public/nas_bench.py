"""Reads NAS-Bench-201 (.pth), NATS-Bench (.pickle.pbz2, a file or a folder) and NASLib's pickles.

The layouts, by the public interfaces of these benchmarks (nas_201_api, nats_bench, naslib):

- NAS-Bench-201 and NATS-Bench: a dict with `meta_archs`, the strings by number, and `arch2infos`,
  by number and recipe ('full' and 'less', in NATS-Bench '200' and '12' epochs). A folder of
  NATS-Bench holds `meta.pickle.pbz2` and one file for each number. Each entry has `all_results` by
  (data set, seed), with `eval_acc1es` by 'x-valid@EPOCH', `epochs`, `params` and `flop` in
  millions.
- NASLib: a dict by string, with `eval_acc1es` by epoch and `cost_info` for each data set.
"""

import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

from nas.tables.public.pickles import read_pickle
from nas.tables.public.rows import Rows, checked_arch

EPOCHS = '200'
# The data set whose training leaves the validation split out, and that split.
DATA, SPLIT = 'cifar10-valid', 'x-valid'
_OLD_NAMES = {'200': 'full', '12': 'less'}
META, PACKED = 'meta', '.pickle.pbz2'


def read_benchmark(path, *, epochs: str = EPOCHS) -> Rows:
    """Reads CIFAR-10 validation accuracies, parameters and multiply-adds.

    Args:
        path: a file or a folder, see above.
        epochs: the recipe, '200' or '12'; NASLib's files have one only.

    Returns:
        The cells that were trained.

    Raises:
        ValueError: the path cannot be read or has another layout; the message names it.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        meta_path = path / f'{META}{PACKED}'
        if not meta_path.exists():
            raise ValueError(f'{path} is no folder of NATS-Bench: it has no {meta_path.name}')
        archs = _meta_archs(read_pickle(meta_path), meta_path)
        return _rows(path, archs, _files(path, len(archs)), epochs)
    found = read_pickle(path)
    if isinstance(found, dict) and 'arch2infos' in found:
        archs = _meta_archs(found, path)
        infos = found['arch2infos']
        if not isinstance(infos, Mapping):
            raise ValueError(f'{path}: arch2infos is a {type(infos).__name__}, not a dict by cell')
        return _rows(path, archs, iter(infos.items()), epochs)
    if isinstance(found, dict) and found and all(isinstance(key, str) for key in found):
        return _naslib(path, found)
    raise ValueError(
        f'{path} holds neither NAS-Bench-201 nor NATS-Bench (meta_archs, arch2infos) nor a table '
        'of NASLib (cells by their strings)'
    )


def _meta_archs(found: Any, path: pathlib.Path) -> list[str]:
    """The strings of all cells by number."""
    archs = found.get('meta_archs') if isinstance(found, dict) else None
    if not isinstance(archs, (list, tuple)) or not archs:
        raise ValueError(f'{path} has no meta_archs, the strings of the cells')
    archs = [str(arch) for arch in archs]
    if ':' in archs[0] and '~' not in archs[0]:
        raise ValueError(
            f'{path} is the size space of NATS-Bench (sss); the topology space (tss) is that of '
            'NAS-Bench-201'
        )
    checked_arch(path, archs[0])
    return archs


def _files(folder: pathlib.Path, count: int) -> Iterator[tuple[int, Any]]:
    """(number, infos) of the files of a folder; one at a time, since all together are large."""
    for number in range(count):
        for name in (f'{number:06d}{PACKED}', f'{number}{PACKED}'):
            if (folder / name).exists():
                yield number, read_pickle(folder / name)
                break


def _rows(path, archs: list[str], infos: Iterator[tuple[int, Any]], epochs: str) -> Rows:
    rows, order = Rows([], [], [], []), list(archs)
    for number, by_recipe in infos:
        try:
            info = by_recipe[epochs if epochs in by_recipe else _OLD_NAMES[epochs]]
            results = [info['all_results'][DATA, seed] for seed in info['dataset_seed'][DATA]]
            accuracies = [_last(result) for result in results]
            arch, params, macs = archs[number], results[0]['params'], results[0]['flop']
            params, macs = float(params), float(macs)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            known = sorted(map(str, by_recipe)) if isinstance(by_recipe, Mapping) else []
            raise ValueError(
                f'{path}: cell {number} has no {SPLIT} accuracies of {DATA} after {epochs} epochs '
                f'(missing: {error}); recipes: {", ".join(known) or "none"}'
            ) from error
        rows.archs.append(arch)
        rows.accuracies.append(accuracies)
        rows.params.append(params)
        rows.macs.append(macs)
    if not rows.archs:
        raise ValueError(f'{path} holds no trained cell')
    rows.order = order
    return rows


def _last(result: Mapping[str, Any]) -> float:
    """Accuracy after the last epoch, in percent."""
    return float(result['eval_acc1es'][f'{SPLIT}@{int(result["epochs"]) - 1}'])


def _naslib(path, found: Mapping[str, Any]) -> Rows:
    rows = Rows([], [], [], [])
    for arch, by_data in found.items():
        checked_arch(path, arch)
        try:
            result = by_data[DATA]
            costs = result['cost_info']
            accuracies = result['eval_acc1es']
            last = accuracies[max(accuracies)] if isinstance(accuracies, dict) else accuracies[-1]
            rows.accuracies.append([float(last)])
            rows.params.append(float(costs['params']))
            rows.macs.append(float(costs['flops']))
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise ValueError(
                f'{path}: cell {arch} has no accuracies or costs of {DATA} (missing: {error})'
            ) from error
        rows.archs.append(arch)
    return rows
