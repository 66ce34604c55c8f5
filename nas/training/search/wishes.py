"""What the options of a search ask for: objectives, limits, and the `Search` that obeys them."""

from collections.abc import Sequence

from nas.search import loop
from nas.search.evaluations import Constraint
from nas.search.search import Search
from nas.search.space import Space
from nas.search.spaces.restricted import check_feasible, restrict
from nas.search.wishes.aims import Aims
from nas.training.config import SearchConfig, SearchOptions

OBJECTIVES = ('error', 'latency_ms', 'params')


def make_search(
    config: SearchOptions,
    space: Space,
    objectives: tuple[str, ...],
    *,
    reference: dict[str, float] | None = None,
) -> Search:
    """Makes a new `Search` from a configuration.

    Args:
        config: seed, constraints, worst error, sizes, budget, and which cells are included,
            forbidden or given by their beginning are used.
        space: the cells.
        objectives: what is minimised, or with a `-` before the name maximised.
        reference: worst values that count, by objective; `worst_error` replaces that of the error.

    Raises:
        ValueError: something does not fit, nothing is left to search, or the budget is smaller than
            a level.
    """
    worst = {} if config.worst_error is None else {'error': config.worst_error}
    if worst and 'error' not in Aims.parse(objectives).names:
        raise ValueError(
            f'--worst_error={config.worst_error:g} needs the error among the objectives; these are '
            f'{", ".join(objectives)}'
        )
    forbid, prefixes, include = map(given, (config.forbid, config.prefix, config.include))
    space = restrict(space, forbid=forbid, prefixes=prefixes)
    check_feasible(space, limits(config))
    search = Search(
        space,
        objectives,
        seed=config.seed,
        constraints=limits(config),
        reference={**(reference or {}), **worst},
        config=config.planner,
        include=include,
    )
    loop.check_budget(config.budget, config.planner.keep)
    if len(include) > config.budget:
        raise ValueError(
            f'--include names {len(include)} cells, more than --budget={config.budget}'
        )
    return search


def nothing_feasible(search: Search) -> str:
    """A sentence about a search that has found no cell within its constraints."""
    limits, nearest = ','.join(map(str, search.constraints)), search.least_infeasible()
    if nearest is None:
        return 'no cell was evaluated with success'
    values = ', '.join(f'{c.name} {nearest.objectives[c.name]:,.6g}' for c in search.constraints)
    return f'no cell satisfies {limits}; the nearest is {nearest.cell} with {values}'


def limits(config: SearchOptions) -> list[Constraint]:
    """The constraints of a search. Raises ValueError for one that cannot be read."""
    return [Constraint.parse(text) for text in given(config.constraints)]


def objectives_of(config: SearchOptions, default: tuple[str, ...] = OBJECTIVES) -> tuple[str, ...]:
    """The objectives, with `-` before those that are maximised, and own functions among them."""
    aims = Aims.parse(default if config.objectives is None else config.objectives)
    named = {*aims.names, *limited(config)}
    functions = config.objective if isinstance(config, SearchConfig) else ()
    own = [text.rpartition(':')[2] for text in given(functions)]
    return aims.texts + tuple(name for name in dict.fromkeys(own) if name not in named)


def wanted_of(config: SearchOptions, objectives: Sequence[str]) -> tuple[str, ...]:
    """Names of all values that a search needs of a candidate.

    Args:
        config: the constraints are used.
        objectives: by `objectives_of`.
    """
    return tuple(dict.fromkeys(Aims.parse(objectives).names + limited(config)))


def given(texts: tuple[str, ...]) -> list[str]:
    """The texts of an option that are not empty, without spaces around them."""
    return [text.strip() for text in texts if text.strip()]


def limited(config: SearchOptions) -> tuple[str, ...]:
    """Names that constraints limit."""
    return tuple(constraint.name for constraint in limits(config))
