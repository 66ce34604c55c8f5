"""Tries real faults on both command lines: what survives them, and what is lost.

    python experiments/benchmarks/faults/faults.py
        [--kills=20] [--tries=4] [--seed=0] [--only=NAMES] [--output=FOLDER]

Small jobs (`fault_jobs.JOBS`) learn from the rendered sample clip and from the digits. Each job
first runs twice without a fault; both runs have to end the same, and the second one is timed. Then
each fault is done to the job while it works, and the same command is given again. The job survives
if one sentence reports the fault, no finished file is damaged, and the result is that of the
unbroken run: logs, networks bit for bit, images, video, cloud, fronts. Lost is the work that was
done again, and the frames and candidates that were left out.

The full disk and the disk that cannot be written are file systems in memory, in a namespace of
Linux (`unshare`), which some machines forbid. Writes `faults.json` and `faults.md` into --output;
exits with 1 unless everything was survived.
"""

import argparse
import collections
import functools
import pathlib
import signal
import sys
import tempfile
import time

# Works from a checkout, from any directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3]))

from common.run import write_json
from experiments.benchmarks.faults import fault_inputs, fault_trials
from experiments.benchmarks.faults.fault_bench import Bench
from experiments.benchmarks.faults.fault_jobs import JOBS
from experiments.benchmarks.search.tables import markdown, write_text

KILLS = {f'kill -9: {name}': fault_trials.kill(name) for name in JOBS}
FAULTS = {
    'Ctrl-C': fault_trials.stop(signal.SIGINT, 130),
    'Ctrl-C twice': fault_trials.stop_twice,
    'SIGTERM': fault_trials.stop(signal.SIGTERM, 143),
    'SIGUSR1': fault_trials.stop(signal.SIGUSR1, 138),
    'second run on a workdir': fault_trials.second_run,
    'disk full': fault_trials.disk_full,
    'read-only workdir': fault_trials.read_only,
    'truncated checkpoint': fault_trials.damaged_checkpoint(fault_trials.truncate),
    'bit flip in a checkpoint': fault_trials.damaged_checkpoint(fault_trials.flip_bit),
    'truncated video': fault_inputs.cut_video,
    'truncated PNG': fault_inputs.frames(fault_inputs.cut_image),
    'corrupt PNG': fault_inputs.frames(fault_inputs.flipped_image),
    'missing depth file': fault_inputs.frames(fault_inputs.missing_depth),
    'NaN in depth': fault_inputs.nan_depth,
    'NaN in poses': fault_inputs.nan_poses,
    'NaN in training': fault_inputs.nan_training,
    'reader of the video killed': fault_inputs.reader_killed,
    'writer of the video killed': fault_inputs.writer_killed,
    'process of a candidate killed': fault_inputs.candidate_killed,
}


def counts(kills, tries, only):
    """{fault: how many times}; kills are spread over the jobs."""
    share = {name: len(range(index, kills, len(KILLS))) for index, name in enumerate(KILLS)}
    wanted = share | dict.fromkeys(FAULTS, tries)
    return {name: count for name, count in wanted.items() if count and (not only or name in only)}


def row(name, trials):
    """One row of the table: {'fault', 'tried', 'survived', 'lost', 'wrong'}."""
    losses = collections.defaultdict(list)
    for trial in trials:
        if trial.lost:
            losses[trial.unit].append(trial.lost)
    lost = [
        f'{sum(found)} {unit}s, at most {max(found)} at once'
        for unit, found in sorted(losses.items())
    ]
    return {
        'fault': name,
        'tried': len(trials),
        'survived': sum(not trial.wrong for trial in trials),
        'lost': '; '.join(lost) or 'nothing',
        'wrong': sorted({text for trial in trials for text in trial.wrong}),
    }


def table(rows):
    """The rows in Markdown, with the failures below."""
    header = ['fault', 'tried', 'survived', 'lost (done again, or gone)']
    cells = [
        [
            found['fault'],
            str(found['tried']),
            str(found['survived']),
            found['lost'] if found['tried'] else 'this machine forbids it',
        ]
        for found in rows
    ]
    wrong = [f'{found["fault"]}: {text}' for found in rows for text in found['wrong']]
    lines = [markdown([header, *cells], texts=(header[0], header[-1]))]
    return '\n'.join(lines + ['', *wrong] * bool(wrong))


def main():
    """Tries the faults that the flags name, prints the table, and writes it if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        '--kills', type=int, default=20, help='number of kill -9 in all, spread over the jobs'
    )
    parser.add_argument('--tries', type=int, default=4, help='trials of every other fault')
    parser.add_argument('--seed', type=int, default=0, help='random seed of moments and places')
    parser.add_argument('--only', default='', help='names of faults, comma-separated')
    parser.add_argument(
        '--output', type=pathlib.Path, help='folder for the results; none without it'
    )
    given = parser.parse_args()
    only = [name.strip() for name in given.only.split(',') if name.strip()]
    unknown = [name for name in only if name not in KILLS | FAULTS]
    if unknown:
        parser.error(f'--only has {unknown[0]!r}; accepted: {", ".join(KILLS | FAULTS)}')
    rows, say = [], functools.partial(print, file=sys.stderr, flush=True)
    with (
        tempfile.TemporaryDirectory(prefix='faults_') as scratch,
        Bench(scratch, given.seed) as bench,
    ):
        for name, count in counts(given.kills, given.tries, only).items():
            started = time.monotonic()
            rows.append(row(name, list((KILLS | FAULTS)[name](bench, count))))
            seconds = time.monotonic() - started
            say(
                f'{name}: {rows[-1]["survived"]} of {rows[-1]["tried"]} in {seconds:.0f} s',
                *rows[-1]['wrong'],
            )
    print(table(rows))
    if given.output:
        given.output.mkdir(parents=True, exist_ok=True)
        write_json(given.output / 'faults.json', {'seed': given.seed, 'rows': rows})
        write_text(given.output / 'faults.md', table(rows) + '\n')
    sys.exit(int(any(found['wrong'] for found in rows)))


if __name__ == '__main__':
    main()
