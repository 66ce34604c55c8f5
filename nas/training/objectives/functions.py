"""Functions of the user's own, from files and modules, the same ones in every process of a run.

`--objective=my_objectives.py:energy` names a function `energy(facts) -> float` of a file, and
`--objective=package.module:energy` one of an installed module or of a file of that name in the
present folder. The content of a file goes to other processes with each candidate, so that all of
them call the same function, on every machine.
"""

import dataclasses
import functools
import hashlib
import importlib
import importlib.util
import math
import os
import pathlib
import sys
import types
from collections.abc import Callable, Sequence

from nas.training.objectives.facts import Facts

OBJECTIVE_HELP = (
    "an objective of your own: FILE.py:FUNCTION or MODULE:FUNCTION, whose name is the function's;"
    ' it takes nas.training.objectives.facts.Facts of a trained candidate and returns a number;'
    ' several with commas'
)
_FORM = 'FILE.py:FUNCTION or MODULE:FUNCTION is accepted'


@dataclasses.dataclass(frozen=True)
class OwnObjective:
    """One function, with all that another process needs to load it.

    Attributes:
        text: as the user wrote it.
        name: of the function and of the objective.
        digest: SHA-256 of the file that holds it.
        source: text of the file; None of an installed module.
        module: dotted name of an installed module; None of a file.
    """

    text: str
    name: str
    digest: str
    source: str | None = None
    module: str | None = None

    def load(self) -> Callable[[Facts], float]:
        """The function. Raises ValueError if the file cannot be run or lacks it."""
        try:
            if self.source is None:
                found = importlib.import_module(self.module)
            else:
                found = _module(self.digest, self.source, self.text.rpartition(':')[0])
        except Exception as error:
            raise _not_loaded(self.text, error) from error
        function = getattr(found, self.name, None)
        if not callable(function):
            raise ValueError(f'--objective={self.text} names no function {self.name}; {_FORM}')
        return function

    def value(self, facts: Facts) -> float:
        """The objective of a candidate.

        Raises:
            ValueError: the function fails or gives no finite number; the message names it.
        """
        try:
            value = self.load()(facts)
            number = math.nan if isinstance(value, (str, bytes, bool)) else float(value)
        except Exception as error:  # any exception of a user's function
            raise ValueError(
                f'objective {self.name} failed: {type(error).__name__}: {error}'
            ) from error
        if not math.isfinite(number):
            raise ValueError(f'objective {self.name} is {value!r}; a finite number is accepted')
        return number


def read_objectives(texts: Sequence[str]) -> tuple[OwnObjective, ...]:
    """Reads what `--objective` names, and loads it once here.

    Raises:
        ValueError: a text has another form, there is no such file, module or function, or two
            functions have the same name.
    """
    found = tuple(_read(text.strip()) for text in texts if text.strip())
    names = [own.name for own in found]
    for own in found:
        if names.count(own.name) > 1:
            raise ValueError(
                f'--objective={own.text}: two functions are called {own.name}, which names the '
                'objective; give one of them another name'
            )
        own.load()
    return found


def _not_loaded(text: str, error: Exception) -> ValueError:
    return ValueError(f'--objective={text} cannot be loaded: {type(error).__name__}: {error}')


def _read(text: str) -> OwnObjective:
    place, _, name = text.rpartition(':')
    if not place or not name.isidentifier():
        raise ValueError(f'--objective={text} names no function of a file or module; {_FORM}')
    path = pathlib.Path(place).expanduser()
    if not path.is_file() and path.suffix != '.py' and os.sep not in place:
        path = pathlib.Path(*place.split('.')).with_suffix('.py')
    if path.is_file():
        try:
            content = path.read_bytes()
            return OwnObjective(text, name, hashlib.sha256(content).hexdigest(), content.decode())
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f'--objective={text}: {path} cannot be read: {error}') from error
    try:
        spec = None if os.sep in place or path.name == place else importlib.util.find_spec(place)
    except (ImportError, ValueError):
        spec = None
    except Exception as error:  # a parent package runs, and may raise any exception
        raise _not_loaded(text, error) from error
    if spec is None or not spec.origin or not os.path.isfile(spec.origin):
        raise ValueError(f'--objective={text}: there is no file or module {place}; {_FORM}')
    digest = hashlib.sha256(pathlib.Path(spec.origin).read_bytes()).hexdigest()
    return OwnObjective(text, name, digest, module=place)


@functools.cache
def _module(digest: str, source: str, name: str) -> types.ModuleType:
    """Runs the text of a file once in each process."""
    module = types.ModuleType(f'own_objective_{digest[:16]}')
    module.__file__ = name
    # Classes of the file find their module by its name.
    sys.modules[module.__name__] = module
    exec(compile(source, name, 'exec'), vars(module))
    return module
