"""The flags of `depth_main`, from the configurations of its jobs, and the text of its `--help`."""

from absl import flags as absl_flags

from common.runtime import RuntimeConfig
from experiments import flags
from experiments.usage import Usage
from pano_depth.results import (
    DepthCostConfig,
    EvaluateConfig,
    ExportDepthConfig,
    ImproveConfig,
    ReconstructConfig,
    TrainConfig,
    ViewConfig,
)

FLAGS = absl_flags.FLAGS
MODES = {
    'predict': ReconstructConfig,
    'eval': EvaluateConfig,
    'train': TrainConfig,
    'improve': ImproveConfig,
    'export': ExportDepthConfig,
    'view': ViewConfig,
    'cost': DepthCostConfig,
}
# Flags that mean something else in each mode.
_HELP = {
    'checkpoint': (
        'networks to start from: "default" (from the package; the default of predict, eval, export'
        ' and cost), "none" (fresh ones; the default of train, and of cost with a --depth_cell and'
        ' the like), the workdir of a training run, or a .npz of --save_weights'
    ),
    'mask': (
        'what is left out since it moves along with the camera, a hand or a tripod: "auto" (found'
        ' in each clip; the default of predict and train), "none", an image whose dark or'
        ' transparent pixels are left out, or a folder with one for each frame (predict and eval)'
    ),
    'stride': 'distance in frames of the images that are compared in training; 0: from the footage',
}
USAGE = Usage(
    'pano-depth',
    'depth of every frame and the camera path from 360-degree video, learned without labels.',
    (
        (
            'pano-depth --input=video.mp4 --workdir=runs/mine',
            'writes depth, path, cloud and report.html into runs/mine',
        ),
        (
            'pano-depth --mode=view --workdir=runs/mine',
            'shows them in 3D in the browser (extra view)',
        ),
        (
            'pano-depth --mode=cost --depth_cell=bn_relu,dwconv3x3,bn_relu,conv1x1',
            'prints parameters and operations of a depth network',
        ),
    ),
    {
        'What to do': ('mode', 'input', 'workdir', 'overwrite'),
        'Networks': ('checkpoint', 'adapt', 'train_data'),
        'Footage': ('ordered', 'stereo', 'mask', 'every', 'max_frames', 'fps', 'on_bad_frame'),
        'Path': ('poses', 'refine_poses'),
        'Results': (
            'refine',
            'camera_height',
            'world',
            'axes',
            'output_height',
            'npy',
            'export_to',
        ),
        'Viewer': ('port', 'host'),
    },
)


def define(values: absl_flags.FlagValues = FLAGS) -> None:
    """Registers all flags.

    Args:
        values: where to register; the process's flags unless in a test.
    """
    absl_flags.DEFINE_enum('mode', 'predict', list(MODES), 'what to do', flag_values=values)
    absl_flags.DEFINE_string(
        'workdir',
        None,
        'directory of the run: new, empty, or of an earlier run, which then goes on',
        flag_values=values,
    )
    absl_flags.DEFINE_bool(
        'overwrite',
        False,
        'start afresh in the workdir of an earlier run: what runs wrote there is removed',
        flag_values=values,
    )
    absl_flags.DEFINE_string(
        'input',
        'sample',
        'footage of predict and eval: a 360-degree video, an image, a folder of images, a clip'
        ' folder, RGB-D pairs, a PanoSUNCG tree, "sample" (a rendered clip) or "rooms" (the test'
        ' split of PanoRooms, eval only); of improve: PATH[,PATH...], as train_data',
        flag_values=values,
    )
    for config in (*MODES.values(), RuntimeConfig):
        flags.define(config, help=_HELP, flag_values=values)
