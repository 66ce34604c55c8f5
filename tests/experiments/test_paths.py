"""Paths on both command lines: no option is forgotten, and every name of a file reaches its job."""

import os
import re

import pytest
from absl import flags as absl_flags

from common import options
from common.runtime import RuntimeConfig
from experiments import depth_flags, flags, nas_flags
from nas.devices import MeasureConfig

CONFIGS = [*depth_flags.MODES.values(), *nas_flags.MODES.values(), RuntimeConfig, MeasureConfig]
# Words in the help of an option that is a path.
_WORDS = re.compile(
    r'\b(directory|folder|file|FILE|PATH|path of a|image whose|workdir|\.npz|evaluations\.jsonl)\b'
)
# Options with such a word that are no paths.
NO_PATHS = {
    'projection': 'names of layouts',
    'rooms': 'name of a configuration',
    'export_to': 'names of tools',
    'format': 'names of formats',
    'device': 'specifications of devices',
    'objective': 'names of functions',
    'benchmark': 'name of a table',
    'slurm_options': 'name=value',
}
NAMES = ['~/my clip.mp4', '-odd', 'a:b', '100%d', 'Zürich 目', 'plain']
PLACES = {options.READ_BEHIND_COLON: 'folder:{}', options.READ_BEFORE_COLON: '{}:3'}


def texts():
    """(configuration, name of an option) of every option that takes a text."""
    for config in CONFIGS:
        for name, (_, kind) in options.fields_of(config).items():
            if options.literal(kind) in (str, tuple[str, ...]):
                yield config, name


@pytest.mark.parametrize('config, name', texts())
def test_an_option_whose_help_speaks_of_files_is_marked_as_a_path(config, name):
    field, _ = options.fields_of(config)[name]
    speaks = bool(_WORDS.search(field.metadata['help'])) and name not in NO_PATHS
    assert speaks == (name in options.path_options(config)), (
        f'{config.__name__}.{name}: give it path=, or add it to NO_PATHS'
    )


@pytest.mark.parametrize('text', NAMES)
@pytest.mark.parametrize(
    'config, name', [(config, name) for config in CONFIGS for name in options.path_options(config)]
)
def test_every_name_of_a_file_passes_through_flag_and_flagfile(config, name, text, monkeypatch):
    monkeypatch.setenv('HOME', '/home/ann')
    value = PLACES.get(options.path_options(config)[name], '{}').format(text)
    values = absl_flags.FlagValues()
    flags.define(config, flag_values=values)
    values(['program', f'--{name}={value}'])
    built = flags.build(config, flag_values=values)
    expanded = options.values_of(options.expand_paths(built))[name]
    assert expanded == value.replace('~', '/home/ann')
    text = options.flagfile(options.expand_paths(built))
    assert options.values_of(options.from_flagfile(config, text))[name] == expanded
    assert os.path.expanduser('~') == '/home/ann'
