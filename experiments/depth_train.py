"""--mode=train of `depth_main`: learns to see rooms, then evaluates on unseen ones."""

from absl import flags as absl_flags

from common import parallel
from experiments import depth_eval, flags
from experiments.depth_choice import (
    open_workdir,
    read_mask,
    say,
    small_mask,
    start_model,
    write_report,
)
from pano_depth.learning import session, sources
from pano_depth.learning.model import make_grid
from pano_depth.learning.objective import LossConfig
from pano_depth.learning.train import RecipeConfig
from pano_depth.rooms import pano_rooms


def main(values: absl_flags.FlagValues, stop) -> None:
    """Trains; `stop` is the `common.stopping.Stop` of the process."""
    params, model = start_model(values, 'none')
    config, loss, grid = flags.build(RecipeConfig), flags.build(LossConfig), make_grid(model)
    height = 2 * model.face_size
    mask = small_mask(read_mask(values), model)
    depth_eval.check_rooms(values, height)
    parallel.local_examples(config.batch_size)
    with open_workdir(values) as run:
        if values.train_data == 'live':
            source = sources.LiveSource(
                height=height, batch_size=config.batch_size, seed=config.seed
            )
        else:
            say(f'opening pano_rooms/{values.rooms}')
            source = sources.WindowSource(
                pano_rooms.load('train', values.rooms, values.data_dir),
                batch_size=config.batch_size,
                stride=max(1, values.stride),
                seed=config.seed,
                with_truth=loss.truth_weight > 0,
            )
        params = session.train_in(
            run,
            source,
            config,
            model,
            loss,
            grid,
            mask=mask,
            params=params,
            log_every=values.log_every,
            checkpoint_every=values.checkpoint_every,
            stop=stop,
        )
        if values.save_weights and parallel.is_main():
            session.save_weights(values.save_weights, params, model)
        depth_eval.evaluate_rooms(values, run, params, model, grid)
        write_report(run)
