"""The commands that come after a search: train one of its cells, and export what was trained."""

import os
import shlex

from common import options
from nas.cells.choice import Sizes
from nas.training.config import ExportTrainedConfig, SearchConfig, TrainConfig

# What a training takes from the search by itself, or chooses anew: a search trains only shortly.
_OWN = {'skeleton', 'ops', 'seed', 'split_seed', 'epochs', *options.fields_of(Sizes)}
FORMATS = ('onnx', 'stablehlo')


def next_steps(config: SearchConfig, workdir, role: str) -> list[tuple[str, str]]:
    """The commands that train and export the cell of a role.

    Args:
        config: of the search.
        workdir: of the search, as its user wrote it.
        role: a role in search.json, such as 'most accurate'.

    Returns:
        (what it does, command) in their order; none for a search of a table, whose cells are not
        trained here.
    """
    if config.benchmark:
        return []
    name = role.replace(' ', '_')
    folder = os.fspath(workdir).rstrip('/')
    target = f'{folder}-{name}'
    given = options.values_of(config)
    train = [f'--from_search={folder}:{name}', *_shared(given, TrainConfig), f'--workdir={target}']
    export = export_command(target, *_shared(given, ExportTrainedConfig))
    epochs = TrainConfig().recipe.epochs
    return [
        (f'Train it ({epochs} epochs; --epochs=N for another number):', _command('train', train)),
        ('Export what was trained (needs the extra [export]):', export),
    ]


def export_command(workdir, *flags: str) -> str:
    """The command that exports the network of a training into its own workdir."""
    formats = f'--format={",".join(FORMATS)}'
    return _command('export', [*flags, f'--workdir={os.fspath(workdir)}', formats])


def _shared(given: dict, cls: type) -> list[str]:
    """The options that the other mode has as well, and would take another value for."""
    fields, usual = options.fields_of(cls), options.values_of(cls())
    lines = []
    for option, value in given.items():
        if option in usual and option not in _OWN and value != usual[option]:
            repeated = options.repeats(fields[option][0])
            lines += options.flag_lines(option, value, repeated=repeated)
    return lines


def _command(mode: str, flags: list[str]) -> str:
    return shlex.join(['nas-search', f'--mode={mode}', *flags])
