"""The key under which results of a plan are stored."""

import dataclasses
import hashlib
import json

from nas.cells.plan import Plan


def plan_hash(plan: Plan) -> str:
    """SHA-256 of the plan's records in hexadecimal; the names of layers are left out.

    Two plans of one hash describe the same computation, so that what was measured for one holds for
    the other (a registered op goes by its token: another layer under the same token has the same
    hash).
    """
    records = [dataclasses.asdict(layer) for layer in plan]
    for record in records:
        del record['name']
    return hashlib.sha256(
        json.dumps(records, sort_keys=True, separators=(',', ':')).encode()
    ).hexdigest()
