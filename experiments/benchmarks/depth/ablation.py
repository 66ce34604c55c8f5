"""The ablations of Wang et al. 2018 on public data: L_pose, six motions, cubes, cube padding.

    python experiments/benchmarks/depth/ablation.py --output=/tmp/ablation --seeds=3
    python experiments/benchmarks/depth/ablation.py --output=/tmp/ablation --train_data=PANOSUNCG

Trains every variant on PanoRooms, or on footage with truth such as a PanoSUNCG tree, with several
seeds, evaluates on unseen scenes, and writes `ablation.md`, `ablation.csv` and `ablation.json`.
Finished runs are kept in `ablation.json`, so that the same command goes on where it was stopped.
"""

import csv
import dataclasses
import json
import os
import pathlib
import sys
import time
import types

sys.path.insert(
    0, str(pathlib.Path(__file__).resolve().parents[3])
)  # works from a checkout, from any directory

import jax
import numpy as np
from absl import app, flags

from common.logs import Progress
from common.memory import keep_memory
from common.run import atomic_path, write_json
from experiments.benchmarks.depth.support.ablation_data import footage_data, rooms_data
from pano_depth.learning import train
from pano_depth.learning.model import ModelConfig, make_grid
from pano_depth.learning.objective import LossConfig
from pano_depth.reconstruction import evaluate

FLAGS = flags.FLAGS
flags.DEFINE_string('output', None, 'Folder of the tables.', required=True)
flags.DEFINE_integer('seeds', 3, 'Seeds of each variant.', lower_bound=1)
flags.DEFINE_integer('steps', 3000, 'Optimiser steps of each run.', lower_bound=1)
flags.DEFINE_integer('batch_size', 4, 'Frame triplets in a batch.', lower_bound=1)
flags.DEFINE_string('rooms', '32x64', 'Configuration of PanoRooms.')
flags.DEFINE_string(
    'train_data',
    None,
    'Footage with truth in place of PanoRooms, as PATH[,PATH...]; a tenth of its scenes is unseen.',
)
flags.DEFINE_string('data_dir', None, 'Where data sets are kept; default as TFDS has it.')
flags.DEFINE_float(
    'pose_weight',
    LossConfig.pose_weight,
    'Weight of L_pose in the variants that have it.',
    lower_bound=0,
)
flags.DEFINE_integer('face_size', 16, 'Pixels along a cube face.', lower_bound=8)
flags.DEFINE_list('depth_channels', ['24', '48', '96'], 'Depth network: features by level.')
flags.DEFINE_list('pose_channels', ['16', '32', '64'], 'Pose network: features by layer.')
flags.DEFINE_string(
    'compilation_cache',
    '~/.cache/pano_dppnet/jax',
    'Directory of compiled programs; empty for none.',
)

# Name, and what differs from the full method.
VARIANTS = {
    'full': {},
    'no_pose_consistency': {'pose_mode': 'no_pose_consistency'},
    'single_pose': {'pose_mode': 'single_pose'},
    'equi': {'padding': 'equirect'},
    'zero_padding': {'padding': 'zero'},
}
DEPTH = ('abs_rel', 'sq_rel', 'rmse', 'rmse_log', 'delta1', 'delta2', 'delta3')
POSE = ('rotation_deg', 'direction_deg', 'ate_percent')
flags.DEFINE_list('variants', list(VARIANTS), 'Variants to run.')
# Wang et al. 2018 on PanoSUNCG, from the slides of the talk; not every number was shown.
PUBLISHED = {
    'full': (0.337, 7.113, 8.589, 0.611, 0.647, 0.829, 0.899),
    'no_pose_consistency': (0.418, None, 9.916, 0.698, 0.580, 0.790, 0.876),
    'single_pose': (0.462, None, 10.431, 0.665, 0.526, 0.752, 0.848),
}


