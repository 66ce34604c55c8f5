"""Prepares a search of a table of trained cells: a look-up replaces training."""

import numpy as np

from common.run import digest_of, digest_of_path
from common.run.record import versions
from nas.search.earlier.provenance import Provenance
from nas.search.wishes.aims import Aims
from nas.tables import tabular
from nas.training.config import SearchConfig
from nas.training.report.next_steps import next_steps
from nas.training.search.prepared import Prepared
from nas.training.search.wishes import given, limited, objectives_of

_QUIET = 10.0  # seconds between lines, since evaluations take no time


def prepare_table(config: SearchConfig, workdir) -> Prepared:
    """Prepares a search of a table: a look-up replaces training.

    Args:
        config: what is searched and how.
        workdir: of the run.

    Raises:
        ValueError: an option cannot be used; the message names its flag.
    """
    name, columns = config.benchmark, config.measuring.device
    if config.ops:
        raise ValueError(f'--ops={config.ops} is for cells that are trained, not for --benchmark')
    if name not in tabular.BENCHMARKS:
        accepted = ', '.join(tabular.BENCHMARKS)
        raise ValueError(f'--benchmark={name} is unknown; accepted: {accepted}')
    if not config.table:
        raise ValueError(f'--benchmark={name} needs --table=FILE, an npz file')
    if len(columns) > 1:
        raise ValueError(f'--device names {", ".join(columns)}; a search of a table takes one')
    if given(config.objective):
        raise ValueError(
            f'--objective={config.objective[0]} is for cells that are trained, not for --benchmark'
        )
    named = objectives_of(config, tabular.OBJECTIVES[name])
    maximised = Aims.parse(named).maximised
    if maximised:
        raise ValueError(
            f'--objectives=-{maximised[0]} maximises; objectives of a table are minimised'
        )
    space = tabular.BENCHMARKS[name](
        config.table,
        device=columns[0] if columns else None,
        worst_error=config.worst_error if 'error' in named else None,
    )
    known = tuple(name for name in tabular.OBJECTIVES[config.benchmark] if name in space.values)
    names = objectives_of(config, known)
    space.points(names + limited(config))  # raises ValueError for names that the table lacks
    part = lambda done: space.relative_hypervolume([e.cell for e in done], names).tolist()
    return Prepared(
        space,
        names,
        space.evaluate,
        f'{name} on {columns[0]}' if columns else name,
        reference={name: space.reference[name] for name in names},
        # Costs are looked up again, so that only the errors of the table have to be the same.
        made_with=Provenance(
            {
                'name': f'table {name}',
                'digest': digest_of(np.array(space.cells), space.values.get('error')),
            },
            versions=versions(),
        ),
        inputs={'--table': digest_of_path(config.table)},
        extra=lambda evaluations: {'relative_hypervolume': part(evaluations)},
        noise=space.noise,
        quiet=_QUIET,
        next_steps=lambda role: next_steps(config, workdir, role),
    )
