"""Stopping well: after a signal, a job ends its current part, saves it and says so.

SIGINT is Ctrl-C. SIGTERM is what Slurm, Kubernetes and preemptible machines send some time before
they kill, and SIGUSR1 what Slurm sends ahead of the time limit if asked to (`--signal=USR1@60`).
The first signal ends the job with `Stopped`: at once, or, in a loop that holds signals off, when
the loop has saved its work. A Ctrl-C after the first signal ends the process, whatever it is doing.

    with stopping.on_signals() as stop:
        train(..., stop=stop)

    def train(..., stop=None):
        stop = stop or Stop()               # a request that never comes
        with stop.held('this step'):
            for index in range(steps):
                ...
                if stop.carried(stop.vote()):
                    break
            save(...)
            stop.trained(index + 1, steps, folder)
"""

import contextlib
import functools
import os
import select
import signal
import sys
import threading
import time

import numpy as np

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
# Seconds in which Python usually handles a signal, and cleans up after the second one.
_PATIENCE = 1.0
_END = b'\0'


class Stopped(KeyboardInterrupt):
    """A job has been stopped by a signal.

    It is a KeyboardInterrupt, so that code that catches failures (`except Exception`) lets it pass.

    Attributes:
        number: of the signal.
        code: what the process exits with by convention, 128 + number.
    """

    def __init__(self, number, kept=''):
        """Says which signal stopped the job.

        Args:
            number: of the signal.
            kept: what is saved of the work, and how to go on; '' if there is nothing to say.
        """
        super().__init__(
            f'stopped by {signal.Signals(number).name}' + (f': {kept}' if kept else '')
        )
        self.number, self.code = number, 128 + number


class Stop:
    """A request to stop, which a signal may make.

    Attributes:
        number: of the signal that made the request, 0 as long as there is none.
        kept: what is saved of the work so far, for the message; code that saves something sets it.
    """

    def __init__(self):
        self.number, self.kept = 0, ''
        self._part, self._signalled = None, False

    @contextlib.contextmanager
    def held(self, part):
        """Holds a request off during the block, which looks at `number` or calls `check` itself.

        Args:
            part: name of what has to end first, for the message, such as 'this step'.

        Raises:
            Stopped: at the end of the block, if there was a request.
        """
        before, self._part = self._part, part
        try:
            yield
        finally:
            self._part = before
        if before is None:
            self.check()

    def check(self):
        """Raises `Stopped` if there was a request."""
        if self.number:
            raise Stopped(self.number, self.kept)

    def vote(self):
        """The vote of this process on whether all processes of a run stop after this step.

        Signals reach processes at different steps, but a process that stops alone leaves the others
        waiting in their next step for ever. All processes have to vote at the same places.

        Returns:
            The argument of `carried`: the highest number of all processes, an array that is still
            being computed. None in a run of one process, which can look at its own request at any
            time.
        """
        # Imported here, so that commands that compute nothing start without JAX.
        import jax

        if jax.process_count() == 1:
            return None
        return _ballot()(None, np.full(jax.local_device_count(), self.number, np.int32))

    def carried(self, vote):
        """Whether any process had a request before its `vote`; if so, this one has it now, too."""
        number = self.number
        if vote is not None:
            import jax

            # Waits for all devices: a process that ends before its part of the vote is complete
            # leaves the others waiting.
            number = int(jax.block_until_ready(vote))
        self.number = self.number or number
        return number > 0

    def trained(self, step, steps, folder):
        """Ends a loop that votes and has saved its last step; all processes go on, or none.

        Args:
            step: the last one that was done.
            steps: of the whole training.
            folder: where its checkpoint is.
        """
        self.kept = (
            f'the checkpoint of step {step} of {steps} is saved in {folder}; the same command goes '
            'on from there'
        )
        # There may be a request after the last vote.
        self.carried(self.vote())

    def on_signal(self, number, unused_frame=None):
        """Handles a signal in the main thread.

        Raises:
            Stopped: on the first one, unless it is held off.
            KeyboardInterrupt: on Ctrl-C after the first one.
        """
        if self._signalled:
            # Launchers send SIGTERM more than once; that is no reason to leave the work unsaved.
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            return
        self._signalled = True
        # Ctrl-C reaches all processes of a terminal, and the vote of another process may arrive
        # before the signal.
        if not self.number:
            self.number = number
            if self._part is None:
                self.check()

    def _watch(self, reader):
        """Follows signals in a thread, which the main thread cannot see while XLA works."""
        asked, silent = False, False
        while True:
            if silent and not select.select([reader], [], [], _PATIENCE)[0]:
                silent = False
                _say('stopping; Ctrl-C again stops at once')
                continue
            byte = os.read(reader, 1)
            if byte in (_END, b''):
                os.close(reader)
                return
            number, part = byte[0], self._part
            if number not in SIGNALS:
                continue
            if asked and number == signal.SIGINT:
                time.sleep(_PATIENCE)
                os._exit(128 + number)
            if not asked and part is not None:
                _say(
                    f'{signal.Signals(number).name}: stopping after {part}; Ctrl-C '
                    f'{"again " if number == signal.SIGINT else ""}stops at once'
                )
            asked, silent = True, not asked and part is None


@functools.cache
def _ballot():
    """(None, [local devices] votes) -> the highest vote of all processes."""
    import jax

    from common import parallel

    return parallel.data_parallel(
        lambda unused_state, vote: jax.lax.pmax(vote, parallel.AXIS), num_shared=0
    )


def _say(text):
    print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def on_signals():
    """Turns the signals `SIGNALS` into requests to stop during the block.

    Afterwards they have their earlier handlers.

    A signal that was ignored before stays ignored, for example in jobs that a shell starts in the
    background. Outside of the main thread, where Python takes no signals, nothing changes. Other
    libraries set handlers too when they start (jax.distributed, Ray): start them first.

    Yields:
        `Stop`.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    threading.Thread(target=stop._watch, args=(reader,), daemon=True, name='stopping').start()
    wakeup = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        for number, handler in before.items():
            if handler != signal.SIG_IGN:
                signal.signal(number, stop.on_signal)
        yield stop
    finally:
        for number, handler in before.items():
            # None means a handler that Python did not set and cannot set again.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        signal.set_wakeup_fd(wakeup)
        os.write(writer, _END)
        os.close(writer)
