"""The report of a run directory: one page with scores, point cloud, panels and curves."""

import functools
import json
import pathlib

from common import logs
from common.report.page import Report
from common.run import FLAGS_FILE, RECORD_FILE
from pano_depth.results.report.panorama import add_panorama
from pano_depth.results.report.scene import add_clouds, add_footage, add_pictures, listing
from pano_depth.results.report.scores import add_scores

REPORT_FILE = 'report.html'
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
_SCORES_FILE = 'eval.json'
_NOT_SHOWN = ('command', 'finished', 'files', 'inputs')  # of the record


def depth_report(workdir):
    """Writes `report.html` of a run directory from the results that its `run.json` lists.

    A file that is missing or damaged is left out, and the page says so. The record of a run of
    before there was such a list is taken to list everything that is there.

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
    record = _attempt(notes, lambda name: True, folder / RECORD_FILE, _read_object) or {}
    attempt = functools.partial(_attempt, notes, listing(record))
    scores = attempt(folder / _SCORES_FILE, _read_object)
    page = Report(_title(record, folder), subtitle=_subtitle(record))
    if isinstance(record.get('command'), str):
        page.code(record['command'])
    attempt(folder / RECORD_FILE, lambda path: add_footage(page, record), optional=True)
    if scores is not None:
        attempt(folder / _SCORES_FILE, lambda path: add_scores(page, scores))
    attempt(folder / 'depth', lambda path: add_panorama(page, folder), optional=True)
    add_clouds(page, folder, record, attempt)
    add_pictures(page, folder, record, notes)
    attempt(folder / logs.METRICS_FILE, lambda path: _add_curves(page, folder))
    page.section('Run')
    page.facts({name: value for name, value in record.items() if name not in _NOT_SHOWN})
    attempt(
        folder / FLAGS_FILE,
        lambda path: page.code(path.read_text(), summary=f'Flags ({FLAGS_FILE})'),
    )
    if notes:
        page.section('Left out')
        for note in notes:
            page.text(note)
    page.write(folder / REPORT_FILE)
    return folder / REPORT_FILE


def _attempt(notes, is_listed, path, part, *, optional=False):
    """`part(path)`; if that fails, None and a note, of a missing file unless it is optional."""
    if not path.exists() or not is_listed(path.name):
        notes.extend([] if optional else [f'{path.name}: this run has none.'])
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
