"""What a search needs before it goes on, and what its own objectives change."""

import json
import pathlib
from types import SimpleNamespace

import pytest

from common import options
from nas.cells import own_ops
from nas.cells.cell import Cell
from nas.training.config import SearchConfig
from nas.training.objectives.functions import read_objectives
from nas.training.objectives.kept import check_same_functions, inputs_of, write_functions
from nas.training.search.measuring import rungs_of
from nas.training.search.of_images import prepare_images
from nas.training.search.running import check_goes_on

LINE = {'index': 0, 'level': 1, 'cell': 'bn-conv1x1', 'status': 'ok', 'objectives': {'error': 3.0}}


def effort(path, number):
    path.write_text(f'def effort(facts):\n    return {number}\n')
    return read_objectives((f'{path}:effort',))


def test_a_search_goes_on_with_the_functions_that_it_began_with(tmp_path):
    file, run = tmp_path / 'mine.py', tmp_path / 'run'
    run.mkdir()
    functions = effort(file, 1)
    config = SearchConfig(objective=(f'{file}:effort',))
    (run / 'flags.txt').write_text(options.flagfile(config, mode='search', workdir=str(run)))
    (run / 'run.json').write_text(json.dumps({'inputs': inputs_of(functions)}))
    write_functions(functions, pathlib.Path(run))
    log = run / 'evaluations.jsonl'
    log.write_text(json.dumps(LINE | {'seconds': 1.0, 'reason': ''}) + '\n')
    goes_on = lambda own: check_goes_on(
        config,
        run,
        beside={'task': None},
        check=lambda record: check_same_functions(own, record, workdir=run),
    )
    assert goes_on(functions) == 1
    with pytest.raises(ValueError, match=f'--objective={file}:effort'):
        goes_on(effort(file, 2))
    # Nothing could mix with the new function before the first evaluation.
    log.unlink()
    assert goes_on(effort(file, 2)) == 0


def test_a_search_of_another_task_is_refused_with_and_without_evaluations(tmp_path):
    config, images = SearchConfig(), {'task': None}
    text = options.flagfile(config, mode='search', workdir='run', task='depth')
    (tmp_path / 'flags.txt').write_text(text)
    with pytest.raises(ValueError, match='holds a search with --task=depth, not no --task'):
        check_goes_on(config, tmp_path, beside=images)
    assert check_goes_on(config, tmp_path, beside={'task': 'depth'}) == 0
    (tmp_path / 'flags.txt').write_text(options.flagfile(config, mode='search', **images))
    assert check_goes_on(config, tmp_path, beside=images) == 0
    (tmp_path / 'evaluations.jsonl').write_text(json.dumps(LINE | {'seconds': 1.0}) + '\n')
    with pytest.raises(ValueError, match='with no --task, not --task=depth; it goes on'):
        check_goes_on(config, tmp_path, beside={'task': 'depth'})


def test_early_stopping_is_as_asked():
    assert rungs_of(SearchConfig(rung_margin=7.0)).margin == 7.0
    assert rungs_of(SearchConfig(early_stopping=False)) is None


def test_cells_are_not_stopped_early_for_what_is_known_only_after_training(tmp_path):
    file = tmp_path / 'mine.py'
    config = SearchConfig(objectives=('error', 'params'), objective=(f'{file}:effort',))
    given = {'ops': own_ops.read(None), 'goes_on': False}
    with_function = prepare_images(config, tmp_path, functions=effort(file, 1), **given)
    without = prepare_images(SearchConfig(objectives=('error',)), tmp_path, functions=(), **given)
    jobs = [_job_of(prepared.evaluate) for prepared in (with_function, without)]
    assert jobs[0].rungs is None and jobs[0].own and jobs[1].rungs is not None


def _job_of(candidates):
    """The job that the executor gets for a cell."""
    jobs = []
    candidates._executor = SimpleNamespace(map=lambda function, given: jobs.extend(given) or ())
    list(candidates.batch([Cell.parse('bn-conv1x1')]))
    return jobs[0]
