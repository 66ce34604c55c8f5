"""Room on the disk: a long job must not find out after hours that there is too little."""

import os
import pathlib
import shutil

from common.run import nearest
from pano_depth.footage.footage import Footage
from pano_depth.results.steps.job import MAX_ROWS

# Bytes a pixel. Images compress: these are what noise-free depth takes at least.
_DEPTH, _CONFIDENCE, _NPY, _REFINED = 0.5, 0.1, 4, 3
_SEEN = 3 + 4  # colours and disparity, at the resolution of the networks


def bytes_of(config, footage: Footage, rows: int) -> tuple[int, int]:
    """Bytes that a reconstruction needs at least.

    Args:
        config: `ReconstructConfig`.
        footage: what is reconstructed.
        rows: of the images that the networks see.

    Returns:
        (in the workdir, in temporary files); 0 where the number of frames is unknown.
    """
    count = -(-footage.length // config.every)
    count = min(config.max_frames or count, count)
    height = config.output_height or min(MAX_ROWS, footage.height)
    refines = config.refine == 'auto' and config.ordered != 'no' and footage.ordered and count > 1
    pixel = _DEPTH + _CONFIDENCE + _NPY * config.npy + _REFINED * refines
    return int(count * pixel * 2 * height**2), int(count * _SEEN * 2 * rows**2)


def check_room(config, footage: Footage, rows: int, workdir, scratch: str | pathlib.Path) -> None:
    """Refuses footage whose results do not fit on the disk.

    Args:
        config, footage, rows: as for `bytes_of`.
        workdir: where results are written, or None; what is there already is replaced.
        scratch: where temporary files are.

    Raises:
        ValueError: there is too little room.
    """
    results, temporary = bytes_of(config, footage, rows)
    needs = [('the temporary files', 'TMPDIR', pathlib.Path(scratch), temporary)]
    if workdir is not None:
        place = nearest(pathlib.Path(workdir).expanduser())
        taken = _size(place) if place == pathlib.Path(workdir).expanduser().absolute() else 0
        needs.append(('the results', '--workdir', place, max(0, results - taken)))
        if os.stat(place).st_dev == os.stat(scratch).st_dev:
            needs = [needs[1][:3] + (needs[0][3] + needs[1][3],)]
    for what, which, place, need in needs:
        free = shutil.disk_usage(place).free
        if need > free:
            raise ValueError(
                f'{what} of {footage.name} take at least {need / 1e9:.3g} GB in {place}, which has'
                f' room for {free / 1e9:.3g} GB: make room, take another {which}, or take fewer'
                ' frames (--every, --max_frames) or rows (--output_height)'
            )


def _size(folder):
    """Bytes of the files in a directory."""
    return sum(
        os.lstat(os.path.join(root, name)).st_size
        for root, _, files in os.walk(folder)
        for name in files
    )
