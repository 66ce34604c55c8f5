"""The flags of `depth_main`; those of the models, losses and training come from their
dataclasses.
"""

from absl import flags as absl_flags

from common.export import ExportConfig
from experiments import flags
from pano_depth.footage import footage, frame_files
from pano_depth.learning.model import ModelConfig
from pano_depth.learning.objective import LossConfig
from pano_depth.learning.train import RecipeConfig
from pano_depth.results import ply

FLAGS = absl_flags.FLAGS

absl_flags.DEFINE_enum('mode', 'predict', ['train', 'eval', 'predict', 'export'], 'What to do.')
absl_flags.DEFINE_string(
    'workdir', None, "Directory of the run: new, empty, or an earlier run's, which then goes on."
)
absl_flags.DEFINE_string(
    'input',
    'sample',
    'Footage of --mode=predict and eval: an equirectangular video, an image, a folder of images, a'
    ' clip folder, RGB-D pairs, a PanoSUNCG tree, "sample" (a rendered clip) or "rooms" (the test'
    ' split of PanoRooms, eval only).',
)
absl_flags.DEFINE_integer(
    'adapt',
    0,
    'Steps of self-supervised training on the very footage before predicting.',
    lower_bound=0,
)
absl_flags.DEFINE_string(
    'checkpoint',
    None,
    'Networks to start from: "default" (those that come with the package; the default of predict,'
    ' eval and export), "none" (fresh ones; the default of train), the workdir of a training run,'
    ' or a .npz of --save_weights.',
)
absl_flags.DEFINE_string(
    'save_weights', None, 'Also write the trained networks as one .npz file, for --checkpoint.'
)
absl_flags.DEFINE_integer(
    'stride',
    0,
    'Frames between those that are compared in training; 0 chooses it from the footage.',
    lower_bound=0,
)
absl_flags.DEFINE_integer(
    'reach',
    1,
    'With --adapt: neighbours up to so many strides away are compared, once the nearest are'
    ' understood.',
    lower_bound=1,
)
absl_flags.DEFINE_integer('every', 1, 'Takes every so-manieth frame of the footage.', lower_bound=1)
absl_flags.DEFINE_integer(
    'max_frames', 0, 'Takes at most so many frames; 0 takes all.', lower_bound=0
)
absl_flags.DEFINE_enum(
    'stereo',
    None,
    list(frame_files.STEREO),
    'Takes one eye, the left one, of frames that hold two.',
)
absl_flags.DEFINE_enum(
    'on_bad_frame',
    'refuse',
    list(footage.ON_BAD),
    'What to do about frames that are damaged or missing: stop, or leave them out and say so.',
)
flags.define_float(
    'depth_scale',
    None,
    'Metres per unit of 16-bit depth files of --input; default 0.001.',
    lower_bound=1e-9,
)
flags.define_float(
    'camera_height',
    None,
    "The camera's height over the floor in metres, which fixes the scale of the results.",
    lower_bound=1e-3,
)
absl_flags.DEFINE_integer(
    'output_height',
    0,
    'Rows of the results; 0 takes those of the footage, at most 512.',
    lower_bound=0,
)
absl_flags.DEFINE_bool('npy', False, 'Also write depth as float32 .npy.')
absl_flags.DEFINE_enum('cloud_axes', 'y_up', sorted(ply.CLOUD_AXES), 'Axes of cloud.ply.')
flags.define_float(
    'cloud_voxel',
    None,
    'Side of the voxels of cloud.ply in the unit of the depth; default 1 % of the median depth.',
    lower_bound=1e-6,
)
absl_flags.DEFINE_integer(
    'export_height',
    0,
    '--mode=export: rows of the panorama that the file takes and of its depth, a multiple of 2 *'
    ' face_size; 0 takes the largest up to 512.',
    lower_bound=0,
)
absl_flags.DEFINE_string(
    'mask', None, 'Image whose dark pixels are left out: the tripod, the photographer.'
)
absl_flags.DEFINE_enum(
    'train_data',
    'live',
    ['live', 'stored'],
    'Rooms to train on: rendered inside the step, or the stored data set.',
)
absl_flags.DEFINE_string(
    'rooms',
    '64x128',
    'Configuration of the pano_rooms data set for training and its test split for evaluation.',
)
absl_flags.DEFINE_string('data_dir', None, 'Where data sets are kept; default as TFDS has it.')
absl_flags.DEFINE_integer(
    'log_every', 20, 'Steps between two lines of metrics.jsonl.', lower_bound=1
)
absl_flags.DEFINE_integer('checkpoint_every', 200, 'Steps between two checkpoints.', lower_bound=1)
absl_flags.DEFINE_string(
    'compilation_cache',
    '~/.cache/pano_dppnet/jax',
    'Directory of compiled programs; empty for none.',
)
absl_flags.DEFINE_string('coordinator_address', None, 'host:port of process 0 of a multi-host run.')
absl_flags.DEFINE_integer('num_processes', None, 'Processes of a multi-host run.')
absl_flags.DEFINE_integer('process_id', None, 'Rank of this process.')
for config in (ModelConfig, LossConfig, RecipeConfig, ExportConfig):
    flags.define(config)
