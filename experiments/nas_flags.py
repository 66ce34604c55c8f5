"""The flags of `nas_main`, from the configurations of its jobs, and the text of its `--help`."""

from absl import flags as absl_flags

from common import options
from common.runtime import RuntimeConfig
from experiments import flags
from experiments.depth_search.config import DepthSearchConfig
from experiments.usage import Usage
from nas.cells import CostConfig
from nas.devices import MeasureConfig
from nas.training import ExportTrainedConfig, SearchConfig, TrainConfig

FLAGS = absl_flags.FLAGS
# What a search looks for: networks that classify images, or that see the depth of panoramas.
IMAGES, DEPTH = 'images', 'depth'
# If modes share a flag, the first of them gives its help.
MODES = {
    'cost': CostConfig,
    'search': SearchConfig,
    'train': TrainConfig,
    'export': ExportTrainedConfig,
    'serve': SearchConfig,
}
USAGE = Usage(
    'nas-search',
    'finds networks that are accurate, small and fast on a device; trains and exports them.',
    (
        (
            'nas-search --dataset=digits --budget=36 --epochs=10 --workdir=runs/digits',
            'searches cells for error, latency and parameters; the front is in report.html',
        ),
        (
            'nas-search --task=depth --device=onnx:threads=1 --workdir=runs/depth',
            'searches depth networks for 360-degree images, trained on rendered rooms',
        ),
        (
            'nas-search --mode=train --from_search=runs/digits:balanced --workdir=runs/balanced',
            'trains one of them to the end; --mode=export --checkpoint=runs/balanced writes ONNX',
        ),
    ),
    {
        'What to do': ('mode', 'task', 'workdir', 'overwrite', 'dataset', 'device'),
        'Search': ('objectives', 'budget', 'skeleton', 'ops', 'executor', 'workers'),
        'Training': ('from_search', 'network', 'cell', 'epochs', 'batch_size', 'learning_rate'),
        'Depth': ('panorama_height', 'steps', 'rooms_style'),
        'Export': ('checkpoint', 'format'),
    },
)


class _SwitchOrPath(absl_flags.ArgumentParser):
    """A flag whose name alone is a switch, and which names a file with a value: `--table=FILE`."""

    syntactic_help = 'FILE or nothing'

    def parse(self, argument):
        """True, False or a path."""
        if argument in (True, 'true'):
            return True
        return False if argument in (False, None, 'false') else str(argument)


class _SwitchOrPathFlag(absl_flags.Flag):
    """A flag that may stand without a value, which absl allows for `boolean` flags."""

    def __init__(self, name, text):
        super().__init__(
            _SwitchOrPath(), absl_flags.ArgumentSerializer(), name, False, text, boolean=True
        )

    def serialize(self):
        """The flag as it stands on a command line, or '' if it was not given."""
        if self.value is False:
            return ''
        return f'--{self.name}' if self.value is True else f'--{self.name}={self.value}'


def define(values: absl_flags.FlagValues = FLAGS) -> None:
    """Registers all flags.

    Args:
        values: where to register; the process's flags unless in a test.
    """
    absl_flags.DEFINE_enum(
        'mode',
        None,
        list(MODES),
        'what to do; default: cost if --cell, --network or a bare --table is given, else search',
        flag_values=values,
    )
    absl_flags.DEFINE_enum(
        'task',
        IMAGES,
        [IMAGES, DEPTH],
        'what a search looks for: networks that classify images, or depth networks for panoramas',
        flag_values=values,
    )
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
    table = _SwitchOrPathFlag(
        'table',
        '--mode=cost: print the cost of every published network beside its published figures;'
        ' with --benchmark: the npz FILE of the table',
    )
    absl_flags.DEFINE_flag(table, values)
    for config in (RuntimeConfig, *MODES.values(), MeasureConfig, DepthSearchConfig):
        skip = ('table',) if config is SearchConfig else ()
        flags.define(config, help=_defaults_by_task(), skip=skip, flag_values=values)


