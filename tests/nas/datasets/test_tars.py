"""Untrusted tars: none fills memory, runs for ever or loses files without an error."""

import gzip
import io
import tarfile

import pytest

from nas.datasets import tars

CONTENTS = {f'cat/{number}.png': bytes([number]) * 700 for number in range(5)}


def made(*extra, contents=CONTENTS):
    """The bytes of a tar; `extra` are (changes of a header, bytes behind it), put in front."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode='w') as tar:
        for changes, payload in (
            *extra,
            *(({'name': name}, payload) for name, payload in contents.items()),
        ):
            member = tarfile.TarInfo('made')
            member.size = len(payload)
            for name, value in changes.items():
                setattr(member, name, value)
            # A header may claim what does not follow.
            tar.fileobj.write(member.tobuf(tar.format))
            tar.fileobj.write(payload + bytes(-len(payload) % 512))
            tar.offset = tar.fileobj.tell()
    return buffer.getvalue()


def read(path):
    return {name: payload() for name, payload in tars.files(path)}


def test_files_come_in_their_order_with_their_bytes(tmp_path):
    path = tmp_path / 'a.tar'
    for pack in (bytes, gzip.compress):
        path.write_bytes(pack(made(({'name': 'cat', 'type': tarfile.DIRTYPE}, b''))))
        assert list(read(path).items()) == list(CONTENTS.items())


@pytest.mark.parametrize('pack', [bytes, gzip.compress])
@pytest.mark.parametrize(
    'changes, message',
    [
        ({'name': '../evil'}, "'../evil' leads out of the archive"),
        ({'name': 'cat/../../evil'}, 'leads out of the archive'),
        ({'name': '/tmp/evil'}, "'/tmp/evil' leads out of the archive"),
        (
            {'name': 'cat/x.png', 'type': tarfile.SYMTYPE, 'linkname': '/etc/passwd'},
            "'cat/x.png' is a link",
        ),
        (
            {'name': 'cat/x.png', 'type': tarfile.LNKTYPE, 'linkname': 'cat/0.png'},
            'is a link or device',
        ),
        ({'name': 'cat/x.png', 'type': tarfile.CHRTYPE}, 'is a link or device'),
        ({'name': 'cat/x.png', 'type': tarfile.FIFOTYPE}, 'is a link or device'),
        (
            {'name': 'cat/x.png', 'size': 10 << 30},
            "'cat/x.png' claims 10,737,418,240 bytes; accepted: at most",
        ),
        ({'name': 'x', 'type': tarfile.XHDTYPE, 'size': 10 << 30}, 'claims 10,737,418,240 bytes'),
        (
            {'name': 'x', 'type': tarfile.GNUTYPE_LONGNAME, 'size': 10 << 30},
            'claims 10,737,418,240 bytes',
        ),
        ({'name': 'cat/x.png', 'size': -512}, "'cat/x.png' claims -512 bytes"),
    ],
)
def test_members_that_no_data_set_has_are_refused_by_name(tmp_path, pack, changes, message):
    path = tmp_path / 'evil.tar'
    path.write_bytes(pack(made((changes, b''))))
    with pytest.raises(ValueError, match=f'evil.tar: member .*{message}'):
        read(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ['evil.tar']


def test_sizes_of_extended_headers_are_claims_as_well(tmp_path):
    path = tmp_path / 'a.tar'
    for claim in (b'20 size=9999999999\n', b'13 size=-512\n'):
        assert int(claim.split()[0]) >= len(claim) - 1
        record = f'{len(claim)} '.encode() + claim.split(b' ')[1]
        path.write_bytes(made(({'type': tarfile.XHDTYPE}, record)))
        with pytest.raises(ValueError, match="a.tar: member 'cat/0.png' claims [-0-9,]+ bytes"):
            read(path)


def test_what_is_cut_or_damaged_is_not_taken_for_a_shorter_one(tmp_path):
    path, whole = tmp_path / 'a.tar', made()
    step = 512 + 1024  # a header and the blocks of one file
    for length in (0, 100, 512, step, step + 200, 2 * step + 700, 5 * step):
        path.write_bytes(whole[:length])
        with pytest.raises(
            ValueError, match='a.tar (is neither a folder nor a whole tar|is damaged)'
        ):
            read(path)
    damaged = bytearray(whole)
    damaged[2 * step + 7] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match='a.tar is neither .* damaged header'):
        read(path)


def test_damaged_compression_is_named(tmp_path):
    path = tmp_path / 'a.tgz'
    packed = gzip.compress(made(contents={'cat/0.png': bytes(range(256)) * 400}))
    for place in (20, len(packed) // 2, len(packed) - 6):
        damaged = bytearray(packed)
        damaged[place] ^= 0x55
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match='a.tgz '):
            read(path)
