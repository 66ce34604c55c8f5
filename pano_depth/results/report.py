"""The report of a run directory: one page with scores, point cloud, panels and curves."""

import json
import pathlib

from common import logs
from common.report.page import Report
from common.run import FLAGS_FILE, RECORD_FILE
from pano_depth.footage import geometry
from pano_depth.results import ply

REPORT_FILE = 'report.html'
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
# Charts: title, label of the axis, names of the metrics, whether on a log scale. Each other metric
# gets its own chart.
_CHARTS = (
    ('Loss and its terms', 'loss', ('loss', 'photometric', 'pose', 'smooth', 'logit'), True),
    ('Disagreement of the faces', 'L_pose', ('pose_consistency',), True),
    ('Norm of the gradient', 'norm', ('gradient',), True),
    ('Translation between frames', 'mean depth = 1', ('translation',), False),
    ('Spread of the log disparity', 'standard deviation', ('disparity_spread',), False),
    ('Saturated head', 'share of pixels', ('saturated',), False),
    ('Training speed', 'steps/s', ('steps_per_second',), False),
)
# Patterns of file names: caption and description.
_PICTURES = {
    'panels*.png': (
        'Depth from near (red) to far (blue) on a log scale, one scale for all columns.',
        'Panels of frames of the footage and their depth.',
    ),
    'trajectory*.png': ('The path of the camera.', 'Path of the camera from above and its height.'),
}
_SCORES_FILE, _PATH_FILE, _CLOUD_FILE = 'eval.json', 'trajectory.txt', 'cloud.ply'


def depth_report(workdir):
    """Writes `report.html` of a run directory from whatever results it holds.

    A file that is missing or damaged is left out, and the page says so.

    Args:
        workdir: the run directory.

    Returns:
        `pathlib.Path` of the page.

    Raises:
        ValueError: `workdir` is no directory or the page cannot be written.
    """
    folder = pathlib.Path(workdir)
    if not folder.is_dir():
        raise ValueError(f'workdir {workdir} is no directory; accepted: the directory of a run')
    notes = []
    record = _attempt(notes, folder / RECORD_FILE, _read_object) or {}
    scores = _attempt(notes, folder / _SCORES_FILE, _read_object)
    page = Report(_title(record, folder), subtitle=_subtitle(record))
    if isinstance(record.get('command'), str):
        page.code(record['command'])
    if scores is not None:
        _attempt(notes, folder / _SCORES_FILE, lambda path: _add_scores(page, scores))
    _attempt(notes, folder / _CLOUD_FILE, lambda path: _add_cloud(page, path, record, notes))
    _add_pictures(page, folder, notes)
    _attempt(notes, folder / logs.METRICS_FILE, lambda path: _add_curves(page, folder))
    page.section('Run')
    page.facts({name: value for name, value in record.items() if name != 'command'})
    _attempt(
        notes,
        folder / FLAGS_FILE,
        lambda path: page.code(path.read_text(), summary=f'Flags ({FLAGS_FILE})'),
    )
    if notes:
        page.section('Left out')
        for note in notes:
            page.text(note)
    page.write(folder / REPORT_FILE)
    return folder / REPORT_FILE


def _attempt(notes, path, part):
    """`part(path)`; if that fails, None and a note of the reason."""
    if not path.exists():
        notes.append(f'{path.name}: this run has none.')
        return None
    try:
        return part(path)
    # The page is written whatever error a damaged file causes.
    except Exception as error:
        notes.append(
            f'{path.name} is damaged and was left out: {str(error) or type(error).__name__}'
        )
        return None


def _read_object(path):
    value = json.loads(path.read_text())
    if not isinstance(value, dict):
        raise ValueError('it holds no JSON object')
    return value


def _title(record, folder):
    data = record.get('data')
    name = data.get('name') if isinstance(data, dict) else None
    return f'360\u00b0 depth and camera motion: {name or folder.absolute().name}'


def _subtitle(record):
    started, commit, device = (record.get(name) for name in ('started', 'commit', 'device'))
    parts = [
        started and f'started {started}',
        commit and f'commit {str(commit)[:12]}',
        isinstance(device, dict) and f'on {device.get("count")} x {device.get("kind")}',
    ]
    return ', '.join(part for part in parts if part)


def _add_scores(page, scores):
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


def _add_cloud(page, path, record, notes):
    points, colors = ply.read_ply(path)
    axes = ply.CLOUD_AXES[_ply_axes(path)]
    to_view = ply.CLOUD_AXES['y_up']
    track = _attempt(
        notes,
        path.parent / _PATH_FILE,
        lambda file: geometry.read_tum(file)[1].translation @ to_view.T,
    )
    facts = record.get('prediction') if isinstance(record.get('prediction'), dict) else {}
    caption = f'{len(points):,} points in {path.name}.'
    if facts.get('scale'):
        caption += f' Scale: {facts["scale"]}.'
    if track is not None:
        caption += (
            f' The path of the camera over {len(track)} frames runs from orange to violet, its'
            ' start is white.'
        )
    part = Report('')
    part.section('Point cloud')
    unit = 'm' if facts.get('unit') == 'metre' else 'unit'
    part.point_cloud(
        points @ axes @ to_view.T,
        colors,
        path=track,
        unit=unit,
        caption=caption,
        alt='Point cloud of the scene, with the path of the camera.',
    )
    page.add(part)


def _ply_axes(path):
    """The axes in the header by `ply.write_ply`; y up if another program wrote the file."""
    with open(path, 'rb') as file:
        header = file.read(4096).partition(b'end_header')[0].decode('ascii', errors='replace')
    words = [line.split()[2] for line in header.splitlines() if line.startswith('comment axes ')]
    return words[0] if words and words[0] in ply.CLOUD_AXES else 'y_up'


def _add_pictures(page, folder, notes):
    part = Report('')
    part.section('Pictures')
    found = False
    for pattern, (caption, alt) in _PICTURES.items():
        for path in sorted(folder.glob(pattern)):
            try:
                part.image(path, f'{path.name}. {caption}', alt=alt)
                found = True
            except ValueError as error:
                notes.append(f'{path.name} is damaged and was left out: {error}')
    if found:
        page.add(part)


def _add_curves(page, folder):
    rows = logs.read_metrics(folder)
    if not rows:
        raise ValueError('it holds no whole line')
    names = dict.fromkeys(name for row in rows for name in row if name != 'step')
    drawn = {name for _, _, group, _ in _CHARTS for name in group}
    charts = [*_CHARTS, *((name, name, (name,), False) for name in names if name not in drawn)]
    part = Report('')
    part.section('Training')
    for title, label, group, log in charts:
        known = {name: [row for row in rows if name in row] for name in group if name in names}
        series = {
            name: ([row['step'] for row in having], [row[name] for row in having])
            for name, having in known.items()
        }
        if series:
            part.curves(title, series, x_label='step', y_label=label, log=log)
    page.add(part)
