"""Arrays kept on disk: whole or not at all, checked, limited. (Nothing here needs TensorFlow.)"""

import functools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from xray_helpers import cache, cache_room
from xray_helpers.cache import keep, read
from xray_helpers.cache_room import entries
from xray_helpers.cli import main
from xray_helpers.errors import KitError
from xray_helpers.training import cache_contents

KEY = "0123456789abcdef" * 2
OTHER = "f" * 32


@pytest.fixture(autouse=True)
def fresh_sentences(monkeypatch):
    """Each test hears again what a process says only once."""
    monkeypatch.setattr(cache, "_say_once", functools.cache(cache._say))


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return [rng.random((5, 3, 3, 4), np.float32), rng.integers(0, 256, (5, 7), np.uint8)]


def place() -> Path:
    return cache_room.features_folder()


def names() -> list[str]:
    return sorted(path.name for path in place().iterdir()) if place().is_dir() else []


def same(ours, theirs) -> bool:
    return (
        ours is not None
        and [a.dtype for a in ours] == [b.dtype for b in theirs]
        and all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))
    )


def start(code: str) -> subprocess.Popen:
    """Another process, to be talked to by standard input and output."""
    code = f"import sys, time\nimport numpy as np\nfrom xray_helpers import cache\n{code}"
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, text=True)


# --- kept and read ------------------------------------------------------------------------------


def test_what_was_kept_is_read_back_mapped_and_read_only(arrays, capsys):
    assert read(KEY) is None
    keep(KEY, arrays, "two arrays")
    found = read(KEY)
    assert same(found, arrays)
    assert all(isinstance(array, np.memmap) and not array.flags.writeable for array in found)
    assert read(OTHER) is None
    assert names() == [KEY]
    assert capsys.readouterr().err == ""


def test_half_precision_and_arrays_that_are_not_in_order_are_kept_as_they_are():
    arrays = [np.arange(12, dtype=np.float16).reshape(3, 4), np.arange(12.0).reshape(3, 4).T]
    keep(KEY, arrays, "")
    assert same(read(KEY), arrays)


# --- damage -------------------------------------------------------------------------------------


def flipped(file: Path, position: int) -> None:
    content = bytearray(file.read_bytes())
    content[position] ^= 0x10
    file.write_bytes(content)


@pytest.mark.parametrize("position", [0, 9, 60, 127, 128, 200, -1])
def test_a_flipped_byte_is_found_said_and_never_used(arrays, position, capsys):
    keep(KEY, arrays, "")
    flipped(place() / KEY / "00.npy", position)
    assert read(KEY) is None
    assert f"{place() / KEY} is damaged" in capsys.readouterr().err
    assert names() == []
    keep(KEY, arrays, "")
    assert same(read(KEY), arrays)


def test_no_flipped_byte_of_the_checksums_lets_wrong_arrays_through(arrays):
    keep(KEY, arrays, "two arrays")
    whole = (place() / KEY / "entry.json").read_bytes()
    for position in range(len(whole)):
        keep(KEY, arrays, "two arrays")
        flipped(place() / KEY / "entry.json", position)
        assert (found := read(KEY)) is None or same(found, arrays), position


