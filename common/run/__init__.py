"""Run directories: one run at a time, and a record of it.

A run directory holds `flags.txt`, the flagfile that repeats the run, and `run.json`, facts about
the run, its inputs, its files and its machine; the run adds its metrics, checkpoints and results.
Everything is written under a temporary name and renamed, so a killed run leaves no incomplete file.
"""

from common.run.directory import RunDirectory, check_workdir, open_run
from common.run.files import atomic_path, check_folder, jsonable, nearest, write_json
from common.run.identity import Digest, check_inputs, digest_of, digest_of_path, digest_of_tree
from common.run.names import Names, numbered, select
from common.run.record import FLAGS_FILE, RECORD_FILE, earlier_run

__all__ = [
    'FLAGS_FILE',
    'RECORD_FILE',
    'Digest',
    'Names',
    'RunDirectory',
    'atomic_path',
    'check_folder',
    'check_inputs',
    'check_workdir',
    'digest_of',
    'digest_of_path',
    'digest_of_tree',
    'earlier_run',
    'jsonable',
    'nearest',
    'numbered',
    'open_run',
    'select',
    'write_json',
]
