"""One file from a server that fails. Nothing here meets the network beyond this machine."""

import errno
import hashlib
import shutil
import threading
from collections import namedtuple

import pytest
from faulty_server import running

from xray_helpers import disk
from xray_helpers import fetch as fetch_module
from xray_helpers.errors import KitError
from xray_helpers.fetch import FetchError, Patience, fetch, part_of

CONTENT = bytes(range(256)) * 400
MD5 = f"md5:{hashlib.md5(CONTENT).hexdigest()}"
QUICK = Patience(connect=2, stall=0.3, tries=3, pause=0)


@pytest.fixture
def server():
    with running() as server:
        server.files["/file"] = CONTENT
        yield server


@pytest.fixture
def target(tmp_path):
    return tmp_path / "downloads" / "file.zip"


def names(target) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir())


def failed(*args, **options) -> str:
    with pytest.raises(FetchError) as caught:
        fetch(*args, patience=QUICK, **options)
    return str(caught.value)


@pytest.mark.parametrize("checksum", [MD5, None])
def test_a_file_arrives_whole_under_its_own_name_alone(server, target, checksum):
    assert fetch(server.url("/file"), target, checksum=checksum, patience=QUICK) == target
    assert target.read_bytes() == CONTENT
    assert names(target) == ["file.zip"]


def test_a_slow_server_is_waited_for(server, target):
    server.faults["/file"] = ["slow"]
    assert fetch(server.url("/file"), target, patience=QUICK).read_bytes() == CONTENT
    assert server.ranges("/file") == [None]


@pytest.mark.parametrize("fault", ["cut", "stall"])
def test_a_broken_connection_is_gone_on_with_where_it_broke(server, target, fault):
    server.faults["/file"] = [fault, fault]
    fetch(server.url("/file"), target, checksum=MD5, patience=QUICK)
    half = len(CONTENT) // 2
    assert server.ranges("/file") == [None, f"bytes={half}-", f"bytes={half + half // 2}-"]
    assert target.read_bytes() == CONTENT


def test_a_server_that_knows_no_ranges_is_asked_for_the_whole_file_again(server, target):
    server.no_range.add("/file")
    server.faults["/file"] = ["cut"]
    assert fetch(server.url("/file"), target, checksum=MD5, patience=QUICK).read_bytes() == CONTENT


def test_what_came_before_a_failure_is_gone_on_with_by_the_next_call(server, target):
    server.faults["/file"] = ["cut"] * 3
    assert "broke" in failed(server.url("/file"), target, checksum=MD5)
    assert names(target) == ["file.zip.part"]
    here = part_of(target).stat().st_size
    assert here > len(CONTENT) // 2
    fetch(server.url("/file"), target, checksum=MD5, patience=QUICK)
    assert server.ranges("/file")[-1] == f"bytes={here}-"
    assert target.read_bytes() == CONTENT and names(target) == ["file.zip"]


def test_without_a_checksum_nothing_of_an_earlier_call_is_used(server, target):
    target.parent.mkdir()
    part_of(target).write_bytes(b"of another edition")
    assert fetch(server.url("/file"), target, patience=QUICK).read_bytes() == CONTENT


def test_half_of_a_file_that_has_changed_since_is_thrown_away(server, target):
    target.parent.mkdir()
    part_of(target).write_bytes(b"x" * 1000)
    assert fetch(server.url("/file"), target, checksum=MD5, patience=QUICK).read_bytes() == CONTENT


def test_a_part_that_is_the_whole_file_needs_no_byte_more(server, target):
    target.parent.mkdir()
    part_of(target).write_bytes(CONTENT)
    assert fetch(server.url("/file"), target, checksum=MD5, patience=QUICK).read_bytes() == CONTENT
    assert server.ranges("/file") == [f"bytes={len(CONTENT)}-"]


def test_a_part_longer_than_the_file_is_thrown_away(server, target):
    target.parent.mkdir()
    part_of(target).write_bytes(CONTENT + b"more")
    assert fetch(server.url("/file"), target, checksum=MD5, patience=QUICK).read_bytes() == CONTENT


def test_another_part_than_asked_for_is_not_taken(server, target):
    server.faults["/file"] = ["cut", "elsewhere"]
    assert fetch(server.url("/file"), target, checksum=MD5, patience=QUICK).read_bytes() == CONTENT
    assert server.ranges("/file") == [None, f"bytes={len(CONTENT) // 2}-", None]


