"""Options that are paths: `~` in them means the home directory, wherever they come from.

A shell expands `~` at the beginning of a word only, so that `--mask=~/mask.png` reaches a program
as it stands. An option says with `path=` that it is a path: READ, or WRITTEN where the run writes
it, or READ_BEHIND_COLON of texts such as folder:PATH, or READ_BEFORE_COLON of PATH:NAME, or
READ_LIST of paths with commas between them. Words that stand in place of a path, such as `default`
or `auto`, do not begin with `~`.
"""

import os
from typing import Any

from common.options.fields import fields_of, make, values_of

READ, WRITTEN = 'read', 'written'
READ_BEHIND_COLON, READ_BEFORE_COLON = 'read_behind_colon', 'read_before_colon'
READ_LIST = 'read_list'


def expand(text: str, where: str = READ) -> str:
    """A text with its `~` expanded.

    Args:
        text: the value of an option.
        where: where the path is in it.
    """
    if where == READ_BEHIND_COLON:
        kind, colon, path = text.partition(':')
        return f'{kind}{colon}{os.path.expanduser(path)}'
    if where == READ_LIST:
        return ','.join(os.path.expanduser(part.strip()) for part in text.split(','))
    return os.path.expanduser(text)


def path_options(cls: type) -> dict[str, str]:
    """{name: where the path is} of the options of a configuration that are paths."""
    kinds = {name: field.metadata.get('path') for name, (field, _) in fields_of(cls).items()}
    return {name: kind for name, kind in kinds.items() if kind}


def expand_paths(config: Any) -> Any:
    """A configuration with `~` expanded in its paths; the same one if there is none."""
    values = values_of(config)
    expanded = {
        name: expand(os.fspath(values[name]), where)
        for name, where in path_options(type(config)).items()
        if values[name] is not None
    }
    if all(values[name] == value for name, value in expanded.items()):
        return config
    return make(type(config), {**values, **expanded})


def read_by(config: Any) -> dict[str, str]:
    """{name: path} of what a configuration reads; words in place of a path among them.

    Of an option with several paths, all but the first have names such as `train_data[1]`.
    """
    found, values = {}, values_of(config)
    for name, where in path_options(type(config)).items():
        if values[name] is None or where == WRITTEN:
            continue
        text = os.fspath(values[name])
        listed = where == READ_LIST
        paths = list(map(str.strip, text.split(','))) if listed else [_path_in(text, where)]
        found |= {f'{name}[{i}]' if i else name: path for i, path in enumerate(paths)}
    return found


def _path_in(text, where):
    if where == READ_BEHIND_COLON:
        # Words may follow the path, as in folder:PATH,stream,background=black.
        parts = text.partition(':')[2].split(',')
        paths = [','.join(parts[:count]) for count in range(len(parts), 0, -1)]
        there = (path for path in paths if os.path.exists(os.path.expanduser(path)))
        return next(there, paths[0])
    return text.rpartition(':')[0] if where == READ_BEFORE_COLON else text
