"""Where weights come from. Nothing here meets the network beyond this machine."""

import hashlib
import socket
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from faulty_server import running

from xray_helpers.errors import KitError
from xray_helpers.fetch import Patience
from xray_helpers.models import find_weights, weights
from xray_helpers.models.backbones import BACKBONES, PRETRAINED
from xray_helpers.models.weights import _download, find_file, get_weights
from xray_helpers.network import reachable

CONTENT = b"weights of a very small network" * 1000
QUICK = Patience(connect=2, stall=0.3, tries=2, pause=0)


@pytest.fixture(autouse=True)
def vgg16(monkeypatch):
    """VGG16 with a weights file of a few bytes, and a world without network."""
    small = replace(BACKBONES["vgg16"], md5=hashlib.md5(CONTENT).hexdigest())
    monkeypatch.setitem(BACKBONES, "vgg16", small)
    monkeypatch.setattr(weights, "reachable", lambda url, seconds=3.0: False)
    return small


@pytest.fixture
def no_download(monkeypatch):
    def refuse(*args, **options):
        raise AssertionError("nothing is to be fetched here")

    monkeypatch.setattr(weights, "_download", refuse)


def put(folder: Path, content: bytes = CONTENT) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / BACKBONES["vgg16"].weights_file
    path.write_bytes(content)
    return path


# --- looking for a file -------------------------------------------------------------------------


@pytest.mark.parametrize("setting", ["auto", "imagenet"])
@pytest.mark.parametrize("place", ["XRAY_WEIGHTS", "KERAS_HOME", "cache"])
def test_the_file_is_found_where_it_may_lie(place, setting, tmp_path, monkeypatch, no_download):
    folder = tmp_path / "somewhere"
    if place == "XRAY_WEIGHTS":
        monkeypatch.setenv("XRAY_WEIGHTS", str(folder))
        path = put(folder)
    elif place == "KERAS_HOME":
        monkeypatch.setenv("KERAS_HOME", str(folder))
        path = put(folder / "models")
    else:
        path = put(tmp_path / "cache" / "weights")
    found = find_weights("vgg16", setting)
    assert (found.kind, found.file, found.note) == ("imagenet", path, "")


def test_a_folder_of_ones_own_comes_first(tmp_path, monkeypatch):
    monkeypatch.setenv("XRAY_WEIGHTS", str(tmp_path / "mine"))
    put(tmp_path / "cache" / "weights")
    mine = put(tmp_path / "mine")
    assert find_file(BACKBONES["vgg16"]) == mine


def test_a_file_with_the_wrong_md5_is_refused_by_name(tmp_path):
    path = put(tmp_path / "cache" / "weights", CONTENT[:-1])
    with pytest.raises(KitError) as caught:
        find_weights("vgg16", "auto")
    assert str(path) in str(caught.value)
    assert hashlib.md5(CONTENT[:-1]).hexdigest() in str(caught.value)
    assert BACKBONES["vgg16"].md5 in str(caught.value)


def test_imagenet_without_file_or_network_says_which_file_goes_where(tmp_path):
    with pytest.raises(KitError) as caught:
        find_weights("vgg16", "imagenet")
    said = str(caught.value)
    info = BACKBONES["vgg16"]
    for part in (info.weights_file, info.md5, info.weights_url, str(tmp_path / "keras" / "models")):
        assert part in said


def test_auto_without_file_or_network_falls_back_to_random_weights_with_a_note():
    found = find_weights("vgg16", "auto")
    assert (found.kind, found.file) == ("random", None)
    assert "not a result" in found.note


def test_random_is_taken_at_its_word(tmp_path, no_download):
    put(tmp_path / "cache" / "weights")
    assert find_weights("vgg16", "random").kind == "random"


def test_a_path_is_taken_or_refused(tmp_path, no_download):
    path = put(tmp_path, b"anything")
    found = find_weights("vgg16", str(path))
    assert (found.kind, found.file) == (str(path), path)
    with pytest.raises(KitError, match=r"there is no file .*missing\.h5"):
        find_weights("vgg16", str(tmp_path / "missing.h5"))


@pytest.mark.parametrize("setting", ["auto", "random"])
def test_the_kits_own_network_starts_from_scratch(setting, no_download):
    found = find_weights("cnn", setting)
    assert (found.kind, found.note) == ("none", "")


def test_the_kits_own_network_has_no_imagenet_weights(no_download):
    with pytest.raises(KitError, match="trained from scratch"):
        find_weights("cnn", "imagenet")


def test_the_checksums_are_those_of_keras():
    """Keras's own code names the same files."""
    import inspect

    from xray_helpers.quiet_import import keras

    for name, module in (
        ("vgg19", "vgg19"),
        ("resnet50", "resnet"),
        ("inception_v3", "inception_v3"),
        ("inception_resnet_v2", "inception_resnet_v2"),
        ("xception", "xception"),
    ):
        source = inspect.getsource(
            inspect.getmodule(getattr(keras.applications, module).decode_predictions)
        )
        assert BACKBONES[name].md5 in source


# --- the network --------------------------------------------------------------------------------


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_a_closed_port_is_not_reachable_and_an_open_one_is():
    assert not reachable(f"http://127.0.0.1:{closed_port()}/x")
    with socket.socket() as open_port:
        open_port.bind(("127.0.0.1", 0))
        open_port.listen()
        assert reachable(f"http://127.0.0.1:{open_port.getsockname()[1]}/x")


