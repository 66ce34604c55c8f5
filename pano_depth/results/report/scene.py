"""What a reconstruction looks like in the report: its pieces, clouds with paths, and pictures."""

import pathlib
import re
from collections.abc import Callable

from common.report.page import Report
from common.run import Names
from pano_depth.footage.poses.axes import read_path
from pano_depth.results import ply

MOST_CLOUDS = 4  # on a page, which has to hold them
# Patterns of file names: caption and description.
_PICTURES = {
    'panels*.png': (
        'Depth from near (red) to far (blue) on a log scale, one scale for all columns.',
        'Panels of frames of the footage and their depth.',
    ),
    'trajectory*.png': ('The path of the camera.', 'Path of the camera from above and its height.'),
    'mask*.png': (
        'What is black is left out, grey in some of the frames: there depth is 0, and nothing of it'
        ' is in the cloud.',
        'Mask of the images.',
    ),
}


def add_footage(page: Report, record: dict) -> None:
    """Adds what the footage shows, where it is not simply one moving camera.

    Args:
        page: the page.
        record: what `run.json` holds.
    """
    reason = _dict(record, 'survey').get('reason')
    facts = _dict(record, 'prediction')
    pieces, mask = facts.get('pieces'), _dict(facts, 'mask')
    notes = _dict(record, 'data').get('notes')
    notes = [note for note in notes if isinstance(note, str)] if isinstance(notes, list) else []
    if not reason and not pieces and not mask.get('share') and not notes:
        return
    part = Report('')
    part.section('Footage')
    for note in notes:
        part.text(_sentence(note))
    if reason:
        part.text(f'{_sentence(reason)}', note=True)
    if mask.get('share'):
        part.text(_sentence(mask['reason']))
    if pieces:
        columns = ['piece', 'frames', 'camera', 'path', 'cloud', 'confirmed', 'masked']
        part.table('Pieces', columns, [_row(i, piece) for i, piece in enumerate(pieces, 1)])
    page.add(part)


def listing(record: dict) -> Callable[[str], bool]:
    """A function that tells whether a run wrote the file or the folder of a name.

    Args:
        record: what `run.json` holds; it lists all files, or is of before there was a list.
    """
    files = record.get('files')
    if not isinstance(files, list):
        return lambda name: True
    files = [name for name in files if isinstance(name, str)]
    folders, names = {name.partition('/')[0] for name in files if '/' in name}, Names(files)
    return lambda name: name in names or name in folders


def _row(number, piece):
    """The line of a piece in the table."""
    confirmed, share = piece.get('confirmed'), _dict(piece, 'mask').get('share')
    return [
        str(number),
        '{} to {}'.format(*piece['frames']),
        'moves' if piece['path'] else 'no path: the networks alone',
        piece.get('trajectory'),
        piece.get('cloud'),
        None if confirmed is None else f'{confirmed:.0%}',
        None if share is None else f'{share:.1%}',
    ]


def _sentence(text):
    return f'{text[:1].upper()}{text[1:]}.'


def _dict(record, name):
    """An entry that is a dict; an empty one in place of anything else."""
    found = record.get(name)
    return found if isinstance(found, dict) else {}


def add_clouds(page: Report, folder: pathlib.Path, record: dict, attempt: Callable) -> None:
    """Adds the clouds of the pieces, each with its path.

    Args:
        page: the page.
        folder: the run directory.
        record: what `run.json` holds.
        attempt: function (path, part) that gives `part(path)`, or None if the file is missing or
            damaged, which it notes.
    """
    is_listed = listing(record)
    further = [path for path in folder.glob('cloud_*.ply') if re.search(r'_\d+$', path.stem)]
    further = [path for path in further if is_listed(path.name)]
    further.sort(key=lambda path: int(path.stem.rpartition('_')[2]))
    for path in [folder / 'cloud.ply', *further[: MOST_CLOUDS - 1]]:
        attempt(path, lambda path: _add_cloud(page, path, record, attempt))
    if len(further) >= MOST_CLOUDS:
        page.text(f'{len(further) + 1 - MOST_CLOUDS} more clouds are in the directory of the run.')


def _add_cloud(page, path, record, attempt):
    points, colors = ply.read_ply(path)
    if not len(points):
        page.section(_heading(path))
        page.text(f'{path.name} holds no point: no depth is confirmed by a second view.')
        return
    axes = ply.CLOUD_AXES[ply.axes_of(path)]
    to_view = ply.CLOUD_AXES['y_up']
    track = attempt(
        path.with_name(path.name.replace('cloud', 'trajectory')).with_suffix('.txt'),
        lambda file: read_path(file).poses.translation @ to_view.T,
    )
    facts = _dict(record, 'prediction')
    caption = f'{len(points):,} points in {path.name}.'
    if facts.get('scale'):
        caption += f' Scale: {facts["scale"]}.'
    world = _dict(facts, 'world')
    if world.get('world') == 'level' and world.get('down_from'):
        caption += f' The world is level; down is by {world["down_from"]}.'
    if track is not None:
        caption += (
            f' The path of the camera over {len(track)} frames runs from orange to violet, its'
            ' start is white.'
        )
    part = Report('')
    part.section(_heading(path))
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


def _heading(path):
    return path.stem.replace('cloud', 'Point cloud').replace('_', ' ')


def add_pictures(page: Report, folder: pathlib.Path, record: dict, notes: list[str]) -> None:
    """Adds the pictures of a run.

    Args:
        page: the page.
        folder: the run directory.
        record: what `run.json` holds.
        notes: gets a line for each picture that is damaged.
    """
    part = Report('')
    part.section('Pictures')
    found, is_listed = False, listing(record)
    for pattern, (caption, alt) in _PICTURES.items():
        for path in filter(lambda path: is_listed(path.name), sorted(folder.glob(pattern))):
            share = _hidden(path.stem, _dict(record, 'prediction'))
            words = f' It hides {share:.1%} of the sphere.' if share else ''
            try:
                part.image(path, f'{path.name}. {caption}{words}', alt=alt)
                found = True
            except ValueError as error:
                notes.append(f'{path.name} is damaged and was left out: {error}')
    if found:
        page.add(part)


def _hidden(stem, facts):
    """The share of the sphere that the mask of a name hides; None of other pictures."""
    name, _, number = stem.partition('_')
    pieces = facts.get('pieces')
    if name != 'mask':
        return None
    if isinstance(pieces, list) and number.isdigit() and 0 < int(number) <= len(pieces):
        facts = pieces[int(number) - 1]
    return _dict(facts, 'mask').get('share')
