"""Ops of the user's own, from files and packages, the same ones in every process of a run.

`--ops=my_ops.py` names a Python file that calls `nas.cells.plan.register_op`; `--ops=NAME` names
an installed module, under the entry-point group `pano_dppnet.ops` of its package. The content of
the file goes to other processes with each candidate, and into the workdir as `ops/my_ops.py`. So
all candidates of a run use the same ops, on every machine, and a trained network finds them again.
"""

import dataclasses
import hashlib
import importlib
import importlib.metadata
import importlib.util
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from nas.cells import copies as kept
from nas.cells import registering
from nas.cells.cell import Cell, token_role

GROUP = 'pano_dppnet.ops'
FOLDER = 'ops'
OPS_HELP = (
    'own ops: a Python file that calls nas.cells.plan.register_op, or the name of an installed'
    f' module (entry-point group {GROUP}); several with commas'
)


@dataclasses.dataclass(frozen=True)
class OpsModule:
    """One file or installed module, with all that another process needs to load it.

    Attributes:
        name: the path of the file, or the name of the entry point.
        digest: SHA-256 of the content.
        source: text of the file; None of an installed module.
        module: dotted name of an installed module; None of a file.
    """

    name: str
    digest: str
    source: str | None = None
    module: str | None = None

    def load(self) -> tuple[str, ...]:
        """Registers the ops of this module, once in each process, and returns their tokens.

        Raises:
            ValueError: it cannot be run, registers nothing, or registers a token that is taken.
        """
        if self.module is not None and _installed(self.name).digest != self.digest:
            raise ValueError(
                f'--ops={self.name}: the module {self.module} that is installed here differs from'
                ' the one that the run began with'
            )
        return registering.load(self.name, self.digest, self.source, self.module)


@dataclasses.dataclass(frozen=True)
class OwnOps:
    """The own ops of a run; it can be pickled, and another process loads it again.

    Attributes:
        modules: in the order of `--ops`.
    """

    modules: tuple[OpsModule, ...] = ()

    def load(self) -> 'OwnOps':
        """Registers all ops in this process. Raises ValueError as `OpsModule.load`."""
        for module in self.modules:
            module.load()
        return self

    @property
    def norms(self) -> tuple[str, ...]:
        """Tokens that stand where a normalisation stands."""
        return self._tokens('norm')

    @property
    def convs(self) -> tuple[str, ...]:
        """Tokens that stand where a convolution stands."""
        return self._tokens('conv', 'depthwise')

    def _tokens(self, *roles):
        tokens = [token for module in self.modules for token in module.load()]
        return tuple(token for token in tokens if token_role(token) in roles)

    def inputs(self) -> dict[str, str]:
        """{flag: digest} for run.json."""
        return {f'--ops={module.name}': module.digest for module in self.modules}

    def of(self, cell: Cell | None) -> 'OwnOps':
        """Those that register a token of a cell."""
        tokens = set(() if cell is None else cell.ops)
        return OwnOps(tuple(m for m in self.modules if tokens & set(m.load())))

    def write(self, workdir) -> None:
        """Copies the files into a workdir, as `ops/<name>`."""
        folder = pathlib.Path(workdir) / FOLDER
        for module in self.modules:
            if module.source is not None:
                kept.write(folder / os.path.basename(module.name), module.source)

    def files(self) -> tuple[str, ...]:
        """Names of what `write` writes, relative to the workdir."""
        names = [os.path.basename(m.name) for m in self.modules if m.source is not None]
        return tuple(f'{FOLDER}/{name}' for name in names)

    def as_list(self) -> list[dict[str, Any]]:
        """For network.json; `remembered` is the inverse."""
        return [
            {
                'name': m.name if m.source is None else os.path.basename(m.name),
                'sha256': m.digest,
                'module': m.module,
                'tokens': list(m.load()),
            }
            for m in self.modules
        ]

    def check_same(self, record: Mapping[str, Any], *, workdir, what: str) -> None:
        """Refuses to go on with other ops than those of an earlier run.

        Args:
            record: run.json of the earlier run; one of before ops were recorded has none.
            workdir: the directory of the run.
            what: what the run is, such as 'search'.

        Raises:
            ValueError: names the file, and the first line that differs.
        """
        for module in self.modules:
            kept.check_same(
                f'--ops={module.name}',
                module.digest,
                module.source,
                record=record,
                copy=pathlib.Path(workdir).expanduser() / FOLDER / os.path.basename(module.name),
                workdir=workdir,
                what=what,
            )


