"""Settings of a process are made before its first computation."""

import os
import pathlib
import subprocess
import sys

import jax
import pytest

from common import memory, parallel, runtime

PROGRAM = """
import sys
from common import runtime
runtime.start(runtime.RuntimeConfig(compilation_cache=sys.argv[1]), join=False)
import jax
print(jax.config.jax_compilation_cache_dir)
"""


@pytest.mark.parametrize('given', ['~/made/of it', ''])
def test_the_folder_of_compiled_programs_is_made(given, tmp_path):
    environment = {**os.environ, 'HOME': str(tmp_path)}
    environment.pop('JAX_COMPILATION_CACHE_DIR', None)
    done = subprocess.run(
        [sys.executable, '-c', PROGRAM, given],
        cwd=pathlib.Path(__file__).parents[2],
        env=environment,
        text=True,
        capture_output=True,
        check=True,
    )
    folder = tmp_path / 'made' / 'of it'
    assert done.stdout.strip() == (str(folder) if given else 'None')
    assert folder.is_dir() == bool(given)


@pytest.mark.parametrize('reason', ['Not a directory', 'it is read-only'])
def test_a_folder_that_cannot_be_made_is_a_warning(reason, tmp_path, monkeypatch, caplog):
    (tmp_path / 'file').write_text('in the way')
    folder = tmp_path / ('file' if reason[0] == 'N' else 'other') / 'cache'
    monkeypatch.setattr(os, 'access', lambda path, mode: False)
    monkeypatch.setattr(memory, 'keep_memory', lambda: None)
    before = jax.config.jax_compilation_cache_dir
    runtime.start(runtime.RuntimeConfig(compilation_cache=str(folder)), join=False)
    assert jax.config.jax_compilation_cache_dir == before
    assert f'--compilation_cache={folder}: {reason}' in caplog.text


def test_other_processes_are_joined_if_asked_for(monkeypatch):
    calls = []
    monkeypatch.setattr(memory, 'keep_memory', lambda: None)
    monkeypatch.setattr(parallel, 'initialize', lambda **options: calls.append(options))
    config = runtime.RuntimeConfig('', 'host:1', 2, 0)
    runtime.start(config, join=False)
    assert calls == []
    runtime.start(config)
    assert calls == [{'coordinator_address': 'host:1', 'num_processes': 2, 'process_id': 0}]
