"""`xray data get` from beginning to end, against a server on this machine that fails."""

import errno
import hashlib
import io
import json
import os
import socket
import sys
import types
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from faulty_server import running

from xray_helpers.data.class_zip import class_pictures
from xray_helpers.data.get import arrange, known, steps, ways
from xray_helpers.data.get.known import COLLECTIONS, Way
from xray_helpers.data.get.place import new_folder
from xray_helpers.data.get.steps import get_data
from xray_helpers.data.table import read_table
from xray_helpers.data.three import read_three
from xray_helpers.errors import KitError
from xray_helpers.fetch import Patience

QUICK = Patience(connect=2, stall=0.3, tries=2, pause=0)
NAMES = sorted(class_pictures())


def content(name: str) -> bytes:
    """Of the file in two/ and in all/ the same."""
    return f"picture {name.partition('/')[2]}".encode() * 20


def zipped(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return packed.getvalue()


def class_zip(leave_out: int = 0, **more: bytes) -> bytes:
    """As the class's: a folder around it, and what Windows and macOS leave."""
    files = {f"Covid_Data/{name}": content(name) for name in NAMES[leave_out:]}
    files |= {f"__MACOSX/Covid_Data/{Path(n).parent}/._{Path(n).name}": b"x" for n in NAMES[:9]}
    files |= {f"Covid_Data/all/{s}/pneumonia_vir/desktop.ini": b"x" for s in ("train", "test")}
    return zipped(files | more)


@pytest.fixture
def original(monkeypatch):
    """A world in which `content` is what the class's zip holds."""
    rows = {
        name: {"sha256": hashlib.sha256(content(name)).hexdigest(), "git_blob_sha1": ""}
        for name in NAMES
    }
    monkeypatch.setattr(arrange, "class_pictures", lambda: rows)
    return rows


@pytest.fixture
def server(monkeypatch):
    with running() as server:
        monkeypatch.setattr(ways, "FIGSHARE", server.url("/v2"))
        yield server


@pytest.fixture
def target(tmp_path):
    return tmp_path / "project" / "data"


class Got:
    """What a call said, and whether it asked."""

    def __init__(self, name, target, given=None, agree=True):
        self.lines, self.asked = [], 0

        def asked():
            self.asked += 1
            return agree

        options = {"agree": asked, "say": self.lines.append, "progress": False, "patience": QUICK}
        get_data(name, target, given, **options)

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def refused(*args, **options) -> str:
    with pytest.raises(KitError) as caught:
        Got(*args, **options)
    said = str(caught.value)
    assert said.endswith(".") and "\n" not in said
    return said


def from_server(monkeypatch, server, name: str, body: bytes, *, checked: bool = True) -> str:
    path = f"/{name}.zip"
    server.files[path] = body
    checksum = f"sha256:{hashlib.sha256(body).hexdigest()}" if checked else None
    way = Way("url", server.url(path), checksum)
    small = replace(COLLECTIONS[name], ways=(way,), download_mb=0)
    monkeypatch.setitem(known.COLLECTIONS, name, small)
    return path


def left(target: Path) -> list[str]:
    """What is beside the target, and what is kept of downloads."""
    beside = [p.name for p in target.parent.iterdir()] if target.parent.is_dir() else []
    downloads = Path(os.environ["XRAY_CACHE"]) / "downloads"
    kept = [p.name for p in downloads.iterdir()] if downloads.is_dir() else []
    return sorted(beside) + sorted(kept)


# --- the class's zip ----------------------------------------------------------------------------


def test_a_zip_that_a_student_has_is_put_into_the_layout(tmp_path, target, original):
    (tmp_path / "x.zip").write_bytes(class_zip())
    got = Got("class", target, tmp_path / "x.zip")
    assert got.asked == 0 and "licence" in got.text
    assert "454 pictures, 454 of them the original files." in got.lines
    assert sorted(p.name for p in target.iterdir()) == ["ORIGIN.txt", "all", "sources.csv", "two"]
    assert not list(target.rglob("*.ini")) and not list(target.rglob("._*"))
    one, two = read_table(target, "task1"), read_table(target, "task2")
    assert (len(one), len(two)) == (148, 306)
    assert set(two["source"]) == {"kermany", "covid-chestxray-dataset"}
    origin = (target / "ORIGIN.txt").read_text()
    checksum = hashlib.sha256((tmp_path / "x.zip").read_bytes()).hexdigest()
    assert checksum in origin and "CC BY 4.0" in origin
    assert left(target) == ["data"]
    assert (tmp_path / "x.zip").is_file()


def test_files_that_are_not_the_original_ones_are_counted_and_named(tmp_path, target, original):
    for name in NAMES[:7]:
        original[name]["sha256"] = "0" * 64
    extra = {"Covid_Data/all/train/covid/mine.png": b"x"}
    (tmp_path / "x.zip").write_bytes(class_zip(**extra))
    got = Got("class", target, tmp_path / "x.zip")
    assert "455 pictures, 447 of them the original files." in got.lines
    (changed,) = [line for line in got.lines if line.startswith("7 are not the original files")]
    assert NAMES[0] in changed and NAMES[6] not in changed and "and 2 more" in changed
    assert any("all/train/covid/mine.png" in line for line in got.lines)
    origin = (target / "ORIGIN.txt").read_text().splitlines()
    assert set(NAMES[:7]) <= set(origin)


def test_a_zip_that_lacks_pictures_is_refused_and_names_them(tmp_path, target, original):
    (tmp_path / "x.zip").write_bytes(class_zip(leave_out=2))
    said = refused("class", target, tmp_path / "x.zip")
    assert "2 of the 454 pictures" in said and NAMES[0] in said and NAMES[1] in said
    assert left(target) == []


def test_a_zip_of_something_else_is_refused(tmp_path, target):
    (tmp_path / "x.zip").write_bytes(zipped({"holiday/beach.jpeg": b"x"}))
    assert "two/ and all/" in refused("class", target, tmp_path / "x.zip")
    assert left(target) == []


def test_an_unpacked_folder_is_taken_as_well(tmp_path, target, original):
    given = tmp_path / "Downloads" / "Covid_Data"
    zipfile.ZipFile(io.BytesIO(class_zip())).extractall(given)
    Got("class", target, given)
    assert len(read_table(target, "task2")) == 306
    assert (given / "Covid_Data" / "all").is_dir()


def test_run_twice_nothing_changes_and_nothing_is_fetched(tmp_path, target, original):
    (tmp_path / "x.zip").write_bytes(class_zip())
    Got("class", target, tmp_path / "x.zip")
    before = {p: p.stat().st_mtime_ns for p in target.rglob("*")}
    again = Got("class", target)
    assert again.asked == 0 and "holds it already" in again.text
    assert {p: p.stat().st_mtime_ns for p in target.rglob("*")} == before


def test_a_folder_that_is_not_empty_is_refused(tmp_path, target, original):
    (tmp_path / "x.zip").write_bytes(class_zip())
    target.mkdir(parents=True)
    (target / "my notes.txt").write_text("keep")
    assert "is not empty" in refused("class", target, tmp_path / "x.zip")
    assert (target / "my notes.txt").read_text() == "keep" and left(target) == ["data"]


def test_an_empty_folder_is_filled(tmp_path, target, original):
    (tmp_path / "x.zip").write_bytes(class_zip())
    target.mkdir(parents=True)
    (target / ".DS_Store").write_bytes(b"x")
    Got("class", target, tmp_path / "x.zip")
    assert (target / "all").is_dir()


# --- fetching -----------------------------------------------------------------------------------


def test_size_and_licence_are_shown_before_anything_is_fetched(monkeypatch, server, target):
    path = from_server(monkeypatch, server, "class", class_zip())
    assert "not agreed" in refused("class", target, agree=False)
    assert server.ranges(path) == [] and left(target) == []
    terms = steps.terms(COLLECTIONS["kermany"], target, None)
    for part in ("1,236 MB", "CC BY 4.0", "Kermany D.", str(target)):
        assert part in terms


def test_what_was_fetched_is_removed_once_it_is_in_place(monkeypatch, server, target, original):
    from_server(monkeypatch, server, "class", class_zip())
    got = Got("class", target)
    assert got.asked == 1 and (target / "two").is_dir()
    assert left(target) == ["data"]


def test_a_download_that_was_cut_is_gone_on_with(monkeypatch, server, target, original):
    path = from_server(monkeypatch, server, "class", class_zip())
    server.faults[path] = ["cut", "cut"]
    said = refused("class", target)
    assert "xray data get class --from Covid_Data_GradientCrescent.zip" in said
    assert left(target) == ["class-1.zip.part"]
    Got("class", target)
    assert server.ranges(path)[-1].startswith("bytes=") and left(target) == ["data"]


@pytest.mark.parametrize("fault", ["404", "403", "page"])
def test_what_cannot_be_had_says_how_to_get_it_by_hand(monkeypatch, server, target, fault):
    path = from_server(monkeypatch, server, "hannover", b"")
    server.faults[path] = [fault] * 3
    said = refused("hannover", target)
    assert "https://doi.org/10.6084/m9.figshare.12275009" in said
    assert "`xray data get hannover --from 12275009.zip`" in said
    assert left(target) == []


def test_the_second_place_is_tried_when_the_first_refuses(monkeypatch, server, target, original):
    path = from_server(monkeypatch, server, "class", class_zip())
    first = Way("url", server.url("/gone"))
    both = replace(COLLECTIONS["class"], ways=(first, *COLLECTIONS["class"].ways))
    monkeypatch.setitem(known.COLLECTIONS, "class", both)
    Got("class", target)
    assert server.ranges("/gone") == [None] and server.ranges(path) == [None]


def test_a_fetched_zip_that_is_refused_is_not_taken_again(monkeypatch, server, target, original):
    from_server(monkeypatch, server, "class", class_zip(leave_out=1), checked=False)
    assert "missing" in refused("class", target)
    assert left(target) == []


def test_stopped_while_unpacking_nothing_half_is_left_and_nothing_fetched_again(
    monkeypatch, server, target, original
):
    path = from_server(monkeypatch, server, "class", class_zip())
    arranged = steps.arrange

    def stop(*args):
        arranged(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(steps, "arrange", stop)
    with pytest.raises(KeyboardInterrupt):
        Got("class", target)
    assert left(target) == ["class-1.zip"]
    monkeypatch.setattr(steps, "arrange", arranged)
    Got("class", target)
    assert server.ranges(path) == [None] and left(target) == ["data"]


def test_a_disk_that_fills_up_while_unpacking_leaves_nothing_half(
    monkeypatch, server, target, original
):
    path = from_server(monkeypatch, server, "class", class_zip())
    take_out = steps.take_out

    def full(given, into, **options):
        take_out(given, into, **options)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(steps, "take_out", full)
    assert "No space left on device" in refused("class", target)
    assert left(target) == ["class-1.zip"]
    monkeypatch.setattr(steps, "take_out", take_out)
    Got("class", target)
    assert server.ranges(path) == [None]


def test_what_a_killed_process_left_is_removed_and_a_living_ones_is_not(tmp_path):
    target = tmp_path / "data"
    mine = f".data.{socket.gethostname()}"
    dead, living = tmp_path / f"{mine}.999999999.part", tmp_path / f"{mine}.{os.getppid()}.part"
    for folder in (dead, living):
        folder.mkdir()
    with new_folder(target) as new:
        (new / "x").write_text("x")
        assert not target.exists()
    assert (target / "x").is_file() and not dead.exists() and living.is_dir()


# --- figshare, Google Drive, Kaggle -------------------------------------------------------------

CSV = (
    "patient_id,image_id,admission_offset,projection\n"
    "p1,aaa,0,ap\np1,bbb,-3,pa\np2,ccc,22,pa\np3,ddd,,ap\np4,gone,0,ap\n"
)
PICTURES = {f"png/{name}.png": name.encode() for name in ("aaa", "bbb", "ccc", "ddd")}
HANNOVER = {"repo/data.csv": CSV.encode()} | {f"repo/{n}": b for n, b in PICTURES.items()}


def on_figshare(monkeypatch, server, files: dict[str, bytes]) -> None:
    listed = []
    for number, (name, body) in enumerate(files.items(), start=1):
        server.files[f"/v2/file/download/{number}"] = body
        md5 = hashlib.md5(body).hexdigest()
        listed.append({"id": number, "name": name, "computed_md5": md5, "size": len(body)})
    server.files["/v2/articles/12275009/files"] = json.dumps(listed).encode()
    small = replace(COLLECTIONS["hannover"], download_mb=0)
    monkeypatch.setitem(known.COLLECTIONS, "hannover", small)


@pytest.mark.parametrize(
    "files",
    [
        {"all.zip": zipped(HANNOVER)},
        {"data.csv": CSV.encode(), "png.zip": zipped(PICTURES)},
        {"data.csv": CSV.encode()} | {Path(n).name: b for n, b in PICTURES.items()},
    ],
    ids=["one zip", "a table and a zip", "single files"],
)
def test_figshares_files_are_fetched_however_they_are_packed(monkeypatch, server, target, files):
    on_figshare(monkeypatch, server, files)
    got = Got("hannover", target)
    assert "4 pictures of 3 patients." in got.lines
    assert any(line.startswith("1 were taken long before") for line in got.lines)
    assert left(target) == ["data"]
    assert "holds it already" in Got("hannover", target).text


def test_a_file_of_figshare_with_another_md5_is_refused(monkeypatch, server, target):
    on_figshare(monkeypatch, server, {"all.zip": zipped(HANNOVER)})
    server.files["/v2/file/download/1"] = b"something else"
    assert "another file: its checksum is md5:" in refused("hannover", target)


@pytest.mark.parametrize("answer", [b"[]", b'{"message": "gone"}', b"<html>", b'[{"name": "x"}]'])
def test_a_list_of_figshare_that_is_none_is_said(monkeypatch, server, target, answer):
    on_figshare(monkeypatch, server, {})
    server.files["/v2/articles/12275009/files"] = answer
    assert "by hand" in refused("hannover", target)


@pytest.fixture
def drive(monkeypatch, server):
    """Google Drive's addresses lead to the server on this machine; gdown itself is the real one."""
    real = requests.Session.get

    def get(session, url, **options):
        return real(session, url.replace("https://drive.google.com", server.url("")), **options)

    monkeypatch.setattr(requests.Session, "get", get)
    monkeypatch.setattr(ways, "reachable", lambda url, seconds: True)
    small = replace(COLLECTIONS["class"], download_mb=0)
    monkeypatch.setitem(known.COLLECTIONS, "class", small)
    page = f"""<!DOCTYPE html><html><form id="download-form" action="{server.url("/download")}">
    <input type="hidden" name="confirm" value="t"></form></html>"""
    server.files["/uc"] = page.replace("\n", "").encode()
    server.headers["/uc"] = {"Content-Type": "text/html"}
    server.files["/download"] = class_zip()
    server.headers["/download"] = {
        "Content-Type": "application/octet-stream",
        "Content-Disposition": 'attachment; filename="../../Covid.zip"',
        "ETag": '"1"',
    }
    return server


def test_google_drives_question_about_large_files_is_answered(drive, target, original):
    Got("class", target)
    assert (target / "all").is_dir() and left(target) == ["data"]


def test_a_cut_download_from_google_drive_is_gone_on_with_next_time(
    monkeypatch, drive, target, original
):
    one_way = replace(COLLECTIONS["class"], ways=COLLECTIONS["class"].ways[:1])
    monkeypatch.setitem(known.COLLECTIONS, "class", one_way)
    # Larger than what gdown reads at a time.
    drive.files["/download"] = class_zip(**{"Covid_Data/viewer.exe": bytes(3_000_000)})
    drive.faults["/download"] = ["cut", "cut", "cut"]
    assert "broke off" in refused("class", target)
    (part,) = left(target)
    assert part.startswith("class-1.zip") and part.endswith(".part")
    Got("class", target)
    assert drive.ranges("/download")[-1].startswith("bytes=")
    assert left(target) == ["data"]


def test_google_drives_quota_is_said_in_words(drive, target):
    page = '<p class="uc-error-subcaption">Too many users have viewed or downloaded this.</p>'
    drive.files["/uc"] = page.encode()
    said = refused("class", target)
    assert "too many downloads today" in said
    assert "https://drive.google.com/file/d/" in said
    assert len([1 for path, _ in drive.asked if path == "/uc"]) == 2  # both places were tried
    assert left(target) == []


def test_a_page_in_place_of_google_drives_file_is_noticed(drive, target):
    drive.files["/download"] = b"<!DOCTYPE html><html>Virus!</html>"
    assert "something else in place of the zip" in refused("class", target)
    assert left(target) == []


KERMANY = {
    f"chest_xray/{split}/{name}": f"{split} {name}".encode()
    for split in ("train", "test")
    for name in (
        "NORMAL/IM-0001-0001.jpeg",
        "NORMAL/NORMAL2-IM-0002-0001.jpeg",
        "PNEUMONIA/person1_bacteria_1.jpeg",
        "PNEUMONIA/person2_virus_2.jpeg",
    )
}


def test_kermanys_zip_becomes_a_folder_for_two_stages(monkeypatch, server, target):
    # As on Kaggle: all of it once more in a folder of the same name, and what macOS leaves.
    twice = {f"chest_xray/{name}": body for name, body in KERMANY.items()}
    rubbish = {"chest_xray/__MACOSX/chest_xray/._train": b"x", "chest_xray/.DS_Store": b"x"}
    from_server(monkeypatch, server, "kermany", zipped(KERMANY | twice | rubbish))
    got = Got("kermany", target)
    assert "8 pictures: 4 normal, 2 pneumonia_bac, 2 pneumonia_vir." in got.lines
    assert any("5,856" in line for line in got.lines)
    table, classes, _ = read_three(target)
    assert len(table) == 8 and classes == ("normal", "pneumonia_bac", "pneumonia_vir")
    assert set(table["source"]) == {"kermany"}


def test_kermanys_zip_without_a_class_is_refused(tmp_path, target):
    files = {name: body for name, body in KERMANY.items() if "virus" not in name}
    (tmp_path / "x.zip").write_bytes(zipped(files))
    assert "lack pneumonia_vir" in refused("kermany", target, tmp_path / "x.zip")
    assert left(target) == []


def a_kagglehub(monkeypatch, error: Exception | None) -> None:
    def dataset_download(handle):
        if error:
            raise error
        folder = Path(os.environ["KAGGLEHUB_CACHE"]) / "datasets" / handle
        for name, body in KERMANY.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(body)
        return str(folder)

    module = types.SimpleNamespace(dataset_download=dataset_download)
    monkeypatch.setitem(sys.modules, "kagglehub", module)
    monkeypatch.setattr(ways, "reachable", lambda url, seconds: True)
    only = tuple(way for way in COLLECTIONS["kermany"].ways if way.kind == "kaggle")
    small = replace(COLLECTIONS["kermany"], ways=only, download_mb=0)
    monkeypatch.setitem(known.COLLECTIONS, "kermany", small)


def test_what_kagglehub_unpacks_is_put_in_place(monkeypatch, target):
    a_kagglehub(monkeypatch, None)
    Got("kermany", target)
    assert len(read_three(target)[0]) == 8
    assert left(target) == ["data"] and "KAGGLEHUB_CACHE" not in os.environ


def test_kaggle_without_an_account_or_without_its_package_is_said(monkeypatch, target):
    forbidden = requests.HTTPError("403")
    forbidden.response = types.SimpleNamespace(status_code=403)
    a_kagglehub(monkeypatch, forbidden)
    assert "Kaggle wants an account" in refused("kermany", target)
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    assert "for want of kagglehub (pip install -e '.[kaggle]')" in refused("kermany", target)


# --- facts --------------------------------------------------------------------------------------


def test_every_collection_can_be_got_by_hand_and_names_its_licence():
    for name, collection in COLLECTIONS.items():
        assert f"xray data get {name} --from {collection.file}" in collection.by_hand()
        assert "CC BY" in collection.licence and collection.credit and collection.ways
        assert collection.page.startswith("https://")


def test_an_unknown_collection_gets_the_known_ones(target):
    assert "class, kermany, hannover" in refused("klass", target)
