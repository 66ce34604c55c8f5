"""Reads finished searches of depth networks for the benchmark programs."""

import dataclasses
import json
import pathlib
from collections.abc import Mapping, Sequence

from common import options
from common.run import earlier_run
from experiments.depth_search.cell import DepthCell, parse
from experiments.depth_search.config import DepthSearchConfig
from nas.search.evaluations import EVALUATIONS_FILE, read_records
from nas.search.results import SUMMARY_FILE


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
    for other in searches[1:]:
        for part in ('rooms', 'recipe'):
            mine, theirs = (vars(getattr(s.config, part)) for s in (searches[0], other))
            for name in mine:
                if name != 'data_dir' and mine[name] != theirs[name]:
                    raise ValueError(
                        f'--search={other.name} has --{name}={theirs[name]}, but'
                        f' {searches[0].name} has {mine[name]}; equal trainings are compared'
                    )
