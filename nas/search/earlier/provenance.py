"""What the values of evaluations were made with: images, recipe, skeleton, device, versions.

Two values may stand on one front only if both were made with the same. Each line of
evaluations.jsonl names its parts by short keys, under `made_with`; run.json holds under the same
name what each key stands for. Versions are kept for readers and not compared: a device has those of
its runtime in its name, and training does not depend on them by more than its noise.
"""

import dataclasses
import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any

from common.run import jsonable

ENTRY = 'made_with'
TRAINED = ('data', 'recipe', 'skeleton')  # parts that a trained value depends on, such as the error
MEASURED = ('device', 'skeleton')
# A function of the user's own sees what was trained and what was measured.
TOLD = (*TRAINED, 'device', 'functions')
_LENGTH = 12  # hexadecimal digits of a key

Facts = Mapping[str, Any]


def key_of(facts: Facts) -> str:
    """A short key: the same facts give the same key on any machine."""
    text = json.dumps(jsonable(facts), sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode(errors='replace')).hexdigest()[:_LENGTH]


@dataclasses.dataclass(frozen=True)
class Provenance:
    """What a search makes its values with; each part is a dict for JSON, {} if it has none.

    Attributes:
        data: name and digest of the images, or of the table.
        recipe: how candidates are trained and scored.
        skeleton: where cells are placed, and the user's own ops.
        device: full name, identity and, if it has told one, `id` of what they are measured on.
        versions: of the packages.
        functions: digests of the user's own objectives by their names.
    """

    data: Facts = dataclasses.field(default_factory=dict)
    recipe: Facts = dataclasses.field(default_factory=dict)
    skeleton: Facts = dataclasses.field(default_factory=dict)
    device: Facts = dataclasses.field(default_factory=dict)
    versions: Facts = dataclasses.field(default_factory=dict)
    functions: Facts = dataclasses.field(default_factory=dict)

    def facts(self) -> dict[str, Facts]:
        """The parts that there are, by name."""
        parts = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: facts for name, facts in parts.items() if facts}

    def keys(self) -> dict[str, str]:
        """What a line of evaluations.jsonl holds under `made_with`: key by part."""
        return {name: key_of(facts) for name, facts in self.facts().items()}

    def on(self, device: Facts) -> 'Provenance':
        """The same with another device."""
        return dataclasses.replace(self, device=device)

    def added_to(self, record: Mapping[str, Any]) -> dict[str, dict[str, Facts]]:
        """What run.json holds under `made_with`: facts by part and key, those of before included.

        Args:
            record: what run.json holds.
        """
        held = record.get(ENTRY)
        held = held if isinstance(held, dict) else {}
        known = lambda name: held.get(name) if isinstance(held.get(name), dict) else {}
        return {
            name: {**known(name), key_of(facts): jsonable(facts)}
            for name, facts in self.facts().items()
        }


UNKNOWN = Provenance()


def parts_of(
    name: str, *, measured: Collection[str], told: Collection[str] = ()
) -> tuple[str, ...]:
    """The parts that an objective depends on, unless it is counted from the cell.

    Args:
        name: of the objective.
        measured: objectives that a device measures.
        told: objectives that a function of the user's own computes.
    """
    if name in told:
        return TOLD
    return MEASURED if name in measured else TRAINED


def differing(
    parts: Collection[str], then: Mapping[str, str], now: Mapping[str, str]
) -> str | None:
    """The first part in which two values were made differently, None if there is none.

    Args:
        parts: those that count.
        then: `made_with` of the record; a part that is missing is unknown.
        now: `Provenance.keys` of the present search; a part that is missing plays no role in it.
    """
    return next((part for part in parts if then.get(part) != now.get(part)), None)


def describe(part: str, then: Facts | None, now: Facts) -> str:
    """What differs, as the end of a sentence: 'was trained with epochs 3, not 10'.

    Args:
        part: the part that differs.
        then: its facts in the earlier search, None if they are not known.
        now: its facts in the present search.
    """
    if not then:
        return f'was made with an unknown {part}: its record does not say'
    name, other = now.get('name'), then.get('name')
    if part == 'device':
        if other != name:
            return f'was measured on {other}, not {name}'
        return f'was measured on {name} with another script or other options'
    if part == 'data':
        if other != name:
            return f'is of {other}, not {name}'
        return f'is of {name} with other content'
    if part == 'functions':
        changed = [one for one, digest in now.items() if then.get(one, digest) != digest]
        return f'was made with another content of the file of {", ".join(changed or now)}'
    # A record that was read back has lists in place of tuples.
    then, now = jsonable(then), jsonable(now)
    fields = [field for field in {**now, **then} if then.get(field) != now.get(field)]
    listed = [
        f'{field} {_short(then.get(field))}, not {_short(now.get(field))}' for field in fields
    ]
    how = 'trained with' if part == 'recipe' else f'made with a {part} of'
    return f'was {how} {"; ".join(listed) or "something else"}'


def _short(value: Any) -> str:
    """A value in a sentence."""
    if isinstance(value, (list, tuple)):
        return '-'.join(map(str, value))
    if isinstance(value, Mapping):
        return ', '.join(value) or 'none'
    return str(value)[:40]