NONE = OwnOps()


def read(text: str | None) -> OwnOps:
    """Reads what `--ops` names; `load` registers it.

    Args:
        text: files and names of entry points, separated by commas; None and '' for none.

    Raises:
        ValueError: there is no such file or entry point, or two files have the same name.
    """
    parts = [part.strip() for part in (text or '').split(',') if part.strip()]
    modules = tuple(_read_one(part) for part in dict.fromkeys(parts))
    names = [os.path.basename(module.name) for module in modules]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f'--ops={text} names two files {name}; give one of them another name')
    return OwnOps(modules)


def remembered(records: Sequence[Mapping[str, Any]], workdir, given: str | None = None) -> OwnOps:
    """Finds the own ops of a trained network again.

    Args:
        records: by `OwnOps.as_list`.
        workdir: of the training, which holds copies of the files.
        given: a text as for `read`, which replaces them.

    Raises:
        ValueError: one is missing or differs; the message names it and its tokens.
    """
    if given:
        return read(given)
    modules, workdir = [], pathlib.Path(workdir).expanduser()
    for record in records:
        path, which = workdir / FOLDER / record['name'], ', '.join(record['tokens'])
        place = record['name'] if record.get('module') else path
        try:
            found = _installed(record['name']) if record.get('module') else _file(path)
        except ValueError:
            raise ValueError(
                f'{place}, which registers {which}, is missing; put it back, or name the file with'
                ' --ops (in Python: ops=)'
            ) from None
        if found.digest != record['sha256']:
            raise ValueError(
                f'{place}, which registers {which}, has changed since the training; put it back,'
                ' or name the file with --ops (in Python: ops=)'
            )
        modules.append(found)
    return OwnOps(tuple(modules))


def copies(workdir, text: str | None) -> str | None:
    """What `--ops` of an earlier run named, with its files from the copies in its workdir."""
    folder, parts = pathlib.Path(workdir).expanduser() / FOLDER, []
    for part in (part.strip() for part in (text or '').split(',')):
        copy = folder / os.path.basename(part)
        parts.append(os.fspath(copy) if part and copy.is_file() else part)
    return ','.join(filter(None, parts)) or None


def _read_one(text: str) -> OpsModule:
    path = pathlib.Path(text).expanduser()
    if path.is_file():
        return dataclasses.replace(_file(path), name=text)
    if path.exists() or path.suffix or os.sep in text:
        why = 'is a folder' if path.is_dir() else 'does not exist'
        raise ValueError(f'--ops={text} {why}; a Python file that registers ops is accepted')
    return _installed(text)


def _file(path: pathlib.Path) -> OpsModule:
    try:
        content = path.read_bytes()
        source = content.decode()
    except OSError as error:
        raise ValueError(f'--ops={path} cannot be read: {error.strerror}') from error
    except UnicodeDecodeError as error:
        raise ValueError(f'--ops={path} is no text in UTF-8, so no Python file') from error
    return OpsModule(os.fspath(path), hashlib.sha256(content).hexdigest(), source)


def _installed(name: str) -> OpsModule:
    """An installed module by the name of its entry point; it is not imported yet."""
    points = {point.name: point for point in importlib.metadata.entry_points(group=GROUP)}
    if name not in points:
        raise ValueError(
            f'--ops={name} is neither a file nor an installed module of the entry-point group'
            f' {GROUP}; installed: {", ".join(sorted(points)) or "none"}'
        )
    module = points[name].module
    try:
        spec = importlib.util.find_spec(module)
    except ImportError:
        spec = None
    if spec is None or not spec.origin or not os.path.isfile(spec.origin):
        raise ValueError(f'--ops={name}: its module {module} is not installed as a Python file')
    digest, origin = hashlib.sha256(), pathlib.Path(spec.origin)
    whole = spec.submodule_search_locations is not None  # a package, with all that is in it
    for file in sorted(origin.parent.rglob('*.py')) if whole else [origin]:
        digest.update(file.read_bytes())
    return OpsModule(name, digest.hexdigest(), module=module)
