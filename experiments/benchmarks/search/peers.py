"""Bayesian peers of `quality.py`: BoTorch's qLogNEHVI, and SMAC3 with ParEGO (extra `[bench]`).

Both start from `initial` cells. BoTorch gets all that the search of this project gets: tokens and
features of every cell, exact costs, batches of the same sizes. SMAC is made for any function: it
sees the operations as categories and learns from values alone, costs included.
"""

import tempfile
from collections.abc import Sequence

import numpy as np

from nas.search.config import PlannerConfig
from nas.tables.table_space import TableSpace

SAMPLES = 64  # of the posterior; each sample has a front of its own
SHORTLIST = 512  # cells with the best values alone, among which a batch is chosen


def surrogate_inputs(space: TableSpace) -> np.ndarray:
    """What the surrogate reads of all cells, scaled to [0, 1]: float64 [N, F].

    How often each token occurs, then the features. Columns with one value are left out.
    """
    tokens = np.array([space.encode(cell) for cell in space.cells])
    counts = (tokens[:, :, None] == np.arange(1, space.vocabulary_size + 1)).sum(axis=1)
    inputs = np.concatenate([counts, [space.features(cell) for cell in space.cells]], axis=1)
    inputs = inputs[:, np.ptp(inputs, axis=0) > 0]
    return (inputs - inputs.min(axis=0)) / np.ptp(inputs, axis=0)


def batch_size(evaluated: int) -> int:
    """Size of a batch of our search after so many evaluations."""
    config = PlannerConfig()
    return max(config.batch, int(config.batch_growth * evaluated))


def botorch_qlognehvi(
    space: TableSpace, objectives: Sequence[str], budget: int, seed: int, initial: int = 20
) -> list[str]:
    """qLogNEHVI of BoTorch over all cells that are not evaluated yet.

    Source: Ament et al., Unexpected Improvements to Expected Improvement (NeurIPS 2023), on Daulton
    et al., Parallel Bayesian Optimization of Multiple Noisy Objectives (NeurIPS 2021).

    A Gaussian process with BoTorch's default kernel predicts the logarithm of the error, which is
    the first objective. All other objectives are exact costs.
    """
    import torch

    torch.manual_seed(seed)
    points = space.points(objectives)
    known = torch.from_numpy(points[:, 1:])  # joins the inputs, so that the objective can read it
    pool = torch.cat([torch.from_numpy(surrogate_inputs(space)), known], dim=1)
    errors = torch.from_numpy(points[:, :1]).log()
    rows = np.random.default_rng(seed).permutation(len(points))[: min(initial, budget)].tolist()
    while len(rows) < min(budget, len(points)):
        count = min(batch_size(len(rows)), budget - len(rows))
        score = _acquisition(pool, errors, rows, costs=known.shape[1], seed=seed)
        left = np.setdiff1d(np.arange(len(points)), rows)
        rows += left[_best(score, pool[left], count)].tolist()
    return [space.cells[row] for row in rows]


def _acquisition(pool, errors, rows, *, costs: int, seed: int):
    """The acquisition function after the evaluations `rows`; the last `costs` inputs are costs."""
    import torch
    from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
    from botorch.acquisition.multi_objective.objective import GenericMCMultiOutputObjective
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import SingleTaskGP
    from botorch.models.transforms.input import FilterFeatures
    from botorch.models.transforms.outcome import Standardize
    from botorch.sampling.normal import SobolQMCNormalSampler
    from gpytorch.mlls import ExactMarginalLogLikelihood

    read = torch.arange(pool.shape[1] - costs)
    model = SingleTaskGP(
        pool[rows],
        errors[rows],
        outcome_transform=Standardize(m=1),
        input_transform=FilterFeatures(read),
    )
    fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))

    def objective(samples, X):
        """Minus the error and the costs, since BoTorch maximises."""
        exact = X[..., -costs:].expand(*samples.shape[:-1], costs)
        return -torch.cat([samples.exp(), exact], dim=-1)

    return qLogNoisyExpectedHypervolumeImprovement(
        model,
        ref_point=[-1.0] * (1 + costs),
        X_baseline=pool[rows],
        sampler=SobolQMCNormalSampler(torch.Size([SAMPLES]), seed=seed),
        objective=GenericMCMultiOutputObjective(objective),
        prune_baseline=True,
    )


def _best(score, cells, count: int) -> np.ndarray:
    """Places of `count` cells, chosen one by one with the earlier ones pending.

    All cells have their value alone; the greedy choice is among the `SHORTLIST` best of these. A
    whole pool for each choice would take minutes.
    """
    import torch
    from botorch.optim.optimize import optimize_acqf_discrete

    with torch.no_grad():
        alone = torch.cat([score(part.unsqueeze(1)) for part in cells.split(2048)])
    places = alone.topk(min(SHORTLIST, len(cells))).indices
    short = cells[places]
    found, _ = optimize_acqf_discrete(
        score, q=count, choices=short, unique=True, return_acq_values=False
    )
    chosen, free = [], torch.ones(len(short), dtype=torch.bool)
    for one in found.reshape(-1, short.shape[1]):
        # Two cells may have equal inputs: each is found once.
        place = int(torch.nonzero((short == one).all(dim=1) & free)[0])
        free[place] = False
        chosen.append(int(places[place]))
    return np.array(chosen)


def smac_parego(
    space: TableSpace, objectives: Sequence[str], budget: int, seed: int, initial: int = 20
) -> list[str]:
    """SMAC3's random forest with ParEGO, one categorical parameter for each operation.

    Source: Lindauer et al., SMAC3 (JMLR 2022); Knowles, ParEGO (IEEE Trans. Evol. Comput. 2006).
    """
    from ConfigSpace import Categorical, ConfigurationSpace
    from smac import HyperparameterOptimizationFacade as Facade
    from smac import Scenario
    from smac.multi_objective.parego import ParEGO

    points, cells = dict(zip(space.cells, space.points(objectives))), []
    names = [f'op{place}' for place in range(space.ops.shape[1])]
    parameters = ConfigurationSpace(seed=seed)
    parameters.add([Categorical(name, list(range(space.choices))) for name in names])

    def evaluate(config, seed=0):
        del seed  # a table gives the same values each time
        cells.append(space.at([config[name] for name in names]))
        return dict(zip(objectives, map(float, points[cells[-1]])))

    with tempfile.TemporaryDirectory() as folder:
        scenario = Scenario(
            parameters,
            objectives=list(objectives),
            output_directory=folder,
            deterministic=True,
            n_trials=budget,
            seed=seed,
        )
        facade = Facade(
            scenario,
            evaluate,
            initial_design=Facade.get_initial_design(scenario, n_configs=initial, max_ratio=1.0),
            multi_objective_algorithm=ParEGO(scenario),
            logging_level=False,
            overwrite=True,
        )
        facade.optimize()
    return cells[:budget]


PEERS = {
    'BoTorch qLogNEHVI': botorch_qlognehvi,
    'SMAC3 ParEGO': smac_parego,
}
