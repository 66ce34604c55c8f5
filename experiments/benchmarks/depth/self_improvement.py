"""Networks that learn from their own reconstructions, scored on rooms that they have never seen.

    python experiments/benchmarks/depth/self_improvement.py --output=FOLDER [--clips=128]
        [--unseen=64] [--frames=12] [--rounds=3] [--start_steps=4000] [--round_steps=1500]
        [--learn=both] [--round_rate=1e-3] [--like=default]

Renders walks through PanoRooms as videos without truth, and others with truth to score on. Fresh
networks learn from the images of the walks (`start`); then `pano_depth.improve` goes on (`round 1`,
...). Beside them, from the same start with the steps of all rounds: images alone, and the truth
of the walks (`supervised`), which tells how much there is to gain. With `--learn=depth` rounds, and
the truth, teach the depth network alone, which is several times faster. `--like=default` takes
fresh networks of the kind that the package has. The same command goes on where it was stopped, and
writes self_improvement.md and .json; other options need another folder.
"""

import dataclasses
import json
import pathlib
import sys
import time

# Works from a checkout, from any directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3]))

from absl import app, flags, logging

from common import runtime
from common.logs import Progress
from common.run import atomic_path, write_json
from pano_depth import ImproveConfig, TrainConfig, improve, load_networks, train
from pano_depth.footage import clip_folder
from pano_depth.learning import LossConfig, ModelChoice, RecipeConfig
from pano_depth.learning.model import ModelConfig
from pano_depth.results.evaluate_job import RoomsConfig
from pano_depth.rooms import rooms

OUTPUT = flags.DEFINE_string('output', None, 'Folder of everything.', required=True)
CLIPS = flags.DEFINE_integer('clips', 128, 'Walks to learn from.', lower_bound=2)
UNSEEN = flags.DEFINE_integer('unseen', 64, 'Walks to score on.', lower_bound=1)
FRAMES = flags.DEFINE_integer('frames', 12, 'Frames of each walk.', lower_bound=3)
HEIGHT = flags.DEFINE_integer('height', 128, 'Rows of the frames.', lower_bound=32)
ROUNDS = flags.DEFINE_integer('rounds', 3, 'Rounds, at most.', lower_bound=1)
START = flags.DEFINE_integer('start_steps', 4000, 'Steps of the start.', lower_bound=1)
STEPS = flags.DEFINE_integer('round_steps', 1500, 'Steps of each round.', lower_bound=1)
BATCH = flags.DEFINE_integer('batch_size', 4, 'Triplets of a step.', lower_bound=1)
LEARN = flags.DEFINE_enum('learn', 'both', ('both', 'depth'), 'What rounds and the truth teach.')
LIKE = flags.DEFINE_string('like', None, 'Networks of whose kind the fresh ones are.')
RATE = flags.DEFINE_float('round_rate', 1e-3, 'Peak learning rate after the start.', lower_bound=0)
FAMILY = 50_000  # of scenes; no network of the package has seen them

_COLUMNS = ('AbsRel', 'AbsRel by solid angle', 'direction (°)', 'rotation (°)', 'photometric')


def check_options(folder: pathlib.Path) -> None:
    """Notes the options in a folder; one of other options has other walks and networks.

    Raises:
        UsageError: the folder is of other options.
    """
    chosen = (CLIPS, UNSEEN, FRAMES, HEIGHT, ROUNDS, START, STEPS, BATCH, LEARN, RATE, LIKE)
    options, path = {one.name: one.value for one in chosen}, folder / 'options.json'
    known = json.loads(path.read_text()) if path.exists() else options
    differing = [f'--{name}={value}' for name, value in known.items() if options.get(name) != value]
    if differing:
        raise app.UsageError(f'--output={folder} was begun with {", ".join(differing)}')
    folder.mkdir(parents=True, exist_ok=True)
    write_json(path, options)


def render(root: pathlib.Path, first: int, count: int, *, with_truth: bool) -> None:
    """Renders walks as scenes of a clip folder; those that are there stay."""
    with Progress(count, unit='clip', description=f'rendering {root.name}') as progress:
        for number in range(first, first + count):
            if not (root / f'walk_{number}').is_dir():
                size = {'frames': FRAMES.value, 'height': HEIGHT.value, 'width': 2 * HEIGHT.value}
                clip = rooms.render_clip(FAMILY, number, **size)
                truth = {} if with_truth else {'depth': None, 'poses': None}
                clip = dataclasses.replace(clip, name=f'walk_{number}', **truth)
                clip_folder.write_clip_folder(root, clip)
            progress.update()


