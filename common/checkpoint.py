"""Checkpoints on Orbax that detect their own damage.

A checkpoint is a directory `<step>` with two Orbax items: `state`, the leaves of the state under
their dotted names, and `metadata`, JSON with the caller's facts and the shape, dtype and CRC-32 of
each leaf. Orbax writes under a temporary name and renames, so a killed save leaves the previous
steps intact; the checksums find a payload that changed on disk, which Orbax would restore without a
warning.
"""

import contextlib
import json
import os
import re
import shutil
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from absl import logging

_DISCARDED = '.discarded'


class _Damaged(Exception):
    """A checkpoint that cannot be read back as it was written."""


class Checkpoints:
    """The checkpoints of one run, the newest `keep` of them.

    The state is replicated over processes: process 0 writes, every process reads. Saving is
    synchronous. Nothing is created on disk before the first save, so an instance may read the
    checkpoints of another run that is still being written.
    """

    def __init__(self, directory, *, keep=3):
        """Opens a directory of checkpoints.

        Args:
            directory: path; it is made absolute here, because Orbax refuses relative paths, and
                does so late.
            keep: how many of the newest checkpoints stay on disk.

        Raises:
            ValueError: if `keep` is below 1.
        """
        if keep < 1:
            raise ValueError(f'keep is {keep}, it has to be at least 1')
        self.directory = os.path.abspath(os.fspath(directory))
        self._keep = keep
        # Each process acts alone: no barrier with processes that have nothing to write.
        process = jax.process_index()
        alone = ocp.options.MultiprocessingOptions(
            primary_host=process,
            active_processes={process},
            barrier_sync_key_prefix=f'process_{process}',
        )
        handler = ocp.CompositeCheckpointHandler(
            composite_options=ocp.CompositeOptions(multiprocessing_options=alone),
            state=ocp.PyTreeCheckpointHandler(multiprocessing_options=alone),
            metadata=ocp.JsonCheckpointHandler(multiprocessing_options=alone),
        )
        self._orbax = ocp.Checkpointer(handler, multiprocessing_options=alone)

    def __enter__(self):
        return self

    def __exit__(self, *unused_exception):
        self.close()

    def close(self):
        """Releases what Orbax holds; the checkpoints stay."""
        self._orbax.close()

    def steps(self):
        """The steps on disk, ascending; only `restore` finds out whether they are intact."""
        if not os.path.isdir(self.directory):
            return []
        return sorted(int(name) for name in os.listdir(self.directory) if name.isdecimal())

    def latest_step(self):
        """The newest step on disk, or None."""
        return max(self.steps(), default=None)

    def save(self, step, state, metadata=None):
        """Writes a checkpoint and removes the oldest beyond `keep`; only process 0 does this.

        Checkpoints of this step and of later ones are removed first: they belong to a continuation
        that the caller left by restoring an earlier step.

        Args:
            step: index of the checkpoint, at least 0.
            state: pytree of arrays, scalars and PRNG keys, replicated over devices.
            metadata: dict that JSON can hold, given back by `restore`.

        Raises:
            ValueError: if the step is negative, the metadata is not JSON, or the checkpoint cannot
                be written, for example because the disk is full; the checkpoints before it are
                intact.
        """
        if step < 0:
            raise ValueError(f'step is {step}, it has to be at least 0')
        facts = _encode(metadata or {})
        if jax.process_index():
            return
        leaves = {name: _to_host(leaf) for name, leaf in _named_leaves(state).items()}
        record = {
            'metadata': facts,
            'metadata_crc32': _crc32(facts.encode()),
            'leaves': {name: _describe(leaf) for name, leaf in leaves.items()},
        }
        # Orbax stores no empty arrays and no empty trees; `record` has the shapes of the former.
        stored = {name: leaf for name, leaf in leaves.items() if leaf.size} or {'': np.zeros(1)}
        try:
            os.makedirs(self.directory, exist_ok=True)
            self._remove_leftovers()
            for later in reversed([other for other in self.steps() if other >= step]):
                self._discard(later)
            with _without_tracebacks():
                self._orbax.save(
                    self._path(step),
                    args=ocp.args.Composite(
                        state=ocp.args.PyTreeSave(stored), metadata=ocp.args.JsonSave(record)
                    ),
                )
        except Exception as error:
            # TensorStore reports a failing disk by other types than OSError.
            raise ValueError(
                f'the checkpoint of step {step} cannot be written to {self.directory}: '
                f'{_reason(error)}; earlier checkpoints are intact'
            ) from error
        for old in self.steps()[: -self._keep]:
            self._discard(old)

    def metadata(self):
        """The metadata of the newest checkpoint that can be read, or None if there is none."""
        for step in reversed(self.steps()):
            try:
                record = self._read_items(step, metadata=ocp.args.JsonRestore())['metadata']
                return json.loads(record['metadata'])
            except (_Damaged, TypeError, KeyError, ValueError) as error:
                logging.warning(
                    'The checkpoint %s is damaged and passed over: %s', self._path(step), error
                )
        return None

    def restore(self, template, *, step=None):
        """Reads the newest intact checkpoint; one that is damaged is passed over with a warning.

        Args:
            template: pytree of the state's structure; its leaves are arrays or
                `jax.ShapeDtypeStruct`s and give shapes and dtypes. Leaves come back as NumPy arrays
                where the template has them, else as JAX arrays on the default device.
            step: the step to read instead of the newest; it has to be intact.

        Returns:
            `(step, state, metadata)`, or None if there is no checkpoint and `step` is None.

        Raises:
            ValueError: if the checkpoint does not fit the template (names the leaf and both
                shapes), the wanted step does not exist or is damaged, or all checkpoints are
                damaged.
        """
        steps = self.steps()
        if step is not None and step not in steps:
            raise ValueError(
                f'there is no checkpoint of step {step} in {self.directory}, '
                f'only of the steps {steps}'
            )
        for candidate in reversed(steps) if step is None else [step]:
            try:
                state, metadata = self._read(candidate, template)
                return candidate, state, metadata
            except _Damaged as error:
                if step is not None:
                    raise ValueError(
                        f'the checkpoint {self._path(step)} is damaged: {error}'
                    ) from error
                logging.warning(
                    'The checkpoint %s is damaged and passed over: %s', self._path(candidate), error
                )
        if steps:
            raise ValueError(f'all checkpoints in {self.directory} are damaged (steps {steps})')
        return None

    def _path(self, step):
        return os.path.join(self.directory, str(step))

    def _read(self, step, template):
        """(state, metadata) of one step; raises _Damaged, or ValueError if it does not fit."""
        record = self._read_items(step, metadata=ocp.args.JsonRestore())['metadata']
        try:
            saved, facts = record['leaves'], record['metadata']
            intact = _crc32(facts.encode()) == record['metadata_crc32']
        except (TypeError, KeyError, AttributeError) as error:
            raise _Damaged('its metadata is incomplete') from error
        if not intact:
            raise _Damaged('the checksum of its metadata is wrong')
        wanted = _named_leaves(template)
        _check_fit(saved, wanted, self._path(step))
        stored = {
            name: ocp.RestoreArgs(restore_type=np.ndarray)
            for name, leaf in saved.items()
            if 0 not in leaf['shape']
        }
        arrays = {}
        if stored:
            arrays = self._read_items(
                step,
                state=ocp.args.PyTreeRestore(item=dict.fromkeys(stored, 0), restore_args=stored),
            )['state']
        leaves = []
        for name, like in wanted.items():
            leaf = arrays.get(name)
            if leaf is None:
                leaf = np.zeros(saved[name]['shape'], saved[name]['dtype'])
            if _describe(leaf) != saved[name]:
                raise _Damaged(f'the checksum of {name} is wrong')
            leaves.append(_from_host(leaf, like))
        return jax.tree.unflatten(jax.tree.structure(template), leaves), json.loads(facts)

    def _read_items(self, step, **items):
        """Reads items of a checkpoint."""
        try:
            return self._orbax.restore(self._path(step), args=ocp.args.Composite(**items))
        except Exception as error:  # Orbax and TensorStore fail on damaged files in many ways.
            reason = ' '.join(f'{type(error).__name__}: {error}'.split())
            raise _Damaged(reason[:200]) from error

    def _discard(self, step):
        """Removes a step; renames it first, so that a kill leaves no half of it under its name."""
        os.replace(self._path(step), self._path(step) + _DISCARDED)
        shutil.rmtree(self._path(step) + _DISCARDED, ignore_errors=True)

    def _remove_leftovers(self):
        """Removes what a killed save left behind."""
        for name in os.listdir(self.directory):
            if name.endswith(_DISCARDED) or '.orbax-checkpoint-tmp' in name:
                shutil.rmtree(os.path.join(self.directory, name), ignore_errors=True)


