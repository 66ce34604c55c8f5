"""The ffmpeg program: where it is, what it can do, and how files are named to it."""

import functools
import os
import re
import subprocess

import imageio_ffmpeg


def program():
    """Path of the ffmpeg program. Raises ValueError if there is none."""
    try:
        return imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError as error:
        raise ValueError(f'video needs ffmpeg: {error}') from error


def url(path):
    """A file as ffmpeg takes it, whatever its name is.

    Without `file:` a name with a colon would be a protocol, and one with a leading dash an option.
    """
    return f'file:{os.path.abspath(path)}'


def check_file(path):
    """Raises ValueError unless `path` is a file that holds something."""
    if not os.path.isfile(path):
        raise ValueError(f'video {path} does not exist')
    if os.path.getsize(path) == 0:
        raise ValueError(f'video {path} is an empty file')


def is_old():
    """Whether ffmpeg is older than 5.1: some options have other names or do not exist."""
    version = re.search(r'(\d+)\.(\d+)', imageio_ffmpeg.get_ffmpeg_version())
    return version is not None and tuple(map(int, version.groups())) < (5, 1)


def every_frame():
    """The option that keeps ffmpeg from repeating or dropping frames where the rate varies."""
    return ['-vsync' if is_old() else '-fps_mode', 'passthrough']


def has(kind, *names):
    """Whether ffmpeg has all filters or decoders of these names.

    Args:
        kind: 'filters' or 'decoders'.
        names: as ffmpeg lists them.
    """
    return set(names) <= _listed(program(), kind)


@functools.lru_cache(maxsize=8)
def _listed(path, kind):
    command = [path, '-hide_banner', f'-{kind}']
    output = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True).stdout
    lines = output.decode(errors='replace').splitlines()
    return {words[1] for line in lines if len(words := line.split()) > 1}
