import gzip
import io
import tarfile
import zipfile
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from skyblend.preprocess.archives import Lost, unpack
from skyblend.preprocess.bounded import Limits

LIMITS = Limits(member=1 << 20, unpacked=4 << 20, members=10)


def tar(*files, end=True):
    """A tar of (name, content) pairs; a TarInfo stands for itself."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        for name, content in files:
            entry = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            if entry.isreg():
                entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content) if entry.isreg() else None)
    return held.getvalue() if end else held.getvalue().rstrip(b"\0") + b"\0" * 200


def zipped(*files):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return held.getvalue()


def opened(content, name="upload", limits=LIMITS):
    """Name and content of every file, name and refusal of every lost one."""
    good, lost = [], []
    for part in unpack(name, io.BytesIO(content), limits):
        if isinstance(part, Lost):
            lost.append((part.name, part.refusal))
        else:
            good.append((part.name, part.body.read()))
    return good, lost


FILES = [("a.csv", b"one"), ("folder/b.csv", b"two" * 1000)]


@pytest.mark.parametrize("pack", [tar, zipped, lambda *f: gzip.compress(tar(*f))])
def test_files_of_an_archive_come_in_their_order(pack):
    assert opened(pack(*FILES)) == (FILES, [])


def test_a_plain_file_is_itself_and_a_gz_loses_its_ending():
    assert opened(b"text", "a.csv") == ([("a.csv", b"text")], [])
    assert opened(gzip.compress(b"text"), "a.csv.gz") == ([("a.csv", b"text")], [])


@pytest.mark.parametrize("pack", [tar, zipped])
def test_a_gz_inside_an_archive_is_opened(pack):
    assert opened(pack(("a.csv.gz", gzip.compress(b"text")))) == ([("a.csv", b"text")], [])


@pytest.mark.parametrize("inner", [tar(*FILES), zipped(*FILES), gzip.compress(tar(*FILES))])
def test_an_archive_inside_an_archive_is_refused_and_the_rest_goes_on(inner):
    good, lost = opened(tar(("inner", inner), *FILES))
    assert good == FILES
    assert lost[0][1].got == "an archive inside of an archive"


def test_folders_and_the_finders_notes_are_passed_over():
    folder = tarfile.TarInfo("folder")
    folder.type = tarfile.DIRTYPE
    notes = ("._a.csv", b"\x00\x05\x16\x07\x00\x02")
    assert opened(tar((folder, b""), notes, *FILES)) == (FILES, [])


def test_an_empty_file_is_lost():
    good, lost = opened(tar(("a.csv", b""), *FILES))
    assert good == FILES
    assert (lost[0][0], lost[0][1].got) == ("a.csv", "an empty one")


@pytest.mark.parametrize("keep", [514, 1024 + 700, 1024 + 512, 1024 + 100])
def test_whole_members_before_the_cut_of_a_tar_are_kept(keep):
    good, lost = opened(tar(*FILES)[:keep])
    assert good == (FILES[:1] if keep >= 1024 else [])
    assert len(lost) == 1
    assert lost[0][1].expected == "a whole archive"


def test_a_tar_cut_between_two_members_is_not_taken_for_whole():
    good, lost = opened(tar(*FILES)[:1024])
    assert good == FILES[:1]
    assert "where the next member or the end should be" in lost[0][1].got


def test_a_tar_with_a_corrupt_header_in_its_middle_is_not_taken_for_whole():
    content = bytearray(tar(*FILES))
    content[1024 + 10] ^= 1
    good, lost = opened(bytes(content))
    assert good == FILES[:1]
    assert "checksum" in lost[0][1].got


def test_whole_members_before_the_cut_of_a_tar_gz_are_kept():
    big = bytes(range(256)) * 100
    packed = gzip.compress(tar(("a.csv", b"one"), ("b.csv", zlib.compress(big) * 20)))
    good, lost = opened(packed[: len(packed) - 20])
    assert good == [("a.csv", b"one"), ("b.csv", zlib.compress(big) * 20)] or good == [
        ("a.csv", b"one")
    ]
    assert "end-of-stream" in lost[0][1].got


def test_a_corrupt_check_sum_refuses_a_gz_wholly():
    packed = bytearray(gzip.compress(b"text"))
    packed[-8] ^= 1
    good, lost = opened(bytes(packed), "a.csv.gz")
    assert good == []
    assert "CRC check failed" in lost[0][1].got


def test_a_corrupt_check_sum_of_a_tar_gz_is_told_after_its_members():
    packed = bytearray(gzip.compress(tar(*FILES)))
    packed[-8] ^= 1
    good, lost = opened(bytes(packed))
    assert good == FILES
    assert "CRC check failed" in lost[0][1].got


@pytest.mark.parametrize(
    "name", ["../x", "a/../../x", "/etc/passwd", "..\\x", "C:\\x", "C:x", "\\\\server\\x"]
)
@pytest.mark.parametrize("pack", [tar, zipped])
def test_a_name_that_leads_elsewhere_is_refused_and_the_rest_goes_on(pack, name):
    good, lost = opened(pack((name, b"x"), *FILES))
    assert good == FILES
    assert lost[0][1].expected == "a plain file with a relative name"


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (tarfile.SYMTYPE, "link"),
        (tarfile.LNKTYPE, "link"),
        (tarfile.CHRTYPE, "device"),
        (tarfile.FIFOTYPE, "device"),
    ],
)
def test_links_and_devices_are_refused_and_the_rest_goes_on(kind, word):
    entry = tarfile.TarInfo("a")
    entry.type, entry.linkname = kind, "/etc/passwd" if word == "link" else ""
    good, lost = opened(tar((entry, b""), *FILES))
    assert good == FILES
    assert word in lost[0][1].got


def test_a_bomb_in_gz_is_refused():
    limits = Limits(member=64 << 20, unpacked=1 << 30)
    good, lost = opened(gzip.compress(bytes(40 << 20)), limits=limits)
    assert good == []
    assert lost[0][1].expected == "what unpacks to at most 300 times its size"


def test_a_bomb_in_zip_is_refused_and_the_rest_goes_on():
    limits = Limits(member=64 << 20, unpacked=1 << 30)
    good, lost = opened(zipped(("bomb", bytes(40 << 20)), *FILES), limits=limits)
    assert good == FILES
    assert lost[0][1].expected == "what unpacks to at most 300 times its size"


def test_a_large_member_is_refused_and_the_rest_goes_on():
    good, lost = opened(tar(("large", bytes(range(256)) * 5000), *FILES))
    assert good == FILES
    assert lost == [("large", lost[0][1])]
    assert lost[0][1].expected == "at most 1048576 bytes"


def test_all_members_together_are_bounded():
    good, lost = opened(tar(*((f"{i}", bytes(1_000_000)) for i in range(6))))
    assert len(good) == 4
    assert lost[0][1].expected == "at most 4194304 bytes unpacked"


@pytest.mark.parametrize("pack", [tar, zipped])
def test_the_number_of_members_is_bounded(pack):
    good, lost = opened(pack(*((f"{i}", b"x") for i in range(12))))
    assert len(good) == 10
    assert lost[0][1].expected == "at most 10 members"


def test_an_extended_header_is_bounded():
    entry = tarfile.TarInfo("x")
    entry.type, entry.size = tarfile.XHDTYPE, 1 << 30
    good, lost = opened(entry.tobuf(tarfile.USTAR_FORMAT) + bytes(2048))
    assert good == []
    assert lost[0][1].got == "an extended header of 1073741824 bytes"


def test_a_zip_without_its_end_is_refused():
    good, lost = opened(zipped(*FILES)[:-30])
    assert good == []
    assert lost[0][1].got == "a zip without its directory at the end"


def test_an_encrypted_member_is_refused_and_the_rest_goes_on():
    content = bytearray(zipped(("secret", b"x"), *FILES))
    content[content.index(b"PK\x01\x02") + 8] |= 1
    good, lost = opened(bytes(content))
    assert good == FILES
    assert lost[0][1].got == "an encrypted one"


def test_a_corrupt_member_of_a_zip_is_refused_and_the_rest_goes_on():
    content = bytearray(zipped(("a", b"abcdefgh" * 100), *FILES))
    content[content.index(b"PK\x01\x02") + 16] ^= 1  # its check sum
    good, lost = opened(bytes(content))
    assert good == FILES
    assert "CRC" in lost[0][1].got


@given(
    st.sampled_from([tar(*FILES), zipped(*FILES), gzip.compress(tar(*FILES))]),
    st.integers(0, 10_000),
    st.integers(0, 255),
)
def test_a_changed_byte_never_raises(content, at, byte):
    changed = bytearray(content)
    changed[at % len(content)] = byte
    opened(bytes(changed))


@given(st.sampled_from([tar(*FILES), zipped(*FILES), gzip.compress(tar(*FILES))]), st.integers(0))
def test_a_cut_never_raises_and_never_gives_half_a_file(content, at):
    good, _ = opened(content[: at % len(content)])
    assert all(part in FILES for part in good if part[0] != "upload")