@contextlib.contextmanager
def _without_tracebacks():
    """Keeps Orbax from printing the errors of its threads; saving raises them anyway."""
    logger, silent = logging.get_absl_logger(), lambda record: not record.exc_info
    logger.addFilter(silent)
    try:
        yield
    finally:
        logger.removeFilter(silent)


def _reason(error):
    """The reason why something could not be written, in a few words."""
    number = re.search(r"os_error_code='(\d+)'", str(error))
    code = error.errno if isinstance(error, OSError) else number and int(number[1])
    return os.strerror(code) if code else ' '.join(f'{type(error).__name__}: {error}'.split())[:200]


def _named_leaves(tree):
    """The leaves of a pytree by dotted name, in flattening order."""
    leaves = [
        (jax.tree_util.keystr(path, simple=True, separator='.'), leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    ]
    named = dict(leaves)
    if len(named) < len(leaves):
        raise ValueError('two leaves of the state have the same dotted name')
    return named


def _is_key(leaf):
    return hasattr(leaf, 'dtype') and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _to_host(leaf):
    return np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf)


def _from_host(leaf, like):
    if _is_key(like):
        return jax.random.wrap_key_data(jnp.asarray(leaf), impl=jax.random.key_impl(like))
    if isinstance(like, (bool, int, float)):
        return type(like)(leaf.item())
    return leaf if isinstance(like, (np.ndarray, np.generic)) else jnp.asarray(leaf)


