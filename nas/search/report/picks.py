"""The outstanding cells of a search, and the rule by which each of them was chosen.

Source: DPP-Net (Dong et al., ECCV 2018) names, for each device, an accurate cell, a fast one, and
one that is balanced (Panacea) without defining the last; here it is `BALANCE_RULE`.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np

from nas.search.evaluations import Evaluation
from nas.search.report import words

ERROR = 'error'
BALANCED, ACCURATE = 'balanced', 'most accurate'
BALANCE_RULE = (
    'of the cells on the front, the one nearest to the best value of every objective at once, '
    'after each objective is scaled to 0..1 over the front (Euclidean distance)'
)
_ROLES = {ERROR: ACCURATE, 'latency_ms': 'fastest', 'memory_mb': 'least memory'} | {
    name: f'fewest {name}' for name in ('params', 'flops', 'macs')
}
# What a tie in the error goes to: the first of these that is an objective.
_FASTER = ('latency_ms', 'flops', 'macs', 'params')
# One standard error of an evaluation's error in percentage points, or None where it is not known.
Noise = Callable[[Evaluation], float | None]


@dataclasses.dataclass(frozen=True)
class Picks:
    """The outstanding cells, and what they were chosen from.

    Attributes:
        chosen: by role.
        rules: by role, the rule as a text: 'fastest with an error below 20 %'.
        limits: by objective (`-accuracy` if it is maximised), the worst value that counts, where it
            leaves out a part of the front.
        left_out: the part of the front beyond the limits.
    """

    chosen: dict[str, Evaluation] = dataclasses.field(default_factory=dict)
    rules: dict[str, str] = dataclasses.field(default_factory=dict)
    limits: dict[str, float] = dataclasses.field(default_factory=dict)
    left_out: tuple[Evaluation, ...] = ()

    def roles(self, evaluation: Evaluation) -> list[str]:
        """The roles of a cell."""
        return [role for role, chosen in self.chosen.items() if chosen is evaluation]

    @property
    def condition(self) -> str:
        """The limits as a text, such as 'with an error below 20 %'; '' without one."""
        parts = []
        for objective, limit in self.limits.items():
            name = words.title(objective)
            article = 'an' if name[0] in 'aeiou' else 'a'
            way = 'below' if words.sense(objective) > 0 else 'above'
            parts.append(f'{article} {name} {way} {words.quantity(limit, objective)}')
        return f'with {" and ".join(parts)}' if parts else ''


def standouts(search, *, noise: Noise | None = None) -> dict[str, Evaluation]:
    """The outstanding cells of a search by role, see `pick`."""
    return pick(search, noise=noise).chosen


def pick(search, *, noise: Noise | None = None) -> Picks:
    """Finds the outstanding cells of a search's front, among those better than its reference.

    Where no cell of the front is better than the reference, all of them count.

    Args:
        search: a `nas.search.Search`.
        noise: standard error of an error. Errors within one standard error of the lowest cannot be
            told apart, so that of these cells the fastest is the most accurate one.

    Returns:
        The cells by role: 'most accurate', 'fastest', ... for each objective, and 'balanced'. Ties
        go to the smaller sum of the scaled objectives. Nothing if the front is empty.
    """
    whole, objectives = search.front(), objective_texts(search)
    if not whole:
        return Picks()
    values = objective_values(whole, objectives)
    reference = np.asarray(search.reference(), np.float64)
    inside = (values < reference).all(axis=1)
    limits = {}
    if inside.any() and not inside.all():
        beyond = (values >= reference).any(axis=0)
        limits = {
            name: words.sense(name) * float(worst)
            for name, worst, cuts in zip(objectives, reference, beyond)
            if cuts
        }
    else:
        inside[:] = True
    front = [e for e, kept in zip(whole, inside) if kept]
    points = values[inside]
    scaled = _scaled(points)
    total = scaled.sum(axis=1)
    chosen, rules = {}, {}
    picks = Picks(limits=limits, left_out=tuple(e for e, kept in zip(whole, inside) if not kept))
    for column, name in enumerate(objectives):
        role = role_of(name)
        place, why = int(np.lexsort((total, points[:, column]))[0]), ''
        if name == ERROR and noise is not None:
            place, why = _least_error(front, points, objectives, place, noise)
        chosen[role] = front[place]
        rules[role] = ' '.join(filter(None, (role, picks.condition, why)))
    nearest = int(np.lexsort((total, np.linalg.norm(scaled, axis=1)))[0])
    chosen[BALANCED] = front[nearest]
    rules[BALANCED] = ' '.join(filter(None, (BALANCED, picks.condition)))
    return dataclasses.replace(picks, chosen=chosen, rules=rules)


def objective_texts(search) -> tuple[str, ...]:
    """The objectives as a user writes them, with `-` before what is maximised."""
    aims = getattr(search, 'aims', None)
    return tuple(search.objectives) if aims is None else aims.texts


def objective_values(evaluations: Sequence[Evaluation], objectives: Sequence[str]) -> np.ndarray:
    """Objectives as they are minimised, float64 [N, M]: the negatives of what is maximised."""
    rows = [
        [words.sense(name) * e.objectives[words.bare(name)] for name in objectives]
        for e in evaluations
    ]
    return np.array(rows, np.float64).reshape(-1, len(objectives))


def role_of(objective: str) -> str:
    """The role of the best cell in an objective, such as 'fastest' in `latency_ms`."""
    if words.sense(objective) < 0:
        return f'highest {words.bare(objective)}'
    return _ROLES.get(objective, f'lowest {objective}')


def _scaled(points: np.ndarray) -> np.ndarray:
    """Each column over 0..1; a column of a single value is 0."""
    spread = np.ptp(points, axis=0)
    return (points - points.min(axis=0)) / np.where(spread > 0, spread, 1)


def _least_error(
    front: Sequence[Evaluation],
    points: np.ndarray,
    objectives: Sequence[str],
    lowest: int,
    noise: Noise,
) -> tuple[int, str]:
    """(place of the most accurate cell, how a tie was decided); `lowest` has the lowest error."""
    one = noise(front[lowest])
    faster = next((name for name in _FASTER if name in objectives), None)
    if not one or not math.isfinite(one) or faster is None:
        return lowest, ''
    errors, cost = points[:, objectives.index(ERROR)], points[:, objectives.index(faster)]
    tied = np.flatnonzero(errors <= errors[lowest] + one)
    place = int(tied[np.lexsort((errors[tied], cost[tied]))[0]])
    if place == lowest:
        return lowest, ''
    least = f'least {words.title(faster)}' if faster != 'latency_ms' else 'fastest'
    return place, (
        f'({least} of the {len(tied)} cells within one standard error, '
        f'{words.doubt(one)} points, of the lowest error, '
        f'{words.quantity(errors[lowest], ERROR)})'
    )
