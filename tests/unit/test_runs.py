import json
import math
import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from xray_helpers.errors import KitError
from xray_helpers.runs import comparison, find_run, histories, list_runs, same_data, state
from xray_helpers.runs import record as record_module
from xray_helpers.runs.compare import run_name
from xray_helpers.runs.record import RunFolder, write_json, write_text


@pytest.fixture
def runs(tmp_path) -> Path:
    return tmp_path / "runs"


def new(runs: Path, task: str = "task1", name: str = "default") -> RunFolder:
    return RunFolder(runs, "01_task1", task, name, {"epochs": 3})


def on_disk(run: RunFolder) -> dict:
    return json.loads((run.folder / "run.json").read_text(encoding="utf-8"))


# --- the life of a record -----------------------------------------------------------------------


def test_a_run_is_written_as_started_then_updated_then_complete(runs):
    run = new(runs)
    first = on_disk(run)
    assert first["status"] == "started"
    assert first["finished_at"] is None
    assert first["schema"] == 1
    run.update(data={"kind": "other"})
    assert on_disk(run)["data"] == {"kind": "other"}
    assert on_disk(run)["status"] == "started"
    run.complete()
    assert on_disk(run)["status"] == "complete"
    assert on_disk(run)["finished_at"] >= first["started_at"]


def test_a_failed_run_says_why_and_may_yet_complete(runs):
    run = new(runs)
    run.fail("KitError: no")
    assert (on_disk(run)["status"], on_disk(run)["error"]) == ("failed", "KitError: no")
    run.complete()
    assert (on_disk(run)["status"], on_disk(run)["error"]) == ("complete", None)


def test_the_folders_name_tells_time_task_and_name(runs):
    import re

    name = new(runs, "task2", "resnet50").folder.name
    assert re.fullmatch(r"\d{8}T\d{6}Z-task2-resnet50-[0-9a-f]{6}", name)


def test_runs_of_the_same_second_never_share_a_folder(runs, monkeypatch):
    # So few different endings that clashes are certain.
    import random

    monkeypatch.setattr(record_module.secrets, "token_hex", lambda n: f"{random.randrange(40):06d}")
    monkeypatch.setattr(record_module, "environment", dict)
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: new(runs), range(30)))
    assert len({run.folder for run in made}) == 30


def test_the_environment_is_what_a_reader_needs(runs):
    found = on_disk(new(runs))["environment"]
    assert found["versions"]["tensorflow"].startswith("2.")
    assert found["pid"] == os.getpid()
    assert found["host"] == socket.gethostname()
    assert {"cpu", "gpus", "threads", "git_commit"} <= found.keys()


# --- files appear whole -------------------------------------------------------------------------