def run_one(variant, seed, options, data):
    """Trains and scores one variant with one seed.

    Args:
        variant: key of `VARIANTS`.
        seed: of initialisation, data order and augmentation.
        options: steps, batch_size, face_size, depth_channels, pose_channels, loss.
        data: `ablation_data.Data`.

    Returns:
        dict of the metrics, the baselines' AbsRel, the last training loss and the seconds taken.
    """
    model = ModelConfig(
        face_size=options.face_size,
        depth_channels=options.depth_channels,
        pose_channels=options.pose_channels,
        pose_matching=0,  # the pose network of the paper sees the images alone
        **VARIANTS[variant],
    )
    config = train.RecipeConfig(
        steps=options.steps,
        batch_size=options.batch_size,
        depth_rate=0.5,
        depth_start=options.steps // 20,
        warmup=options.steps // 30,
        average=0.998,
        seed=seed,
    )
    grid, losses, started = make_grid(model), [], time.monotonic()
    with Progress(config.steps, description=f'{variant}, seed {seed}') as progress:

        def on_step(done, unused_state, metrics):
            losses.append(metrics['photometric'])
            progress.update(1, {'photometric': metrics['photometric']})

        state = train.fit(
            train.init_state(config, model),
            data.source(batch_size=config.batch_size, seed=seed),
            config,
            model,
            options.loss,
            grid,
            on_step=on_step,
        )
    scores = evaluate.evaluate(
        train.unflatten(state.average, model), data.tests(), grid, model, prior=data.prior
    )
    tenth = max(1, len(losses) // 10)
    return {
        'variant': variant,
        'seed': seed,
        **{name: scores['depth']['plain'][name] for name in DEPTH},
        **{name: scores['pose'][name] for name in POSE},
        'photometric': float(np.mean(losses[-tenth:])),
        'photometric_before': float(np.mean(losses[-2 * tenth : -tenth])),
        'seconds': time.monotonic() - started,
        'blind': scores['baselines']['blind']['plain']['abs_rel'],
        'constant': scores['baselines']['constant']['plain']['abs_rel'],
    }


def table(rows, data='PanoRooms'):
    """The runs as Markdown: mean and deviation over the seeds; published rows are marked."""
    columns = DEPTH + POSE
    lines = [
        '| data | variant | seeds | ' + ' | '.join(columns) + ' |',
        '|---' * (3 + len(columns)) + '|',
    ]
    for variant in VARIANTS:
        mine = [row for row in rows if row['variant'] == variant]
        if mine:
            # What data lack, such as the rotations of PanoSUNCG, is null in ablation.json.
            scores = np.array([[row[name] for row in mine] for name in columns], float)
            cells = [f'{np.mean(values):.3f} ± {np.std(values):.3f}' for values in scores]
            lines.append(f'| {data} | {variant} | {len(mine)} | ' + ' | '.join(cells) + ' |')
    if rows:
        for name in ('blind', 'constant'):
            lines.append(
                f'| {data} | {name} predictor | | {rows[0][name]:.3f} |' + ' |' * (len(columns) - 1)
            )
    for variant, values in PUBLISHED.items():
        cells = ['-' if value is None else f'{value:.3f}' for value in values] + ['-'] * len(POSE)
        lines.append(
            f'| PanoSUNCG (published, another data set) | {variant} | | ' + ' | '.join(cells) + ' |'
        )
    return '\n'.join(lines) + '\n'


def _name(facts):
    return 'footage' if 'train_data' in facts else 'PanoRooms'


def write(folder, facts, rows):
    """Writes the three forms of the table."""
    write_json(folder / 'ablation.json', {'facts': facts, 'runs': rows})
    with atomic_path(folder / 'ablation.md') as temporary:
        temporary.write_text(table(rows, _name(facts)))
    with (
        atomic_path(folder / 'ablation.csv') as temporary,
        open(temporary, 'w', newline='') as file,
    ):
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def earlier(folder, facts):
    """Runs of the same settings that an earlier command finished.

    Raises:
        ValueError: the folder holds runs of other settings.
    """
    path = folder / 'ablation.json'
    if not path.exists():
        return []
    stored = json.loads(path.read_text())
    if stored['facts'] != facts:
        raise ValueError(
            f'{path} was made with {stored["facts"]}, not {facts}; take another --output'
        )
    return stored['runs']


def _channels(texts):
    return tuple(int(part) for part in texts)


def main(argv):
    """Runs what is missing and prints the table."""
    del argv
    loss = LossConfig(pose_weight=FLAGS.pose_weight)
    options = types.SimpleNamespace(
        loss=loss,
        **{name: FLAGS[name].value for name in ('steps', 'batch_size', 'rooms', 'face_size')},
        depth_channels=_channels(FLAGS.depth_channels),
        pose_channels=_channels(FLAGS.pose_channels),
    )
    unknown = set(FLAGS.variants) - set(VARIANTS)
    if unknown:
        raise app.UsageError(
            f'--variants names {", ".join(sorted(unknown))}; accepted are {", ".join(VARIANTS)}'
        )
    keep_memory()
    if FLAGS.compilation_cache:
        jax.config.update('jax_compilation_cache_dir', os.path.expanduser(FLAGS.compilation_cache))
    folder, facts = pathlib.Path(FLAGS.output), {**vars(options), 'loss': dataclasses.asdict(loss)}
    folder.mkdir(parents=True, exist_ok=True)
    height = 2 * options.face_size
    if FLAGS.train_data:
        data = footage_data(FLAGS.train_data, FLAGS.data_dir, height)
    else:
        data = rooms_data(options.rooms, FLAGS.data_dir, height)
    facts |= data.facts
    facts = json.loads(json.dumps(facts))
    rows = earlier(folder, facts)
    for seed in range(FLAGS.seeds):
        for variant in FLAGS.variants:
            if not any((row['variant'], row['seed']) == (variant, seed) for row in rows):
                rows.append(run_one(variant, seed, options, data))
                write(folder, facts, rows)
    print(table(rows, _name(facts)))


if __name__ == '__main__':
    app.run(main)
