"""Camera paths beside those of COLMAP, from the same frames.

    python experiments/benchmarks/depth/against_colmap.py [--clips=sample,rooms:10]
        [--heights=256,512] [--methods=ours,panoramas,rig] [--output=FOLDER]

COLMAP (extra [bench], pycolmap 4.1 or newer) reads the panoramas with its EQUIRECTANGULAR camera,
or 12 perspective views of each (90 degrees wide, three rows of four) as a rig. Ours starts from
nothing but the frames too: the networks of the package predict, then the path is adjusted
(`pano_depth.reconstruct` without a workdir). Errors are those of `metrics.pose_metrics` over the
frames that are registered; the time is from frames in memory to poses, in one run, methods in turn.
`--clips` takes the sample clip, N unseen PanoRooms clips, or a clip folder with poses; a video
without truth gets the number of registered frames alone.
"""

import json
import pathlib
import sys
import time

# Works from a checkout, from any directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3]))

import numpy as np
from absl import app, flags

from common import runtime
from common.run import write_json
from experiments.benchmarks.depth.colmap_paths import colmap
from experiments.benchmarks.depth.support import jobs
from experiments.benchmarks.depth.support.clips import find
from pano_depth import ReconstructConfig, metrics, reconstruct
from pano_depth.footage.clip import Clip
from pano_depth.kernels.rigid import Motion

CLIPS = flags.DEFINE_list('clips', ['sample'], 'sample, rooms:N, or paths of footage.')
HEIGHTS = flags.DEFINE_list('heights', ['256', '512'], 'Rows of the frames.')
METHODS = flags.DEFINE_list('methods', ['ours', 'panoramas', 'rig'], 'Which are run.')
FRAMES = flags.DEFINE_integer('frames', 32, 'At most so many frames of a clip.', lower_bound=3)
OUTPUT = flags.DEFINE_string('output', None, 'Folder for against_colmap.md and .json.')


def load(name: str, height: int) -> list[Clip]:
    """The clips of a name at a size."""
    return [make() for make in find(name, FRAMES.value, height).values()]


def ours(clip: Clip) -> tuple[dict[int, tuple], float]:
    """({frame: (rotation, position)}, seconds) of this package."""
    start = time.monotonic()
    stage = jobs.configured(ReconstructConfig(), **jobs.STAGES['bundle'])
    config = jobs.configured(stage, output_height=clip.frames.shape[1])
    found = reconstruct(clip.frames, config=config)
    poses = found.poses
    return {
        i: (poses.rotation[i], poses.translation[i]) for i in range(len(found))
    }, time.monotonic() - start


def score(poses: dict[int, tuple], clip: Clip) -> dict[str, float]:
    """Frames registered and, with truth, the errors over them."""
    numbers = sorted(poses)
    row = {'registered': len(numbers), 'frames': len(clip.frames)}
    if clip.poses is None or len(numbers) < 3:
        return row
    found = Motion(
        np.stack([poses[i][0] for i in numbers]), np.stack([poses[i][1] for i in numbers])
    )
    truth = Motion(clip.poses.rotation[numbers], clip.poses.translation[numbers])
    length = np.linalg.norm(np.diff(truth.translation, axis=0), axis=-1).sum()
    errors = metrics.pose_metrics(found, truth)
    return row | {
        'rotation_deg': errors['rotation_deg'],
        'direction_deg': errors['direction_deg'],
        'ate_percent': 100 * errors['ate'] / length,
    }


def table(rows: list[dict]) -> str:
    """Medians and worst clips by name, size and method."""
    lines = [
        '| clips | size | method | registered | rotation, deg | direction, deg | ATE, % of path |'
        ' seconds |',
        '|---|---|---|---|---|---|---|---|',
    ]
    keys = list(dict.fromkeys((row['clips'], row['height'], row['method']) for row in rows))
    for clips, height, method in keys:
        mine = [
            row
            for row in rows
            if (row['clips'], row['height'], row['method']) == (clips, height, method)
        ]
        cells = [clips, f'{height}x{2 * height}', method]
        cells.append(f'{sum(r["registered"] for r in mine)} of {sum(r["frames"] for r in mine)}')
        for name in ('rotation_deg', 'direction_deg', 'ate_percent', 'seconds'):
            values = [row[name] for row in mine if name in row]
            digits = 1 if name == 'seconds' else 3
            cell = f'{np.median(values):.{digits}f}' if values else '-'
            cells.append(cell + (f' ({max(values):.{digits}f})' if len(values) > 1 else ''))
        lines.append(f'| {" | ".join(cells)} |')
    return '\n'.join([*lines, '', 'Of several clips: median, and in brackets the worst.'])


def main(_) -> None:
    """Runs all methods on all clips, in turn."""
    runtime.start(runtime.RuntimeConfig(), join=False)
    known = {
        'ours': ours,
        'panoramas': lambda clip: colmap(clip, False),
        'rig': lambda clip: colmap(clip, True),
    }
    rows = []
    for name in CLIPS.value:
        for height in map(int, HEIGHTS.value):
            for clip in load(name, height):
                for method in METHODS.value:
                    row = {'clips': name, 'clip': clip.name, 'height': height, 'method': method}
                    try:
                        poses, seconds = known[method](clip)
                        row |= score(poses, clip) | {'seconds': seconds}
                    except ValueError as error:
                        row |= {'registered': 0, 'frames': len(clip.frames), 'error': str(error)}
                    rows.append(row)
                    print(json.dumps(row), flush=True)
    text = table(rows)
    print(text)
    if OUTPUT.value:
        folder = pathlib.Path(OUTPUT.value)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / 'against_colmap.json', rows)
        (folder / 'against_colmap.md').write_text(text + '\n')


if __name__ == '__main__':
    app.run(main)
