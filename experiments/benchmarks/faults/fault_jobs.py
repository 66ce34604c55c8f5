"""Small jobs of both command lines on which faults are tried, and the comparison of two runs."""

import dataclasses
import hashlib
import json
import pathlib
import re

import jax
import numpy as np
from PIL import Image

from common.logs import read_metrics
from nas.training import network_file, trained
from pano_depth.footage import video
from pano_depth.learning import checkpoints
from pano_depth.results import ply

STEPS = 24
# Later commands find what an earlier one has compiled.
ENVIRONMENT = {
    'JAX_PLATFORMS': 'cpu',
    'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0',
    'JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES': '-1',
}
# The depth networks take long to compile and run only briefly.
ENVIRONMENTS = {
    'depth_main': ENVIRONMENT | {'JAX_DISABLE_MOST_OPTIMIZATIONS': '1'},
    'nas_main': ENVIRONMENT,
}

_NETWORKS = (
    '--face_size=16',
    '--depth_channels=8,8',
    '--pose_channels=8,8',
    '--batch_size=1',
    '--stride=1',
    '--pyramid=1',
    '--checkpoint=none',
    '--log_every=1',
    '--compilation_cache=',
)
_DIGITS = (
    '--skeleton=digits',
    '--stages=1',
    '--growth=4',
    '--batch_size=64',
    '--crop=1',
    '--nomirror',
    '--compilation_cache=',
)
_ADAPT = ('--mode=predict', '--input={clip}', f'--adapt={STEPS}', *_NETWORKS)
_CELL = ('--mode=train', *_DIGITS, '--cell=bn_relu-lgconv1x1', '--epochs=10')
_SEARCH = (
    '--mode=search',
    *_DIGITS,
    '--objectives=error,params',
    '--keep=2',
    '--epochs=2',
    '--measurement_cache=',
)


@dataclasses.dataclass(frozen=True)
class Job:
    """A command line.

    Attributes:
        main: module of `experiments`.
        flags: without --workdir; {clip} stands for a clip folder, {weights} for the workdir of a
            depth training.
        work: the unit of its work: 'step', 'candidate' or 'file'.
        watched: a file that its workdir has from its first step on.
    """

    main: str
    flags: tuple[str, ...]
    work: str
    watched: str


JOBS = {
    'depth training': Job('depth_main', (*_ADAPT, '--checkpoint_every=6'), 'step', 'metrics.jsonl'),
    'saving': Job('depth_main', (*_ADAPT, '--checkpoint_every=1'), 'step', 'metrics.jsonl'),
    'predict': Job(
        'depth_main',
        (
            '--mode=predict',
            '--input={clip}',
            '--checkpoint={weights}',
            '--output_height=256',
            '--compilation_cache=',
        ),
        'file',
        'depth/*.png',
    ),
    'nas search': Job('nas_main', (*_SEARCH, '--budget=6'), 'candidate', 'evaluations.jsonl'),
    'nas train': Job('nas_main', (*_CELL, '--checkpoint_epochs=2'), 'step', 'metrics.jsonl'),
}

# Jobs that use the networks of another job.
TAUGHT_BY = {'predict': 'depth training'}

_PASSED = re.compile(r'going on (?:from the checkpoint of step|after evaluation) (\d+)')
_TIMES = {'seconds', 'images_per_second', 'steps_per_second', 'search_seconds'}
# Files about the time, place and speed of a run; these may differ.
_OWN = re.compile(r'\.lock|flags\.txt|run\.json|report\.html|events\.out.*|(checkpoints|best)/.*')


def done(job, folder):
    """How much of its work a job has done, by its own log."""
    if job.work == 'step':
        return max((row['step'] for row in read_metrics(folder)), default=0)
    if job.work == 'candidate':
        path = folder / 'evaluations.jsonl'
        return path.read_bytes().count(b'\n') if path.exists() else 0
    return len(list(folder.glob('depth/*.png')))


def went_on_from(said):
    """The step from which a command went on, by its output; 0 if it began at the beginning."""
    found = _PASSED.search(said)
    return int(found[1]) if found else 0


def changed(job, folder, since):
    """Whether a job has logged work since a time in nanoseconds."""
    return any(_written_at(path) > since for path in folder.glob(job.watched))


def _written_at(path):
    """When something was last written into a file, 0 if it is empty or has gone."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0
    return found.st_mtime_ns if found.st_size else 0


def _without_times(value):
    if isinstance(value, dict):
        return {name: _without_times(item) for name, item in value.items() if name not in _TIMES}
    return [_without_times(item) for item in value] if isinstance(value, list) else value


def networks(folder):
    """The trained networks of a workdir: {leaf: array}, empty if there are none."""
    if not (folder / 'checkpoints').exists():
        return {}
    if (folder / network_file.NETWORK_FILE).exists():
        found = {'last': trained.load_trained(folder, which='last').variables}
        found |= (
            {'best': trained.load_trained(folder).variables}
            if (folder / network_file.BEST).exists()
            else {}
        )
    else:
        found = checkpoints.load_model(folder)[0]
    leaves = jax.tree_util.tree_leaves_with_path(found)
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}


def _digest(data):
    return hashlib.sha256(data).hexdigest()[:16]


def results(folder):
    """The results of a job: {name: content or digest} of files and networks, without times."""
    found = {'networks': {name: _digest(leaf.tobytes()) for name, leaf in networks(folder).items()}}
    for path in sorted(folder.rglob('*')):
        name = str(path.relative_to(folder))
        if path.is_dir() or _OWN.fullmatch(name):
            continue
        if path.suffix == '.json':
            found[name] = _without_times(json.loads(path.read_text()))
        elif path.suffix == '.jsonl':
            found[name] = [
                _without_times(json.loads(line)) for line in path.read_text().splitlines()
            ]
        else:
            found[name] = _digest(path.read_bytes())
    return found


def differences(folder, whole):
    """Names of what differs between a workdir and the `results` of an unbroken run."""
    found = results(folder)
    return sorted(
        name for name in found.keys() | whole.keys() if found.get(name) != whole.get(name)
    )


def damaged_files(folder):
    """Names of finished files that cannot be read whole; a log may end in half a line."""
    read = {
        '.png': _read_image,
        '.json': lambda path: json.loads(path.read_text()),
        '.jsonl': _read_lines,
        '.mp4': lambda path: list(video.iter_video(path)),
        '.ply': ply.read_ply,
    }
    bad = []
    for path in sorted(pathlib.Path(folder).rglob('[!.]*')):
        name = path.relative_to(folder)
        if path.suffix in read and path.is_file() and name.parts[0] not in ('checkpoints', 'best'):
            try:
                read[path.suffix](path)
            except (ValueError, OSError, SyntaxError):
                bad.append(str(name))
    return bad


def _read_image(path):
    with Image.open(path) as image:
        image.load()


def _read_lines(path):
    for line in path.read_bytes().splitlines(keepends=True):
        if line.endswith(b'\n'):
            json.loads(line)
