"""Reads finished searches of depth networks for the benchmark programs."""

import dataclasses
import json
import pathlib
from collections.abc import Mapping, Sequence

from common import options
from common.run import earlier_run
from experiments.depth_search.cell import DepthCell, parse
from experiments.depth_search.config import DepthRecipe, DepthSearchConfig, RoomsConfig
from nas.search.evaluations import EVALUATIONS_FILE, read_records
from nas.search.results import SUMMARY_FILE

# Flags that errors depend on; searches that differ in one of them cannot be compared.
ERROR_FLAGS = tuple(
    field.name
    for part in (RoomsConfig, DepthRecipe)
    for field in dataclasses.fields(part)
    if field.name != 'data_dir'
)


@dataclasses.dataclass(frozen=True)
class Search:
    """A finished search.

    Attributes:
        name: of its directory.
        config: its options.
        device: what it measured on, as text for `specs.open_device`.
        chosen: cells by role.
        points: (error, latency) of what was trained to the end.
    """

    name: str
    config: DepthSearchConfig
    device: str
    chosen: Mapping[str, DepthCell]
    points: Sequence[tuple[float, float]]


def read_search(workdir) -> Search:
    """Reads a finished search of depth networks that measured latency.

    Raises:
        ValueError: it is none; the message names the directory.
    """
    folder = pathlib.Path(workdir).expanduser()
    text, _ = earlier_run(folder)
    try:
        if '--task=depth' not in (text or '').splitlines():
            raise ValueError('it holds no search with --task=depth')
        config = options.from_flagfile(DepthSearchConfig, text)
        chosen = json.loads((folder / SUMMARY_FILE).read_text())['chosen']
        records = read_records(folder / EVALUATIONS_FILE)[0]
        values = [record['objectives'] for record in records if record['status'] == 'ok']
        points = [(one['error'], one['latency_ms']) for one in values]
        cells = {role: parse(found['cell']) for role, found in chosen.items()}
    except OSError as error:
        raise ValueError(f'--search={workdir} is not finished: {error.strerror}') from error
    except KeyError as error:
        raise ValueError(f'--search={workdir} has no {error}; it has to measure latency') from error
    except ValueError as error:
        raise ValueError(f'--search={workdir}: {error}') from error
    device = (config.measuring.device or ('xla',))[0]
    return Search(folder.name, config, device, cells, points)


def check_equal(searches: Sequence[Search]) -> None:
    """Raises ValueError if two searches train differently, so that errors cannot be compared."""
    every = [options.values_of(search.config) for search in searches]
    for other, theirs in zip(searches[1:], every[1:]):
        for name in ERROR_FLAGS:
            if theirs[name] != every[0][name]:
                raise ValueError(
                    f'--search={other.name} has --{name}={theirs[name]}, but'
                    f' {searches[0].name} has {every[0][name]}; equal trainings are compared'
                )
