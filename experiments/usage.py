"""The texts of `--help` and `--helpfull`: the flags that users need, in groups, with examples."""

import dataclasses
import shutil
import textwrap
from collections.abc import Mapping, Sequence

from absl import flags as absl_flags

from experiments import flags

_COLUMN = 26  # column where the text of a flag begins


@dataclasses.dataclass(frozen=True)
class Usage:
    """What a program is for, and the flags that its users need.

    Attributes:
        program: its name.
        about: what it does, in a sentence.
        examples: commands, each with what it does.
        groups: names of flags by heading.
    """

    program: str
    about: str
    examples: Sequence[tuple[str, str]]
    groups: Mapping[str, Sequence[str]]


def text(usage: Usage, values: absl_flags.FlagValues, *, full: bool = False) -> str:
    """The help of a program.

    Args:
        usage: what it is for.
        values: where its flags are registered.
        full: whether all of its flags are listed.
    """
    width = max(60, min(100, shutil.get_terminal_size().columns))
    lines = [*textwrap.wrap(f'{usage.program}: {usage.about}', width), '']
    for command, meaning in usage.examples:
        lines += [f'    {command}', *textwrap.wrap(meaning, width, **_indent(8)), '']
    shown = {name for names in usage.groups.values() for name in names}
    groups = {heading: list(names) for heading, names in usage.groups.items()}
    if full:
        for flag in flags.project_flags(values):
            if flag.name not in shown:
                groups.setdefault(getattr(flag, 'heading', 'Other'), []).append(flag.name)
    for heading, names in groups.items():
        lines.append(f'{heading}:')
        for name in names:
            lines += _entry(values[name], width)
        lines.append('')
    count = len(flags.project_flags(values))
    lines.append('--flagfile=FILE reads flags from a file, one a line; later flags win.')
    if not full:
        lines.append(f'--helpfull lists all {count} flags.')
    return '\n'.join(lines) + '\n'


def _indent(spaces):
    return {'initial_indent': ' ' * spaces, 'subsequent_indent': ' ' * spaces}


def _entry(flag, width):
    """The lines about one flag."""
    head = f'  --[no]{flag.name}' if flag.boolean else f'  --{flag.name}'
    about = ' '.join(flag.help.split())
    choices = getattr(flag.parser, 'syntactic_help', '')
    if choices.startswith('<') and not about.startswith('<'):
        about = f'{choices}: {about}'
    if flag.default not in (None, '', [], ()) and 'default' not in about:
        about += f' (default: {_shown(flag.default)})'
    lines = textwrap.wrap(about, width, **_indent(_COLUMN)) or ['']
    if len(head) < _COLUMN - 1:
        return [head.ljust(_COLUMN) + lines[0].lstrip(), *lines[1:]]
    return [head, *lines]


def _shown(value):
    """A default as a user would give it."""
    if isinstance(value, bool):
        return 'yes' if value else 'no'
    return ','.join(map(str, value)) if isinstance(value, (list, tuple)) else value
