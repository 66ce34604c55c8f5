"""Footage in, depth of every frame and the path of the camera out: one call, one run directory."""

import dataclasses
import pathlib
import tempfile
import weakref
from typing import Literal

from common import options
from common.logs import say
from common.options import READ, WRITTEN, check_options, held, option
from common.run import Names, check_inputs, digest_of, digest_of_tree, open_run
from common.stopping import Stop
from pano_depth.footage import masks
from pano_depth.footage.config import FootageConfig
from pano_depth.learning.checkpoints import ModelChoice
from pano_depth.learning.objective import LossConfig
from pano_depth.learning.session import LogConfig
from pano_depth.learning.train import RecipeConfig
from pano_depth.reconstruction.bundle import BundleConfig
from pano_depth.reconstruction.sweep import SweepConfig
from pano_depth.results import inputs, workdirs
from pano_depth.results.exports.config import ExportConfig
from pano_depth.results.reconstruction import Reconstruction
from pano_depth.results.steps import Steps, disk, known

# Options that may differ when a run goes on: how it is logged, and what is made of its result.
FREE = ('log_every', 'checkpoint_every', *options.fields_of(ExportConfig))


@dataclasses.dataclass(frozen=True)
class ReconstructConfig:
    """How footage becomes depth and a path."""

    checkpoint: str = option(
        'default',
        'networks to start from: "default" (from the package), "none" (fresh ones), the workdir'
        ' of a training run, or a .npz of save_weights',
        path=READ,
    )
    adapt: int = option(
        0,
        'steps of self-supervised training on the footage itself before predicting',
        lower_bound=0,
    )
    stride: int = option(
        0,
        'frames between two images that training compares; 0 chooses it from the footage',
        lower_bound=0,
    )
    reach: int = option(
        1,
        'with adapt: neighbours up to so many strides away are compared, once the nearest are'
        ' learned',
        lower_bound=1,
    )
    adjust: bool = option(
        True,
        'adjust the path until frames explain each other at the resolution of the results'
        ' (photometric bundle adjustment); else it is what the networks say',
    )
    refine: Literal['auto', 'off'] = option(
        'auto',
        'refine depth at the resolution of the results (multi-view stereo), where footage is'
        ' ordered and the camera moves; else it is what the networks say',
    )
    fill: Literal['networks', 'none'] = option(
        'networks',
        'what stands where no other view confirms refined depth: what the networks say, scaled to'
        ' what is around it, with little confidence; or nothing',
    )
    ordered: Literal['auto', 'yes', 'no'] = option(
        'auto',
        'whether frames are of one moving camera in order: yes; no, they are unrelated images; auto'
        ' looks for cuts, for cameras that stand still, and for unrelated images',
    )
    poses: str | None = option(
        None,
        'known poses of the camera, which are used as they are: a trajectory in TUM format, in'
        ' metres unless its comments say otherwise, or the folder of a COLMAP model',
        path=READ,
    )
    refine_poses: bool = option(
        False, 'adjust the path from the known poses on; some frames may then lack a pose'
    )
    every: int = option(1, 'n takes every n-th frame of the footage', lower_bound=1)
    max_frames: int = option(0, 'takes at most so many frames; 0 takes all', lower_bound=0)
    camera_height: float | None = option(
        None,
        "the camera's height over the floor in metres, which fixes the scale of the results",
        lower_bound=1e-3,
    )
    output_height: int = option(
        0, 'rows of the results; 0 takes the rows of the footage, at most 512', lower_bound=0
    )
    npy: bool = option(False, 'also write depth as float32 .npy')
    world: Literal['first_camera', 'level'] = option(
        'first_camera',
        'the world of path and cloud: the camera of the first frame, as it was held; or level, with'
        ' down as the footage says or as floor and walls tell, and the same heading',
    )
    axes: Literal['y_down', 'y_up', 'z_up'] | None = option(
        None,
        'one set of axes for all results; default: y_down (as cameras) for the path, cloud_axes for'
        ' the cloud',
    )
    cloud_axes: Literal['y_down', 'y_up', 'z_up'] = option(
        'y_up', 'axes of cloud.ply alone, unless axes are given'
    )
    cloud_voxel: float | None = option(
        None,
        'side of the voxels of cloud.ply in the unit of the depth; default 1 % of the median depth',
        lower_bound=1e-6,
    )
    save_weights: str | None = option(
        None, 'also write the trained networks as one .npz file, for checkpoint', path=WRITTEN
    )
    exports: ExportConfig = ExportConfig()
    bundle: BundleConfig = held(BundleConfig(), prefix='bundle_')
    sweep: SweepConfig = held(SweepConfig(), prefix='sweep_')
    footage: FootageConfig = FootageConfig()
    model: ModelChoice = ModelChoice()
    loss: LossConfig = LossConfig()
    recipe: RecipeConfig = RecipeConfig()
    logs: LogConfig = LogConfig()

    def __post_init__(self):
        check_options(self)
        if self.output_height % 2:
            raise ValueError(f'--output_height is {self.output_height}; an even number is accepted')
        if self.checkpoint == 'none' and not self.adapt:
            raise ValueError(
                '--checkpoint=none needs --adapt=STEPS, to learn from the footage itself'
            )
        for name, usual in (('truth_weight', 0.0), ('learn', 'both')):
            if self.adapt and getattr(self.loss, name) != usual:
                raise ValueError(
                    f'--{name}={getattr(self.loss, name)} needs known depth, but --adapt learns'
                    f' from images alone; accepted: {usual}'
                )
        if self.axes and self.cloud_axes not in (self.axes, ReconstructConfig.cloud_axes):
            raise ValueError(
                f'--axes={self.axes} and --cloud_axes={self.cloud_axes} both give the axes of the'
                ' cloud: choose one'
            )
        if self.refine_poses and self.poses is None:
            raise ValueError('--refine_poses needs --poses=PATH, the poses to start from')
        if self.refine_poses and not self.adjust:
            raise ValueError('--refine_poses adjusts the path and --noadjust does not: choose one')
        if self.poses is not None and self.ordered == 'no':
            raise ValueError(
                '--poses has the path of a camera and --ordered=no says that there is none: choose'
                ' one'
            )


