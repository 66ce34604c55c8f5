"""One workdir, one result: a search or a training of other data is refused, or overwrites."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from common import options
from nas.datasets.open_images import open_images
from nas.training import evaluate, search_job, train_job
from nas.training.config import SearchConfig, TrainConfig
from tests.nas.made_tables import write_table


def config_of(cls, **values):
    return options.make(cls, values)


def write_images(folder, *, seed=0, count=20):
    """A folder of images by class, in which ten classes are ten greys."""
    numbers = np.random.default_rng(seed)
    for number in range(10):
        (folder / f'{number}').mkdir(parents=True, exist_ok=True)
        for index in range(count):
            pixels = numbers.integers(20 * number, 20 * number + 20, (8, 8), np.uint8)
            Image.fromarray(pixels).save(folder / f'{number}' / f'{index}.png')


@pytest.fixture
def search(tmp_path, monkeypatch):
    """A function that searches cells on a folder of images, without training them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('HOME', str(tmp_path))
    result = evaluate.Result(20.0, 1.5, 9, 9, (), (30.0, 25.0))
    monkeypatch.setattr(evaluate, 'run_job', lambda job: result)
    write_images(tmp_path / 'my: images')

    def search(*, overwrite=False, **values):
        given = {'dataset': 'folder:~/my: images', 'objectives': ('error', 'params')}
        given |= {'compilation_cache': '', 'measurement_cache': '', 'keep': 2, 'budget': 2}
        config = config_of(SearchConfig, **{**given, **values})
        return search_job.run_search(config, 'run', overwrite=overwrite)

    return search


def test_a_search_of_other_images_is_refused_and_overwrites(search, tmp_path):
    search()
    record = json.loads((tmp_path / 'run' / 'run.json').read_text())
    assert {'evaluations.jsonl', 'pareto.csv', 'report.html', 'search.json'} <= set(record['files'])
    assert not any('.corrupt' in name or 'slurm' in name for name in record['files'])
    before = (tmp_path / 'run' / 'evaluations.jsonl').read_bytes()
    assert len(search(budget=4).evaluations) == 4  # more of the same search
    write_images(tmp_path / 'my: images', seed=1)
    with pytest.raises(ValueError, match='holds a search .* content of --dataset has changed'):
        search(budget=6)
    (tmp_path / 'run' / 'mine.txt').write_text('mine')
    with pytest.raises(ValueError, match='holds mine.txt, which no run wrote'):
        search(overwrite=True)
    (tmp_path / 'run' / 'mine.txt').unlink()
    assert len(search(overwrite=True, seed=1).evaluations) == 2
    after = (tmp_path / 'run' / 'evaluations.jsonl').read_bytes()
    assert len(after.splitlines()) == len(before.splitlines()) == 2


def test_a_search_of_an_older_version_goes_on(search, tmp_path):
    search()
    record = json.loads((tmp_path / 'run' / 'run.json').read_text())
    for name in ('files', 'inputs', 'finished'):
        del record[name]
    (tmp_path / 'run' / 'run.json').write_text(json.dumps(record))
    flags = (tmp_path / 'run' / 'flags.txt').read_text().splitlines()
    kept = [line for line in flags if not line.startswith('--rung_margin')]
    (tmp_path / 'run' / 'flags.txt').write_text('\n'.join(kept) + '\n')
    assert len(search(budget=4).evaluations) == 4


def test_an_evaluations_file_that_changes_is_another_warm_start(search, tmp_path):
    search()
    (tmp_path / 'run').rename(tmp_path / 'first')
    log = tmp_path / 'first' / 'evaluations.jsonl'
    search(warm_start='~/first/evaluations.jsonl', seed=3)
    log.write_bytes(log.read_bytes().splitlines(keepends=True)[0])
    with pytest.raises(ValueError, match='content of --warm_start has changed'):
        search(warm_start='~/first/evaluations.jsonl', seed=3, budget=4)


def test_another_table_of_the_same_name_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    write_table(tmp_path / 'table.npz')
    values = {'benchmark': 'nas_bench_201', 'table': '~/table.npz', 'device': ('phone',)}
    config = config_of(SearchConfig, **values, budget=8)
    search_job.run_search(config, tmp_path / 'run')
    stored = dict(np.load(tmp_path / 'table.npz'))
    np.savez(tmp_path / 'table.npz', **stored, more=np.ones(1))
    with pytest.raises(ValueError, match='content of --table has changed'):
        search_job.run_search(dataclasses.replace(config, budget=9), tmp_path / 'run')


def test_a_training_of_other_images_is_refused_before_it_goes_on(tmp_path, monkeypatch):
    write_images(tmp_path / 'images')
    config = config_of(
        TrainConfig,
        dataset=f'folder:{tmp_path}/images',
        cell='bn_relu-lgconv1x1',
        skeleton='digits',
        stages=(1,),
        growth=(4,),
        epochs=1,
    )

    def stop(run, *given):
        raise KeyboardInterrupt

    monkeypatch.setattr(train_job, '_train_in', stop)
    with pytest.raises(KeyboardInterrupt):
        train_job.train(config, tmp_path / 'run')
    # The same mean and deviation, but other pixels.
    for path in sorted((tmp_path / 'images').glob('*/*.png')):
        with Image.open(path) as image:
            image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(path)
    with pytest.raises(ValueError, match='holds a training .* content of --dataset has changed'):
        train_job.train(config, tmp_path / 'run')
    with pytest.raises(KeyboardInterrupt):
        train_job.train(config, tmp_path / 'run', overwrite=True)
    assert json.loads((tmp_path / 'run' / 'run.json').read_text())['resumed'] == []


@pytest.mark.parametrize('spec', ['folder:{}', 'folder:{},stream'])
def test_data_sets_are_told_apart_by_their_images(spec, tmp_path):
    write_images(tmp_path, count=10)
    opened = lambda: open_images(spec.format(tmp_path), size=8, channels=1).digest()
    before = opened()
    assert opened() == before
    write_images(tmp_path, seed=1, count=10)
    assert opened() != before