def _describe(array):
    return {
        'shape': list(array.shape),
        'dtype': str(array.dtype),
        'crc32': _crc32(np.ascontiguousarray(array)),
    }


def _crc32(data):
    # The byte view is for dtypes without a buffer protocol, such as bfloat16.
    return zlib.crc32(data.reshape(-1).view(np.uint8) if isinstance(data, np.ndarray) else data)


def _encode(metadata):
    try:
        return json.dumps(metadata)
    except TypeError as error:
        raise ValueError(f'metadata has to be JSON, but {error}') from error


def _check_fit(saved, wanted, path):
    """Raises ValueError unless saved and wanted leaves have equal names, shapes and dtypes."""
    for name in wanted.keys() - saved.keys():
        raise ValueError(
            f'the checkpoint {path} has no leaf {name}, which the state to restore has'
        )
    for name in saved.keys() - wanted.keys():
        raise ValueError(
            f'the checkpoint {path} has a leaf {name}, which the state to restore has not'
        )
    for name, leaf in wanted.items():
        like = jax.eval_shape(jax.random.key_data, leaf) if _is_key(leaf) else leaf
        like = like if hasattr(like, 'dtype') else np.asarray(like)
        expected = f'{like.dtype}{list(like.shape)}'
        found = f'{saved[name]["dtype"]}{saved[name]["shape"]}'
        if found != expected:
            raise ValueError(
                f'leaf {name} is {found} in the checkpoint {path}, '
                f'but {expected} in the state to restore'
            )