def test_a_name_server_that_does_not_answer_costs_no_more_than_the_limit(monkeypatch):
    stop = threading.Event()
    monkeypatch.setattr(
        socket, "create_connection", lambda *a, **k: (stop.wait(20), socket.socket())[1]
    )
    started = time.perf_counter()
    assert not reachable("https://example.invalid/x", seconds=0.3)
    assert time.perf_counter() - started < 2
    stop.set()
    time.sleep(0.05)  # the thread ends while the patch holds


@pytest.fixture
def server():
    with running() as server:
        server.files["/whole"] = CONTENT
        server.files["/other"] = b"something else"
        yield server


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(weights, "reachable", reachable)
    monkeypatch.setenv("XRAY_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights"


def test_a_download_appears_whole(server, folder, vgg16):
    path = _download(vgg16, server.url("/whole"), QUICK)
    assert path == folder / vgg16.weights_file
    assert path.read_bytes() == CONTENT
    assert list(folder.iterdir()) == [path]
    assert find_file(vgg16) == path


@pytest.mark.parametrize("what", ["other", "missing"])
def test_a_download_that_fails_leaves_nothing_and_raises_nothing(server, folder, vgg16, what):
    assert _download(vgg16, server.url(f"/{what}"), QUICK) is None
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("fault", ["cut", "stall"])
def test_a_download_that_breaks_ends_and_is_gone_on_with_next_time(server, folder, vgg16, fault):
    server.faults["/whole"] = [fault, fault]
    assert _download(vgg16, server.url("/whole"), QUICK) is None
    assert [path.name for path in folder.iterdir()] == [f"{vgg16.weights_file}.part"]
    assert find_file(vgg16) is None
    assert _download(vgg16, server.url("/whole"), QUICK).read_bytes() == CONTENT
    assert server.ranges("/whole")[-1].startswith("bytes=")


def test_nothing_is_downloaded_from_a_closed_port(folder, vgg16):
    assert _download(vgg16, f"http://127.0.0.1:{closed_port()}/x") is None
    assert not folder.exists()


def test_a_folder_that_cannot_be_written_is_passed_over(server, folder, vgg16, tmp_path):
    folder.write_text("a file where the folder should be")
    path = _download(vgg16, server.url("/whole"), QUICK)
    assert path == tmp_path / "keras" / "models" / vgg16.weights_file
    assert path.read_bytes() == CONTENT


# --- xray weights get ---------------------------------------------------------------------------


@pytest.fixture
def from_server(server, monkeypatch):
    """All backbones' weights are the same few bytes, on a server of this machine."""
    monkeypatch.setattr("xray_helpers.models.backbones.WEIGHTS_URL", server.url(""))
    for name in PRETRAINED:
        small = replace(BACKBONES[name], md5=hashlib.md5(CONTENT).hexdigest())
        monkeypatch.setitem(BACKBONES, name, small)
        server.files[f"/{name}/{small.weights_file}"] = CONTENT
    return server


def get(*names, to=None) -> str:
    lines = []
    get_weights(names, to, say=lines.append, progress=False, patience=QUICK)
    return "\n".join(lines)


def test_weights_are_put_where_notebooks_find_them(from_server, tmp_path):
    said = get("vgg16", "xception")
    folder = tmp_path / "keras" / "models"
    for name in ("vgg16", "xception"):
        assert find_weights(name, "imagenet").file == folder / BACKBONES[name].weights_file
    assert str(folder) in said and "XRAY_WEIGHTS" not in said
    assert len(list(folder.iterdir())) == 2


def test_all_is_every_backbone_that_has_weights(from_server, tmp_path):
    get("all")
    assert all(find_file(BACKBONES[name]) for name in PRETRAINED)


def test_a_folder_that_notebooks_do_not_search_comes_with_the_line_to_set(from_server, tmp_path):
    said = get("vgg16", to=tmp_path / "mine")
    assert f"XRAY_WEIGHTS={tmp_path / 'mine'}" in said
    assert (tmp_path / "mine" / BACKBONES["vgg16"].weights_file).read_bytes() == CONTENT


def test_a_right_file_is_kept_and_a_wrong_one_refused(from_server, tmp_path):
    path = put(tmp_path / "mine")
    assert "is there" in get("vgg16", to=tmp_path / "mine")
    assert from_server.asked == []
    path.write_bytes(b"half")
    with pytest.raises(KitError) as caught:
        get("vgg16", to=tmp_path / "mine")
    for part in (str(path), hashlib.md5(b"half").hexdigest(), BACKBONES["vgg16"].md5):
        assert part in str(caught.value)
    assert path.read_bytes() == b"half"


@pytest.mark.parametrize("fault", ["404", "403", "page"])
def test_weights_that_cannot_be_had_say_where_to_put_them_by_hand(from_server, tmp_path, fault):
    info = BACKBONES["vgg16"]
    from_server.faults[f"/vgg16/{info.weights_file}"] = [fault] * 3
    with pytest.raises(KitError) as caught:
        get("vgg16", to=tmp_path / "mine")
    said = str(caught.value)
    assert info.weights_url in said and f"put it into {tmp_path / 'mine'}" in said
    assert list((tmp_path / "mine").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "said"), [("cnn", "trained from scratch"), ("vgg", "one of vgg16, vgg19")]
)
def test_backbones_without_weights_are_refused(name, said):
    with pytest.raises(KitError, match=said):
        get("vgg16", name)
