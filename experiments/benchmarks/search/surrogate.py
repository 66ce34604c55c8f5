"""How well the surrogate ranks cells of NAS-Bench-201 that it has not seen, beside boosted trees.

    python experiments/benchmarks/search/surrogate.py --table=nas_bench_201.npz [--output=FOLDER]

Kendall's tau between predicted and true mean validation error, median over draws of random training
cells: on all other cells, on the best tenth of them, and on those whose graph is not isomorphic to
a training cell's. Then the progressive case: trained on cells with up to l operations, refitted
warm from level to level, tau on level l + 1. The trees see the same features, and how often each
token occurs. Needs the extra `[bench]` (scikit-learn).
"""

import functools
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3]))  # works from any directory

import numpy as np
from absl import flags
from scipy import stats

from common.run import atomic_path, write_json
from experiments import entry
from nas.surrogate.surrogate import Surrogate
from nas.tables import nb201_encoding, tabular

FLAGS = flags.FLAGS
flags.DEFINE_string('table', None, 'The table, an npz file.', required=True)
flags.DEFINE_integer('draws', 10, 'Random training sets of each size.', lower_bound=1)
flags.DEFINE_multi_integer('sizes', [100, 200, 400], 'Training cells.', lower_bound=10)
flags.DEFINE_integer(
    'per_level', 40, 'Training cells of each level in the progressive case.', lower_bound=2
)
flags.DEFINE_string(
    'output', None, 'Folder for surrogate_quality.md and .json; none are written without it.'
)


class Trees:
    """Boosted trees on the logarithm of the error, with the surrogate's interface."""

    def __init__(self, length, vocabulary_size, features, *, seed=0):
        del length, features
        self._vocabulary_size, self._seed = vocabulary_size, seed

    def _inputs(self, tokens, features):
        present = (tokens[:, :, None] == np.arange(1, self._vocabulary_size + 1)).sum(axis=1)
        return np.concatenate([present, features], axis=1)

    def fit(self, tokens, features, errors):
        """Fits the trees; what an earlier call learned is forgotten."""
        try:
            from sklearn.ensemble import GradientBoostingRegressor
        except ImportError as error:
            raise ValueError(
                "scikit-learn is not installed: pip install 'pano-dppnet[bench]'"
            ) from error
        self._trees = GradientBoostingRegressor(
            n_estimators=300,
            learning_rate=0.05,
            max_depth=3,
            subsample=0.7,
            random_state=self._seed,
        )
        self._trees.fit(self._inputs(tokens, features), np.log(errors))

    def predict(self, tokens, features):
        """Predicted errors, and zeros for their spread, which the trees do not tell."""
        mean = np.exp(self._trees.predict(self._inputs(tokens, features)))
        return mean, np.zeros_like(mean)


MODELS = {'LSTM ensemble': Surrogate, 'boosted trees': Trees}


def graph_name(ops) -> str:
    """A string that isomorphic graphs share, by NAS-Bench-201's rule: no skips, no `none`."""
    nodes = ['in']
    for incoming in ((0,), (1, 2), (3, 4, 5)):
        parts = []
        for source, edge in enumerate(incoming):
            op = nb201_encoding.OPS[ops[edge]]
            if op != 'none' and nodes[source]:
                parts.append(nodes[source] if op == 'skip_connect' else f'({nodes[source]}){op}')
        nodes.append('+'.join(sorted(parts)))
    return nodes[3]


def make(model, inputs, seed):
    """A model without any examples."""
    return MODELS[model](
        inputs[0].shape[1], len(nb201_encoding.TOKENS), inputs[1].shape[1], seed=seed
    )


def tau(predicted, truth):
    """Kendall's tau-b."""
    return float(stats.kendalltau(predicted, truth).statistic)


def random_cells(model, inputs, errors, graphs, size, seed):
    """Scores of one training set drawn from the whole table."""
    order = np.random.default_rng(seed).permutation(len(errors))
    train, rest = order[:size], order[size:]
    surrogate = make(model, inputs, seed)
    surrogate.fit(*(part[train] for part in inputs), errors[train])
    mean, std = surrogate.predict(*(part[rest] for part in inputs))
    truth = errors[rest]
    best, unseen = truth <= np.quantile(truth, 0.1), ~np.isin(graphs[rest], graphs[train])
    miss = np.abs(mean - truth)
    return {
        'tau': tau(mean, truth),
        'best_tenth': tau(mean[best], truth[best]),
        'unseen_graphs': tau(mean[unseen], truth[unseen]),
        'within_2_std': float((miss <= 2 * std).mean()) if std.any() else None,
        'std_against_miss': tau(std, miss) if std.any() else None,
    }