@pytest.mark.parametrize("file", ["00.npy", "01.npy", "entry.json"])
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "longer"])
def test_a_file_that_is_missing_cut_short_or_longer_is_found(arrays, file, damage, capsys):
    keep(KEY, arrays, "")
    path = place() / KEY / file
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        changed = {"empty": b"", "cut": content[: len(content) // 2], "longer": content + b"x"}
        path.write_bytes(changed[damage])
    assert read(KEY) is None
    assert "is damaged" in capsys.readouterr().err
    keep(KEY, arrays, "")
    assert same(read(KEY), arrays)


# --- places that cannot be written --------------------------------------------------------------


def test_a_cache_that_is_a_file_is_said_once_and_harms_nothing(arrays, tmp_path, capsys):
    (tmp_path / "cache").write_text("mine")
    for _ in range(3):
        assert read(KEY) is None
        keep(KEY, arrays, "")
    said = capsys.readouterr().err
    assert said.count("could not be kept") == 1
    assert "XRAY_CACHE" in said
    assert (tmp_path / "cache").read_text() == "mine"


def test_a_cache_that_may_only_be_read_is_read(arrays, capsys):
    if os.geteuid() == 0:
        pytest.skip("root writes anywhere")
    keep(KEY, arrays, "")
    folders = [place() / KEY, place()]
    for folder in folders:
        folder.chmod(0o500)
    try:
        assert same(read(KEY), arrays)
        keep(OTHER, arrays, "")
    finally:
        for folder in folders:
            folder.chmod(0o700)
    assert "could not be kept" in capsys.readouterr().err
    assert names() == [KEY]


def test_a_disk_that_is_full_in_the_middle_leaves_nothing_half_written(capsys):
    """Files may not grow beyond 100 kB: writing the second array fails, as on a full disk."""
    resource = pytest.importorskip("resource")
    arrays = [np.ones((10, 1000), np.float32), np.ones((50, 1000), np.float32)]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        keep(KEY, arrays, "")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    said = capsys.readouterr().err
    assert "could not be kept" in said
    assert "File too large" in said
    assert names() == []
    keep(KEY, arrays, "")
    assert same(read(KEY), arrays)


@pytest.fixture
def small_disk(tmp_path, monkeypatch):
    """A disk of 1 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("no mount here")
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted: {done.stderr.strip()}")
    monkeypatch.setenv("XRAY_CACHE", str(folder / "cache"))
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_real_full_disk(small_disk, capsys):
    few, many = [np.ones((300, 1000), np.uint8)], [np.ones((900, 1000), np.uint8)]
    keep(KEY, few, "")
    keep(OTHER, many, "")
    assert "No space left on device" in capsys.readouterr().err
    assert names() == [KEY]
    assert same(read(KEY), few)


# --- several processes --------------------------------------------------------------------------

KEEP = f"""
arrays = [np.full((400, 1000), i, np.float32) for i in range(3)]
cache.keep("{KEY}", arrays, "")
found = cache.read("{KEY}")
print(all((f == a).all() for f, a in zip(found, arrays, strict=True)))
"""


def test_processes_that_keep_the_same_at_once_all_read_it_whole(capfd):
    processes = [start("print('ready', flush=True); sys.stdin.readline()" + KEEP) for _ in range(4)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate()[0] for process in processes] == ["True\n"] * 4
    assert names() == [KEY]
    assert capfd.readouterr().err == ""


def test_a_process_killed_while_it_writes_leaves_nothing_that_passes_for_whole(arrays):
    process = start(f"""
write = cache._write
def slow(path, array):
    sum = write(path, array)
    print("written", flush=True)
    time.sleep(60)
    return sum
cache._write = slow
cache.keep("{KEY}", [np.ones(1000), np.ones(1000)], "")
""")
    assert process.stdout.readline() == "written\n"
    (part,) = names()
    keep(OTHER, arrays, "")
    assert set(names()) == {part, OTHER}  # it lives: what it writes is not touched
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert read(KEY) is None
    keep(KEY, arrays, "")
    assert same(read(KEY), arrays)
    assert names() == sorted([KEY, OTHER])


def test_what_a_process_reads_stays_readable_when_it_is_removed(monkeypatch):
    if os.name == "nt":
        pytest.skip("Windows does not remove what is read")
    keep(KEY, [np.full((1000, 1000), 7, np.uint8)], "")
    process = start(f"""
(array,) = cache.read("{KEY}")
print("mapped", flush=True)
while {str(place() / KEY)!r} and __import__("os").path.exists({str(place() / KEY)!r}):
    time.sleep(0.01)
print(int(array.sum()))
""")
    assert process.stdout.readline() == "mapped\n"
    monkeypatch.setenv("XRAY_CACHE_GB", "0.0012")
    keep(OTHER, [np.ones((500, 1000), np.uint8)], "")
    assert names() == [OTHER]
    assert process.communicate(timeout=30)[0] == "7000000\n"


def left_over(pid: int, host: str, age: float = 0) -> str:
    """What a process leaves that was killed while it wrote."""
    part = place() / f".{KEY}-{pid}@{host}-abc123.part"
    part.mkdir(parents=True)
    (part / "00.npy").write_bytes(b"half")
    os.utime(part, (time.time() - age,) * 2)
    return part.name


def test_leftovers_go_when_their_process_is_surely_dead(arrays):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    here, day = socket.gethostname(), 86_400
    left_over(dead.pid, here)
    living = left_over(os.getppid(), here)
    elsewhere = left_over(dead.pid, "elsewhere.example")
    left_over(dead.pid, "another-place", age=2 * day)
    keep(KEY, arrays, "")
    assert set(names()) == {KEY, living, elsewhere}


# --- the limit ----------------------------------------------------------------------------------


def aged(key: str, seconds: float) -> None:
    """Let an entry not have been used for so long."""
    os.utime(place() / key / "entry.json", (time.time() - seconds,) * 2)


def test_the_entry_not_used_for_the_longest_time_goes_first(monkeypatch):
    array = [np.ones((1000, 1000), np.uint8)]
    keys = [digit * 32 for digit in "0123"]
    for age, key in enumerate(keys[:3]):
        keep(key, array, "")
        aged(key, 300 - 100 * age)
    assert read(keys[0])  # so 1 is now the oldest
    monkeypatch.setenv("XRAY_CACHE_GB", "0.0035")  # three and a half
    keep(keys[3], array, "")
    assert names() == [keys[0], keys[2], keys[3]]


def test_the_entry_just_written_stays_even_if_others_seem_newer(monkeypatch):
    array = [np.ones((1000, 1000), np.uint8)]
    keep(KEY, array, "")
    aged(KEY, -3600)  # a clock that goes wrong
    monkeypatch.setenv("XRAY_CACHE_GB", "0.0015")
    keep(OTHER, array, "")
    assert names() == [OTHER]


def test_what_is_larger_than_the_limit_is_not_kept_and_removes_nothing(monkeypatch, capsys):
    keep(KEY, [np.ones(1000, np.uint8)], "")
    monkeypatch.setenv("XRAY_CACHE_GB", "0.001")
    keep(OTHER, [np.ones((1001, 1000), np.uint8)], "")
    assert "more than the cache may hold" in capsys.readouterr().err
    assert names() == [KEY]


def test_the_usual_limit_is_10_gb_and_a_wrong_one_is_refused(monkeypatch):
    monkeypatch.delenv("XRAY_CACHE_GB", raising=False)
    assert cache_room.cache_limit() == 10e9
    monkeypatch.setenv("XRAY_CACHE_GB", "2.5")
    assert cache_room.cache_limit() == 2.5e9
    for wrong in ("ten", "-1", "nan"):
        monkeypatch.setenv("XRAY_CACHE_GB", wrong)
        with pytest.raises(KitError, match=f"XRAY_CACHE_GB='{wrong}' is no size"):
            cache_room.cache_limit()
        from xray_helpers import doctor

        assert "is no size" in doctor._guarded("cache folder", doctor._cache).found


def test_an_entry_with_a_file_of_somebody_elses_is_left_alone(arrays, monkeypatch):
    keep(KEY, arrays, "")
    (place() / KEY / "notes.txt").write_text("mine")
    monkeypatch.setenv("XRAY_CACHE_GB", "0.0000008")
    keep(OTHER, [np.ones(500, np.uint8)], "")
    assert cache_contents.clear() > 0
    assert names() == [KEY]
    assert (place() / KEY / "notes.txt").read_text() == "mine"


# --- the command --------------------------------------------------------------------------------


def xray(*words: str):
    return CliRunner().invoke(main, ["cache", *words])


@pytest.fixture
def everything(arrays, tmp_path) -> Path:
    """A cache folder with one of each kind, and things that are not the kit's."""
    from xray_helpers.data.generate import write_demo

    root = tmp_path / "cache"
    keep(KEY, arrays, "vgg16_to_gap, 5×512")
    (root / "jobs").mkdir()
    (root / "jobs" / f"{KEY}.json").write_text("{}")
    write_demo(root / "generated" / "smoke", per_class=1, test_per_class=1, size=32, progress=False)
    (root / "weights").mkdir()
    (root / "weights" / "vgg16.h5").write_text("weights")
    (root / "notes.txt").write_text("mine")
    (root / "jobs" / "list.txt").write_text("mine")
    (root / "generated" / "own").mkdir()
    (root / "generated" / "own" / "picture.png").write_text("mine")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "00.npy").write_text("mine")
    (root / "features" / OTHER).symlink_to(tmp_path / "elsewhere")
    return root


def test_cache_shows_kind_size_model_and_limit(everything):
    done = xray()
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert any(x.startswith("features") and "vgg16_to_gap, 5×512" in x for x in lines)
    assert {x.split()[0] for x in lines} >= {"features", "jobs", "generated", "weights"}
    assert str(everything) in done.output
    assert "10 GB (XRAY_CACHE_GB)" in done.output
    told = json.loads(xray("--json").output)
    assert told.keys() == {"folder", "limit_gb", "total_bytes", "other", "items"}
    assert {item["kind"]: item["about"] for item in told["items"]} == {
        "features": "vgg16_to_gap, 5×512",
        "jobs": "1 results",
        "generated": "drawn pictures",
        "weights": "stays with --clear",
    }
    assert told["total_bytes"] == sum(item["size"] for item in told["items"])
    assert set(told["other"]) == {"notes.txt", "jobs/list.txt", "generated/own"}


def test_clear_takes_the_kits_own_and_nothing_else(everything, tmp_path):
    sizes = {i["kind"]: i["size"] for i in json.loads(xray("--json").output)["items"]}
    done = xray("--clear", "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.output)
    assert told["freed_bytes"] == sum(sizes.values()) - sizes["weights"]
    assert set(told["left"]) == {"notes.txt", "jobs/list.txt", "generated/own"}
    left = sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*") if p.is_file())
    assert [p.as_posix() for p in left] == [
        "cache/generated/own/picture.png",
        "cache/jobs/list.txt",
        "cache/notes.txt",
        "cache/weights/vgg16.h5",
        "elsewhere/00.npy",
    ]
    assert entries() == []
    assert "Freed 0.0 MB" in xray("--clear").output


def test_clear_leaves_what_a_living_process_writes(arrays):
    part = left_over(os.getppid(), socket.gethostname())
    keep(KEY, arrays, "")
    told = json.loads(xray("--clear", "--json").output)
    assert told["left"] == [f"features/{part}"]
    assert names() == [part]


def test_no_cache_yet_and_a_cache_that_is_a_file(tmp_path):
    assert xray().exit_code == 0
    assert xray("--clear").exit_code == 0
    assert not (tmp_path / "cache").exists()
    (tmp_path / "cache").write_text("mine")
    for words in ([], ["--clear"]):
        done = xray(*words)
        assert done.exit_code == 1
        assert "is a file" in done.stderr


def test_looking_into_the_cache_imports_no_tensorflow():
    code = (
        "import sys; from click.testing import CliRunner; from xray_helpers.cli import main; "
        "assert CliRunner().invoke(main, ['cache']).exit_code == 0; "
        "print('tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr
