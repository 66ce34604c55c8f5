"""Faults of the machine: killed or stopped processes, full disks, files that change.

Each fault is a function of (`Bench`, number of trials) that yields a `Trial` each time.
"""

import os
import shutil
import signal
import time

from experiments.benchmarks.faults.commands import alive
from experiments.benchmarks.faults.fault_bench import DISK, Trial, one_sentence
from experiments.benchmarks.faults.fault_jobs import JOBS, damaged_files, done, went_on_from

NAMES = ('depth training', 'predict', 'nas search', 'nas train')
TRAININGS = ('depth training', 'nas train')
_ATTEMPTS = 10


def _again(name, before, start):
    """Steps or candidates that are done again; files are written again without loss."""
    return 0 if JOBS[name].work == 'file' else max(0, before - start)


def kill(name):
    """Kill -9 at random moments after a job's first step, again and again until its end."""

    def trials(bench, count):
        whole, left = bench.whole(name), count
        while left:
            folder, kills, ended = bench.folder(), [], False
            while left and not ended:
                command = bench.working(name, folder)
                ended = _ends_within(command, bench.rng.uniform(0, whole.seconds))
                if ended:
                    command.wait()
                else:
                    kills.append(_kill(command, name, folder))
                    left -= 1
            wrong, said = bench.ends_well(name, folder)
            # The step from which the command after each kill went on.
            starts = [start for *_, start in kills[1:]] + [went_on_from(said)]
            for (torn, before, _), start in zip(kills, starts):
                yield Trial(torn + wrong, _again(name, before, start), JOBS[name].work)

    return trials


def _kill(command, name, folder):
    """Kills a command; returns (what is wrong afterwards, work done before, its first step)."""
    started = command.descendants()
    command.send(signal.SIGKILL)
    command.wait()
    deadline = time.monotonic() + 10
    while any(map(alive, started)) and time.monotonic() < deadline:
        time.sleep(0.01)
    wrong = [f'{path} is damaged' for path in damaged_files(folder)]
    wrong += [f'{program} goes on without it' for pid, program in started.items() if alive(pid)]
    return tuple(wrong), done(JOBS[name], folder), went_on_from(command.said('stdout'))


def _ends_within(command, seconds):
    deadline = time.monotonic() + seconds
    command.reaches(lambda: time.monotonic() > deadline)
    return command.ended()


def _stopped(bench, name, number):
    """A command that got a signal at a random moment of its work, and its workdir.

    Raises ValueError if the work was always over before that.
    """
    seconds = bench.whole(name).seconds
    for _ in range(_ATTEMPTS):
        folder = bench.folder()
        command = bench.working(name, folder)
        if not _ends_within(command, bench.rng.uniform(0, 0.7 * seconds)):
            command.send(number)
        # After exit code 0 the result has to be whole: the signal came too late, between the work
        # and the exit.
        if command.wait() or bench.compare(name, folder):
            return command, folder
    raise ValueError(f'{name} ended {_ATTEMPTS} times before it was to be interrupted')


def stop(number, code):
    """A signal to stop, at a random moment: exit code 128 + its number, then the run goes on."""

    def trials(bench, count):
        for index in range(count):
            name = NAMES[index % len(NAMES)]
            command, folder = _stopped(bench, name, number)
            wrong = one_sentence(command, code, f'stopped by {signal.Signals(number).name}')
            before = done(JOBS[name], folder)
            wrong += tuple(f'{path} is left' for path in folder.rglob('.*.tmp*'))
            end, said = bench.ends_well(name, folder)
            yield Trial(wrong + end, _again(name, before, went_on_from(said)), JOBS[name].work)

    return trials


def stop_twice(bench, count):
    """A second Ctrl-C while the first one saves: ends at once; the earlier checkpoint is used."""
    for index in range(count):
        yield _stopped_twice(bench, TRAININGS[index % len(TRAININGS)])


