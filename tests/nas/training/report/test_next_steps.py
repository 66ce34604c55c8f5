"""The commands on the page of a search are those that the program takes."""

import shlex

import pytest

from common import options
from nas.training.config import ExportTrainedConfig, RecipeConfig, SearchConfig, TrainConfig
from nas.training.report.next_steps import next_steps


def steps(workdir='runs/mine', role='most accurate', **values):
    config = options.make(SearchConfig, values)
    return [shlex.split(command) for _, command in next_steps(config, workdir, role)]


def parsed(cls, words):
    """The configuration that a command line asks for."""
    return options.from_flagfile(cls, '\n'.join(words[1:]))


def test_training_takes_what_the_search_was_given_but_not_its_epochs():
    train, export = steps(
        dataset='folder:my images', crop=1, mirror=False, epochs=4, growth=(4, 8), seed=3
    )
    assert train[:2] == ['nas-search', '--mode=train'] and export[1] == '--mode=export'
    config = parsed(TrainConfig, train)
    assert config.from_search == 'runs/mine:most_accurate' and config.dataset == 'folder:my images'
    assert (config.recipe.crop, config.recipe.mirror) == (1, False)
    # Seed, length and skeleton are the training's own, or come with the cell.
    assert config.recipe.epochs == RecipeConfig().epochs and config.seed == TrainConfig().seed
    assert config.sizes == TrainConfig().sizes
    assert (
        '--workdir=runs/mine-most_accurate' in train
        and '--workdir=runs/mine-most_accurate' in export
    )
    assert parsed(ExportTrainedConfig, export).files.format == ('onnx', 'stablehlo')


@pytest.mark.parametrize('workdir', ['runs/my search', "it's; rm -rf", '$HOME/x'])
def test_a_shell_reads_odd_folders_as_they_are(workdir):
    train, export = steps(workdir=workdir, role='fastest')
    assert f'--from_search={workdir}:fastest' in train
    assert f'--workdir={workdir}-fastest' in train and f'--workdir={workdir}-fastest' in export


def test_cells_of_a_table_are_not_trained():
    assert steps(benchmark='nas_bench_201', table='x.npz') == []
