"""What the report of a search of depth networks shows besides that of any search.

Panels: what each network of the front sees in one unseen room, on one scale of colours. Flagfiles:
how each outstanding network is trained to the end.
"""

import pathlib
import shlex
from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from common import options
from common.run import atomic_path
from experiments.depth_search.cell import model_of
from experiments.depth_search.config import DepthSearchConfig
from experiments.depth_search.frames import Frames
from experiments.depth_search.task import prediction_path
from nas.search.evaluations import Evaluation
from nas.search.report import words
from pano_depth.learning import checkpoints
from pano_depth.learning.model import ModelConfig
from pano_depth.results.panels import depth_colors, depth_range
from pano_depth.rooms import pano_rooms

PANELS_FILE = 'panels.png'
_COLUMNS = 3
_BESIDE = ('latency_ms', 'memory_mb')  # what stands beside the error, where it was measured
MOST = 14  # networks of the front that are shown
_FLAGFILES = pathlib.Path(__file__).resolve().parents[1] / 'flagfiles'


class DepthReport:
    """The parts of the report of one search."""

    def __init__(self, config: DepthSearchConfig, workdir, unseen: Frames):
        """Takes what they are made of.

        Args:
            config: of the search.
            workdir: of the search, as its user wrote it.
            unseen: the unseen rooms, the first of which is shown.
        """
        self._config, self._named = config, str(workdir).rstrip('/')
        self._workdir = pathlib.Path(workdir).expanduser()
        self._image, self._depth = unseen.images[0], np.float32(unseen.depth[0])

    def next_steps(self, role: str) -> list[tuple[str, str]]:
        """The commands that train the network of a role to the end, and export it."""
        flags = flagfile_name(role)
        target = f'{self._named}-{flags.removesuffix(".flags")}'
        train = ['pano-depth', f'--flagfile={self._named}/{flags}', f'--workdir={target}']
        export = [
            'pano-depth',
            '--mode=export',
            f'--checkpoint={target}',
            f'--workdir={target}-onnx',
        ]
        return [
            ('Train it to the end, depth and motion:', shlex.join(train)),
            ('Export what was trained (needs the extra [export]):', shlex.join(export)),
        ]

    def blocks(self, page, search, picked) -> None:
        """Writes the flagfiles and the panels; adds the panels to the page."""
        for role, evaluation in picked.chosen.items():
            text = flagfile_of(evaluation, self._config.rooms.panorama_height)
            with atomic_path(self._workdir / flagfile_name(role)) as temporary:
                temporary.write_text(text)
        # The objective beside the error, by which the front is ordered.
        name = next((name for name in search.objectives if name != 'error'), 'error')
        front = sorted(search.front(), key=lambda e: e.objectives[name])
        beyond = {str(evaluation.cell) for evaluation in picked.left_out}
        front = spread(
            [e for e in front if str(e.cell) not in beyond], list(picked.chosen.values())
        )
        given = [e for e in search.given if e not in front]
        shown = []
        for evaluation in (*given, *front):
            path = prediction_path(self._workdir, evaluation.cell)
            roles = ['given'] if evaluation in given else picked.roles(evaluation)
            if path.exists():
                shown.append((evaluation, np.load(path), roles))
        if not shown:
            return
        path = self._workdir / PANELS_FILE
        draw(path, self._image, self._depth, shown)
        page.section('Depth of a room that no network has seen')
        page.image(
            path,
            f'Given networks, then those of the front by {words.title(name)}. Near is red and far'
            ' is blue, on one scale for all pictures; AbsRel is that over all unseen rooms.',
            alt='A room, its true depth, and the depth that the networks of the front see.',
        )


def spread(front: Sequence[Evaluation], named: Sequence[Evaluation]) -> list[Evaluation]:
    """At most `MOST` networks of a front, in order: the named ones, and others evenly along it."""
    others = [e for e in front if e not in named]
    left = max(MOST - len(named), 0)
    if left < len(others):
        others = [others[i] for i in np.linspace(0, len(others) - 1, left).round().astype(int)]
    return [e for e in front if e in named or e in others]