def next_level(model, inputs, errors, levels, per_level, seed):
    """{level: tau} of a surrogate that has learned some cells of every level below."""
    rng = np.random.default_rng(seed)
    surrogate, train, scores = make(model, inputs, seed), np.zeros(0, int), {}
    for level in range(1, int(levels.max())):
        there = np.flatnonzero(levels == level)
        train = np.concatenate([train, rng.permutation(there)[:per_level]])
        surrogate.fit(*(part[train] for part in inputs), errors[train])
        new = levels == level + 1
        scores[level + 1] = tau(surrogate.predict(*(part[new] for part in inputs))[0], errors[new])
    return scores


def fit_times(inputs, errors, size):
    """Seconds (wall, CPU) of the first fit with its compilation, of a refit and of a prediction."""

    def clocked(work):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        return [time.perf_counter() - wall, time.process_time() - cpu]

    surrogate = make('LSTM ensemble', inputs, 0)
    examples = [part[:size] for part in (*inputs, errors)]

    def fit(count):
        surrogate.fit(*(part[:count] for part in examples))
        surrogate.predict(
            *(part[:1] for part in inputs)
        )  # waits for the fit, which runs on in the background

    cold = clocked(lambda: fit(size // 2))
    counts = np.linspace(size // 2 + 1, size, 5).astype(int)
    warm = np.median([clocked(functools.partial(fit, count)) for count in counts], axis=0)
    return {
        'cold': cold,
        'warm': warm.tolist(),
        'predict_all': clocked(lambda: surrogate.predict(*inputs)),
    }


def median(rows):
    """Median of each entry over dictionaries, None where an entry is None."""
    return {
        name: None if rows[0][name] is None else float(np.median([row[name] for row in rows]))
        for name in rows[0]
    }


def markdown(result) -> str:
    """The tables of a result."""
    form = lambda value: '-' if value is None else f'{value:.3f}'
    lines = [
        (
            '| cells | model | tau, all others | best tenth | unseen graphs | within 2 std | std to'
            ' miss |'
        ),
        '|---|---|---|---|---|---|---|',
    ]
    lines += [
        f'| {size} | {model} | ' + ' | '.join(map(form, row.values())) + ' |'
        for size, rows in result['random'].items()
        for model, row in rows.items()
    ]
    levels = list(next(iter(result['next_level'].values())))
    lines += [
        '',
        '| tau on the next level | ' + ' | '.join(map(str, levels)) + ' |',
        '|---' * (len(levels) + 1) + '|',
    ]
    lines += [
        f'| {model} | ' + ' | '.join(map(form, row.values())) + ' |'
        for model, row in result['next_level'].items()
    ]
    lines += ['', '| seconds | wall | CPU |', '|---|---|---|']
    lines += [
        f'| {name} | {wall:.2f} | {cpu:.2f} |' for name, (wall, cpu) in result['seconds'].items()
    ]
    return '\n'.join(lines) + '\n'


def main():
    """Prints the tables, and writes them if asked to."""
    space = tabular.load_nas_bench_201(FLAGS.table)
    errors = space.values['error']
    ops = np.array([nb201_encoding.parse(arch) for arch in space.cells])
    graphs = np.array([graph_name(row) for row in ops])
    levels = (ops != nb201_encoding.NONE).sum(axis=1)
    inputs = nb201_encoding.encode_batch(ops), nb201_encoding.features_batch(ops)
    result = {
        'draws': FLAGS.draws,
        'graphs': len(set(graphs)),
        'random': {},
        'next_level': {},
        'seconds': fit_times(inputs, errors, max(FLAGS.sizes)),
    }
    for size in FLAGS.sizes:
        result['random'][size] = {
            model: median(
                [
                    random_cells(model, inputs, errors, graphs, size, seed)
                    for seed in range(FLAGS.draws)
                ]
            )
            for model in MODELS
        }
        print(size, result['random'][size], flush=True)
    for model in MODELS:
        result['next_level'][model] = median(
            [
                next_level(model, inputs, errors, levels, FLAGS.per_level, seed)
                for seed in range(FLAGS.draws)
            ]
        )
    print(markdown(result))
    if FLAGS.output:
        folder = pathlib.Path(FLAGS.output)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / 'surrogate_quality.json', result)
        with atomic_path(folder / 'surrogate_quality.md') as path:
            path.write_text(markdown(result))


if __name__ == '__main__':
    entry.run(main)