def _defaults_by_task() -> dict[str, str]:
    """The help of flags whose defaults depend on the task; by themselves they would show none."""
    images, depth = (options.fields_of(config) for config in (SearchConfig, DepthSearchConfig))
    found = {}
    for name in images.keys() & depth.keys():
        field = images[name][0]
        usual, other = (options.default_of(fields[name][0]) for fields in (images, depth))
        if usual != other:
            text = f'{field.metadata["help"]}; default: {usual}, with --task=depth {other}'
            found[name] = text
    return found


def config_of(
    mode: str, values: absl_flags.FlagValues = FLAGS
) -> SearchConfig | DepthSearchConfig | TrainConfig | ExportTrainedConfig:
    """Reads the configuration of a mode, and of the task, from the flags.

    Args:
        mode: 'search', 'serve', 'train' or 'export'.
        values: the flags.

    Raises:
        ValueError: a flag belongs to another mode, or a value cannot be used.
    """
    if values.task == DEPTH:
        return depth_config(mode, values)
    others = {name for config in MODES.values() for name in options.fields_of(config)}
    _refuse(set(options.fields_of(DepthSearchConfig)) - others, DEPTH, values)
    if mode in ('search', 'serve'):
        return search_config(values)
    for flag in ('network', 'cell', 'from_search') if mode == 'export' else ():
        if values[flag].value is not None:
            raise ValueError(
                f'--{flag}={values[flag].value} names a network that is not trained; train it '
                f'with --mode=train --{flag}={values[flag].value} --workdir=DIRECTORY, then '
                'export it with --mode=export --checkpoint=DIRECTORY'
            )
    return flags.build(MODES[mode], flag_values=values)


def search_config(values: absl_flags.FlagValues = FLAGS) -> SearchConfig:
    """The search that the flags ask for. Raises ValueError as `config_of`."""
    if values.cell or values.network:
        raise ValueError(
            '--cell and --network belong to --mode=cost and --mode=train; a search makes its '
            'own cells'
        )
    if values.from_search:
        raise ValueError('--from_search belongs to --mode=train; a search makes its own cells')
    if values.table is True:
        raise ValueError('--table belongs to --mode=cost, or as --table=FILE to --benchmark')
    return flags.build(SearchConfig, flag_values=values, table=values.table or None)


def depth_config(mode: str, values: absl_flags.FlagValues = FLAGS) -> DepthSearchConfig:
    """The search of depth networks that the flags ask for. Raises ValueError as `config_of`."""
    if mode != 'search':
        hint = (
            f'; pano-depth --mode={mode} does that' if mode in ('cost', 'train', 'export') else ''
        )
        raise ValueError(f'--task=depth is for --mode=search, not --mode={mode}{hint}')
    others = {name for config in MODES.values() for name in options.fields_of(config)}
    _refuse(others - set(options.fields_of(DepthSearchConfig)), IMAGES, values)
    if values.table:
        raise ValueError(f'--table is for --task={IMAGES}')
    return flags.build(DepthSearchConfig, flag_values=values)


def _refuse(names: set[str], task: str, values: absl_flags.FlagValues) -> None:
    """Raises ValueError for the first of some flags that is given; they are for one task."""
    for name in sorted(names):
        if name in values and name != 'table' and flags.is_given(name, flag_values=values):
            raise ValueError(f'--{name}={values[name].value} is for --task={task}')


def cost_config(values: absl_flags.FlagValues = FLAGS) -> tuple[CostConfig, MeasureConfig]:
    """Returns (the network to count, the devices to measure it on).

    Raises:
        ValueError: flags do not go together.
    """
    if isinstance(values.table, str):
        raise ValueError(
            f'--table={values.table} belongs to --benchmark; with --mode=cost the flag stands alone'
        )
    config = flags.build(CostConfig, flag_values=values)
    measuring = flags.build(MeasureConfig, flag_values=values)
    if values.table and (config != CostConfig() or measuring.device):
        raise ValueError(
            '--table counts all published networks; give it without --cell, --network, '
            '--skeleton, --stages, --growth and --device'
        )
    return config, measuring
