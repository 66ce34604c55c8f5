"""Reads the files of an untrusted tar: unpacks nothing, and checks names, types and sizes."""

import functools
import pathlib
import tarfile
from collections.abc import Callable, Iterator

# Largest file in a tar; the largest images and the batches of CIFAR-10 are far smaller.
MAX_BYTES = 1 << 28

# (path inside a folder or tar, the file's bytes)
Entry = tuple[str, Callable[[], bytes]]


class _Refused(ValueError):
    """A readable tar has a member that is not accepted."""


def _check_size(name: str, size: int) -> None:
    # A negative size would make the reader go back and loop for ever.
    if not 0 <= size <= MAX_BYTES:
        raise _Refused(f'member {name!r} claims {size:,} bytes; accepted: at most {MAX_BYTES:,}')


class _Header(tarfile.TarInfo):
    """A header that is checked first, since tarfile reads extended headers of any length."""

    @classmethod
    def frombuf(cls, buf, encoding, errors):
        try:
            header = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            # Only a block of zeros may end a tar; after the first member tarfile accepts anything
            # as the end.
            if any(buf) or len(buf) != tarfile.BLOCKSIZE:
                raise ValueError('it ends early or has a damaged header') from error
            raise
        _check_size(header.name, header.size)
        return header


def files(path, folders: list[str] | None = None) -> Iterator[Entry]:
    """Yields the files of a tar (.tar, .tar.gz, .tar.xz, ...) in their order, without folders.

    Args:
        path: the tar.
        folders: a list that gets the names of its folders, or None.

    Yields:
        (name, a function that gives the file's bytes); call it before the next file is asked for.

    Raises:
        ValueError: the file is no tar or is damaged; a member is a link or a device, has a name
            that leads out of the tar, or claims more than `MAX_BYTES`. The function raises it for
            damaged contents. All messages name the tar.
    """
    try:
        with tarfile.open(path, tarinfo=_Header) as tar:
            while (member := tar.next()) is not None:
                tar.members.clear()  # tarfile would remember every member
                _check_member(member)
                if member.isfile():
                    yield member.name, functools.partial(_read, tar, member, path)
                elif folders is not None:
                    folders.append(member.name)
            # Compressed data has its checksum at the end, so everything is read.
            while tar.fileobj.read(1 << 20):
                pass
    except _Refused as error:
        raise ValueError(f'{path}: {error}') from None
    except Exception as error:  # A damaged header can raise almost any exception.
        raise ValueError(f'{path} is neither a folder nor a whole tar of one: {error}') from error


def _check_member(member: tarfile.TarInfo) -> None:
    parts = pathlib.PurePosixPath(member.name).parts
    if '..' in parts or parts[:1] == ('/',):
        raise _Refused(f'member {member.name!r} leads out of the archive')
    if not member.isfile() and not member.isdir():
        raise _Refused(f'member {member.name!r} is a link or device; accepted: files, folders')
    # An extended header may have changed the size.
    _check_size(member.name, member.size)


def _read(tar: tarfile.TarFile, member: tarfile.TarInfo, path) -> bytes:
    try:
        return tar.extractfile(member).read()
    except Exception as error:  # Damaged data raises errors of the compression library.
        raise ValueError(f'{path} is damaged at member {member.name!r}: {error}') from error
