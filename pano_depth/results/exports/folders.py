"""Folders for other tools: which there are, what is written into each, and how it is replaced."""

import contextlib
import os
import pathlib
import shutil

from common.logs import Progress, say
from common.run import atomic_path, write_json
from common.stopping import Stop
from pano_depth.reconstruction import validity
from pano_depth.results.exports import clip, colmap, names, nerfstudio, points, views
from pano_depth.results.exports.capture import Capture
from pano_depth.results.exports.config import FORMATS, ExportConfig
from pano_depth.results.exports.images import Images
from pano_depth.results.files.fusion import file_name

RECORD = 'export.json'  # what is in a folder; it also marks the folder as ours
FACES = 'faces'  # folder of the cube faces, beside the panoramas


def export(folder, result, config: ExportConfig, *, stop: Stop | None = None) -> dict:
    """Writes `colmap/`, `nerfstudio/` and `clip/`, as far as they are asked for.

    The longest piece with a path is in `colmap/`, others in `colmap_2/` and so on; the pieces are
    scenes of one clip folder.

    Args:
        folder: the directory in which the folders are made.
        result: `reconstruction.Reconstruction`.
        config: what to write. The worlds of COLMAP and of poses.txt have the axes of the result's
            trajectory; that of nerfstudio has z up.
        stop: request to stop, or None.

    Returns:
        What `run.json` says: {name of a folder: facts}. Without a path: {'reason': a sentence}.
    """
    if not config.export_to:
        return {}
    reason = why_not(result)
    if reason:
        say(f'nothing for {", ".join(config.export_to)}: {reason}')
        return {'reason': reason}
    facts = {}
    for tool in dict.fromkeys(config.export_to):
        known = export_one(pathlib.Path(folder) / tool, result, tool, config, stop=stop)
        facts.update(known)
    return facts


def why_not(result) -> str:
    """Why a reconstruction cannot go on in another tool, in a sentence; '' if it can."""
    if result.poses is None:
        return result.reason or 'the images are unrelated, there is no path of the camera'
    if not any(piece.has_path and piece.stop - piece.start > 1 for piece in result.pieces):
        return f'{result.name} has one frame, other tools need several with a path'
    return ''


def export_one(
    folder, result, tool: str, config: ExportConfig | None = None, *, stop: Stop | None = None
) -> dict:
    """Writes the folder of one tool, and a folder beside it for each further piece with a path.

    Args:
        folder: a new or empty directory, or that of an earlier export, which is replaced.
        result: `reconstruction.Reconstruction`.
        tool: 'colmap', 'nerfstudio' or 'clip'.
        config: views and their size; None: the defaults.
        stop: request to stop, or None.

    Returns:
        {name of the folder: what `run.json` says of it}.

    Raises:
        ValueError: an unknown tool, there is no path, or the directory holds something else.
        Stopped: there was a request to stop; folders that are there are whole.
    """
    if tool not in FORMATS:
        raise ValueError(f'format is {tool!r}; accepted: {", ".join(FORMATS)}')
    reason = why_not(result)
    if reason:
        raise ValueError(f'{result.name} cannot be exported: {reason}')
    config, stop = config or ExportConfig(), stop or Stop()
    # The folder itself, not a link to it, is replaced.
    folder, facts = pathlib.Path(folder).expanduser().resolve(), {}
    axes = result.axes['trajectory']
    pieces = [
        (number, piece)
        for number, piece in enumerate(result.pieces)
        if piece.has_path and piece.stop - piece.start > 1
    ]
    if tool == 'clip':
        with _replaced(folder, tool) as temporary:
            for number, piece in pieces:
                scene = file_name(scene_name(result.name), number, '')
                (temporary / scene).mkdir()
                with _progress(piece, tool, stop) as step:
                    facts[scene] = clip.write_scene(
                        temporary / scene,
                        result,
                        piece,
                        axes=axes,
                        unit=_unit_of(result, number),
                        on_frame=step,
                    )
            return {folder.name: _recorded(temporary, tool, {'scenes': facts})}
    for number, piece in pieces:
        place = folder.with_name(file_name(folder.name, number, ''))
        with _replaced(place, tool) as temporary:
            unit = _unit_of(result, number)
            known = _write_views(temporary, result, piece, tool, config, axes, unit, stop)
            first, last = result.indices[[piece.start, piece.stop - 1]].tolist()
            known = {'unit': unit, 'frames': [first, last], **known}
            facts[place.name] = _recorded(temporary, tool, known)
    return facts


