"""Flagfiles that repeat a run: written from a configuration, read back, compared."""

import dataclasses
import typing
from collections.abc import Collection, Iterator
from typing import Any

from common.options.fields import (
    default_of,
    fields_of,
    is_required,
    literal,
    make,
    repeats,
    values_of,
)
from common.options.paths import expand


def flagfile(config, **beside: Any) -> str:
    """A configuration as the text of a flagfile that repeats the run.

    Args:
        config: instance of a dataclass of options.
        **beside: further flags of the command, such as `mode` and `input`.

    Returns:
        Lines `--name=value`, booleans `--name` and `--noname`, sorted by name; an option that is
        None is left out.

    Raises:
        ValueError: a line of a flagfile cannot hold a value; the message names the flag.
    """
    repeated = {name for name, (field, _) in fields_of(type(config)).items() if repeats(field)}
    lines = []
    for name, value in sorted({**values_of(config), **beside}.items()):
        lines += [f'{line}\n' for line in flag_lines(name, value, repeated=name in repeated)]
    return ''.join(lines)


def flag_lines(name: str, value: Any, *, repeated: bool = False) -> list[str]:
    """One flag as lines of a flagfile; no line for None. Raises ValueError as `flagfile` does."""
    if value is None:
        return []
    if isinstance(value, bool):
        return [f'--{name}' if value else f'--no{name}']
    items = value if isinstance(value, (list, tuple)) else [value]
    for text in map(str, items):
        broken = text.encode(errors='replace').decode() != text  # not valid UTF-8
        if len(text.splitlines()) > 1 or text != text.rstrip() or '\0' in text or broken:
            raise ValueError(
                f'--{name} is {text!r}; accepted is text in one line, without white space at its'
                ' end'
            )
    if repeated:
        return [f'--{name}={item}' for item in items]
    if items is value and (any(',' in str(item) for item in items) or list(items) == ['']):
        raise ValueError(
            f'--{name} is {value!r}; commas separate its items, so that none holds one or is empty'
        )
    return [f'--{name}={",".join(map(str, items))}']


def _read_lines(text: str, names: Collection[str]) -> dict[str, list[str | bool]]:
    """{name: values} from the lines of a flagfile, for the options in `names` only."""
    found = {}
    for line in map(str.strip, text.splitlines()):
        if not line.startswith('-'):
            continue
        name, equals, value = line.lstrip('-').partition('=')
        if not equals:
            value = True
            if name not in names and name.startswith('no'):
                name, value = name[2:], False
        if name in names:
            found.setdefault(name, []).append(value)
    return found


def from_flagfile(cls: type, text: str) -> Any:
    """Reads a configuration back from `flagfile`; other flags in the text are ignored.

    Args:
        cls: the dataclass.
        text: content of the flagfile.

    Raises:
        ValueError: a value is not of its option's type, or the dataclass refuses it.
    """
    fields, values = fields_of(cls), {}
    for name, given in _read_lines(text, fields).items():
        field, kind = fields[name]
        values[name] = (
            tuple(map(str, given)) if repeats(field) else _parse(name, literal(kind), given[-1])
        )
    return make(cls, values)


def _parse(name: str, kind, text: str | bool) -> Any:
    """A value of a type from the text behind a flag."""
    try:
        if kind is bool:
            return {'true': True, 'false': False}[str(text).lower()]
        if typing.get_origin(kind) is typing.Literal:
            return {str(choice): choice for choice in typing.get_args(kind)}[str(text)]
        if typing.get_origin(kind) is tuple:
            item = typing.get_args(kind)[0]
            return tuple(item(part.strip()) for part in text.split(',')) if text else ()
        return kind(text)
    except (KeyError, TypeError, ValueError):
        raise ValueError(f'--{name}={text} is no value of this option') from None


def differences(
    earlier: str, config, free: Collection[str] = (), **beside: Any
) -> Iterator[tuple[str, str]]:
    """The differences between the flagfile of an earlier run and a configuration.

    An option that the earlier flagfile lacks is compared with its default, so that an option of a
    later version makes no difference.

    Args:
        earlier: text of a flagfile.
        config: the configuration.
        free: options that may differ.
        **beside: as for `flagfile`.

    Yields:
        (then, now): lines of a flagfile such as '--seed=0', or 'no --mask'.
    """
    fields, now = fields_of(type(config)), {**values_of(config), **beside}
    then, defaults = _read_lines(earlier, now), _defaults(type(config))
    # Another mode is told first: what else differs then follows from it.
    for name in sorted(set(now) - set(free), key=lambda name: (name != 'mode', name)):
        repeated = name in fields and repeats(fields[name][0])
        lines = flag_lines(name, now[name], repeated=repeated)
        if name in then:
            before = [_line(name, value) for value in then[name]]
            before = before if repeated else before[-1:]
        else:
            before = flag_lines(name, defaults.get(name), repeated=repeated)
        if before != lines and not (name in then and _equal(fields, name, then[name], now[name])):
            yield ' '.join(before) or f'no --{name}', ' '.join(lines) or f'no --{name}'


def _equal(fields, name, texts, value) -> bool:
    """Whether texts behind a flag, such as 1e-3, mean a value, such as 0.001."""
    if name not in fields:
        return False
    field, kind = fields[name]
    if repeats(field):
        return tuple(texts) == value
    try:
        before, where = _parse(name, literal(kind), texts[-1]), field.metadata.get('path')
        if where and None not in (before, value):
            return expand(str(before), where) == expand(str(value), where)
        return before == value
    except ValueError:
        return False


def _defaults(cls: type) -> dict[str, Any]:
    """The defaults of all options."""
    found = {name: default_of(field) for name, (field, _) in fields_of(cls).items()}
    if not any(is_required(field) for field in dataclasses.fields(cls)):
        found.update(values_of(cls()))
    return found


def _line(name: str, value: str | bool) -> str:
    """A flag as it stands in a flagfile."""
    if isinstance(value, bool):
        return f'--{name}' if value else f'--no{name}'
    return f'--{name}={value}'


def check_same(
    earlier: str | None, config, *, workdir, what: str, free: Collection[str] = (), **beside: Any
) -> None:
    """Refuses to go on with another job in the directory of an earlier run.

    Args:
        earlier: the earlier run's flagfile, or None where there is none.
        config: the new configuration.
        workdir: the directory, for the message.
        what: what the run is, such as 'search'.
        free: options that may change when the run goes on.
        **beside: further flags of the command.

    Raises:
        ValueError: an option or flag differs; the message names it with both values.
    """
    if earlier is None:
        return
    held = f'an {what}' if what[0] in 'aeiou' else f'a {what}'
    for then, now in differences(earlier, config, free, **beside):
        if now.startswith('--mode='):
            raise ValueError(
                f'workdir {workdir} holds a run with {then}, not {now}; another mode needs another'
                ' --workdir, or --overwrite'
            )
        raise ValueError(
            f'workdir {workdir} holds {held} with {then}, not {now}; it goes on with the same'
            f' flags, another {what} needs another --workdir, or --overwrite'
        )
