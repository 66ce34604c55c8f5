"""The key under which results of a plan are stored."""

import dataclasses
import hashlib
import json

from nas.cells.plan import Plan


def plan_hash(plan: Plan) -> str:
    """SHA-256 of the plan's records in hexadecimal; the names of layers are left out.

    Two plans with the same hash describe the same computation, so that a measurement of one holds
    for the other. A registered op enters by its token only: another layer under the same token
    gives the same hash.
    """
    records = [dataclasses.asdict(layer) for layer in plan]
    for record in records:
        del record['name']
    return hashlib.sha256(
        json.dumps(records, sort_keys=True, separators=(',', ':')).encode()
    ).hexdigest()