def test_a_write_that_fails_leaves_the_old_file_and_no_rubbish(tmp_path, monkeypatch):
    path = tmp_path / "run.json"
    write_text(path, "old")

    def half(self, content):
        with self.open("wb") as file:
            file.write(content[: len(content) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(KitError, match="No space left"):
        write_text(path, "something new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupted_write_leaves_the_old_file_and_no_rubbish(tmp_path, monkeypatch):
    path = tmp_path / "run.json"
    write_text(path, "old")

    def interrupted(self, target):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_text(path, "new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_json_has_plain_numbers_and_null_for_nan(tmp_path):
    content = {
        "nan": math.nan,
        "inf": np.float32(np.inf),
        "float32": np.float32(0.5),
        "int64": np.int64(3),
        "bool": np.bool_(True),
        "array": np.array([1.0, np.nan]),
        "tuple": (1, 2),
        "path": Path("a") / "b",
        3: "three",
    }
    write_json(tmp_path / "x.json", content)
    assert json.loads((tmp_path / "x.json").read_text()) == {
        "nan": None,
        "inf": None,
        "float32": 0.5,
        "int64": 3,
        "bool": True,
        "array": [1.0, None],
        "tuple": [1, 2],
        "path": str(Path("a") / "b"),
        "3": "three",
    }


def test_a_table_is_csv_without_row_numbers(runs):
    run = new(runs)
    run.add_table("history.csv", pd.DataFrame({"epoch": [1, 2], "loss": [0.5, 0.25]}))
    assert (run.folder / "history.csv").read_text() == "epoch,loss\n1,0.5\n2,0.25\n"


# --- all records --------------------------------------------------------------------------------


def test_runs_are_listed_oldest_first_each_with_its_folder(runs):
    for name in ("20250102T000000Z-task1-b-000002", "20250101T000000Z-task1-z-000001"):
        (runs / name).mkdir(parents=True)
        write_json(runs / name / "run.json", {"id": name, "status": "complete"})
    listed = list_runs(runs)
    assert [r["id"][:8] for r in listed] == ["20250101", "20250102"]
    assert listed[0]["folder"] == str(runs / listed[0]["id"])
    assert list_runs(runs / "nowhere") == []


@pytest.mark.parametrize(
    "text", ["", "{", '{"status": "sta', "[]", "3", "{}", '{"status": "complete"}', "\x00"]
)
def test_an_unreadable_record_is_listed_as_such(runs, text):
    new(runs)
    (runs / "bad").mkdir()
    (runs / "bad" / "run.json").write_text(text)
    listed = {r["id"]: r for r in list_runs(runs)}
    assert listed["bad"]["status"] == "unreadable"
    assert state(listed["bad"]) == "unreadable"
    assert len(listed) == 2


def test_a_started_run_is_running_while_its_process_lives(runs):
    assert state(new(runs).record) == "running"


def test_a_started_run_of_a_dead_process_is_interrupted(runs):
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    run = new(runs)
    run.record["environment"]["pid"] = child.pid
    assert state(run.record) == "interrupted"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc here")
def test_a_killed_process_that_nobody_waited_for_is_dead(runs):
    child = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    child.stdout.read()  # ends when the child does
    status = Path(f"/proc/{child.pid}/status")
    while "\nState:\tZ" not in status.read_text():
        pass
    run = new(runs)
    run.record["environment"]["pid"] = child.pid
    assert state(run.record) == "interrupted"
    child.wait()


def test_a_run_on_another_machine_is_not_called_dead(runs):
    run = new(runs)
    run.record["environment"] |= {"host": "far-away", "pid": 1}
    assert state(run.record) == "started on far-away"
    run.complete()
    assert state(run.record) == "complete"


def test_a_run_is_found_by_a_part_of_its_id_that_no_other_has(runs):
    first, second = new(runs, "task1"), new(runs, "task2")
    assert find_run(runs, "task2")["id"] == second.folder.name
    assert find_run(runs, first.folder.name[-6:])["id"] == first.folder.name
    with pytest.raises(KitError, match="part of 2 run ids"):
        find_run(runs, "default")
    with pytest.raises(KitError, match=r"No run in .* has 'task9'.*" + second.folder.name):
        find_run(runs, "task9")


def test_a_whole_id_wins_over_longer_ones_that_contain_it(runs):
    for name in ("a", "ab"):
        (runs / name).mkdir(parents=True)
        write_json(runs / name / "run.json", {"id": name, "status": "complete"})
    assert find_run(runs, "a")["id"] == "a"


# --- comparison ---------------------------------------------------------------------------------


def a_record(name: str, **changes) -> dict:
    record = {
        "id": f"20250101T000000Z-task1-{name}-00{name}",
        "status": "complete",
        "task": "task1",
        "folder": "/nowhere",
        "marks": ["random weights"],
        "data": {"fingerprint": "one"},
        "model": {
            "recipe": "t1-default",
            "backbone": "vgg16",
            "changed": {"backbone": "vgg16", "dropout": 0.5},
            "weights": "random",
            "parameters": {"total": 30, "trainable": 20, "non_trainable": 10},
            "megabytes": 1.5,
        },
        "training": {
            "epochs": 7,
            "cached": True,
            "train": {"loss": 0.1, "accuracy": 0.875},
            "validation": {"loss": 0.2, "accuracy": 0.625},
            "seconds": {
                "uncached_epoch": 9.0,
                "uncached_step": 0.9,
                "median_epoch": 0.25,
                "total": 33.0,
            },
        },
        "test": {"loss": 0.6, "accuracy": {"value": 0.5, "low": 0.3, "high": 0.7, "n": 18}},
    }
    return record | changes


def test_the_comparison_holds_what_the_records_say():
    (row,) = comparison([a_record("aaaa")]).to_dict("records")
    assert row == {
        "run": "t1-default vgg16 dropout=0.5 #aaaa",
        "weights": "random",
        "parameters": 30,
        "trainable": 20,
        "megabytes": 1.5,
        "epochs": 7,
        "s/epoch uncached": 9.0,
        "s/step uncached": 0.9,
        "s/epoch cached": 0.25,
        "s in total": 33.0,
        "train accuracy": 0.875,
        "validation accuracy": 0.625,
        "gap": 0.25,
        "test accuracy": 0.5,
        "low": 0.3,
        "high": 0.7,
        "n": 18,
        "test loss": 0.6,
        "mark": "random weights",
        "reference": False,
    }


def test_an_uncached_run_has_no_cached_epoch():
    record = a_record("aaaa")
    record["training"]["cached"] = False
    assert comparison([record])["s/epoch cached"].isna().all()


def test_only_complete_tested_runs_on_the_same_pictures_are_compared():
    others = [
        a_record("bbbb", status="failed"),
        a_record("cccc", status="started"),
        a_record("dddd", data={"fingerprint": "two"}),
        {k: v for k, v in a_record("eeee").items() if k != "test"},
        {"id": "x", "status": "unreadable", "folder": "/nowhere"},
    ]
    mine = a_record("aaaa")
    assert same_data([mine, *others], "one") == [mine]
    current = others[1]
    assert same_data([mine, *others], "one", current) == [mine, current]


def test_a_model_of_ones_own_has_a_name_too():
    record = a_record("aaaa")
    record["model"] |= {"recipe": "my-network", "backbone": None, "changed": {}}
    assert run_name(record) == "my-network #aaaa"


def test_runs_that_differ_by_their_enhancement_differ_by_name():
    plain, older = a_record("aaaa", settings={"enhance": ""}), a_record("aaaa", settings={})
    enhanced = a_record("aaaa", settings={"enhance": "crop,clahe"})
    assert run_name(plain) == run_name(older) == "t1-default vgg16 dropout=0.5 #aaaa"
    assert run_name(enhanced) == "t1-default vgg16 dropout=0.5 enhance=crop,clahe #aaaa"


def test_runs_that_differ_by_xla_or_precision_differ_by_name():
    usual = a_record("aaaa", settings={"xla": False, "precision": "float32"})
    assert run_name(usual) == "t1-default vgg16 dropout=0.5 #aaaa"
    faster = a_record("aaaa", settings={"xla": True, "precision": "mixed_bfloat16"})
    changed = "xla=True precision=mixed_bfloat16"
    assert run_name(faster) == f"t1-default vgg16 dropout=0.5 {changed} #aaaa"


@pytest.mark.parametrize(("settings", "used"), [({}, ""), ({"enhance": "clahe"}, "clahe")])
def test_a_run_is_loaded_with_its_own_enhancement_also_from_an_older_record(
    tmp_path, monkeypatch, new_data, settings, used
):
    from xray_helpers.quiet_import import keras
    from xray_helpers.runs import models

    asked = {}

    def load_data(task, source, **options):
        asked.update(options)
        return new_data()

    monkeypatch.setattr(models, "load_data", load_data)
    monkeypatch.setattr(keras.models, "load_model", lambda *args, **options: None)
    settings = {"image_size": 32, "seed": 1, "leaks": "keep"} | settings
    data = {"root": str(tmp_path), "fingerprint": new_data().fingerprint}
    models.load_run(a_record("aaaa", settings=settings, data=data))
    assert asked["enhance"] == used


def test_histories_are_those_on_disk(tmp_path):
    (tmp_path / "history.csv").write_text("epoch,loss\n1,0.5\n")
    found = histories([a_record("aaaa", folder=str(tmp_path)), a_record("bbbb")])
    assert list(found) == ["t1-default vgg16 dropout=0.5 #aaaa"]
    assert found["t1-default vgg16 dropout=0.5 #aaaa"]["loss"].tolist() == [0.5]
