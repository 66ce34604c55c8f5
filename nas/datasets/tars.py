"""The files of a tar that nobody vouches for: nothing is unpacked or leads outside, no claim is
believed.
"""

import functools
import pathlib
import tarfile
from collections.abc import Callable, Iterator

# Of one file in a tar; the largest images and the batches of CIFAR-10 are far below.
MAX_BYTES = 1 << 28

# (path inside a folder or tar, the file's bytes)
Entry = tuple[str, Callable[[], bytes]]


class _Refused(ValueError):
    """What is wrong with a tar that can be read."""


def _check_size(name: str, size: int) -> None:
    # A negative size would send the reader backwards, for ever.
    if not 0 <= size <= MAX_BYTES:
        raise _Refused(f'member {name!r} claims {size:,} bytes; accepted: at most {MAX_BYTES:,}')


class _Header(tarfile.TarInfo):
    """A header, checked before anything is read for it: tarfile reads extended headers of any
    length.
    """

    @classmethod
    def frombuf(cls, buf, encoding, errors):
        try:
            header = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            # Only a block of zeros ends a tar; behind the first member tarfile takes anything for
            # an end.
            if any(buf) or len(buf) != tarfile.BLOCKSIZE:
                raise ValueError('it ends early or has a damaged header') from error
            raise
        _check_size(header.name, header.size)
        return header


def files(path) -> Iterator[Entry]:
    """The files of a tar (.tar, .tar.gz, .tar.xz, ...) in their order, folders aside.

    Args:
        path: the tar.

    Yields:
        (name, a function that gives the file's bytes); call it before the next file is asked for.

    Raises:
        ValueError: what is no tar or damaged, and members that are links or devices, whose names
            lead out of it, or that claim more than `MAX_BYTES`. The function raises it for damaged
            contents. All messages name the tar.
    """
    try:
        with tarfile.open(path, tarinfo=_Header) as tar:
            while (member := tar.next()) is not None:
                tar.members.clear()  # tarfile remembers all members, however many there are
                _check_member(member)
                if member.isfile():
                    yield member.name, functools.partial(_read, tar, member, path)
            # The checksum of compressed data stands at its end.
            while tar.fileobj.read(1 << 20):
                pass
    except _Refused as error:
        raise ValueError(f'{path}: {error}') from None
    except Exception as error:  # A damaged header raises almost anything.
        raise ValueError(f'{path} is neither a folder nor a whole tar of one: {error}') from error


def _check_member(member: tarfile.TarInfo) -> None:
    parts = pathlib.PurePosixPath(member.name).parts
    if '..' in parts or parts[:1] == ('/',):
        raise _Refused(f'member {member.name!r} leads out of the archive')
    if not member.isfile() and not member.isdir():
        raise _Refused(f'member {member.name!r} is a link or device; accepted: files, folders')
    # Extended headers change the size.
    _check_size(member.name, member.size)


def _read(tar: tarfile.TarFile, member: tarfile.TarInfo, path) -> bytes:
    try:
        return tar.extractfile(member).read()
    except Exception as error:  # Damaged compression raises what its library has.
        raise ValueError(f'{path} is damaged at member {member.name!r}: {error}') from error
