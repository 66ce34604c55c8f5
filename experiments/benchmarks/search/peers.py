"""Bayesian peers of `quality.py`: BoTorch's qLogNEHVI, and SMAC3 with ParEGO (extra `[bench]`).

Both start from `initial` cells. BoTorch gets all that the search of this project gets: tokens and
features of every cell, exact costs, batches of the same sizes. SMAC is made for any function: it
sees the operations as categories and learns from values alone, costs included.
"""

import logging
import tempfile
from collections.abc import Sequence

import numpy as np

from nas.search import acquisition
from nas.search.config import PlannerConfig
from nas.tables.table_space import TableSpace

SAMPLES = 32  # of the posterior; each sample has a front of its own
# Cells among which BoTorch chooses a batch: those with the largest expected hypervolume improvement
# alone. Looking at all cells for each choice takes several times as long.
SHORTLIST = 256
ITERATIONS = 100  # of a fit; more take ten times as long and predict no better
# Known cells that SMAC may propose before it takes random ones: with its default of 16 it often
# gives up on a small discrete space.
RETRIES = 2000


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
    """The acquisition function qLogNEHVI of BoTorch, over all cells that are not evaluated yet.

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
        short = _shortlist(score.model, pool[left], points[left], points[rows], SHORTLIST)
        rows += left[short[_best(score, pool[left[short]], count)]].tolist()
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
    likelihood = ExactMarginalLogLikelihood(model.likelihood, model)
    fit_gpytorch_mll(likelihood, optimizer_kwargs={'options': {'maxiter': ITERATIONS}})

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


def _shortlist(model, cells, points, evaluated, count: int) -> np.ndarray:
    """Places of `count` cells at most, by their expected hypervolume improvement alone.

    Args:
        model: predicts the logarithm of the first column.
        cells: inputs of the model, [N, F].
        points: [N, M] of the cells; the first column is not read, it is what an evaluation tells.
        evaluated: [K, M] of the evaluated cells.
    """
    import torch

    mean, std = points.copy(), np.zeros_like(points)
    with torch.no_grad():
        # The covariance of all cells together would be large.
        parts = [model.posterior(part) for part in cells.split(512)]
    mean[:, 0] = torch.cat([part.mean[:, 0] for part in parts]).exp().numpy()
    std[:, 0] = mean[:, 0] * torch.cat([part.variance[:, 0] for part in parts]).sqrt().numpy()
    worst = np.ones(points.shape[1])
    found = acquisition.most_promising(count, mean, std, evaluated, worst)
    # Few cells may promise anything: the most accurate ones fill the list up.
    others = np.setdiff1d(np.argsort(mean[:, 0], kind='stable'), found, assume_unique=True)
    return np.concatenate([np.array(found, int), others])[:count]


def _best(score, cells, count: int) -> list[int]:
    """Places of `count` cells at most, chosen one by one with the earlier ones pending."""
    import torch
    from botorch.optim.optimize import optimize_acqf_discrete

    found, _ = optimize_acqf_discrete(
        score, q=min(count, len(cells)), choices=cells, unique=True, return_acq_values=False
    )
    chosen, free = [], torch.ones(len(cells), dtype=torch.bool)
    for one in found.reshape(-1, cells.shape[1]):
        # Two cells may have equal inputs: each is found once.
        chosen.append(int(torch.nonzero((cells == one).all(dim=1) & free)[0]))
        free[chosen[-1]] = False
    return chosen


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

    logging.getLogger('smac').setLevel(logging.ERROR)
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
            config_selector=Facade.get_config_selector(scenario, retries=RETRIES),
            logging_level=False,
            overwrite=True,
        )
        facade.optimize()
    return cells[:budget]


PEERS = {'BoTorch qLogNEHVI': botorch_qlognehvi, 'SMAC3 ParEGO': smac_parego}
