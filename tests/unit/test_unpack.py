"""Zips that nobody has looked into."""

import shutil
import stat
import struct
import zipfile
from collections import namedtuple
from pathlib import Path

import pytest

from xray_helpers.data.get.unpack import Limits, NotIt, take_out
from xray_helpers.errors import KitError


def a_zip(path: Path, files: dict[str, bytes], **options) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, **options) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.filename = name  # ZipInfo tidies what it is given
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return path


@pytest.fixture
def into(tmp_path):
    folder = tmp_path / "deep" / "into"
    folder.mkdir(parents=True)
    return folder


def taken(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def refused(given: Path, into: Path, **options) -> str:
    with pytest.raises(NotIt) as caught:
        take_out(given, into, text=None, **options)
    said = str(caught.value)
    assert str(given) in said and said.endswith(".") and "\n" not in said
    return said


def test_pictures_and_texts_come_out_and_what_systems_leave_does_not(tmp_path, into):
    files = {
        "top/a/one.jpeg": b"1",
        "top/a/two.PNG": b"2",
        "top/data.csv": b"3",
        "top/a/desktop.ini": b"x",
        "top/.DS_Store": b"x",
        "__MACOSX/top/a/._one.jpeg": b"x",
        "top/__MACOSX/a/one.jpeg": b"x",
        "top/run.exe": b"x",
        "top/scan.nii.gz": b"x",
    }
    take_out(a_zip(tmp_path / "x.zip", files), into, text=None)
    assert taken(into) == ["top/a/one.jpeg", "top/a/two.PNG", "top/data.csv"]
    assert (into / "top/a/two.PNG").read_bytes() == b"2"


def test_an_unpacked_folder_is_copied_by_the_same_rule_and_without_links(tmp_path, into):
    given = tmp_path / "given"
    (given / "a").mkdir(parents=True)
    (given / "a" / "one.jpeg").write_bytes(b"1")
    (given / "a" / "desktop.ini").write_bytes(b"x")
    (tmp_path / "secret.png").write_bytes(b"x")
    (given / "a" / "link.png").symlink_to(tmp_path / "secret.png")
    take_out(given, into, text=None)
    assert taken(into) == ["a/one.jpeg"]
    assert (given / "a" / "one.jpeg").is_file()


@pytest.mark.parametrize(
    "name",
    [
        "../out.png",
        "a/../../out.png",
        "..\\out.png",
        "/out.png",
        "C:/out.png",
        "C:out.png",
        "a/../../out.exe",  # would not be taken out at all, but tells what kind of zip it is
    ],
)
def test_a_way_out_of_the_folder_is_refused(tmp_path, into, name):
    given = a_zip(tmp_path / "x.zip", {"fine.png": b"1", name: b"2"})
    assert "outside of its folder" in refused(given, into)
    assert taken(tmp_path) == ["x.zip"]


def test_a_link_is_refused(tmp_path, into):
    given = tmp_path / "x.zip"
    with zipfile.ZipFile(given, "w") as archive:
        link = zipfile.ZipInfo("link.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    assert "is a link" in refused(given, into)
    assert taken(into) == []


@pytest.mark.parametrize("twin", ["a/One.png", "a/one.png"])
def test_one_name_twice_is_refused(tmp_path, into, twin):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a/one.png", b"1")
        if twin == "a/one.png":
            with pytest.warns(UserWarning, match="Duplicate name"):
                archive.writestr(twin, b"2")
        else:
            archive.writestr(twin, b"2")
    assert "twice" in refused(tmp_path / "x.zip", into)


SMALL = Limits(size=3_000_000, files=10, ratio=20, free=100_000)


def test_a_bomb_is_stopped_by_what_it_unpacks_to_in_proportion(tmp_path, into):
    given = a_zip(tmp_path / "x.zip", {"bomb.png": bytes(2_500_000)})
    assert "unpacks to more than" in refused(given, into, limits=SMALL)
    assert (into / "bomb.png").stat().st_size < 2_500_000


def test_a_bomb_that_says_its_size_is_not_even_begun(tmp_path, into):
    given = a_zip(tmp_path / "x.zip", {"a.png": bytes(2_000_000), "b.png": bytes(2_000_000)})
    assert "holds" in refused(given, into, limits=SMALL)
    assert taken(into) == []


def lying(given: Path, size: int) -> Path:
    """The zip with another unpacked size of its first file in both of its headers."""
    content = bytearray(given.read_bytes())
    local, central = content.index(b"PK\x03\x04"), content.index(b"PK\x01\x02")
    struct.pack_into("<I", content, local + 22, size)
    struct.pack_into("<I", content, central + 24, size)
    given.write_bytes(content)
    return given


def test_a_bomb_whose_header_lies_never_gets_larger_than_it_says(tmp_path, into):
    given = lying(a_zip(tmp_path / "x.zip", {"bomb.png": bytes(2_500_000)}), 1000)
    assert "damaged" in refused(given, into, limits=SMALL)
    assert (into / "bomb.png").stat().st_size <= 1000


def test_a_header_that_says_10_gigabytes_is_refused(tmp_path, into):
    given = lying(a_zip(tmp_path / "x.zip", {"bomb.png": bytes(1000)}), 4_000_000_000)
    assert "holds 4 GB" in refused(given, into, limits=SMALL)


def test_too_many_files_are_refused(tmp_path, into):
    given = a_zip(tmp_path / "x.zip", {f"{i}.png": b"" for i in range(11)})
    assert "holds 11 files" in refused(given, into, limits=SMALL)


def test_no_zip_or_half_of_one_is_refused(tmp_path, into):
    page = tmp_path / "page.zip"
    page.write_bytes(b"<!DOCTYPE html><html>quota exceeded</html>")
    assert "is no zip" in refused(page, into)
    whole = a_zip(tmp_path / "x.zip", {"a.png": b"1" * 1000})
    whole.write_bytes(whole.read_bytes()[:-30])
    assert "cut short" in refused(whole, into)


def test_a_changed_byte_is_noticed(tmp_path, into):
    given = tmp_path / "x.zip"
    with zipfile.ZipFile(given, "w") as archive:  # stored, so that only the checksum can tell
        archive.writestr("a.png", b"picture" * 100)
    content = bytearray(given.read_bytes())
    content[200] ^= 1
    given.write_bytes(content)
    assert "damaged" in refused(given, into)


def test_a_password_is_refused(tmp_path, into):
    given = a_zip(tmp_path / "x.zip", {"a.png": b"1"})
    content = bytearray(given.read_bytes())
    content[content.index(b"PK\x03\x04") + 6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    given.write_bytes(content)
    assert "password" in refused(given, into)


def test_a_disk_without_room_is_said_before_anything_is_written(tmp_path, into, monkeypatch):
    given = a_zip(tmp_path / "x.zip", {"a.png": b"1" * 1000})
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(0, 0, 0))
    with pytest.raises(KitError, match="free some space"):
        take_out(given, into, text=None)
    assert taken(into) == []


def test_a_file_that_is_not_there_is_named(tmp_path, into):
    with pytest.raises(KitError, match=r"There is no .*nothing\.zip"):
        take_out(tmp_path / "nothing.zip", into, text=None)
