"""The search against other optimisers on a table, where the true front is known.

    python experiments/benchmarks/search/quality.py
        --table=nas_bench_201.npz --devices=raspi4,1080ti_1 --output=FOLDER

Measures hypervolume after each evaluation, relative to that of the whole table, for the search of
this project and for eight others: a boosted-tree surrogate on the same encoding, one-op Pareto
local search, random search, NSGA-II and TPE of Optuna, NSGA-II of pymoo, qLogNEHVI of BoTorch on
the same encoding, ParEGO of SMAC3 (extra [bench]). Each run is a line of `curves.jsonl`; recorded
runs are not run again. Writes `table.md`, `table.json` and `curves.png`.
"""

import json
import pathlib
import sys
import time

sys.path.insert(
    0, str(pathlib.Path(__file__).resolve().parents[3])
)  # works from a checkout, from any directory

import matplotlib
import numpy as np
from absl import app, flags

from common.run import atomic_path, write_json
from experiments.benchmarks.search.peers import PEERS
from experiments.benchmarks.search.tables import read_runs
from nas.search import acquisition, pareto
from nas.search.search import Search
from nas.tables import tabular

matplotlib.use('Agg')
from matplotlib import pyplot as plt

FLAGS = flags.FLAGS
flags.DEFINE_string('table', None, 'The npz file of the benchmark.', required=True)
flags.DEFINE_enum('benchmark', 'nas_bench_201', sorted(tabular.BENCHMARKS), 'Which table it is.')
flags.DEFINE_list(
    'devices', ['raspi4', '1080ti_1'], 'Latency columns; each is a separate experiment.'
)
flags.DEFINE_list('methods', None, 'Methods to run, default all.')
flags.DEFINE_integer('seeds', 20, 'Runs of each method.', lower_bound=1)
flags.DEFINE_integer('budget', 500, 'Evaluations of each run.', lower_bound=100)
flags.DEFINE_string('output', None, 'Folder for the results.', required=True)

MARKS = (50, 100, 200, 500)  # evaluations at which the table reads the curves
INITIAL = 20  # random cells before a model-based or local search of the comparison starts


def ours(space, objectives, budget, seed):
    """The progressive search of this project with its LSTM ensemble."""
    search = Search(
        space, objectives, seed=seed, reference={name: space.reference[name] for name in objectives}
    )
    cells = []
    while len(cells) < budget:
        batch = search.ask(budget - len(cells))
        cells += batch
        for cell in batch:
            search.tell(cell, space.evaluate(cell))
    return cells


def boosted_trees(space, objectives, budget, seed, batch=10):
    """Boosted trees on one-hot operations and live-graph features; they score every cell."""
    from sklearn.ensemble import GradientBoostingRegressor

    points = space.points(objectives)
    features = np.array([space.features(cell) for cell in space.cells])
    one_hot = (space.ops[:, :, None] == np.arange(space.choices)).reshape(len(points), -1)
    inputs = np.concatenate([one_hot, features], axis=1)
    rows = np.random.default_rng(seed).permutation(len(points))[:INITIAL].tolist()
    while len(rows) < budget:
        model = GradientBoostingRegressor(
            n_estimators=200, max_depth=4, learning_rate=0.05, subsample=0.8, random_state=seed
        )
        model.fit(inputs[rows], np.log(points[rows, 0]))
        left = np.setdiff1d(np.arange(len(points)), rows)
        predicted = points[left].copy()
        predicted[:, 0] = np.exp(model.predict(inputs[left]))
        chosen = acquisition.select(
            min(batch, budget - len(rows)),
            predicted,
            0 * predicted,
            points[rows],
            np.ones(points.shape[1]),
        )
        rows += left[chosen].tolist()
    return [space.cells[row] for row in rows]


def local_search(space, objectives, budget, seed):
    """Changes one operation of a random member of the front; if none is left, a random cell."""
    random = np.random.default_rng(seed)
    order = [space.cells[row] for row in random.permutation(len(space.cells))]
    points = dict(zip(space.cells, space.points(objectives)))
    cells = order[:INITIAL]
    while len(cells) < budget:
        seen = set(cells)
        front = pareto.non_dominated([points[cell] for cell in cells])
        near = [
            [n for n in (*space.grow(cell), *space.mutate(cell)) if n not in seen]
            for cell, keep in zip(cells, front)
            if keep
        ]
        near = [others for others in near if others]
        others = (
            near[random.integers(len(near))]
            if near
            else [next(cell for cell in order if cell not in seen)]
        )
        cells.append(others[random.integers(len(others))])
    return cells


