"""The house: which room may import which, what each hands on, and how full a room may be."""

import ast
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PACKAGES = ('common', 'pano_depth', 'nas', 'experiments')
# A newcomer should take in a folder at a glance. The fullest rooms have this many modules.
MOST_MODULES = 15
# Rooms, with those that each may import besides itself and `common`.
_DEPTH = ('kernels', 'footage', 'rooms', 'learning', 'reconstruction', 'results')
ROOMS = {
    'pano_depth': {room: set(_DEPTH[:number]) for number, room in enumerate(_DEPTH)},
    'nas': {
        'cells': set(),
        'datasets': set(),
        'surrogate': set(),
        'networks': {'cells'},
        'search': {'cells', 'surrogate'},
        'devices': {'networks', 'cells'},
        'tables': {'search', 'cells', 'surrogate'},
    },
}
ROOMS['nas']['training'] = set(ROOMS['nas'])
ROOMS['nas']['serve'] = set(ROOMS['nas'])


def modules(package):
    return sorted((ROOT / package).rglob('*.py'))


def imports(path):
    """Dotted names that a file imports, inside functions too: of `from a import b` a.b."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) + 1 - node.level] if node.level else ()
            base = '.'.join([*start, *([node.module] if node.module else [])])
            yield from (f'{base}.{alias.name}' for alias in node.names)


def wrong(path, accepted):
    """Imports of a file that a rule does not accept, as text for the failure."""
    return [
        f'{path.relative_to(ROOT)} imports {name}'
        for name in imports(path)
        if name.partition('.')[0] in PACKAGES and not accepted(name)
    ]


def test_imports_are_found_wherever_they_stand():
    found = list(imports(ROOT / 'experiments' / 'nas_main.py'))
    assert {'json', 'nas', 'nas.cells', 'nas.devices.measure_on', 'common.parallel'} <= set(found)


@pytest.mark.parametrize(
    'package, others', [('common', ()), ('pano_depth', ('common',)), ('nas', ('common',))]
)
def test_packages_import_only_what_lies_below_them(package, others):
    accepted = lambda name: name.partition('.')[0] in (package, *others)
    assert not [line for path in modules(package) for line in wrong(path, accepted)]


@pytest.mark.parametrize('package', ROOMS)
def test_rooms_import_only_rooms_below_them(package):
    rooms, lines = ROOMS[package], []
    folders = {path.name for path in (ROOT / package).iterdir() if (path / '__init__.py').exists()}
    assert folders == set(rooms)
    for room, below in rooms.items():
        for path in modules(f'{package}/{room}'):
            # What a package hands on at its own door may come from any room.
            accepted = lambda name, own={room, *below}: (
                not name.startswith(f'{package}.') or name.split('.')[1] in own
            )
            lines += wrong(path, accepted)
            lines += [f'{path} imports {package} itself' for n in imports(path) if n == package]
    assert not lines


def test_flags_are_known_in_experiments_alone():
    library = [path for package in PACKAGES[:3] for path in modules(package)]
    assert library and not [
        path for path in library for name in imports(path) if name.startswith('absl.flags')
    ]


@pytest.mark.parametrize('package', PACKAGES)
def test_no_folder_holds_more_than_a_dozen_or_so_modules(package):
    folders = {path.parent for path in modules(package)}
    for folder in folders:
        count = len([path for path in folder.glob('*.py') if path.name != '__init__.py'])
        assert count <= MOST_MODULES, f'{folder} holds {count} modules'


@pytest.mark.parametrize(
    'folder', sorted({path.parent for package in PACKAGES for path in modules(package)}), ids=str
)
def test_every_folder_says_what_it_is_for(folder):
    assert ast.get_docstring(ast.parse((folder / '__init__.py').read_text()))


def handed_on(program):
    """Runs a program in a fresh interpreter: (what it printed, which heavy packages it loaded)."""
    heavy = '{"jax", "flax", "scipy", "sklearn", "matplotlib", "tensorflow_datasets"}'
    done = subprocess.run(
        [sys.executable, '-c', f'import sys\n{program}\nprint({heavy} & set(sys.modules))'],
        cwd=ROOT,
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    'program',
    [
        'import nas, nas.cells, nas.search, nas.training',
        'from nas.cells import CELLS, NETWORKS, SKELETONS, Cell, build, cost_of, count',
        'from nas import SearchConfig, TrainConfig, ExportTrainedConfig',
        'from nas.search import PlannerConfig, config',
        'from nas.devices import MeasureConfig; from common.executors import ExecutorConfig',
        'from common.runtime import RuntimeConfig; from common.export_config import ExportConfig',
    ],
)
def test_what_costs_and_configurations_need_loads_no_jax(program):
    assert handed_on(program) == 'set()'


@pytest.mark.parametrize('package', ROOMS)
def test_rooms_hand_on_what_they_promise(package):
    names = [package, *(f'{package}.{room}' for room in ROOMS[package])]
    handed_on(
        'import importlib, pkgutil, types\n'
        f'for name in {names}:\n'
        '    room = importlib.import_module(name)\n'
        '    assert room.__all__, room\n'
        '    values = {name: getattr(room, name) for name in room.__all__}\n'
        # An attribute of the name of a module would be one or the other by chance.
        '    for module in {m.name for m in pkgutil.iter_modules(room.__path__)} & set(values):\n'
        '        assert isinstance(values[module], types.ModuleType), (room, module)'
    )


def test_public_names_of_the_search_half():
    program = (
        'from nas.search import Search, run, PlannerConfig, pareto\n'
        'from nas import load_trained, run_search, train, export_trained\n'
        'assert callable(run) and callable(train) and pareto.non_dominated'
    )
    handed_on(program)
