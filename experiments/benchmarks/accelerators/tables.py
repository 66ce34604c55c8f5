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


def _tests(rows):
    names = ('passed', 'failed', 'rounding', 'skipped')
    header = ('tests', 'device', *names[:2], 'of these TF32 alone', names[3], 'seconds')
    cells = [
        (r['file'], r['device'], *(str(r[name]) for name in names), f'{r["seconds"]:.0f}')
        for r in rows
    ]
    total = [str(sum(r[name] for r in rows)) for name in names]
    cells.append(('all', rows[0]['device'], *total, f'{sum(r["seconds"] for r in rows):.0f}'))
    return [header, *cells]


def _training(rows):
    header = ('device', 'face', 'batch', 'steps/s', 'step ms', 'timed', 'first step s', 'loss')
    cells = [
        (
            r['device'],
            str(r['face_size']),
            str(r['batch']),
            f'{r["steps_per_second"]:.3g}',
            f'{r["step_ms"]:.4g}',
            str(r['steps']),
            f'{r["first_seconds"]:.1f}',
            f'{r["loss"]:.5f}',
            f'{r["peak_bytes"] / 1e6:.0f} ({r["memory_of"]})',
        )
        for r in rows
    ]
    return [(*header, 'most MB so far'), *cells]


def _geometry(rows):
    header = ('what', 'device', 'image', 'frames', 'ms a frame', 'first call s', 'score')
    cells = [
        (
            r['what'],
            r['device'],
            f'{r["height"]}x{2 * r["height"]}',
            str(r['frames']),
            f'{r["frame_ms"]:.4g}',
            f'{r["first_seconds"]:.1f}',
            f'{r["score"]:.4f} ({r["score_of"]})',
        )
        for r in rows
    ]
    return [header, *cells]


def _networks(rows):
    header = ('network', 'framework', 'device', 'type', 'batch', 'steps/s', 'step ms')
    cells = [
        (
            r['network'],
            r['framework'] + (f' {r["version"]}, {r["format"]}' if 'version' in r else ''),
            r['device'],
            r['dtype'],
            str(r['batch']),
            f'{r["steps_per_second"]:.3g}',
            f'{r["step_ms"]:.4g}',
        )
        for r in rows
    ]
    return [header, *cells]


def _input(rows):
    header = ('input', 'device', 'batch', 'waits', 'step ms', 'on one batch ms')
    cells = [
        (
            r['input'],
            r['device'],
            str(r['batch']),
            f'{r["share"]:.1%}',
            f'{r["step_ms"]:.4g}',
            f'{r["fixed_batch_ms"]:.4g}',
        )
        for r in rows
    ]
    return [header, *cells]


def _rooms(rows):
    header = ('flags', 'steps', 'steps/s', 'first loss', 'last loss', 'checkpoint MB')
    cells = [
        (
            r['flags'],
            f'{r["from_step"]} to {r["to_step"]}',
            f'{r["steps_per_second"]:.3g}',
            f'{r["first_loss"]:.4f}',
            f'{r["last_loss"]:.4f}',
            f'{r["checkpoint_bytes"] / 1e6:.1f}',
        )
        for r in rows
    ]
    return [header, *cells]


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
