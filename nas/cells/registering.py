"""Runs modules that register ops: once in each process, and all of a module or nothing of it."""

import dataclasses
import importlib
import sys
import traceback
import types

from nas.cells import plan
from nas.cells.cell import restore_roles, token_roles
from nas.cells.fingerprint import digest_of_op

# Tokens by the digest of the module that registered them in this process.
_LOADED: dict[str, tuple[str, ...]] = {}


def load(name: str, digest: str, source: str | None, module: str | None) -> tuple[str, ...]:
    """Runs a module, unless this process has done so, and returns the tokens that it registers.

    Args:
        name: what people call the module, for messages.
        digest: SHA-256 of its content.
        source: text of a file, or None.
        module: dotted name of an installed module, or None.

    Raises:
        ValueError: it cannot be run, registers nothing, or registers a token that is built in or
            that another module has registered. No op of it stays registered then.
    """
    if digest in _LOADED:
        return _LOADED[digest]
    # Classes find their module by its name, for which a file needs one of its own.
    module_name = module or f'pano_dppnet_ops_{digest[:16]}'
    before, roles = dict(plan.CUSTOM_OPS), token_roles()
    try:
        _run(name, module_name, source)
        tokens = _registered_by(module_name, before)
        if not tokens:
            raise ValueError(
                f'--ops={name} registers no op; it has to call nas.cells.plan.register_op'
            )
        for token in tokens:
            _check_free(name, digest, before.get(token))
    except BaseException:
        sys.modules.pop(module_name, None)
        plan.CUSTOM_OPS.clear()
        plan.CUSTOM_OPS.update(before)
        restore_roles(roles)
        raise
    for token in tokens:
        plan.CUSTOM_OPS[token] = dataclasses.replace(plan.CUSTOM_OPS[token], digest=digest)
    _LOADED[digest] = tokens
    return tokens


def _run(name: str, module_name: str, source: str | None) -> None:
    """Runs the text of a file as a module, or imports an installed one."""
    try:
        if source is None:
            importlib.import_module(module_name)
            return
        made = types.ModuleType(module_name)
        made.__file__ = name
        sys.modules[module_name] = made
        exec(compile(source, name, 'exec'), made.__dict__)
    except (Exception, SystemExit) as error:
        what = ' '.join(f'{type(error).__name__}: {error}'.split())
        raise ValueError(f'--ops={name} cannot be run{_place(error, name)}: {what}') from error


def _place(error: BaseException, name: str) -> str:
    """Where in a file an exception arose, as a part of a sentence."""
    if isinstance(error, SyntaxError) and error.filename == name:
        return f', line {error.lineno}'
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == name]
    return f', line {lines[-1]}' if lines else ''


def _registered_by(module_name: str, before: dict) -> tuple[str, ...]:
    """The tokens that a module has registered, now or when somebody imported it earlier."""
    ops = plan.CUSTOM_OPS.items()
    new = [token for token, op in ops if op is not before.get(token)]
    return tuple(
        new or [token for token, op in ops if getattr(op.count, '__module__', '') == module_name]
    )


def _check_free(name: str, digest: str, earlier: plan.CustomOp | None) -> None:
    """Raises ValueError if a token means something else in this process already."""
    if earlier is not None and digest_of_op(earlier) != digest:
        raise ValueError(
            f'--ops={name} registers {earlier.token!r}, which this process has registered with'
            ' another content; choose another name, or start Python again if the file was edited'
        )
