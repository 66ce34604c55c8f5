"""The report of rounds: what each reconstructed, and how good the networks became."""

import json
import pathlib

from common.report.page import Report
from common.run import FLAGS_FILE, RECORD_FILE

_NOT_SHOWN = ('command', 'finished', 'files', 'inputs', 'clips', 'left_out')
_COLUMNS = [
    *('round', 'clips reconstructed', 'confirmed (%)', 'photometric error before', 'after'),
    *('AbsRel', 'direction (\u00b0)', 'reconstruction (min)', 'training (min)'),
]


def rounds_report(folder: pathlib.Path, rounds: list[dict], best: int) -> None:
    """Writes `report.html`.

    Args:
        folder: the run directory.
        rounds: entries of `improve.json`.
        best: number of the round whose networks are the result; 0: those of before.
    """
    record = json.loads((folder / RECORD_FILE).read_text())
    count = f'{len(rounds)} round{"s" * (len(rounds) != 1)}'
    page = Report('Self-improvement', subtitle=f'{count}, started {record["started"]}')
    page.code(record['command'])
    page.section('Rounds')
    page.text(
        f'The networks of round {best} explain held-out clips best: they are the result.'
        if best
        else 'No round made the networks better than they were: the result is what they were.'
    )
    page.table(
        'Each round reconstructs the clips and learns from that; held-out clips judge',
        _COLUMNS,
        [_row(entry) for entry in rounds],
        note='AbsRel and direction where held-out clips have truth, which no round learns from',
    )
    numbers = [entry['round'] for entry in rounds]
    errors = [entry['photometric_error'] for entry in rounds]
    page.curves(
        'Photometric error on held-out clips',
        {'error': ([0, *numbers], [errors[0]['before'], *(error['after'] for error in errors)])},
        x_label='round',
        y_label='error',
    )
    failed = [(entry['round'], one) for entry in rounds for one in entry['failed']]
    if failed:
        page.table(
            'Clips that taught by their images alone',
            ['round', 'clip', 'reason'],
            [[str(number), one['name'], one['reason']] for number, one in failed],
        )
    if out := record.get('left_out'):
        rows = [[one['name'], one['reason']] for one in out]
        page.table('Clips that are left out', ['clip', 'reason'], rows)
    page.section('Run')
    page.facts({name: value for name, value in record.items() if name not in _NOT_SHOWN})
    page.code((folder / FLAGS_FILE).read_text(), summary=f'Flags ({FLAGS_FILE})')
    page.write(folder / 'report.html')


def _row(entry):
    depth, pose = entry.get('depth') or {}, entry.get('pose') or {}
    return [
        str(entry['round']),
        f'{entry["reconstructed"]} of {entry["clips"]}',
        100 * entry['confident'],
        entry['photometric_error']['before'],
        entry['photometric_error']['after'],
        depth.get('plain', {}).get('abs_rel'),
        pose.get('direction_deg'),
        *(entry['seconds'][name] / 60 for name in ('reconstruction', 'training')),
    ]
