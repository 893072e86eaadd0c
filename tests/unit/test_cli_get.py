"""The commands that fetch, as they are typed; and whether notebooks find what they put in place."""

import hashlib
import os
import zipfile
from dataclasses import replace

import pytest
from click.testing import CliRunner
from faulty_server import running
from test_open_set import hannover, kermany  # noqa: F401 - fixtures

from xray_helpers import cli_get, doctor
from xray_helpers.cli import main
from xray_helpers.data.class_zip import class_pictures
from xray_helpers.data.dataset import find_source
from xray_helpers.data.get import known
from xray_helpers.data.get.known import COLLECTIONS, Way
from xray_helpers.models.backbones import BACKBONES
from xray_helpers.paths import cache_folder


def xray(*arguments, **options):
    return CliRunner().invoke(main, [str(a) for a in arguments], **options)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """An empty project, and the shell in it."""
    root = tmp_path / "project"
    for folder in ("notebooks", "xray_helpers"):
        (root / folder).mkdir(parents=True)
    monkeypatch.chdir(root)
    for variable in ("XRAY_DATA", "XRAY_KERMANY"):
        monkeypatch.delenv(variable, raising=False)
    return root


@pytest.fixture
def server():
    with running() as server:
        yield server


@pytest.fixture
def class_zip(tmp_path):
    path = tmp_path / "class.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in class_pictures():
            archive.writestr(f"top/{name}", name.partition("/")[2])
    return path


@pytest.fixture
def on_server(server, class_zip, monkeypatch):
    server.files["/class.zip"] = class_zip.read_bytes()
    ways = (Way("url", server.url("/class.zip")),)
    small = replace(COLLECTIONS["class"], ways=ways, download_mb=0)
    monkeypatch.setitem(known.COLLECTIONS, "class", small)
    return server


def test_where_nobody_can_be_asked_nothing_is_fetched_without_yes(project, on_server):
    done = xray("data", "get", "class")
    assert done.exit_code == 1
    assert "licence  covid: one for each picture" in done.stdout
    assert done.stderr.startswith("xray: ") and "--yes" in done.stderr
    assert on_server.asked == [] and not (project / "data").exists()


@pytest.mark.parametrize(("answer", "fetched"), [("y\n", True), ("n\n", False), ("\n", False)])
def test_at_a_terminal_it_asks(project, on_server, monkeypatch, answer, fetched):
    monkeypatch.setattr(cli_get, "is_terminal", lambda: True)
    done = xray("data", "get", "class", input=answer)
    assert done.exit_code == (0 if fetched else 1)
    assert (project / "data" / "class" / "all").is_dir() == fetched


def test_what_yes_fetched_notebooks_and_the_doctor_find(project, on_server):
    level, found = doctor._pictures()
    assert level == "note" and "`xray data get class`" in found
    done = xray("data", "get", "class", "--yes")
    assert done.exit_code == 0, done.output
    assert "454 are not the original files" in done.output
    assert find_source().root == project / "data" / "class"
    assert find_source().kind == "class"
    assert doctor._pictures()[0] == "ok"


def test_another_folder_comes_with_the_line_to_set(project, class_zip):
    done = xray("data", "get", "class", "mine", "--from", class_zip)
    assert done.exit_code == 0, done.output
    assert f"XRAY_DATA={project / 'mine'}" in done.output


def test_an_unknown_collection_is_one_sentence(project):
    done = xray("data", "get", "xray")
    assert done.exit_code == 1 and "class, kermany, hannover" in done.stderr


def test_kermanys_folder_comes_first_for_two_stages_alone(project, class_zip, kermany):  # noqa: F811
    assert xray("data", "get", "class", "--from", class_zip).exit_code == 0
    assert find_source(task="two_stage").root == project / "data" / "class"
    done = xray("data", "get", "kermany", "--from", kermany)
    assert done.exit_code == 0, done.output
    assert "XRAY_KERMANY" not in done.output
    assert find_source(task="two_stage").root == project / "data" / "kermany"
    assert find_source(task="task1").root == project / "data" / "class"


def test_the_open_set_is_built_from_what_was_got(project, kermany, hannover):  # noqa: F811
    assert xray("data", "get", "kermany", "--from", kermany).exit_code == 0
    wanted = xray("data", "build", "open", "--per-class", 8, "--test-per-class", 4)
    assert wanted.exit_code == 1 and "`xray data get hannover`" in wanted.stderr
    assert xray("data", "get", "hannover", "--from", hannover).exit_code == 0
    for said in ("is ready", "holds this set already"):
        done = xray("data", "build", "open", "--per-class", 8, "--test-per-class", 4)
        assert done.exit_code == 0, done.output
        assert said in done.output and f"XRAY_DATA={project / 'open'}" in done.output
    assert len(list((project / "open" / "two" / "train" / "covid").iterdir())) == 8


def test_weights_get(server, tmp_path, monkeypatch):
    monkeypatch.setattr("xray_helpers.models.backbones.WEIGHTS_URL", server.url(""))
    small = replace(BACKBONES["vgg16"], md5=hashlib.md5(b"small").hexdigest())
    monkeypatch.setitem(BACKBONES, "vgg16", small)
    server.files[f"/vgg16/{small.weights_file}"] = b"small"
    done = xray("weights", "get", "vgg16", "--to", tmp_path / "w")
    assert done.exit_code == 0, done.output
    assert (tmp_path / "w" / small.weights_file).read_bytes() == b"small"
    assert f"XRAY_WEIGHTS={tmp_path / 'w'}" in done.output
    done = xray("weights", "get", "vgg61")
    assert done.exit_code == 1 and "vgg16, vgg19" in done.stderr
    assert xray("weights", "get").exit_code == 2


def test_an_unfinished_download_is_shown_with_the_cache_and_cleared_when_it_is_old():
    downloads = cache_folder() / "downloads"
    downloads.mkdir(parents=True)
    part = downloads / "class-1.zip.part"
    part.write_bytes(b"half")
    assert "downloads/class-1.zip.part" in xray("cache").output
    xray("cache", "--clear")
    assert part.is_file()
    os.utime(part, (0, 0))
    xray("cache", "--clear")
    assert not downloads.exists()


def test_the_doctor_names_the_command_for_missing_weights(monkeypatch):
    monkeypatch.setattr(doctor, "reachable", lambda url: False)
    level, found = doctor._weights()
    assert level == "note" and "`xray weights get vgg16 " in found
