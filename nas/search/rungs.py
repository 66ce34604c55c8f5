"""Early stopping of candidates when there are several objectives."""

import dataclasses
from collections.abc import Mapping, Sequence

from common.options import option


@dataclasses.dataclass(frozen=True)
class Rungs:
    """Early stopping with several objectives.

    At each rung a candidate is stopped if it is clearly dominated, that is, if an earlier candidate
    that is no worse in every known cost had an error lower by `margin` at the same rung. A more
    expensive candidate never stops a cheaper one, so the front keeps its cheap end. (Successive
    halving, Jamieson and Talwalkar 2016, ranks by error alone.)

    The records are those known when a batch began. A job carries them, so that stopping does not
    depend on the order in which the candidates of a batch finish.

    Attributes:
        fractions: parts of the full training after which candidates are compared, ascending, in (0,
            1).
        margin: percentage points of error.
        records: (costs, errors at the rungs) of earlier candidates.
    """

    fractions: tuple[float, ...] = option(
        (0.4, 0.7), 'parts of the training after which candidates are compared'
    )
    margin: float = option(
        10.0, 'percentage points of error by which a candidate is clearly dominated'
    )
    records: tuple[tuple[Mapping[str, float], tuple[float, ...]], ...] = ()

    def __post_init__(self):
        if list(self.fractions) != sorted(set(self.fractions)) or not all(
            0 < f < 1 for f in self.fractions
        ):
            raise ValueError(
                f'fractions are {self.fractions}; accepted: ascending, between 0 and 1'
            )
        if not self.margin >= 0:
            raise ValueError(f'margin is {self.margin}, it has to be at least 0')

    def epochs(self, planned: int) -> tuple[int, ...]:
        """Epochs of the rungs in `planned` epochs, without duplicates and the last epoch."""
        ends = {max(1, round(fraction * planned)) for fraction in self.fractions}
        return tuple(sorted(end for end in ends if end < planned))

    def dominated(self, costs: Mapping[str, float], rung: int, error: float) -> str | None:
        """Returns why a candidate is to be stopped at a rung, or None.

        Args:
            costs: the candidate's known costs by name, all minimised.
            rung: number of the rung, from 0.
            error: its error there, in percent.
        """
        better = [
            errors[rung]
            for other, errors in self.records
            if len(errors) > rung
            and errors[rung] + self.margin <= error
            and all(name in other and other[name] <= cost for name, cost in costs.items())
        ]
        if not better:
            return None
        names = ', '.join(costs) or 'error'
        return (
            f'stopped at rung {rung + 1} with an error of {error:.2f} %: a candidate no worse in'
            f' {names} had {min(better):.2f} % there'
        )

    def add(self, evaluated: Sequence[tuple[Mapping[str, float], tuple[float, ...]]]) -> 'Rungs':
        """Returns rungs with these candidates too: pairs of costs and `Result.rung_errors`."""
        new = tuple((dict(costs), tuple(errors)) for costs, errors in evaluated if errors)
        return dataclasses.replace(self, records=self.records + new)