def _stopped_twice(bench, name):
    folder = bench.folder()
    every = '--checkpoint_every' if name == 'depth training' else '--checkpoint_epochs'
    command = bench.start(name, folder, f'{every}=1000', slow_save=60)
    command.reaches(lambda: done(JOBS[name], folder))
    command.send(signal.SIGINT)
    command.reaches(lambda: 'Ctrl-C again stops at once' in command.said())
    before, sent = done(JOBS[name], folder), time.monotonic()
    command.send(signal.SIGINT)
    wrong = (f'exit {command.wait()}, not 130',) * (command.wait() != 130)
    wrong += ('it took more than 10 s',) * (time.monotonic() > sent + 10)
    end, said = bench.ends_well(name, folder)
    return Trial(wrong + end, _again(name, before, went_on_from(said)), JOBS[name].work)


def second_run(bench, count):
    """The same command again, while the first one works."""
    for index in range(count):
        name, folder = NAMES[index % len(NAMES)], bench.folder()
        first = bench.working(name, folder)
        first.send(signal.SIGSTOP)
        wrong = one_sentence(bench.start(name, folder), 1, 'in use by another run', first.pid)
        first.send(signal.SIGCONT)
        code = first.wait()
        yield Trial(
            wrong + ((f'exit {code} of the first',) if code else bench.compare(name, folder))
        )


def disk_full(bench, count):
    """The disk of the workdir is full at a random byte of the job; then room is made."""
    for index in range(count):
        name = NAMES[index % len(NAMES)]
        confined = bench.confined(JOBS[name].main)
        if confined is None:
            return
        folder, filler = confined.disk_from_here / 'run', confined.disk_from_here / 'filler'
        size = sum(
            path.stat().st_size for path in bench.whole(name).folder.rglob('*') if path.is_file()
        )
        filler.write_bytes(bytes(DISK - bench.rng.randrange(4096, size)))
        command = bench.start(name, confined.disk / 'run', commands=confined.commands)
        code = command.wait()
        wrong = one_sentence(command, 1, 'o space left on device') if code else ()
        wrong += tuple(f'{path} is damaged' for path in damaged_files(folder))
        before = done(JOBS[name], folder)
        filler.unlink()
        again = bench.start(name, confined.disk / 'run', commands=confined.commands)
        wrong += (
            (f'with room again: {again.last_line()}',)
            if again.wait()
            else bench.compare(name, folder)
        )
        yield Trial(
            wrong, _again(name, before, went_on_from(again.said('stdout'))), JOBS[name].work
        )
        shutil.rmtree(folder)


def read_only(bench, count):
    """The workdir is on a disk that cannot be written."""
    for index in range(count):
        name = NAMES[index % len(NAMES)]
        confined = bench.confined(JOBS[name].main)
        if confined is None:
            return
        command = bench.start(name, confined.read_only / 'run', commands=confined.commands)
        sentence = f'workdir {confined.read_only / "run"} cannot be written: read-only file system'
        yield Trial(one_sentence(command, 1, sentence))


def damaged_checkpoint(damage):
    """The newest checkpoint is damaged at a random place; the one before is used and named."""

    def trials(bench, count):
        for index in range(count):
            name, folder = TRAININGS[index % len(TRAININGS)], bench.folder()
            shutil.copytree(bench.whole(name).folder, folder)
            (folder / 'train.json').unlink(missing_ok=True)
            steps = sorted(int(path.name) for path in (folder / 'checkpoints').iterdir())
            sizes = {
                path: path.stat().st_size
                for path in (folder / 'checkpoints' / str(steps[-1])).rglob('*')
                if path.is_file() and path.stat().st_size
            }
            damage(bench.rng, bench.rng.choices(list(sizes), list(sizes.values()))[0])
            command = bench.start(name, folder)
            wrong = (command.last_line(),) if command.wait() else bench.compare(name, folder)
            start = went_on_from(command.said('stdout'))
            wrong += ('not said',) * (
                start < steps[-1] and 'damaged and passed over' not in command.said()
            )
            yield Trial(wrong, steps[-1] - start, 'step')

    return trials


def truncate(rng, path):
    """Cuts a file short."""
    os.truncate(path, rng.randrange(path.stat().st_size))


def flip_bit(rng, path):
    """Flips one bit of a file."""
    data = bytearray(path.read_bytes())
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)
