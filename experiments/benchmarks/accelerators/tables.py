"""The Markdown page of `accelerator.py`: a table for each part, from its lines of JSON."""

from experiments.benchmarks.search.tables import markdown

_TEXTS = ('tests', 'device', 'faces', 'network', 'type', 'framework', 'what', 'input', 'flags')


def page(rows: list[dict], titles: dict[str, str]) -> str:
    """The page of the newest run of each part.

    Args:
        rows: of accelerator.jsonl: figures, and one with `how` for each run of a part, in order.
        titles: {part: heading}, in the order of the page.
    """
    lines = ['# What ran on the accelerator', '']
    for part, title in titles.items():
        mine = [row for row in rows if row.get('part') == part]
        if not mine:
            continue
        newest = [row for row in mine if row['run'] == mine[-1]['run']]
        figures = [row for row in newest if 'how' not in row]
        ends = [row for row in newest if 'how' in row]
        lines += [f'## {title}', '']
        shown = [row for row in figures if 'error' not in row]
        if shown:
            lines += [markdown(_TABLES[part](shown), texts=_TEXTS), '']
        lines += _notes(part, figures)
        lines += [_said(end) for end in ends] or ['The run was cut off.', '']
    return '\n'.join(lines).rstrip() + '\n'


def _said(end):
    """How a part ended, on which device and with which versions."""
    words = end['date'] + (', toy sizes' if end['toy'] else '')
    words += f', {end["seconds"]:.0f} s of {end["limit_seconds"]:.0f}: {end["how"]}'
    if end['how'] == 'failed':
        words += f' ({_plain(end["words"])})'
    facts = end.get('machine', {})
    return f'{words}. {", ".join(f"{name} {value}" for name, value in facts.items())}.\n'


def _plain(text):
    """A text that does no harm in Markdown."""
    return text.replace('|', '/').replace('`', "'").replace('<', '(').replace('>', ')')


def _notes(part, rows):
    """Sentences on rows that have no place in the table."""
    notes = [_plain(row['error']) for row in rows if 'error' in row]
    if part == 'tests':
        for row in rows:
            notes += [f'{test}: {_plain(error)}' for test, error in row['failures'].items()]
            notes += [f'{row["file"]}::{row["hung"]} did not end'] if row['hung'] else []
    return [*(f'- {note}' for note in notes), *([''] if notes else [])]


def _table(columns, rows):
    """The header and a line for each row.

    Args:
        columns: {heading: format string of the names in a row}.
        rows: dicts.
    """
    lines = [tuple(text.format_map(row) for text in columns.values()) for row in rows]
    return [tuple(columns), *lines]


def _tests(rows):
    names = ('passed', 'failed', 'rounding', 'skipped')
    every = {name: sum(row[name] for row in rows) for name in (*names, 'seconds')}
    columns = {
        'tests': '{file}',
        'device': '{device}',
        'passed': '{passed}',
        'failed': '{failed}',
        'of these TF32 alone': '{rounding}',
        'skipped': '{skipped}',
        'seconds': '{seconds:.0f}',
    }
    return _table(columns, [*rows, {'file': 'all', 'device': rows[0]['device'], **every}])


def _training(rows):
    columns = {
        'device': '{device}',
        'face': '{face_size}',
        'batch': '{batch}',
        'steps/s': '{steps_per_second:.3g}',
        'step ms': '{step_ms:.4g}',
        'timed': '{steps}',
        'first step s': '{first_seconds:.1f}',
        'loss': '{loss:.5f}',
        'most MB so far': '{megabytes:.0f} ({memory_of})',
    }
    return _table(columns, [row | {'megabytes': row['peak_bytes'] / 1e6} for row in rows])


def _geometry(rows):
    columns = {
        'what': '{what}',
        'device': '{device}',
        'image': '{height}x{width}',
        'frames': '{frames}',
        'ms a frame': '{frame_ms:.4g}',
        'first call s': '{first_seconds:.1f}',
        'score': '{score:.4f} ({score_of})',
    }
    return _table(columns, [row | {'width': 2 * row['height']} for row in rows])


def _networks(rows):
    columns = {
        'network': '{network}',
        'framework': '{framework}{more}',
        'device': '{device}',
        'type': '{dtype}',
        'batch': '{batch}',
        'steps/s': '{steps_per_second:.3g}',
        'step ms': '{step_ms:.4g}',
    }
    more = lambda row: f' {row["version"]}, {row["format"]}' if 'version' in row else ''
    return _table(columns, [row | {'more': more(row)} for row in rows])


def _input(rows):
    columns = {
        'input': '{input}',
        'device': '{device}',
        'batch': '{batch}',
        'waits': '{share:.1%}',
        'step ms': '{step_ms:.4g}',
        'on one batch ms': '{fixed_batch_ms:.4g}',
    }
    return _table(columns, rows)


def _rooms(rows):
    columns = {
        'flags': '{flags}',
        'steps': '{from_step} to {to_step}',
        'steps/s': '{steps_per_second:.3g}',
        'first loss': '{first_loss:.4f}',
        'last loss': '{last_loss:.4f}',
        'checkpoint MB': '{megabytes:.1f}',
    }
    return _table(columns, [row | {'megabytes': row['checkpoint_bytes'] / 1e6} for row in rows])


_TABLES = {
    'tests': _tests,
    'training': _training,
    'cpu': _training,
    'geometry': _geometry,
    'networks': _networks,
    'torch': _networks,
    'input': _input,
    'rooms': _rooms,
}
