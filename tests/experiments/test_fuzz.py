"""Random flag values give a configuration, or a sentence that names the flag; nothing is run."""

import dataclasses
import math
import re
import sys

import pytest
from absl import flags as absl_flags
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common import options
from common.executors.open_executor import slurm_options
from common.export_config import ExportConfig
from common.options import option
from experiments import entry, flags, nas_flags
from nas.cells import zoo
from nas.cells.choice import Sizes
from nas.cells.cost_job import CostConfig, cost_of
from nas.devices import specs
from nas.search import rungs
from nas.search.earlier.found import found_cell
from nas.search.search import PlannerConfig
from nas.training import evaluate, recipe
from nas.training.config import SearchConfig
from nas.training.search.wishes import limits, objectives_of
from pano_depth.learning.model import ModelConfig
from pano_depth.learning.objective import LossConfig
from pano_depth.learning.train import RecipeConfig

# Derandomised, so that a failure is everybody's failure.
quick = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

ODD = (
    '',
    ' ',
    '0',
    '-0',
    '1',
    '-1',
    '3',
    '1e3',
    '0.5',
    '-0.5',
    '1e-400',
    'nan',
    '-nan',
    'inf',
    '-inf',
    '1e999',
    '9' * 30,
    '9' * 5000,
    '-' + '9' * 30,
    '0x10',
    '1_000',
    '\u0661\u0662',
    '\xbd',
    'true',
    'None',
    '1,2',
    '4,8,16',
    ',',
    '1,,2',
    '\x00',
    '\ud800',
    '\u202e1',
    '\uff4e\uff41\uff4e',
    '--steps=1',
    '#',
    '\n',
    '\r',
    'a\u2028b',
)
values = st.one_of(
    st.sampled_from(ODD), st.text(max_size=20), st.integers().map(str), st.floats().map(str)
)
CONFIGS = {
    config.__name__: config
    for config in (
        ModelConfig,
        LossConfig,
        RecipeConfig,
        ExportConfig,
        recipe.RecipeConfig,
        evaluate.EvaluationConfig,
        Sizes,
    )
}
FIELDS = sorted(
    (name, field.name) for name, config in CONFIGS.items() for field in dataclasses.fields(config)
)


def numbers_in(value):
    items = value if isinstance(value, tuple) else (value,)
    return [item for item in items if isinstance(item, (int, float))]


@settings(quick, max_examples=200)
@given(st.sampled_from(FIELDS), values)
def test_fields_of_every_configuration(field, text):
    config, name = CONFIGS[field[0]], field[1]
    parsed = absl_flags.FlagValues()
    skip = [other.name for other in dataclasses.fields(config) if other.name != name]
    flags.define(config, skip=skip, flag_values=parsed)
    try:
        parsed(['program', f'--{name}={text}'])
        built = flags.build(config, flag_values=parsed)
    except (ValueError, absl_flags.Error) as error:
        assert name in str(error) or 'skeleton' in str(error), error
    else:
        assert all(math.isfinite(number) for number in numbers_in(getattr(built, name)))


@pytest.mark.parametrize(
    'config, name, value',
    [
        (RecipeConfig, 'learning_rate', -1e-3),
        (RecipeConfig, 'average', 1.5),
        (RecipeConfig, 'clip_norm', -1.0),
        (RecipeConfig, 'seed', -1),
        (LossConfig, 'pyramid', 0),
        (LossConfig, 'ssim_weight', 2.0),
        (LossConfig, 'pose_weight', -0.1),
        (LossConfig, 'minimum_from', -1.0),
        (rungs.Rungs, 'margin', math.nan),
        (recipe.RecipeConfig, 'momentum', 1.0),
        (evaluate.EvaluationConfig, 'validation_share', 0.0),
        (PlannerConfig, 'keep', 0),
    ],
)
def test_numbers_that_cannot_be_meant_are_refused(config, name, value):
    with pytest.raises(ValueError, match=f'{name} is {value}'):
        config(**{name: value})


@dataclasses.dataclass(frozen=True)
class Texts:
    """One flag of each kind that holds text."""

    title: str = 'a'
    names: tuple[str, ...] = ()
    several: tuple[str, ...] = option((), 'may be repeated', repeated=True)


def defined():
    made = absl_flags.FlagValues()
    flags.define(Texts, flag_values=made)
    absl_flags.DEFINE_string('flagfile', None, 'of absl', made)
    return made


