"""The bench for trying faults: a scratch directory, unbroken runs to compare with, small disks."""

import contextlib
import functools
import pathlib
import random
import subprocess
import time
from typing import NamedTuple

from experiments.benchmarks.faults import fault_jobs
from experiments.benchmarks.faults.commands import Commands
from experiments.benchmarks.faults.fault_jobs import JOBS, differences
from pano_depth.footage import clip_folder
from pano_depth.rooms import rooms

FRAMES, HEIGHT = 12, 32
DISK = 24 * 2**20  # bytes of the file system that fills
# A namespace of Linux in which every user may mount; it ends with its last process.
NAMESPACE = ('unshare', '--user', '--map-root-user', '--mount')
MOUNT = (
    'mount -t tmpfs -o size=$1 tmpfs "$2" && mount -t tmpfs -o ro tmpfs "$3" && shift 3 && exec'
    ' "$@"'
)


class Trial(NamedTuple):
    """One fault, tried once.

    Attributes:
        wrong: what went wrong; empty if the job survived.
        lost: amount of work that was done again or is gone.
        unit: of `lost`: 'step', 'candidate', 'frame'.
    """

    wrong: tuple[str, ...] = ()
    lost: int = 0
    unit: str = ''


class Whole(NamedTuple):
    """An unbroken run: workdir, `fault_jobs.results`, and seconds from its first step on."""

    folder: pathlib.Path
    results: dict
    seconds: float


class Confined(NamedTuple):
    """Commands that see two small file systems of their own.

    Attributes:
        commands: `Commands`.
        disk, read_only: the file systems, as the commands see them.
        disk_from_here: the path of `disk` in this process.
    """

    commands: Commands
    disk: pathlib.Path
    read_only: pathlib.Path
    disk_from_here: pathlib.Path


class Bench:
    """The jobs, their unbroken runs, and folders in which jobs are broken.

    Attributes:
        rng: `random.Random` that draws moments and places.
        clip: the clip in memory that depth jobs learn from.
        clip_folder: the same on disk.
        commands: function of a main: its `Commands`, started once.
        confined: function of a main: its `Confined`, made once, or None if the machine forbids it.
        whole: function of a job's name: its `Whole`, run once. ValueError if the job fails
            without a fault, or if two runs differ.
    """

    def __init__(self, scratch, seed):
        self._scratch, self._count, self._stack = pathlib.Path(scratch), 0, contextlib.ExitStack()
        self.rng = random.Random(seed)
        # Caches of this bench only; they end with it.
        self.commands = functools.cache(self._commands)
        self.confined = functools.cache(self._confined)
        self.whole = functools.cache(self._whole)
        self.clip = rooms.sample_clip(height=HEIGHT, width=2 * HEIGHT, frames=FRAMES)
        self.clip_folder = clip_folder.write_clip_folder(self._scratch / 'footage', self.clip)

    def __enter__(self):
        return self

    def __exit__(self, *unused_exception):
        self._stack.close()

    def folder(self):
        """A path in the scratch directory that does not exist yet."""
        self._count += 1
        return self._scratch / f'folder{self._count}'

    def new_folder(self):
        """An empty folder."""
        folder = self.folder()
        folder.mkdir()
        return folder

    def _commands(self, main, within=()):
        compiled = {'JAX_COMPILATION_CACHE_DIR': str(self._scratch / 'compiled')}
        commands = Commands(
            main,
            self.new_folder(),
            environment=fault_jobs.ENVIRONMENTS[main] | compiled,
            within=within,
        )
        return self._stack.enter_context(commands)

    def _confined(self, main):
        disk, read_only = self.new_folder(), self.new_folder()
        within = *NAMESPACE, 'sh', '-c', MOUNT, 'sh', str(DISK), str(disk), str(read_only)
        try:
            subprocess.run([*within, 'true'], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            return None
        commands = self._commands(main, within)
        return Confined(commands, disk, read_only, pathlib.Path(f'/proc/{commands.pid}/root{disk}'))

    def start(self, name, folder, *more, commands=None, **options):
        """Starts a job.

        Args:
            name: a key of `JOBS`.
            folder: its workdir.
            *more: flags besides those of the job, which they override.
            commands: the `Commands` that start the job; None for the usual ones.
            **options: of `Commands.start`.
        """
        job = JOBS[name]
        weights = (
            self.whole(fault_jobs.TAUGHT_BY[name]).folder if name in fault_jobs.TAUGHT_BY else ''
        )
        flags = [flag.format(clip=self.clip_folder, weights=weights) for flag in job.flags]
        return (commands or self.commands(job.main)).start(
            *flags, f'--workdir={folder}', *more, **options
        )

    def working(self, name, folder, *more, **options):
        """Starts a job as `start`, and waits until it has begun to work, or has ended."""
        since = time.time_ns()
        command = self.start(name, folder, *more, **options)
        command.reaches(lambda: fault_jobs.changed(JOBS[name], folder, since))
        return command

    def _whole(self, name):
        found = None
        for folder in (self.folder(), self.folder()):
            command = self.working(name, folder)
            first = time.monotonic()
            if command.wait():
                raise ValueError(f'{name} fails without a fault: {command.last_line()}')
            seconds = time.monotonic() - first
            found = found or fault_jobs.results(folder)
        if differences(folder, found):
            raise ValueError(
                f'two unbroken runs of {name} differ: {", ".join(differences(folder, found))}'
            )
        return Whole(folder, found, seconds)

    def ends_well(self, name, folder, **options):
        """Starts a job and waits until it ends.

        Returns:
            (what is wrong with its end, what it printed).
        """
        command = self.start(name, folder, **options)
        if command.wait():
            return (f'the same command again: {command.last_line()}',), command.said('stdout')
        return self.compare(name, folder), command.said('stdout')

    def compare(self, name, folder):
        """The differences between an ended job and the unbroken run."""
        different = differences(folder, self.whole(name).results)
        return tuple(f'{item} is not that of the unbroken run' for item in different)


def one_sentence(command, code, *words):
    """Waits for a command and returns what is wrong with its end.

    Args:
        command: `Command`.
        code: exit status that it should end with.
        *words: what its last line should say.
    """
    status, said, last = command.wait(), command.said(), command.last_line()
    wrong = [f'exit {status}, not {code}: {last}'] * (status != code)
    wrong += ['a traceback'] * ('Traceback' in said)
    return tuple(
        wrong + [f'{last!r} does not say {word}' for word in map(str, words) if word not in last]
    )
