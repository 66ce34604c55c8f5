"""A search as a server of JSON lines: a request on one line, its answer on one line.

    {"ask": 2}                             {"cells": ["bn-conv1x1", "none-conv3x3"], "left": 60}
    {"tell": {"cell": "bn-conv1x1", "objectives": {"error": 9.5, "latency_ms": 0.2}}}
                                           {"told": "bn-conv1x1", "status": "ok", "left": 59}
    {"tell": {"cell": "none-conv3x3", "failed": "out of memory"}}
                                           {"told": "none-conv3x3", "status": "failed", "left": 58}
    {"release": "bn-conv3x3"}              {"released": "bn-conv3x3"}: it may be asked for again
    {"front": true}                        {"front": [{"cell": ..., "objectives": {...}}, ...]}

An answer to `ask` without cells has `"wait"`, the number of cells whose results are awaited first,
or `"done": true`. An `"id"` in a request, a text or a number, comes back in its answer. A line that
is no request is answered with `{"error": "..."}`, and the server goes on.
"""

import json
import math
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from common.run import jsonable
from nas.search.evaluations import Failure
from nas.serve.shared import SharedSearch

REQUESTS = ('ask', 'tell', 'release', 'front')
# Bytes of a line; a longer one is read to its end and refused.
LONGEST = 1_000_000
_MOST_CELLS = 10_000


def read_lines(stream: BinaryIO) -> Iterator[bytes | None]:
    """Yields the lines of a stream until it ends; None for a line that is too long."""
    while line := stream.readline(LONGEST):
        if line.endswith(b'\n') or len(line) < LONGEST:
            yield line
            continue
        while line and not line.endswith(b'\n'):
            line = stream.readline(LONGEST)
        yield None


def answer(shared: SharedSearch, line: bytes | None) -> dict[str, Any] | None:
    """Answers one line.

    Args:
        shared: the search.
        line: as `read_lines` yields it.

    Returns:
        What is printed as JSON, {'error': sentence} for a line that is no request; None for an
        empty line.

    Raises:
        OSError: the log cannot be written.
    """
    if line is not None and not line.strip():
        return None
    request = {}
    try:
        request = _parse(line)
        (name,) = (name for name in request if name != 'id')
        found = _ANSWERS[name](shared, request[name])
    except (ValueError, OverflowError, RecursionError) as error:
        found = {'error': ' '.join(str(error).split()) or type(error).__name__}
    return jsonable({**found, **({'id': request['id']} if 'id' in request else {})})


def _parse(line: bytes | None) -> dict[str, Any]:
    """The request of a line. Raises ValueError if it is none."""
    accepted = ', '.join(f'{{"{name}": ...}}' for name in REQUESTS)
    if line is None:
        raise ValueError(f'the line is longer than {LONGEST:,} bytes; accepted: {accepted}')
    try:
        request = json.loads(line)
        # Halves of characters, such as "\ud800", cannot be written into files.
        json.dumps(request, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        text = line[:80].decode(errors='replace').strip()
        raise ValueError(f'{text!r} is no JSON; accepted: {accepted}') from None
    names = set(request) - {'id'} if isinstance(request, dict) else set()
    if len(names) != 1 or not names <= set(REQUESTS):
        text = json.dumps(request)[:80]
        raise ValueError(f'{text} is no request; accepted is one of {accepted}')
    if isinstance(request.get('id'), (list, dict)):
        raise ValueError(f'"id" is {_short(request["id"])}; a text or a number is accepted')
    return request


def _ask(shared: SharedSearch, n) -> dict[str, Any]:
    if type(n) is not int or not 1 <= n <= _MOST_CELLS:
        raise ValueError(
            f'"ask" is {_short(n)}; a number of cells from 1 to {_MOST_CELLS} is accepted'
        )
    cells = shared.ask(n)
    found = {'cells': [str(cell) for cell in cells], 'left': shared.left}
    if cells:
        return found
    return {**found, **({'done': True} if shared.done else {'wait': shared.asked})}


def _tell(shared: SharedSearch, told) -> dict[str, Any]:
    keys = {'cell', 'objectives', 'failed', 'seconds'}
    if not isinstance(told, dict) or not isinstance(told.get('cell'), str) or set(told) - keys:
        raise ValueError(
            f'"tell" is {_short(told)}; accepted: {{"cell": "...", "objectives": {{...}}}} or'
            ' {"cell": "...", "failed": "reason"}, with "seconds" if they are known'
        )
    if ('objectives' in told) == ('failed' in told):
        raise ValueError('"tell" takes either "objectives" or "failed"')
    cell = shared.search.parse(told['cell'])
    seconds = _number('seconds', told.get('seconds', 0.0))
    evaluation = shared.tell(cell, _result(told), seconds=seconds)
    return {
        'told': str(evaluation.cell),
        'status': evaluation.status,
        **({'reason': evaluation.reason} if evaluation.reason else {}),
        'left': shared.left,
    }


def _result(told: dict[str, Any]) -> dict[str, float] | Failure:
    if 'failed' in told:
        if not isinstance(told['failed'], str):
            raise ValueError(f'"failed" is {_short(told["failed"])}; the reason is accepted')
        return Failure(told['failed'] or 'no reason was given')
    objectives = told['objectives']
    if not isinstance(objectives, dict):
        raise ValueError(f'"objectives" is {_short(objectives)}; numbers by name are accepted')
    return {name: _number(name, value, finite=False) for name, value in objectives.items()}


def _release(shared: SharedSearch, text) -> dict[str, Any]:
    if not isinstance(text, str):
        raise ValueError(f'"release" is {_short(text)}; a cell is accepted')
    if not shared.release(shared.search.parse(text)):
        raise ValueError(f'cell {text!r} is not asked for')
    return {'released': text}


def _front(shared: SharedSearch, unused) -> dict[str, Any]:
    shared.refresh()
    return {'front': [{'cell': str(e.cell), 'objectives': e.objectives} for e in shared.front()]}


def _number(name: str, value, *, finite: bool = True) -> float:
    """A number; one that is not finite makes the candidate a failure, which the search says."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f'{name!r} is {_short(value)}; a number is accepted')
    if finite and not (math.isfinite(value) and value >= 0):
        raise ValueError(f'{name!r} is {value}; a number from 0 up is accepted')
    return float(value)


def _short(value) -> str:
    return json.dumps(value)[:80]


_ANSWERS: dict[str, Callable[[SharedSearch, Any], dict[str, Any]]] = {
    'ask': _ask,
    'tell': _tell,
    'release': _release,
    'front': _front,
}