def random_search(space, objectives, budget, seed):
    """Different cells, uniformly."""
    del objectives
    return [
        space.cells[row]
        for row in np.random.default_rng(seed).permutation(len(space.cells))[:budget]
    ]


def _optuna(sampler):
    """A method that asks a sampler of Optuna; repeated cells count, since it would train them."""

    def method(space, objectives, budget, seed):
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.create_study(
            sampler=sampler(optuna.samplers, seed), directions=['minimize'] * len(objectives)
        )
        points, cells = dict(zip(space.cells, space.points(objectives))), []

        def objective(trial):
            cells.append(
                space.at(
                    [
                        trial.suggest_categorical(f'op{i}', range(space.choices))
                        for i in range(space.ops.shape[1])
                    ]
                )
            )
            return tuple(points[cells[-1]])

        study.optimize(objective, n_trials=budget)
        return cells

    return method


def pymoo_nsga2(space, objectives, budget, seed, population=20):
    """NSGA-II of pymoo on integers, without duplicates inside a population."""
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.problem import ElementwiseProblem
    from pymoo.operators.crossover.sbx import SBX
    from pymoo.operators.mutation.pm import PM
    from pymoo.operators.repair.rounding import RoundingRepair
    from pymoo.operators.sampling.rnd import IntegerRandomSampling
    from pymoo.optimize import minimize

    points, cells = dict(zip(space.cells, space.points(objectives))), []

    class Problem(ElementwiseProblem):
        def _evaluate(self, x, out, *args, **kwargs):
            cells.append(space.at(x))
            out['F'] = points[cells[-1]]

    problem = Problem(
        n_var=space.ops.shape[1], n_obj=len(objectives), xl=0, xu=space.choices - 1, vtype=int
    )
    algorithm = NSGA2(
        pop_size=population,
        sampling=IntegerRandomSampling(),
        eliminate_duplicates=True,
        crossover=SBX(vtype=float, repair=RoundingRepair()),
        mutation=PM(vtype=float, repair=RoundingRepair()),
    )
    minimize(problem, algorithm, ('n_eval', budget), seed=seed)
    return cells[:budget]


METHODS = {
    'ours': ours,
    'boosted trees': boosted_trees,
    'local search': local_search,
    'random': random_search,
    'Optuna NSGA-II': _optuna(lambda samplers, seed: samplers.NSGAIISampler(seed=seed)),
    'Optuna TPE': _optuna(lambda samplers, seed: samplers.TPESampler(seed=seed)),
    'pymoo NSGA-II': pymoo_nsga2,
    **PEERS,
}


def summarise(runs, device):
    """Rows of the table of one device: method, median and lowest at each mark, seconds."""
    rows = []
    for method in METHODS:
        mine = [run for (d, m, _), run in runs.items() if d == device and m == method]
        if mine:
            length = min(len(run['hypervolume']) for run in mine)
            curves = np.array([run['hypervolume'][:length] for run in mine])
            marks = [mark for mark in MARKS if mark <= length]
            rows.append(
                {
                    'device': device,
                    'method': method,
                    'runs': len(mine),
                    'median': {mark: float(np.median(curves[:, mark - 1])) for mark in marks},
                    'lowest': {mark: float(curves[:, mark - 1].min()) for mark in marks},
                    'seconds': float(np.median([run['seconds'] for run in mine])),
                }
            )
    return rows