@quick
@given(
    st.one_of(st.sampled_from(ODD), st.text(max_size=12)),
    st.lists(st.text(max_size=6), max_size=3),
    st.lists(st.text(max_size=6), max_size=2),
)
def test_a_flagfile_repeats_any_text_or_says_that_it_cannot(tmp_path, title, names, several):
    first, again = Texts(title, tuple(names), tuple(several)), defined()
    try:
        text = options.flagfile(first)
    except ValueError as error:
        assert '; accepted is text in one line' in str(error) or 'commas separate' in str(error)
        return
    path = tmp_path / 'flags.txt'
    path.write_text(text)
    again(again.read_flags_from_files(['program', f'--flagfile={path}'], force_gnu=False))
    built = flags.build(Texts, flag_values=again)
    # White space around the items of a list is none of theirs.
    assert built == dataclasses.replace(first, names=tuple(name.strip() for name in names))
    assert options.from_flagfile(Texts, text) == built


NAMES = (
    *ODD,
    'bn_relu-conv3x3',
    'bn-none',
    *zoo.CELLS,
    'condensenet-86',
    'tiny',
    'profile:phone',
    'command',
    'xla,batch=' + '9' * 400,
    'xla,batch=\u0663',
    'onnx:threads=',
)


@quick
@given(
    st.sampled_from(['cell', 'network', 'skeleton', 'device']),
    st.one_of(st.sampled_from(NAMES), st.text(max_size=30)),
)
def test_names_of_networks_and_devices(name, text):
    try:
        if name == 'device':
            for spec in specs.split_specs(text):
                specs.open_device(spec)
        else:
            chosen = {'cell': None, 'network': None, 'skeleton': None, name: text}
            if name == 'skeleton':
                chosen['cell'] = 'bn-conv1x1'
            assert cost_of(CostConfig(**chosen))['params'] > 0
    except ValueError as error:
        assert (
            any(word in str(error) for word in ('accepted', 'cell', 'not here'))
            and len(str(error)) < 9000
        )


def parsed(*arguments):
    found = absl_flags.FlagValues()
    nas_flags.define(found)
    found(['program', *arguments])
    return found


@quick
@given(st.lists(values, max_size=3), st.lists(values, max_size=3), st.lists(values, max_size=2))
def test_lists_of_a_search(constraints, slurm, objectives):
    config = SearchConfig(constraints=tuple(constraints), objectives=tuple(objectives))
    for check, words in (
        (lambda: limits(config), 'constraint'),
        (lambda: slurm_options(tuple(slurm)), '--slurm_options'),
        (lambda: objectives_of(config), 'objective|constraint'),
    ):
        try:
            found = check()
        except ValueError as error:
            assert re.search(words, str(error))
        else:
            assert all(text == text.strip() for text in found if isinstance(text, str))


def test_values_in_quotes_hold_commas():
    config = flags.build(
        SearchConfig, flag_values=parsed('--slurm_options=mem_gb=4,"exclude=a,b"'), table=None
    )
    assert slurm_options(config.execution.slurm_options) == {'mem_gb': 4, 'exclude': 'a,b'}


FOUND = (*ODD, ':', 'x:', ':0', 'x:0', f'x:{"9" * 5000}', 'x:balanced', '::')


@quick
@given(st.one_of(st.sampled_from(FOUND), st.text(alphabet='ab:09. \u0663', max_size=10)))
def test_names_of_found_cells(tmp_path, text):
    with pytest.raises(ValueError, match='--from_search='):
        found_cell(f'{tmp_path}/{text}')


@pytest.mark.parametrize(
    'argument',
    [
        '--rung_margin=nan',
        '--worst_error=inf',
        '--holdout=nan',
        '--candidate_timeout=1e999',
        '--budget=1e3',
        '--levels=-1',
        '--learning_rate=nan',
        '--stages=1,x',
        '--seed=-1',
        '--workers=\xbd',
    ],
)
def test_numbers_of_the_search_half_are_finite_and_within_bounds(argument):
    with pytest.raises(absl_flags.Error, match=argument.split('=')[0].strip('-')):
        parsed(argument)


@pytest.mark.parametrize(
    'error', [MemoryError('Unable to allocate 8 EiB'), OverflowError('int too large')]
)
def test_what_huge_numbers_lead_to_is_a_sentence(error, capsys, monkeypatch):
    def main():
        raise error

    if not absl_flags.FLAGS.is_parsed():
        monkeypatch.setattr(sys, 'argv', ['program'])
        absl_flags.FLAGS(['program'])
    assert entry.main_with_errors(main)(['program']) == 1
    assert capsys.readouterr().err == f'error: {error}\n'
