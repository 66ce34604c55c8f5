"""How `experiments/benchmarks/faults/faults.py` judges and counts its trials."""

import json
import random

import numpy as np

from common.run import write_json
from experiments.benchmarks.faults import fault_jobs, fault_trials, faults
from experiments.benchmarks.faults.fault_bench import Trial
from pano_depth.footage import media


def test_the_table_counts_what_was_survived_and_what_was_lost():
    trials = [Trial((), 3, 'step'), Trial((), 5, 'step'), Trial(('exit 1',), 0, 'step')]
    rows = [faults.row('kill -9: saving', trials), faults.row('disk full', [])]
    assert rows[0] == {
        'fault': 'kill -9: saving',
        'tried': 3,
        'survived': 2,
        'wrong': ['exit 1'],
        'lost': '8 steps, at most 5 at once',
    }
    lines = faults.table(rows).splitlines()
    assert lines[2:4] == [
        '| kill -9: saving | 3 | 2 | 8 steps, at most 5 at once |',
        '| disk full | 0 | 0 | this machine forbids it |',
    ]
    assert lines[-1] == 'kill -9: saving: exit 1'
    spread = faults.counts(12, 2, [])
    assert [spread[name] for name in faults.KILLS] == [3, 3, 2, 2, 2]
    assert sum(spread.values()) == 12 + 2 * len(faults.FAULTS)
    assert faults.counts(20, 4, ['disk full']) == {'disk full': 4}


def test_an_end_is_compared_without_its_times(tmp_path):
    for name, seconds, error in (('a', 1, 5), ('b', 2, 5), ('c', 2, 6)):
        (tmp_path / name / 'depth').mkdir(parents=True)
        write_json(
            tmp_path / name / 'search.json', {'seconds': seconds, 'front': [{'error': error}]}
        )
        line = json.dumps({'cell': 'x', 'seconds': seconds}) + '\n'
        (tmp_path / name / 'evaluations.jsonl').write_text(line)
        (tmp_path / name / 'run.json').write_text(str(seconds))
        media.write_image(tmp_path / name / 'depth' / '0.png', np.full((4, 8, 3), error, np.uint8))
    whole = fault_jobs.results(tmp_path / 'a')
    assert fault_jobs.differences(tmp_path / 'b', whole) == []
    assert fault_jobs.differences(tmp_path / 'c', whole) == ['depth/0.png', 'search.json']
    (tmp_path / 'b' / 'search.json').unlink()
    (tmp_path / 'b' / '.left.tmp1').touch()
    assert fault_jobs.differences(tmp_path / 'b', whole) == ['.left.tmp1', 'search.json']
    fault_trials.truncate(random.Random(0), tmp_path / 'c' / 'depth' / '0.png')
    with open(tmp_path / 'c' / 'evaluations.jsonl', 'a') as file:
        file.write('{"cell"')
    assert fault_jobs.damaged_files(tmp_path / 'c') == ['depth/0.png']
