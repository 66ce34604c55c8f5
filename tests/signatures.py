"""How the tests check the shapes and types that signatures state."""

from typing import Any

from beartype import BeartypeConf, beartype

# A whole number may stand where a signature says float, as Python's own checkers have it.
_beartype = beartype(conf=BeartypeConf(is_pep484_tower=True))


def checked_after_the_call(stub):
    """A type checker for jaxtyping that checks arguments and result once the function has returned.

    jaxtyping makes two stubs of a function: one takes its arguments before the call and returns
    `Any`, the other takes arguments and result after it. Only the second one is checked.
    """
    return stub if stub.__annotations__.get('return') is Any else _beartype(stub)
