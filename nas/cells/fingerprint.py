"""The key under which results of a plan are stored."""

import dataclasses
import hashlib
import inspect
import json

from nas.cells.plan import CUSTOM_OPS, CustomOp, Plan


def plan_hash(plan: Plan) -> str:
    """SHA-256 of the plan's records in hexadecimal; the names of layers are left out.

    Two plans with the same hash describe the same computation, so that a measurement of one holds
    for the other. A registered op enters with the content of the file that registers it.
    """
    records = [dataclasses.asdict(layer) for layer in plan]
    for record in records:
        del record['name']
        if record['op'] in CUSTOM_OPS:
            record['registered'] = digest_of_op(CUSTOM_OPS[record['op']])
    return hashlib.sha256(
        json.dumps(records, sort_keys=True, separators=(',', ':')).encode()
    ).hexdigest()


def digest_of_op(op: CustomOp) -> str | None:
    """SHA-256 of the file that registers an op.

    Of an op that a program registers by itself, this is the file that defines its `count`, or the
    function alone where there is no such file, as in a notebook; None where its text is not known.
    """
    if op.digest is not None:
        return op.digest
    try:
        with open(inspect.getsourcefile(op.count) or '', 'rb') as file:
            text = file.read()
    except (OSError, TypeError):
        try:
            text = inspect.getsource(op.count).encode()
        except (OSError, TypeError):
            return None
    return hashlib.sha256(text).hexdigest()