def draw(
    path: pathlib.Path,
    image: np.ndarray,
    truth: np.ndarray,
    shown: Sequence[tuple[Evaluation, np.ndarray, Sequence[str]]],
) -> None:
    """Draws a room, its depth, and the depth that networks see in it, on one scale of colours.

    Args:
        path: of the PNG file.
        image: [H, 2H, 3] uint8.
        truth: [H, 2H] range in metres, 0 where there is none.
        shown: (network, its depth [H, 2H] in any unit, its roles).
    """
    low, high = depth_range(truth)
    true = depth_colors(truth, low=low, high=high)
    panels = [
        (image, 'room', ''),
        (true, f'true depth, colours from {low:.2g} to {high:.2g} m', ''),
    ]
    for evaluation, depth, roles in shown:
        known = truth > 0
        scaled = np.float32(depth) * np.median(truth[known]) / np.median(np.float32(depth)[known])
        values = [
            words.quantity(evaluation.objectives[name], name)
            for name in ('error', *_BESIDE)
            if name in evaluation.objectives
        ]
        title = f'AbsRel {", ".join(values)}'
        below = '\n'.join([str(evaluation.cell), ', '.join(roles)])
        panels.append((depth_colors(scaled, low=low, high=high), title, below))
    rows = -(-len(panels) // _COLUMNS)
    figure = Figure(figsize=(4.2 * _COLUMNS, 2.65 * rows), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
    for axis in axes:
        axis.set_axis_off()
    for axis, (picture, title, below) in zip(axes, panels):
        axis.imshow(picture, interpolation='nearest')
        axis.set_title(title, fontsize=9)
        axis.text(0.5, -0.03, below, fontsize=6, ha='center', va='top', transform=axis.transAxes)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format='png', dpi=110)


def flagfile_name(role: str) -> str:
    """The name of the flagfile that trains the network of a role."""
    return f'{role.replace(" ", "_")}.flags'


def flagfile_of(evaluation: Evaluation, panorama_height: int) -> str:
    """A flagfile that trains a found network as the weights of the package were trained.

    Where the pose network of the package fits, depth alone is learned beside it. Else both networks
    are, which takes longer.

    Args:
        evaluation: of the network.
        panorama_height: rows of the panoramas of the search; rooms to learn both networks from have
            at least as many.
    """
    found, package = model_of(evaluation.cell), checkpoints.load_model('default')[1]
    alone = all(
        getattr(found, name) == value
        for name, value in vars(package).items()
        # The search says nothing of what the pose network is told of matches.
        if checkpoints.network_of(name) != 'depth' and name != 'pose_matching'
    )
    recipe = 'weights_depth_cpu.flags' if alone else 'weights_cpu.flags'
    usual = options.values_of(ModelConfig())
    lines = [f'# The network {evaluation.cell}, trained to the end: pano-depth --flagfile=...']
    for name, value in options.values_of(found).items():
        # Beside a checkpoint a flag that is left out means what the checkpoint has.
        needed = checkpoints.network_of(name) == 'depth' if alone else value != usual[name]
        if needed or name == 'face_size':
            lines += options.flag_lines(name, value)
    given = {line.partition('=')[0] for line in lines}
    for line in (_FLAGFILES / recipe).read_text().splitlines():
        name = line.partition('=')[0]
        if name == '--rooms' and not alone:
            line = f'--rooms={_rooms(panorama_height)}'
        if line.startswith('--') and name not in given:
            lines.append(line)
    return '\n'.join(lines) + '\n'


def _rooms(panorama_height: int) -> str:
    """The smallest set of rooms of all sizes that has the rows of the search."""
    sizes = [c.height for c in pano_rooms.PanoRooms.BUILDER_CONFIGS if c.name.endswith('_roomy')]
    rows = min((size for size in sizes if size >= panorama_height), default=max(sizes))
    return f'{rows}x{2 * rows}_roomy'
