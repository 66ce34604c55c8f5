"""Long runs: does memory stay constant, and is everything compiled near the start?

    python experiments/benchmarks/faults/soak.py --job=train|nas|predict
        [--minutes=30] [--output=FOLDER] [more flags of the command line]

Runs a command line of the project within this process, which samples its own memory and counts what
XLA compiles, and stops it with SIGTERM when the time is up, as a cluster would:

- train: networks for depth learn from the sample clip, far longer than necessary;
- nas: a published cell learns the digits, epoch by epoch, with scores and checkpoints;
- predict: the sample clip as a long video is read, analysed and written.

Memory is that of the process alone (RssAnon of Linux), without the pages of mapped files. A phase
is training, reading footage or writing results. Each phase is judged from a minute after its start,
or from a fifth of it if that is longer, to its last step or file, before the final work. Memory
that is never given back (common/memory.py) grows in jumps, so the slope is taken over the second
half. Writes `soak_<job>.json` and `.md` into --output.
"""

import argparse
import importlib
import os
import pathlib
import re
import signal
import sys
import tempfile
import threading
import time

sys.path.insert(
    0, str(pathlib.Path(__file__).resolve().parents[3])
)  # works from a checkout, from any directory

import jax
import numpy as np

from common.logs import read_metrics
from common.run import write_json
from experiments.benchmarks.search.tables import markdown, write_text

COMPILED = '/jax/core/compile/backend_compile_duration'
SETTLED = 60  # seconds after which a phase has compiled what it needs


def commands(workdir, video):
    """{job: (module of the command line, its flags)}."""
    return {
        'train': (
            'depth_main',
            [
                '--mode=predict',
                '--input=sample',
                '--checkpoint=none',
                '--adapt=10000000',
                '--checkpoint_every=500',
                f'--workdir={workdir}',
            ],
        ),
        'nas': (
            'nas_main',
            [
                '--mode=train',
                '--cell=bn_relu-lgconv1x1-bn_relu-gconv3x3',
                '--skeleton=digits',
                '--stages=2,2',
                '--growth=4,8',
                '--dataset=digits',
                '--epochs=100000',
                '--checkpoint_epochs=20',
                f'--workdir={workdir}',
            ],
        ),
        'predict': ('depth_main', ['--mode=predict', f'--input={video}', f'--workdir={workdir}']),
    }


def own_memory():
    """Bytes of this process that belong to no mapped file."""
    status = pathlib.Path('/proc/self/status').read_text()
    return 1024 * int(re.search(r'RssAnon:\s+(\d+) kB', status)[1])


class Watch(threading.Thread):
    """Samples memory, compilations and progress once a second; ends the job when time is up.

    Attributes:
        samples: rows (seconds, phase, bytes, compilations, units of work).
    """

    def __init__(self, workdir, seconds):
        super().__init__(daemon=True)
        self.samples, self._workdir, self._seconds = [], pathlib.Path(workdir), seconds
        self._compiled, self._ended = 0, threading.Event()
        jax.monitoring.register_event_duration_secs_listener(self._on_duration)

    def _on_duration(self, event, unused_seconds, **unused_facts):
        self._compiled += event == COMPILED

    def _work(self):
        """(phase, steps or frames done in it)."""
        written = self._workdir / 'depth'
        if written.exists():
            return 'writing', sum(1 for _ in os.scandir(written))
        if (self._workdir / 'metrics.jsonl').exists():
            rows = read_metrics(self._workdir)
            return 'training', rows[-1]['step'] if rows else 0
        return 'reading', 0

    def run(self):
        """Samples until `end` is called."""
        start, asked = time.monotonic(), False
        while not self._ended.wait(1):
            now = time.monotonic() - start
            phase, work = self._work()
            self.samples.append((now, phase, own_memory(), self._compiled, work))
            if now > self._seconds and not asked:
                asked = True
                os.kill(os.getpid(), signal.SIGTERM)

    def end(self):
        """Waits for the last sample."""
        self._ended.set()
        self.join()


