"""Reads finished searches for the programs that tabulate them."""

import dataclasses
import json
import pathlib
from collections.abc import Sequence

from common import options
from common.run import earlier_run
from nas.cells import choice
from nas.cells.skeleton import Skeleton
from nas.search.evaluations import EVALUATIONS_FILE, read_records
from nas.search.results import SUMMARY_FILE
from nas.training.config import EvaluationConfig, RecipeConfig
from nas.training.train_job import read_search_config

# Flags of nas-search that errors depend on; searches that differ in one of them cannot be compared.
ERROR_FLAGS = (
    'dataset',
    'skeleton',
    'stages',
    'growth',
    *(
        field.name
        for config in (RecipeConfig, EvaluationConfig)
        for field in dataclasses.fields(config)
    ),
)


@dataclasses.dataclass(frozen=True)
class Found:
    """What a finished search found.

    Attributes:
        folder: its workdir.
        device: the device that it measured on, as in its --device.
        device_name: the full name of that device at the time.
        skeleton: the skeleton of its cells.
        errors: held-out error in percent of the cells of its front, by cell.
        chosen: cells by role, such as 'fastest'.
        settings: values of the flags that errors depend on, by name.
    """

    folder: str
    device: str
    device_name: str
    skeleton: Skeleton
    errors: dict[str, float]
    chosen: dict[str, str]
    settings: dict[str, object]


def read_search(workdir) -> Found:
    """Reads a finished search.

    Args:
        workdir: of `nas-search --mode=search`.

    Raises:
        ValueError: it is not a search of images with a measured objective, it has not ended, or a
            file is damaged; the message names the file.
    """
    folder = pathlib.Path(workdir).expanduser()
    path = folder / SUMMARY_FILE
    if earlier_run(folder)[0] is None or not path.is_file():
        raise ValueError(
            f'{path} does not exist; the workdir of a finished search (nas-search '
            '--mode=search) is accepted'
        )
    config = read_search_config(folder)
    if config.benchmark:
        raise ValueError(
            f'{folder} is a search of the table {config.benchmark}; one of images is accepted'
        )
    records = read_records(folder / EVALUATIONS_FILE)[0]
    errors = {
        record['cell']: record['objectives'].get('error')
        for record in records
        if record['status'] == 'ok'
    }
    try:
        summary = json.loads(path.read_text())
        if not summary['device']:
            raise ValueError(
                'the search measured on no device; one with latency_ms among its objectives is '
                'accepted'
            )
        skeleton = choice.search_skeleton(config.dataset, config.skeleton, config.sizes)
        devices, settings = config.measuring.device, options.values_of(config)
        front = {cell: float(errors[cell]) for cell in summary['front']}
        chosen = {role: entry['cell'] for role, entry in summary['chosen'].items()}
        return Found(
            str(workdir),
            devices[0] if devices else 'xla',
            summary['device'],
            skeleton,
            front | {cell: float(errors[cell]) for cell in chosen.values()},
            chosen,
            {name: settings[name] for name in ERROR_FLAGS},
        )
    except (OSError, KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise ValueError(f'{path} is damaged or not of this version: {error!r}') from error
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from error


def check_comparable(searches: Sequence[Found]) -> None:
    """Raises ValueError if two searches trained differently or are for the same device."""
    for other in searches[1:]:
        for name, value in searches[0].settings.items():
            if other.settings[name] != value:
                raise ValueError(
                    f'errors cannot be compared: {searches[0].folder} has --{name}={value}, but '
                    f'{other.folder} has --{name}={other.settings[name]}'
                )
    devices = [search.device for search in searches]
    if len(set(devices)) < len(devices):
        double = next(device for device in devices if devices.count(device) > 1)
        raise ValueError(
            f'two of the searches are for the device {double}; one for each device is accepted'
        )