def kind() -> ModelChoice:
    """What the fresh networks are."""
    if LIKE.value is None:
        return ModelChoice()
    values = vars(load_networks(LIKE.value).config)
    # Networks that were stored before this option was there do without it.
    return ModelChoice(**values | {'pose_matching': ModelConfig().pose_matching})


def row_of(name: str, scores: dict, seconds: float) -> dict:
    """What the table says of networks."""
    depth, pose = scores['depth'], scores['pose']
    return {
        'networks': name,
        'AbsRel': depth['plain']['abs_rel'],
        'AbsRel by solid angle': depth['solid_angle']['abs_rel'],
        'direction (°)': pose['direction_deg'],
        'rotation (°)': pose['rotation_deg'],
        'photometric': scores['photometric_error']['after'],
        'minutes': seconds / 60,
    }


def table(rows: list[dict]) -> str:
    """The rows in Markdown."""
    lines = ['| networks | ' + ' | '.join(_COLUMNS) + ' | minutes |', '|---|' + '---|' * 6]
    for row in rows:
        cells = [f'{row[name]:.4g}' for name in _COLUMNS]
        lines.append(f'| {row["networks"]} | ' + ' | '.join(cells) + f' | {row["minutes"]:.1f} |')
    return '\n'.join(lines) + '\n'


def main(argv: list[str]) -> None:
    """Renders, trains, improves and writes the table."""
    del argv
    folder = pathlib.Path(OUTPUT.value).expanduser()
    logging.set_verbosity(logging.WARNING)  # libraries log a page for every checkpoint
    runtime.start(runtime.RuntimeConfig(), join=False)
    fresh = kind()
    check_options(folder)
    videos, known, unseen = folder / 'videos', folder / 'videos_with_truth', folder / 'unseen'
    render(videos, 0, CLIPS.value, with_truth=False)
    render(known, 0, CLIPS.value, with_truth=True)
    render(unseen, 100_000, UNSEEN.value, with_truth=True)
    data = RoomsConfig(data_dir=str(folder / 'data'))
    recipe = lambda steps, **more: RecipeConfig(steps=steps, batch_size=BATCH.value, **more)
    later = lambda steps: recipe(steps, depth_start=0, learning_rate=RATE.value)
    base = TrainConfig(eval_data=str(unseen), data=data, model=fresh)
    rows = []

    def trained(name, **changes):
        place, start = folder / name, time.monotonic()
        if not (place / 'networks.npz').exists():
            place.mkdir(exist_ok=True)
            config = dataclasses.replace(base, save_weights=str(place / 'networks.npz'), **changes)
            train(config, place / 'training')
            write_json(place / 'seconds.json', time.monotonic() - start)
        scores = json.loads((place / 'training' / 'eval.json').read_text())
        rows.append(row_of(name, scores, json.loads((place / 'seconds.json').read_text())))
        return str(place / 'networks.npz')

    first = trained(
        'start',
        train_data=str(videos),
        recipe=recipe(START.value, depth_start=300, depth_rate=0.5, warmup=200),
    )
    config = ImproveConfig(
        checkpoint=first,
        rounds=ROUNDS.value,
        eval_data=str(unseen),
        output_height=HEIGHT.value,
        data=data,
        loss=LossConfig(learn=LEARN.value),
        recipe=later(STEPS.value),
    )
    improve(str(videos), folder / 'improve', config)
    rounds = json.loads((folder / 'improve' / 'improve.json').read_text())['rounds']
    for entry in rounds:
        rows.append(row_of(f'round {entry["round"]}', entry, sum(entry['seconds'].values())))
    steps = later(STEPS.value * len(rounds))
    trained('images alone', checkpoint=first, train_data=str(videos), recipe=steps)
    truth = LossConfig(truth_weight=config.label_weight, learn=LEARN.value)
    trained('supervised', checkpoint=first, train_data=str(known), recipe=steps, loss=truth)
    write_json(folder / 'self_improvement.json', rows)
    with atomic_path(folder / 'self_improvement.md') as temporary:
        temporary.write_text(table(rows), encoding='utf-8')
    print(table(rows))


if __name__ == '__main__':
    app.run(main)