def judge(samples):
    """One row of the table for each phase that lasts long enough.

    Args:
        samples: rows of `Watch`, at least one.

    Returns:
        list of {'phase', 'minutes', 'work', 'start_mb', 'end_mb', 'mb_per_hour', 'compiled',
        'compiled_after'}: memory a fifth of the way (or a minute in) and at the end, the slope of a
        line through its second half, and how much was compiled before and after that fifth.
    """
    rows = []
    for phase in dict.fromkeys(sample[1] for sample in samples):
        seconds, memory, compiled, work = np.array(
            [(s[0], s[2], s[3], s[4]) for s in samples if s[1] == phase], float
        ).T
        # Reading footage has no counter, so it lasts as long as the phase.
        last = np.flatnonzero(np.diff(work))[-1] + 2 if np.ptp(work) else len(work)
        seconds, memory, compiled, work = (
            column[:last] for column in (seconds, memory / 2**20, compiled, work)
        )
        settled = seconds >= seconds[0] + max(SETTLED, (seconds[-1] - seconds[0]) / 5)
        if settled.sum() < 10:
            continue
        before, half = compiled[~settled][-1], seconds >= seconds[[0, -1]].mean()
        slope = np.polyfit(seconds[half] / 3600, memory[half], 1)[0]
        rows.append(
            {
                'phase': phase,
                'minutes': (seconds[-1] - seconds[0]) / 60,
                'work': int(work[-1] - work[0]),
                'start_mb': memory[settled][0],
                'end_mb': memory[settled][-1],
                'mb_per_hour': slope,
                'compiled': int(before),
                'compiled_after': int(compiled[-1] - before),
            }
        )
    return rows


def write_footage(path, frames):
    """Writes the sample clip, forth and back without jumps, as a video of so many frames."""
    from pano_depth.footage import video
    from pano_depth.rooms import rooms

    clip = rooms.sample_clip(height=128, width=256).frames
    turn = np.concatenate([clip, clip[-2:0:-1]])
    with video.write_video(path, 30) as append:
        for index in range(frames):
            append(turn[index % len(turn)])


def run_job(job, workdir, seconds, *, video=None, more=()):
    """Runs a command line in this process.

    Args:
        job: of `--job`.
        workdir: its run directory.
        seconds: time after which it is stopped.
        video: its input, for predict.
        more: further flags.

    Returns:
        (exit status, samples).
    """
    module, arguments = commands(workdir, video)[job]
    main = importlib.import_module(f'experiments.{module}')
    watch = Watch(workdir, seconds)
    argv = sys.argv
    sys.argv = [module, *arguments, *more]
    watch.start()
    try:
        main.run()
        code = 0
    except SystemExit as ended:
        code = ended.code
    finally:
        watch.end()
        sys.argv = argv
    return code, watch.samples


def table(rows):
    """The rows of `judge` in Markdown."""
    header = [
        'phase',
        'minutes',
        'steps or files',
        'memory MB',
        'at the end',
        'MB / hour',
        'compiled',
        'compiled later',
    ]
    cells = [
        [
            row['phase'],
            f'{row["minutes"]:.1f}',
            f'{row["work"]}',
            f'{row["start_mb"]:.0f}',
            f'{row["end_mb"]:.0f}',
            f'{row["mb_per_hour"]:+.1f}',
            f'{row["compiled"]}',
            f'{row["compiled_after"]}',
        ]
        for row in rows
    ]
    return markdown([header, *cells], texts=['phase'])


def main():
    """Runs the job for its time, prints the table, and writes it if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--job', required=True, choices=['train', 'nas', 'predict'])
    parser.add_argument('--minutes', type=float, default=30)
    parser.add_argument(
        '--frames', type=int, help='predict: frames of the video; default 12 for each second'
    )
    parser.add_argument(
        '--output', type=pathlib.Path, help='folder for the results; none without it'
    )
    # absl would parse the flags of the command lines with these.
    given, more = parser.parse_known_args()
    seconds = 60 * given.minutes
    with tempfile.TemporaryDirectory(prefix='soak_') as folder:
        video = pathlib.Path(folder) / 'long.mp4'
        if given.job == 'predict':
            write_footage(video, given.frames or int(12 * seconds))
        code, samples = run_job(
            given.job, pathlib.Path(folder) / 'run', seconds, video=video, more=more
        )
    rows = judge(samples)
    print(table(rows))
    if given.output:
        given.output.mkdir(parents=True, exist_ok=True)
        write_json(
            given.output / f'soak_{given.job}.json',
            {'job': given.job, 'exit': code, 'phases': rows, 'samples': samples},
        )
        write_text(given.output / f'soak_{given.job}.md', table(rows))
    # A job that was stopped in good order exits with 143.
    sys.exit(0 if code in (0, 143) else 1)


if __name__ == '__main__':
    main()