def write_results(folder, runs, devices):
    """Writes table.md, table.json and curves.png and prints the table."""
    rows = [row for device in devices for row in summarise(runs, device)]
    marks = [mark for mark in MARKS if all(mark in row['median'] for row in rows)]
    lines = [
        '| device | method | runs | '
        + ' | '.join(f'{mark} (lowest)' for mark in marks)
        + ' | s per run |',
        '|---' * (4 + len(marks)) + '|',
    ]
    for row in rows:
        values = ' | '.join(
            f'{row["median"][mark]:.3f} ({row["lowest"][mark]:.3f})' for mark in marks
        )
        lines.append(
            f'| {row["device"]} | {row["method"]} | {row["runs"]} | {values} |'
            f' {row["seconds"]:.0f} |'
        )
    print('\n'.join(lines))
    with atomic_path(folder / 'table.md') as path:
        path.write_text('\n'.join(lines) + '\n')
    write_json(folder / 'table.json', rows)
    draw(folder / 'curves.png', runs, devices)


def draw(path, runs, devices):
    """Median over the seeds of the missing hypervolume, and the band between the quartiles."""
    figure, axes = plt.subplots(
        1, len(devices), figsize=(5.5 * len(devices), 4.2), squeeze=False, sharey=True
    )
    for axis, device in zip(axes[0], devices):
        for method in METHODS:
            curves = [
                run['hypervolume']
                for (d, m, _), run in sorted(runs.items())
                if d == device and m == method
            ]
            if curves:
                length = min(map(len, curves))
                low, middle, high = np.quantile(
                    1 - np.array([c[:length] for c in curves]), (0.25, 0.5, 0.75), axis=0
                )
                steps = np.arange(1, length + 1)
                (line,) = axis.plot(
                    steps, middle, label=method, linewidth=2.5 if method == 'ours' else 1.2
                )
                axis.fill_between(steps, low, high, color=line.get_color(), alpha=0.12, linewidth=0)
        axis.set(
            title=device, xlabel='evaluations', yscale='log', xlim=(20, None), ylim=(8e-4, 0.5)
        )
        axis.grid(alpha=0.3, which='both')
    axes[0][0].set_ylabel('hypervolume missing to the true front')
    axes[0][-1].legend(fontsize=8)
    figure.tight_layout()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=130)
    plt.close(figure)


def main(argv):
    """Runs what is missing, seed by seed, then writes the results."""
    del argv
    methods = FLAGS.methods or list(METHODS)
    unknown = [method for method in methods if method not in METHODS]
    if unknown:
        raise app.UsageError(f'--methods has {unknown[0]!r}; accepted are {", ".join(METHODS)}')
    folder = pathlib.Path(FLAGS.output)
    folder.mkdir(parents=True, exist_ok=True)
    devices = FLAGS.devices if FLAGS.benchmark == 'nas_bench_201' else ['']
    try:
        spaces = {
            device: tabular.BENCHMARKS[FLAGS.benchmark](FLAGS.table, device=device or None)
            for device in devices
        }
    except ValueError as error:
        raise app.UsageError(str(error)) from None
    objectives = tabular.OBJECTIVES[FLAGS.benchmark]
    runs = read_runs(folder / 'curves.jsonl', ('device', 'method', 'seed'))
    for seed in range(FLAGS.seeds):
        for device, space in spaces.items():
            for method in methods:
                if (
                    len(runs.get((device, method, seed), {'hypervolume': ()})['hypervolume'])
                    >= FLAGS.budget
                ):
                    continue
                start = time.perf_counter()
                try:
                    cells = METHODS[method](space, objectives, FLAGS.budget, seed)
                except ImportError as error:
                    raise app.UsageError(
                        f"{method} needs the package {error.name}: pip install 'pano-dppnet[bench]'"
                    ) from None
                run = {
                    'device': device,
                    'method': method,
                    'seed': seed,
                    'seconds': round(time.perf_counter() - start, 2),
                    'hypervolume': (
                        np.round(space.relative_hypervolume(cells, objectives), 6).tolist()
                    ),
                }
                with open(folder / 'curves.jsonl', 'a') as file:
                    file.write(json.dumps(run) + '\n')
                runs[device, method, seed] = run
                marks = ' '.join(
                    f'{run["hypervolume"][mark - 1]:.4f}'
                    for mark in MARKS
                    if mark <= len(run['hypervolume'])  # a table may be smaller than the budget
                )
                print(f'{device} {method} seed {seed}: {marks}  {run["seconds"]:.0f} s', flush=True)
    write_results(folder, runs, devices)


if __name__ == '__main__':
    app.run(main)
