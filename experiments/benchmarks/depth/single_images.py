"""Depth of single images on unseen rooms: one view beside several, and what confidence is worth.

    python experiments/benchmarks/depth/single_images.py [--checkpoint=default] [--rooms=256]
        [--styles=usual,wide] [--seed=7] [--output=FOLDER]

Single images are seen through several views of the sphere (`pano_depth.learning.views`); how much
these differ becomes the confidence, which claims to be half of the chance that depth is within a
tenth of the truth. The first table compares the errors. The second one sorts all pixels by
confidence into ten equal parts and counts how many are within a tenth. Rooms are of another seed
than those of the trainings.
"""

import pathlib
import sys

# Works from a checkout, from any directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3]))

import jax
import numpy as np
from absl import app, flags, logging

from common import runtime
from common.logs import Progress
from common.run import write_json
from pano_depth import load_networks
from pano_depth.learning import model as models
from pano_depth.learning.sources import LiveSource
from pano_depth.reconstruction import consistency, infer, metrics
from pano_depth.rooms.wide import shots

FLAGS = flags.FLAGS

BATCH = 16
NEAR, FAR = 0.1, 10.0  # metres; as in `metrics.depth_metrics`
WITHIN = 0.1  # of the logarithm of depth


def define_flags() -> None:
    """Defines the flags, at a call only: other programs have flags of the same names."""
    flags.DEFINE_string('checkpoint', 'default', 'As for pano-depth.')
    flags.DEFINE_integer('rooms', 256, 'Rooms of each style.', lower_bound=1)
    flags.DEFINE_list('styles', list(shots.STYLES), 'Of the rooms.')
    flags.DEFINE_integer('seed', 7, 'Of the rooms; trainings have 0.', lower_bound=0)
    flags.DEFINE_string('output', None, 'Folder for single_images.json; none without it.')


def rendered(style: str, rooms: int, seed: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """(images [N, H, 2H, 3] in uint8, true depth [N, H, 2H] in metres), one room each."""
    source = LiveSource(height=height, batch_size=BATCH, seed=seed, style=style, alone=True)

    @jax.jit
    def look(batch):
        images, truth = source.sample(batch, {})
        return images[:, 0], truth.depth

    images, depth = [], []
    with Progress(rooms, unit='room', description=f'rendering {style} rooms') as progress:
        for step in range(-(-rooms // BATCH)):
            seen, far = map(np.asarray, look(source.batch(step, range(BATCH))))
            images.append(np.rint(255 * seen).astype(np.uint8))
            depth.append(far)
            progress.update(min(BATCH, rooms - step * BATCH))
    return np.concatenate(images)[:rooms], np.concatenate(depth)[:rooms]


def tenths(predicted: np.ndarray, truth: np.ndarray, confidence: np.ndarray) -> list[dict]:
    """Pixels in ten equal parts by confidence, the surest first.

    Args:
        predicted, truth, confidence: [N, H, 2H].

    Returns:
        For each part the mean of 'confidence' and the share of pixels 'within' a tenth of the
        truth, after median alignment of each image.
    """
    sure, within = [], []
    for depth, known, confident in zip(predicted, truth, confidence, strict=True):
        counts = (known >= NEAR) & (known <= FAR)
        error = np.log(depth[counts]) - np.log(known[counts])
        within.append(np.abs(error - np.median(error)) < WITHIN)
        sure.append(confident[counts])
    sure, within = np.concatenate(sure), np.concatenate(within)
    parts = np.array_split(np.argsort(-sure, kind='stable'), 10)
    return [
        {'confidence': float(sure[part].mean()), 'within': float(within[part].mean())}
        for part in parts
    ]


def measure(networks, style: str, rooms: int, seed: int) -> dict:
    """What is found on the rooms of one style."""
    params, config = networks.params, networks.config
    height, grid = 2 * config.face_size, models.make_grid(config)
    images, truth = rendered(style, rooms, seed, height)
    analyse = lambda **more: infer.analyse(params, images, grid, config, ordered=False, **more)
    depth_of = infer.depth_maps(config, height)
    depth = lambda found: np.asarray(depth_of(found.disparity, found.units))
    abs_rel = lambda maps: float(
        np.mean([metrics.depth_metrics(*pair)['abs_rel'] for pair in zip(maps, truth)])
    )
    one = analyse()
    several = analyse(spread=np.empty_like(one.disparity))
    # As results have it: the spread is interpolated like disparity.
    spread = 1 / np.asarray(depth_of(np.maximum(several.spread, 1e-6), several.units))
    return {
        'style': style,
        'rooms': rooms,
        'one_view': abs_rel(depth(one)),
        'several_views': abs_rel(depth(several)),
        'tenths': tenths(depth(several), truth, consistency.of_views(spread)),
    }


def tables(rows: list[dict]) -> str:
    """Both tables in Markdown."""
    lines = ['| rooms | one view | several views |', '|---|---|---|']
    lines += [
        f'| {row["rooms"]} {row["style"]} | {row["one_view"]:.3f} | {row["several_views"]:.3f} |'
        for row in rows
    ]
    lines += ['', '| pixels by confidence | ' + ' | '.join(row['style'] for row in rows) + ' |']
    lines += ['|---|' + '---|' * len(rows)]
    for number in range(10):
        parts = [row['tenths'][number] for row in rows]
        cells = [
            f'{100 * part["within"]:.0f} % (claimed {200 * part["confidence"]:.0f} %)'
            for part in parts
        ]
        lines.append(f'| tenth {number + 1} | ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines)


def main(argv: list[str]) -> None:
    """Renders, predicts and prints both tables."""
    if argv[1:]:
        raise app.UsageError(f'unexpected argument {argv[1]!r}')
    for style in FLAGS.styles:
        try:
            shots.check_style(style)
        except ValueError as error:
            raise app.UsageError(f'--styles: {error}') from None
    logging.set_verbosity(logging.WARNING)
    runtime.start(runtime.RuntimeConfig(), join=False)
    networks = load_networks(FLAGS.checkpoint)
    rows = [measure(networks, style, FLAGS.rooms, FLAGS.seed) for style in FLAGS.styles]
    print(tables(rows))
    if FLAGS.output:
        folder = pathlib.Path(FLAGS.output)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / 'single_images.json', rows)


if __name__ == '__main__':
    define_flags()
    app.run(main)
