"""Runs main functions: an error ends in one sentence, and the exit code tells what happened."""

import atexit
import re
import signal
import sys

from absl import app
from absl import flags as absl_flags
from absl import logging as absl_logging

from common.stopping import Stopped
from experiments import parsers
from experiments import usage as usages
from experiments.flags import project_flags

FLAGS = absl_flags.FLAGS
NO_WORKDIR = "--workdir has to name a directory, new or an earlier run's"
_HELP = {'h', 'help', 'helpshort', 'helpfull', 'helpxml', 'version'}

absl_flags.DEFINE_bool('traceback', False, 'show the traceback of an error, not only its message')


def require_workdir(argv) -> None:
    """Exits with a sentence if a command line and its flagfiles name no --workdir.

    It knows no other flag, so that it can be asked before modules are imported that take seconds.
    Where there is doubt, such as a flagfile that cannot be read, it leaves the matter to `run`.

    Args:
        argv: name of the program and arguments.
    """
    wanted = {argument.lstrip('-').partition('=')[0] for argument in argv[1:]}
    if wanted & _HELP:
        return
    values = absl_flags.FlagValues()
    absl_flags.DEFINE_string('workdir', None, '', flag_values=values)
    absl_flags.DEFINE_string('flagfile', '', '', flag_values=values)
    try:
        values(list(argv), known_only=True)
    except (absl_flags.Error, ValueError):
        return
    if not values.workdir:
        sys.exit(_complain(NO_WORKDIR))


def run(main, usage=None):
    """Runs a main with parsed flags and exits: 0, 1 after an error, 128 + number of a signal.

    ValueError, OSError and errors caused by huge numbers become one sentence on stderr, and so do
    unknown flags and bad values; `--traceback` shows the traceback instead. Other exceptions are
    faults of the program and keep their traceback. An error with an `exit_code` ends with it.

    Args:
        main: function without arguments; its result is the exit code (None is 0).
        usage: `usage.Usage` with the texts of `--help` (the flags that users need) and `--helpfull`
            (all flags), which both exit with 0. None: absl's own help.
    """
    sys.unraisablehook = _unraisable
    job = main_with_errors(main)

    def to_the_end(argv):
        try:
            return job(argv)
        finally:
            # Registered last, so it runs first at exit; JAX and threads need seconds after that.
            atexit.register(_let_exit)

    app.run(to_the_end, flags_parser=lambda argv: _parse(argv, usage))


def _let_exit():
    """Ignores a request to stop when the work is done: the exit code stays that of the job."""
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)


def main_with_errors(main):
    """Wraps `main()` into the `main(argv)` that `absl.app.run` calls, with errors as in `run`."""

    def wrapped(argv):
        if len(argv) > 1:
            return _complain(f'unexpected argument {argv[1]!r}: flags are given as --name=value')
        try:
            return main()
        except Stopped as stopped:
            print(stopped, file=sys.stderr)
            return stopped.code
        except KeyboardInterrupt:
            print('interrupted', file=sys.stderr)
            return 130
        except (ValueError, OSError, MemoryError, OverflowError) as error:
            if FLAGS.traceback:
                raise
            return _complain(_sentence(error), getattr(error, 'exit_code', 1))

    return wrapped


def _parse(argv, usage):
    wanted = {
        argument.lstrip('-').partition('=')[0] for argument in argv[1:] if argument[:1] == '-'
    }
    if usage is not None and wanted & {'h', 'help', 'helpshort', 'helpfull'}:
        sys.stdout.write(usages.text(usage, FLAGS, full='helpfull' in wanted))
        sys.exit(0)
    # absl's --help is about the flags of the started script; the project's flags belong there too.
    for flag in project_flags(FLAGS):
        FLAGS.register_key_flag_for_module(argv[0], flag)
    try:
        rest = FLAGS(argv)
        if FLAGS['verbosity'].using_default_value:
            # Libraries log a page of INFO for every checkpoint; --verbosity=0 shows it.
            FLAGS.verbosity = absl_logging.WARNING
        return rest
    # Not every flag of absl, and no flagfile that is no text, ends in an error of absl.
    except (absl_flags.Error, ValueError) as error:
        sys.exit(_complain(refusal(error, FLAGS)))


def refusal(error, values):
    """The sentence of an error about flags: which flag, its value, what is accepted.

    Args:
        error: what the parser of the flags raised: an error of absl, or another ValueError.
        values: the flags.
    """
    cause, text = error.__context__, _sentence(error)
    if isinstance(error, absl_flags.CantOpenFlagFileError) and isinstance(cause, OSError):
        return f'--flagfile={cause.filename} cannot be read: {cause.strerror}'
    if isinstance(error, UnicodeDecodeError):
        return f'--flagfile names a file that is no text: {text}'
    found = re.match(r'flag --(\w+)=', text)
    if found is None or found[1] not in values:
        return text
    name, value = found[1], str(error)[found.end() :].removesuffix(f': {cause}')
    accepted = parsers.accepted(values[name].parser)
    if accepted is None:
        return text
    if value.startswith('--'):  # the next flag
        return f'--{name} needs a value; accepted: {accepted}'
    return f'--{name}={value} cannot be used; accepted: {accepted}'


def _unraisable(ignored):
    """Reports an ignored exception, unless it is TensorStore's after a failed checkpoint."""
    if str(ignored.exc_value) != 'Event loop is closed':
        sys.__unraisablehook__(ignored)


def _complain(sentence, code=1):
    print(f'error: {sentence}', file=sys.stderr)
    return code


def _sentence(error):
    if isinstance(error, OSError) and error.strerror:
        return error.strerror + (f': {error.filename}' if error.filename else '')
    return ' '.join(str(error).split()) or type(error).__name__