def scene_name(name: str) -> str:
    """The name of footage as the name of a folder."""
    kept = ''.join('_' if c in '/\\\0:' else c for c in name).strip().lstrip('.')
    return kept or 'scene'


def _write_views(folder, result, piece, tool, config, axes, unit, stop):
    """Writes panoramas into a folder and faces below it, or only one of them into the folder."""
    height = result.footage.height
    kinds = {}
    if config.export_views != 'faces':
        kinds['panoramas'] = (folder, [views.panorama(height)])
    if config.export_views != 'panoramas':
        place = folder if config.export_views == 'faces' else folder / FACES
        found = views.faces(height, fov=config.faces_fov, size=config.faces_size)
        kinds['faces'] = (place, found)
    with _progress(piece, tool, stop) as step:
        read = []
        tracks = points.find_tracks(result, piece, on_frame=lambda frame: read.append(frame.name))
        if not len(tracks.points):
            say(f'{tool} gets no points: no depth is confirmed by a second view')
        indices = result.indices[piece.start : piece.stop].tolist()
        found = names.image_names(indices, read)
        images = _write_images(result, piece, tool, kinds, found, step)
    facts = {}
    for kind, (place, cameras) in kinds.items():
        capture = Capture(tracks, piece.analysis.poses, cameras, found)
        if tool == 'colmap':
            facts[kind] = colmap.write_model(place, capture, axes)
        else:
            masks = images['masks']
            facts[kind] = nerfstudio.write_transforms(place, capture, unit=unit, masks=masks)
        facts[kind] |= {'masks': images['masks']} | images['facts']
    return facts


def _write_images(result, piece, tool, kinds, found, step):
    """Writes all images of a piece, reading the footage once more at its own resolution."""
    writers, saturated = [], 0
    mask_name = colmap.mask_name if tool == 'colmap' else names.png_name
    for place, cameras in kinds.values():
        place.mkdir(exist_ok=True)
        writers.append((place, Images(place, cameras, found, mask_name)))
        if tool == 'nerfstudio':
            (place / 'depths').mkdir()
    for position, frame in result.frames(piece.start, piece.stop, full=True):
        at = position - piece.start
        mask = validity.both(validity.of_frame(piece.mask, at), frame.valid)
        for place, writer in writers:
            writer.add(at, frame.image, mask)
            for view, name in writer.of(at) if tool == 'nerfstudio' else ():
                saturated += nerfstudio.write_depth(
                    place / 'depths' / names.png_name(name),
                    view,
                    result.depth(position),
                    len(frame.image),
                )
        step()
    for _, writer in writers:
        writer.finish()
    facts = {'saturated_pixels': saturated} if tool == 'nerfstudio' else {}
    return {'masks': writers[0][1].masks, 'facts': facts}


@contextlib.contextmanager
def _progress(piece, tool, stop):
    """A function to be called after each frame: shows the progress, and obeys a request to stop."""
    count = piece.stop - piece.start
    with (
        Progress(count, unit='frame', description=f'writing {tool}') as progress,
        stop.held('this frame'),
    ):

        def step():
            progress.update()
            stop.kept = f'the files for {tool} are begun again by the same command'
            stop.check()

        yield step


def _unit_of(result, number):
    """The unit of a piece; pieces whose unit is relative have one of their own each."""
    return result.of_pieces[number].get('unit', result.unit)


def _recorded(folder, tool, known):
    """Facts about a folder, which are written into it, too."""
    facts = {'format': tool, **known}
    write_json(folder / RECORD, facts)
    return facts


@contextlib.contextmanager
def _replaced(folder, tool):
    """A temporary directory that takes the place of a folder when the block ends well.

    Raises:
        ValueError: the folder holds something that is no export of this tool.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f'{folder} is a file; accepted: a new or empty folder')
    if folder.is_dir() and any(folder.iterdir()) and not _is_ours(folder, tool):
        raise ValueError(
            f'{folder} holds files that are no export for {tool}; accepted: a new or empty folder,'
            ' or that of an earlier export, which is replaced'
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        yield temporary
        if folder.exists():
            # Both renames are instant; a run that is killed between them is begun again.
            old = temporary.with_name(f'{temporary.name}.old')
            os.replace(folder, old)
            shutil.rmtree(old)


def _is_ours(folder, tool):
    record = folder / RECORD
    with contextlib.suppress(OSError):
        return f'"format": "{tool}"' in record.read_text()
    return False
