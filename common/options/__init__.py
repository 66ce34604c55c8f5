"""Configurations as frozen dataclasses: their fields say what they mean, a flagfile repeats them.

A configuration may hold others: the options of all of them are one flat list of names, which are
also the names of flags (`experiments.flags`). Nothing here knows absl or JAX.

    @dataclasses.dataclass(frozen=True)
    class TrainConfig:
        checkpoint: str = option('none', 'networks to start from')
        recipe: RecipeConfig = RecipeConfig()

    text = flagfile(TrainConfig(), mode='train')        # '--checkpoint=none', '--batch_size=4' ...
    config = from_flagfile(TrainConfig, text)
"""

from common.options.checks import check_options
from common.options.fields import (
    default_of,
    fields_of,
    held,
    is_required,
    literal,
    make,
    option,
    optional_fields,
    prefix_of,
    repeats,
    values_of,
)
from common.options.flagfiles import check_same, differences, flag_lines, flagfile, from_flagfile
from common.options.paths import (
    READ,
    READ_BEFORE_COLON,
    READ_BEHIND_COLON,
    READ_LIST,
    WRITTEN,
    expand,
    expand_paths,
    path_options,
    read_by,
)

__all__ = [
    'READ',
    'READ_BEFORE_COLON',
    'READ_BEHIND_COLON',
    'READ_LIST',
    'WRITTEN',
    'check_options',
    'check_same',
    'default_of',
    'differences',
    'expand',
    'expand_paths',
    'fields_of',
    'flag_lines',
    'flagfile',
    'from_flagfile',
    'held',
    'is_required',
    'literal',
    'make',
    'option',
    'optional_fields',
    'path_options',
    'prefix_of',
    'read_by',
    'repeats',
    'values_of',
]
