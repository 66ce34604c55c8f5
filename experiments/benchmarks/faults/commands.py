"""Runs command lines of this project as processes that are watched, stopped and killed.

Importing takes seconds. One interpreter imports a command line and is forked for each command; a
fork parses its flags and then works like a process that was started anew.

    with Commands('depth_main', folder) as commands:
        command = commands.start('--mode=predict', '--input=sample', f'--workdir={workdir}')
        command.when(lambda: (workdir / 'metrics.jsonl').exists())
        command.send(signal.SIGKILL)
        assert command.wait() == -signal.SIGKILL
"""

import importlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
# `nas_main` imports its modes when they are asked for.
_MODULES = {
    'depth_main': ('tensorflow_datasets', 'experiments.depth_flags'),
    'nas_main': ('sklearn.datasets', 'nas.training.search_job', 'nas.training.train_job'),
}
_PATIENCE = 300  # seconds that a command may take


class Commands:
    """Runs one command line, with other flags each time."""

    def __init__(self, main, folder, *, environment=None, within=()):
        """Starts the interpreter.

        Args:
            main: module of `experiments`, 'depth_main' or 'nas_main'.
            folder: where what the commands print is kept.
            environment: variables besides those of this process.
            within: a command that starts the interpreter, such as ('unshare', '-Urm').
        """
        self._folder, self._count = pathlib.Path(folder), 0
        self._process = subprocess.Popen(
            [*within, sys.executable, '-m', __name__, main],
            cwd=folder,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {'PYTHONPATH': str(ROOT)} | dict(environment or {}),
        )

    def __enter__(self):
        return self

    def __exit__(self, *unused_exception):
        self.close()

    @property
    def pid(self):
        """The process of the interpreter, whose file systems the commands see."""
        return self._process.pid

    def _order(self, **order):
        print(json.dumps(order), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(
                f'the interpreter of the commands ended with status {self._process.wait()}'
            )
        return int(answer)

    def start(self, *arguments, slow_save=0):
        """Starts a command.

        Args:
            *arguments: flags.
            slow_save: seconds by which every checkpoint is slowed down.

        Returns:
            `Command`.
        """
        self._count += 1
        printed = self._folder / f'command{self._count}'
        pid = self._order(
            printed=str(printed), arguments=list(map(str, arguments)), slow_save=slow_save
        )
        return Command(pid, printed, self._order)

    def close(self):
        """Ends the interpreter; running commands go on."""
        self._process.communicate()


class Command:
    """A running command.

    Attributes:
        pid: its process.
    """

    def __init__(self, pid, printed, order):
        self.pid, self._printed, self._order, self._status = pid, printed, order, None

    def said(self, stream='stderr'):
        """What it has printed so far to 'stderr' or 'stdout'."""
        path = self._printed.with_suffix(f'.{stream}')
        return path.read_text() if path.exists() else ''

    def last_line(self):
        """The last line on stderr, where the command says how it ended."""
        return (self.said().splitlines() or [''])[-1]

    def send(self, number):
        """Sends a signal, unless the command has ended."""
        if self._status is None:
            os.kill(self.pid, number)

    def ended(self):
        """Whether the command has ended; its process stays until `wait`."""
        return self._status is not None or _state(self.pid) == 'Z'

    def reaches(self, condition, *, seconds=_PATIENCE):
        """Waits for a condition; returns whether it was met before the command ended.

        Raises:
            TimeoutError: neither happened; the command was killed.
        """
        deadline = time.monotonic() + seconds
        while not condition():
            if self.ended():
                return condition()
            if time.monotonic() > deadline:
                self.send(signal.SIGKILL)
                self._status = self._order(wait=self.pid)
                raise TimeoutError(f'nothing for {seconds:g} s; it printed {self.said()!r}')
            time.sleep(0.002)
        return True

    def when(self, condition):
        """Returns the command as soon as a condition is met while it runs."""
        assert self.reaches(condition) and not self.ended(), self.said()
        return self

    def wait(self):
        """The exit status, negative after a signal. Raises as `reaches`."""
        if self._status is None:
            self.reaches(self.ended)
            self._status = self._order(wait=self.pid)
        return self._status

    def descendants(self):
        """Processes that it started, and those that they started: {pid: command line}."""
        parents, found, fresh = _parents(), set(), {self.pid}
        while fresh:
            fresh = {pid for pid, parent in parents.items() if parent in fresh} - found
            found |= fresh
        return {pid: _read(f'/proc/{pid}/cmdline').replace('\0', ' ') for pid in found}


def _read(path):
    """The text of a file of /proc, '' where the process has gone."""
    try:
        return pathlib.Path(path).read_text(errors='replace')
    except (FileNotFoundError, ProcessLookupError):
        return ''


def _stat(pid):
    """(state, parent) of a process; ('', 0) if there is none."""
    # The name of the program comes before them in brackets and may hold anything.
    fields = _read(f'/proc/{pid}/stat').rpartition(')')[2].split()
    return (fields[0], int(fields[1])) if fields else ('', 0)


def _state(pid):
    return _stat(pid)[0]


def _parents():
    """{pid: parent} of all processes that have not ended."""
    found = {int(path.name): _stat(path.name) for path in pathlib.Path('/proc').glob('[0-9]*')}
    return {pid: parent for pid, (state, parent) in found.items() if state not in ('', 'Z')}


def alive(pid):
    """Whether a process runs."""
    return _state(pid) not in ('', 'Z')


def _become(main, order):
    """Runs the command in a fork."""
    # Jobs in the background start with Ctrl-C ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for stream, descriptor in (('stdout', 1), ('stderr', 2)):
        os.dup2(
            os.open(f'{order["printed"]}.{stream}', os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
            descriptor,
        )
    if order['slow_save']:
        from common.checkpoint import Checkpoints

        save = Checkpoints.save
        Checkpoints.save = lambda *given: (time.sleep(order['slow_save']), save(*given))
    sys.argv = ['main', *order['arguments']]
    main.run()


def serve(name):
    """Forks for each order on standard input, a JSON dict a line; answers a number a line."""
    main = importlib.import_module(f'experiments.{name}')
    for module in _MODULES.get(name, ()):
        importlib.import_module(module)
    for line in sys.stdin:
        order = json.loads(line)
        if 'wait' in order:
            print(os.waitstatus_to_exitcode(os.waitpid(order['wait'], 0)[1]), flush=True)
            continue
        child = os.fork()
        if not child:
            _become(main, order)
        print(child, flush=True)


if __name__ == '__main__':
    serve(sys.argv[1])
