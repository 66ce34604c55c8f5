"""--mode=eval of `depth_main`: scores networks on PanoRooms' test split or on footage with
truth.
"""

from absl import flags as absl_flags

from experiments.depth_choice import (
    Shown,
    open_input,
    open_workdir,
    read_mask,
    say,
    trained_model,
    write_report,
    write_scores,
)
from pano_depth.footage import footage as footages
from pano_depth.learning.model import make_grid
from pano_depth.reconstruction import evaluate
from pano_depth.rooms import pano_rooms


def main(values: absl_flags.FlagValues) -> None:
    """Evaluates."""
    if values.input == 'rooms':
        params, model = trained_model(values, 'default')
        check_rooms(values, 2 * model.face_size)
        with open_workdir(values) as run:
            evaluate_rooms(values, run, params, model, make_grid(model))
            write_report(run)
        return
    pieces = open_input(values)
    if not any(piece.has_depth or piece.poses is not None for piece in pieces):
        raise ValueError(
            f'{values.input} has neither depth nor poses to evaluate against; --mode=predict '
            'needs none'
        )
    params, model = trained_model(values, 'default')
    mask = read_mask(values)
    with open_workdir(values) as run:
        shown = Shown(run)
        scores = evaluate.evaluate(
            params, pieces, make_grid(model), model, mask=mask, on_footage=shown
        )
        shown.write(values.input)
        run.update(
            data={
                'name': values.input,
                'pieces': [piece.name for piece in pieces],
                'skipped': [entry for piece in pieces for entry in piece.skipped],
            }
        )
        write_scores(run, scores)
        write_report(run)


def check_rooms(values: absl_flags.FlagValues, height: int) -> None:
    """Raises ValueError if --rooms does not exist or has fewer than `height` rows."""
    configs = {config.name: config for config in pano_rooms.PanoRooms.BUILDER_CONFIGS}
    if values.rooms not in configs:
        raise ValueError(f'--rooms is {values.rooms!r}; accepted are {", ".join(configs)}')
    rows = configs[values.rooms].height
    if values.train_data == 'stored' and rows < height:
        raise ValueError(
            f'--rooms={values.rooms} has {rows} rows; --face_size={height // 2} needs at least '
            f'{height}'
        )


def evaluate_rooms(values: absl_flags.FlagValues, run, params, model, grid) -> None:
    """Scores on the test split beside the trivial predictors; the blind one knows the training
    split.
    """
    name = f'pano_rooms/{values.rooms}'
    say(f'opening {name}, rendered on first use')
    run.update(
        data={
            'name': name,
            'version': str(pano_rooms.PanoRooms.VERSION),
            'train': values.train_data,
        }
    )
    train, test = (
        pano_rooms.load(split, values.rooms, values.data_dir) for split in ('train', 'test')
    )
    prior = evaluate.blind_prior(
        (depth for i in range(len(train)) for depth in train[i].depth[::4]), test[0].frames.shape[1]
    )
    say(f'evaluating on {len(test)} test clips')
    shown = Shown(run)
    clips = (footages.from_clip(test[i]) for i in range(len(test)))
    scores = evaluate.evaluate(params, clips, grid, model, prior=prior, on_footage=shown)
    shown.write(f'{name}, test scenes')
    write_scores(run, scores)