def test_a_right_file_is_kept_and_not_asked_for(server, target):
    target.parent.mkdir()
    target.write_bytes(CONTENT)
    fetch(server.url("/file"), target, checksum=MD5, patience=QUICK)
    assert server.asked == []


def test_another_file_than_wanted_is_refused_with_both_checksums(server, target):
    server.files["/file"] = b"another edition"
    said = failed(server.url("/file"), target, checksum=MD5)
    assert MD5 in said and hashlib.md5(b"another edition").hexdigest() in said
    assert names(target) == []


@pytest.mark.parametrize(
    ("fault", "said", "asked"),
    [
        ("404", "there is nothing at", 1),
        ("403", "refuses", 1),
        ("202", "browsers only", 1),
        ("418", "status 418", 1),
        ("503", "busy or broken", 3),
        ("page", 'sends a web page ("Please sign in")', 1),
    ],
)
def test_a_refusal_says_what_it_is_and_leaves_nothing(server, target, fault, said, asked):
    server.faults["/file"] = [fault] * 5
    assert said in failed(server.url("/file"), target)
    assert names(target) == []
    assert len(server.asked) == asked


@pytest.mark.parametrize("fault", ["403", "page"])
def test_a_refusal_does_not_cost_what_has_come_before(server, target, fault):
    server.no_range.add("/file")
    target.parent.mkdir()
    part_of(target).write_bytes(CONTENT[:1000])
    server.faults["/file"] = [fault]
    failed(server.url("/file"), target, checksum=MD5)
    assert part_of(target).read_bytes() == CONTENT[:1000]


def test_a_busy_server_is_asked_again(server, target):
    server.faults["/file"] = ["503", "429"]
    assert fetch(server.url("/file"), target, patience=QUICK).read_bytes() == CONTENT


def test_without_network_it_fails_at_once(target, monkeypatch):
    monkeypatch.setattr(fetch_module, "reachable", lambda url, seconds: False)
    assert "data.example cannot be reached" in failed("https://data.example/x", target)


def test_a_disk_without_room_is_said_before_anything_is_written(server, target, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(0, 0, disk.RESERVE + 1000))
    with pytest.raises(KitError, match="free some space"):
        fetch(server.url("/file"), target, patience=QUICK)
    assert names(target) == []


def test_a_disk_that_fills_up_meanwhile_keeps_what_has_come(server, target, monkeypatch):
    class Full:
        def __init__(self, *args):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *args):
            return False

        def update(self, n):
            if n is not None and self.count():
                raise OSError(errno.ENOSPC, "No space left on device")

        calls = 0

        def count(self):
            self.calls += 1
            return self.calls > 1

    monkeypatch.setattr(fetch_module, "progress_bar", lambda *args, **options: Full())
    with pytest.raises(KitError, match="No space left on device"):
        fetch(server.url("/file"), target, checksum=MD5, patience=QUICK)
    assert names(target) == ["file.zip.part"]


def test_stopped_by_the_keyboard_it_goes_on_next_time(server, target, monkeypatch):
    bar = fetch_module.progress_bar

    class Stop:
        def __init__(self, inner):
            self.inner, self.calls = inner, 0

        def __enter__(self):
            return self

        def __exit__(self, *args):
            return False

        def update(self, n):
            self.calls += 1
            if self.calls > 1:
                raise KeyboardInterrupt

    monkeypatch.setattr(fetch_module, "progress_bar", lambda *a, **o: Stop(bar(None, 1)))
    with pytest.raises(KeyboardInterrupt):
        fetch(server.url("/file"), target, checksum=MD5, patience=QUICK)
    assert names(target) == ["file.zip.part"] and part_of(target).stat().st_size > 0
    monkeypatch.undo()
    fetch(server.url("/file"), target, checksum=MD5, patience=QUICK)
    assert target.read_bytes() == CONTENT


def test_two_that_want_the_same_file_fetch_it_once(server, target):
    server.faults["/file"] = ["slow"]
    threads = [
        threading.Thread(target=fetch, args=(server.url("/file"), target), kwargs={"checksum": MD5})
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert target.read_bytes() == CONTENT
    assert len(server.asked) == 1
    assert names(target) == ["file.zip"]
