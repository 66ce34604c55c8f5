"""Scores in the report: tables of depth and motion next to trivial predictors, and a verdict."""

from common.report.page import Report

_DEPTH_COLUMNS = {
    'abs_rel': ('AbsRel', 'lower'),
    'sq_rel': ('SqRel (m)', 'lower'),
    'rmse': ('RMSE (m)', 'lower'),
    'rmse_log': ('RMSElog', 'lower'),
    'delta1': ('\u03b4 < 1.25', 'higher'),
    'delta2': ('\u03b4 < 1.25\u00b2', 'higher'),
    'delta3': ('\u03b4 < 1.25\u00b3', 'higher'),
}
_POSE_COLUMNS = {
    'rotation_deg': ('rotation (deg)', 'lower'),
    'direction_deg': ('direction (deg)', 'lower'),
    'rpe': ('RPE (m)', 'lower'),
    'ate': ('ATE (m)', 'lower'),
    'ate_percent': ('ATE (% of the path)', 'lower'),
    'path_m': ('true path (m)', None),
}
_WEIGHTINGS = {
    'plain': 'every pixel counts alike',
    'solid_angle': 'each pixel counts by its solid angle',
}


def add_scores(page, scores):
    """Adds a section of `eval.json`, a dict, to a page."""
    part, baselines = Report(''), scores.get('baselines') or {}
    part.section('Scores')
    depth = {
        'network': scores.get('depth'),
        'image-blind': baselines.get('blind'),
        'constant': baselines.get('constant'),
    }
    if depth['network']:
        part.text(_verdict(depth))
        for weighting, note in _WEIGHTINGS.items():
            rows = {name: entry[weighting] for name, entry in depth.items() if entry}
            _add_table(
                part, 'Depth', _DEPTH_COLUMNS, rows, f'{note}; {scores.get("frames", "?")} frames'
            )
    networks = scores.get('networks') or {}
    poses = {
        'result': scores.get('pose'),
        'networks alone': networks.get('pose'),
        'camera that never moves': baselines.get('identity'),
    }
    if poses['result']:
        rows = {name: entry for name, entry in poses.items() if entry}
        _add_table(part, 'Camera motion', _POSE_COLUMNS, rows, 'means over the clips')
    shown = ('depth', 'pose', 'networks', 'baselines', 'protocol', 'frames')
    others = {name: value for name, value in scores.items() if name not in shown}
    if others:
        part.facts(others)
    if scores.get('protocol'):
        part.facts(scores['protocol'], summary='Protocol')
    page.add(part)


def _add_table(part, title, columns, rows, note):
    known = {
        key: column for key, column in columns.items() if any(key in row for row in rows.values())
    }
    part.table(
        title,
        ['predictor'] + [name for name, _ in known.values()],
        [[name] + [row.get(key) for key in known] for name, row in rows.items()],
        better=[None] + [sense for _, sense in known.values()],
        note=note,
    )


def _verdict(depth):
    """One sentence: whether the network is better than the image-blind predictor."""
    ours, blind = (
        depth[name]['plain'].get('abs_rel') if depth[name] else None
        for name in ('network', 'image-blind')
    )
    if ours is None or blind is None:
        return 'There is nothing to compare the network with.'
    word = 'beats' if ours < blind else 'does not beat'
    return (
        f'The network {word} the image-blind predictor, which gives every image the same depth map:'
        f' AbsRel {ours:.3f} against {blind:.3f}.'
    )
