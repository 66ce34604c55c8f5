"""Encodes cells of NAS-Bench-201 for a surrogate: paths from input to output, graph features.

A cell of NAS-Bench-201 (Dong & Yang, ICLR 2020) has four nodes and six edges 0->1, 0->2, 1->2,
0->3, 1->3, 2->3, each with one of five operations. Four paths lead from node 0 to node 3. A path
with a `none` carries nothing, and a skip adds no operation to a path. A token stands for the
operations on one path, so that strings of the same graph have similar tokens. This holds for the
encoding only: for the search such strings are different cells with different costs.
"""

import itertools

import numpy as np

from common.report.drawing import Box, Row

OPS = ('none', 'skip_connect', 'nor_conv_1x1', 'nor_conv_3x3', 'avg_pool_3x3')
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
NONE, SKIP, CONV1, CONV3, POOL = range(5)
PATHS = ((3,), (0, 4), (1, 5), (0, 2, 5))  # the edges of each path from node 0 to node 3
# All sequences of operations on a path, by length; the number of a token is 1 + its place.
TOKENS = tuple(
    '>'.join(way) or 'identity'
    for length in range(4)
    for way in itertools.product(OPS[2:], repeat=length)
)
LENGTH = len(PATHS)


def parse(arch: str) -> tuple[int, ...]:
    """Reads an `arch` string such as
    '|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|'.

    Returns:
        The six operation numbers (places in `OPS`) in the order of `EDGES`.

    Raises:
        ValueError: if the string is not a cell of four nodes with known operations.
    """
    form = '; the form is |op~0|+|op~0|op~1|+|op~0|op~1|op~2| with op in ' + ', '.join(OPS)
    nodes = [[part for part in node.split('|') if part] for node in arch.split('+')]
    if [len(node) for node in nodes] != [1, 2, 3]:
        raise ValueError(f'arch {arch!r} is not a cell of four nodes{form}')
    ops = []
    for node in nodes:
        for source, part in enumerate(node):
            op, _, start = part.partition('~')
            if op not in OPS or start != str(source):
                raise ValueError(f'arch {arch!r} has {part!r} as input {source} of a node{form}')
            ops.append(OPS.index(op))
    return tuple(ops)


def rows_of(arch: str) -> list[Row]:
    """The drawing of a cell: its paths from node 0 to node 3, each with its operations.

    Source: a path with a `none` carries nothing; the outputs of the others are added.
    """
    ops, rows = parse(arch), []
    for path in PATHS:
        nodes = [0, *(EDGES[edge][1] for edge in path)]
        carries = all(ops[edge] != NONE for edge in path)
        label = 'path ' + ' \u2192 '.join(map(str, nodes)) + ' of the nodes'
        boxes = [Box('node 0')]
        for edge in path:
            kind = None if ops[edge] in (NONE, SKIP) else ops[edge] - CONV1
            boxes += [Box(OPS[ops[edge]], kind=kind), Box(f'node {EDGES[edge][1]}')]
        rows.append(Row(label if carries else f'{label}, which carries nothing', boxes))
    return rows


def live_ops(ops) -> np.ndarray:
    """Sets edges that carry nothing from node 0 to node 3 to `NONE`.

    Args:
        ops: int [N, 6] operation numbers in the order of `EDGES`.

    Returns:
        int64 [N, 6].
    """
    ops = np.array(ops, dtype=np.int64)
    live = np.zeros(ops.shape, bool)
    for path in PATHS:
        live[:, path] |= (ops[:, path] != NONE).all(axis=1)[:, None]
    return np.where(live, ops, NONE)


def encode_batch(ops) -> np.ndarray:
    """Tokens of many cells.

    Args:
        ops: int [N, 6] operation numbers in the order of `EDGES`.

    Returns:
        int32 [N, LENGTH]: 1 + place in `TOKENS` of each path without a `none`, largest first, then
        zeros.
    """
    ops = np.asarray(ops, np.int64)
    tokens = np.zeros((len(ops), LENGTH), np.int32)
    for column, path in enumerate(PATHS):
        way = np.zeros(len(ops), np.int64)  # base 3, digits 1 to 3: no gaps in the numbers
        for edge in path:
            way = np.where(ops[:, edge] > SKIP, way * 3 + ops[:, edge] - SKIP, way)
        tokens[:, column] = np.where((ops[:, path] != NONE).all(axis=1), way + 1, 0)
    return -np.sort(-tokens, axis=1)


def features_batch(ops) -> np.ndarray:
    """Features of the live graphs of many cells: counts of edges and paths by their operations.

    Args:
        ops: int [N, 6] operation numbers in the order of `EDGES`.

    Returns:
        float32 [N, F]: live edges of each operation except `none` (4); paths (1); the largest
        number of convolutions, 3x3 convolutions, pools and operations on one path (4); the first
        three of these summed over all paths (3); paths with 0 to 3 operations (4) and with 0 to 3
        convolutions (4); the smallest number of pools and of convolutions on one path (2).
    """
    ops = live_ops(ops)
    alive = np.stack([(ops[:, path] != NONE).all(axis=1) for path in PATHS], axis=1)

    def on_ways(*kinds):
        return (
            np.stack([np.isin(ops[:, path], kinds).sum(axis=1) for path in PATHS], axis=1) * alive
        )

    convs, wide, pools = on_ways(CONV1, CONV3), on_ways(CONV3), on_ways(POOL)
    length = convs + pools
    columns = [(ops == op).sum(axis=1) for op in range(1, len(OPS))] + [alive.sum(axis=1)]
    columns += [counts.max(axis=1) for counts in (convs, wide, pools, length)]
    columns += [counts.sum(axis=1) for counts in (convs, wide, pools)]
    columns += [(alive & (counts == n)).sum(axis=1) for counts in (length, convs) for n in range(4)]
    # A cell without any path gets a value beyond those of all other cells.
    columns += [np.where(alive, counts, 4).min(axis=1) for counts in (pools, convs)]
    return np.stack(columns, axis=1).astype(np.float32)


def encode(arch: str) -> tuple[int, ...]:
    """Tokens of one cell given as its `arch` string: `LENGTH` numbers, see `encode_batch`."""
    return tuple(encode_batch([parse(arch)])[0].tolist())


def features(arch: str) -> np.ndarray:
    """Features float32 [F] of one cell given as its `arch` string, see `features_batch`."""
    return features_batch([parse(arch)])[0]