def reconstruct(
    footage,
    workdir: str | pathlib.Path | None = None,
    config: ReconstructConfig = ReconstructConfig(),
    *,
    stop: Stop | None = None,
    overwrite: bool = False,
    again: bool = True,
) -> Reconstruction | None:
    """Depth of every frame and the path of the camera, in one unit.

    Args:
        footage: a path (an equirectangular video, an image, a folder of images, a clip folder,
            RGB-D pairs), 'sample' for the rendered sample clip, a `Footage`, or frames
            [N, H, 2H, 3] uint8.
        workdir: directory of the run: a new one, or the directory of the same run, which then goes
            on; folders for other tools may differ. All results are written into it, see README.
            None writes nothing; intermediate files are in a temporary directory as long as the
            result exists.
        config: options of the reconstruction.
        stop: request to stop, see `common.stopping`; None: never.
        overwrite: whether files of an earlier run in the workdir, whatever it was, are removed.
        again: whether a run that has ended is computed once more, for its result.

    Returns:
        `Reconstruction`; None in all but the first process of a multi-host run, and of a run that
        has ended unless `again`.

    Raises:
        ValueError: unusable footage, an option that does not fit, or a workdir of another run: of
            other options, or of the same names with other content.
        Stopped: there was a request to stop; the same call goes on later.
    """
    config = options.expand_paths(config)
    inputs.check_weights_path(config.save_weights)
    beside = {'mode': 'predict', 'input': inputs.name_of(footage)}
    opening = workdirs.opening(config, overwrite=overwrite, input=beside['input'])
    earlier, record = workdirs.check(
        workdir, config, opening, what='prediction', free=FREE, **beside
    )
    if config.poses is not None:
        known.check(config.poses)
    path = config.footage.mask_path
    mask = None if path is None else masks.read_mask(path)
    opened = _only_piece(footage, config)
    scratch = tempfile.TemporaryDirectory(prefix='pano_depth_')
    result = None
    try:
        content = inputs.Content(opened)
        check = lambda rows: disk.check_room(config, opened, rows, workdir, scratch.name)
        job = Steps(
            config, content.footage, mask, pathlib.Path(scratch.name), stop or Stop(), check=check
        )
        digests = _digests(config, content, job)
        if workdir is not None:
            _check_data(record, job.frames.sha256, workdir)
            check_inputs(record, digests, workdir=workdir, what='prediction')
            if not again and _has_ended(earlier, record, config, workdir):
                say(
                    f'the run in {workdir} has ended: report.html shows its results, --overwrite'
                    ' starts afresh'
                )
                return None
        place = pathlib.Path(scratch.name) / 'run' if workdir is None else workdir
        text = options.flagfile(config, workdir=workdir, **beside)
        with open_run(place, text, inputs=digests, what='prediction', **opening) as run:
            result = job.run(run, writes=workdir is not None)
    finally:
        if result is None:
            scratch.cleanup()
        else:
            # Files that are mapped into memory stay as long as the result.
            weakref.finalize(result, scratch.cleanup)
    return result


def _only_piece(footage, config):
    """Opens footage that is one clip. Raises ValueError if there are several."""
    pieces = inputs.open_input(footage, config.footage, sample_rows=config.output_height)
    if len(pieces) > 1:
        raise ValueError(
            f'input {footage} holds {len(pieces)} clips, such as {pieces[0].name} and'
            f' {pieces[1].name}; one of them is accepted'
        )
    return pieces[0]


def _digests(config, content, job):
    """What the run reads, for its record."""
    poses = job.known
    return {
        **content.digests(images=job.frames.sha256),
        **inputs.digest_of_mask(config.footage),
        '--poses': None if poses is None else digest_of(*poses.poses, poses.known, poses.unit),
        '--checkpoint': digest_of_tree(job.params, job.model),
    }


def _has_ended(earlier, record, config, workdir):
    """Whether a run has written everything that is asked for, and all of it is still there."""
    folder, files = pathlib.Path(workdir).expanduser(), record.get('files')
    if not record.get('finished') or not files or Names(files).missing(folder):
        return False
    if any(options.differences(earlier or '', config.exports)):
        say(f'the run in {workdir} has ended with other exports: its result is computed once more')
        return False
    return config.save_weights is None or pathlib.Path(config.save_weights).exists()


def _check_data(record, sha256, workdir):
    """Raises ValueError if a run of before inputs were recorded had other images."""
    known = (record.get('data') or {}).get('sha256')
    if 'inputs' not in record and known not in (None, sha256):
        raise ValueError(
            f'workdir {workdir} holds a prediction of other footage: the images of the input have'
            ' changed; other footage needs another --workdir, or --overwrite'
        )
