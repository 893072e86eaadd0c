import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from xray_helpers import paths
from xray_helpers.cli import main
from xray_helpers.runs.record import write_json


def xray(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments])


def python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ)
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# --- what is imported ---------------------------------------------------------------------------

HEAVY = "print([m for m in ('tensorflow', 'keras', 'sklearn', 'matplotlib') if m in sys.modules])"


def test_importing_the_kit_and_asking_for_help_imports_nothing_heavy():
    assert python(f"import sys, xray_helpers, xray_helpers.cli; {HEAVY}").strip() == "[]"
    code = f"""
import sys
from click.testing import CliRunner
from xray_helpers.cli import main
for words in (["--help"], ["data", "--help"], ["recipes"], ["recipes", "t1-cnn"], ["runs"]):
    assert CliRunner().invoke(main, words).exit_code == 0, words
{HEAVY}
"""
    assert python(code).strip() == "[]"


def test_checking_settings_imports_no_tensorflow():
    code = (
        "import sys; from xray_helpers.settings.check import check_settings; "
        "from xray_helpers.data import load_data; from xray_helpers.models import choose_recipe; "
        "check_settings('02_task2', {}); print('tensorflow' in sys.modules)"
    )
    assert python(code).strip() == "False"


# --- exit codes ---------------------------------------------------------------------------------


def test_wrong_usage_exits_with_2():
    for words in (["nonsense"], ["compare"], ["data", "demo"], ["runs", "--what"]):
        assert xray(*words).exit_code == 2, words


def test_no_runs_yet_is_no_error(tmp_path):
    done = xray("runs")
    assert done.exit_code == 0
    assert "No runs in" in done.output
    assert xray("runs", "--json").output.strip() == "[]"


def test_an_unknown_run_is_one_sentence_and_1():
    done = xray("compare", "abc")
    assert done.exit_code == 1
    assert done.stderr.startswith("xray: No run in ")
    assert done.stderr.count("\n") == 1


def complete(runs: Path, name: str, **changes) -> None:
    from test_runs import a_record

    (runs / name).mkdir(parents=True)
    record = a_record("aaaa", id=name, **changes)
    del record["folder"]
    write_json(runs / name / "run.json", record)


def test_runs_are_listed_with_how_each_ended(tmp_path):
    runs = tmp_path / "runs"
    complete(runs, "2025-a")
    complete(runs, "2025-b", status="failed", error="KitError: first line\nsecond")
    complete(runs, "2025-c", status="failed", error=None)
    (runs / "2025-d").mkdir()
    (runs / "2025-d" / "run.json").write_text("{")
    done = xray("runs")
    assert done.exit_code == 0, done.output
    a, b, c, d = done.output.splitlines()
    assert "complete" in a
    assert "test accuracy 0.500 (0.300 to 0.700, n = 18)  [random weights]" in a
    assert "KitError: first line" in b
    assert "second" not in b
    assert c.split() == ["2025-c", "failed"]
    assert "unreadable" in d
    listed = json.loads(xray("runs", "--json").output)
    assert [r["state"] for r in listed] == ["complete", "failed", "failed", "unreadable"]


def test_compare_puts_runs_side_by_side(tmp_path):
    runs = tmp_path / "runs"
    complete(runs, "2025-a")
    complete(runs, "2025-b")
    done = xray("compare", "2025-a", "2025-b")
    assert done.exit_code == 0, done.output
    assert "test accuracy" in done.output
    assert "#25-a" in done.output
    assert "#25-b" in done.output


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"status": "started"}, "has no test result"),
        ({"data": {"fingerprint": "two"}}, "cannot be compared"),
        ({"task": "task2"}, "cannot be compared"),
    ],
)
def test_what_cannot_be_compared_is_refused(tmp_path, changes, said):
    complete(tmp_path / "runs", "2025-a")
    complete(tmp_path / "runs", "2025-b", **changes)
    done = xray("compare", "2025-a", "2025-b")
    assert done.exit_code == 1
    assert said in done.stderr


def test_recipes_fit_on_one_screen_a_line_each_the_default_first():
    from xray_helpers.models.recipes import RECIPES

    lines = xray("recipes").output.splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 110
    named = [line for line in lines if line.split(" ")[0] in RECIPES]
    assert len(named) == len(RECIPES) == 26
    for task in ("t1", "t2"):
        mine = [line for line in named if line.startswith(task)]
        assert mine[0].startswith(f"{task}-default") and "start here" in mine[0]
        assert not any("start here" in line for line in mine[1:])
    (line,) = [line for line in named if line.startswith("t2-resnet50-last3")]
    assert line.split() == ["t2-resnet50-last3", "report", "A", "resnet50", "flatten,", "256",
                            "head,", "last", "3", "0.27"]  # fmt: skip


def test_the_reported_test_accuracy_is_the_one_in_the_reported_text():
    from xray_helpers.models.recipes import RECIPES

    for recipe in RECIPES.values():
        if recipe.reported_test:
            assert recipe.reported_test in recipe.reported
        else:
            assert "test" not in (recipe.reported or "")


def test_one_recipe_with_everything_that_is_known_of_it():
    said = xray("recipes", "t2-resnet50-last3").output
    for text in (
        "papermill 02_task2.ipynb out.ipynb -p recipe t2-resnet50-last3",
        "flatten > dense256 relu > dense4 softmax",
        "Reported: test accuracy 0.27.",
        "chosen here: 40 epochs; batch 10",
        "The report says the last 4 of 175 layers",
        "none in this head",
    ):
        assert text in said
    settings = {line.split()[0]: line.split()[-1] for line in said.splitlines() if line.strip()}
    assert (settings["optimizer"], settings["learning_rate"]) == ("rmsprop", "0.0001")
    assert (settings["unfreeze"], settings["schedule"]) == ("3", "constant")


@pytest.mark.parametrize("name", ["t1-default", "t2-vgg16-last2", "t1-cnn"])
def test_a_recipes_page_names_every_part_that_is_a_setting(name):
    from dataclasses import fields

    from xray_helpers.models.recipe import Recipe
    from xray_helpers.settings import TaskSettings

    said = xray("recipes", name).output
    parts = {f.name for f in fields(Recipe)} & set(TaskSettings.model_fields)
    assert parts <= {line.split()[0] for line in said.splitlines() if line.strip()}


def test_an_unknown_recipe_gets_the_nearest_ones():
    done = xray("recipes", "t2-resnet50-last4")
    assert done.exit_code == 1
    assert "did you mean t2-resnet50-last3" in done.stderr


def test_recipes_as_json():
    (one,) = json.loads(xray("recipes", "t1-default", "--json").output)
    assert (one["name"], one["task"]) == ("t1-default", "task1")
    listed = json.loads(xray("recipes", "--json").output)
    by_name = {r["name"]: r for r in listed}
    assert {"t1-default", "t2-default"} <= by_name.keys()
    for recipe in listed:
        assert recipe.keys() == {
            *("name", "task", "backbone", "total", "trainable", "non_trainable"),
            *("report", "reported"),
        }
    assert by_name["t2-default"]["trainable"] == 133380


# --- data ---------------------------------------------------------------------------------------


def test_demo_draws_a_folder_that_check_finds_nothing_wrong_with(tmp_path):
    folder = tmp_path / "demo"
    done = xray("data", "demo", folder, "--per-class", 3, "--test-per-class", 2)
    assert done.exit_code == 0, done.output
    assert len(list((folder / "all" / "train" / "covid").iterdir())) == 3
    found = xray("data", "check", folder, "--json")
    assert found.exit_code == 0, found.output
    assert all(f["severity"] != "error" for f in json.loads(found.output)["findings"])
    again = xray("data", "demo", folder, "--seed", 1, "--per-class", 3)
    assert again.exit_code == 1
    assert "another set" in again.stderr


def test_check_exits_with_1_when_a_test_picture_was_trained_on(tmp_path):
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        for label in ("covid", "normal"):
            folder = tmp_path / "two" / split / label
            folder.mkdir(parents=True)
            for i in range(3):
                noise = rng.integers(0, 256, (32, 32), dtype=np.uint8)
                Image.fromarray(noise).save(folder / f"{split}{label}{i}.png")
    clean = xray("data", "check", tmp_path, "--json")
    assert clean.exit_code == 0, clean.output
    leak = tmp_path / "two" / "test" / "covid" / "again.png"
    leak.write_bytes((tmp_path / "two" / "train" / "covid" / "traincovid0.png").read_bytes())
    done = xray("data", "check", tmp_path, "--json")
    assert done.exit_code == 1
    errors = [f for f in json.loads(done.output)["findings"] if f["severity"] == "error"]
    assert any("two/test/covid/again.png" in f["paths"] for f in errors)
    assert all(f.keys() >= {"kind", "severity", "message", "paths"} for f in errors)


def test_check_of_a_folder_that_is_nowhere_is_one_sentence(tmp_path):
    done = xray("data", "check", tmp_path / "nowhere")
    assert done.exit_code == 1
    assert done.stderr.startswith("xray: ")


# --- the doctor ---------------------------------------------------------------------------------


@pytest.fixture
def no_network(monkeypatch):
    from xray_helpers import doctor

    monkeypatch.setattr(doctor, "reachable", lambda url: False)


def test_the_doctor_looks_at_everything_and_changes_nothing(no_network, tmp_path, monkeypatch):
    from xray_helpers.doctor import examine

    monkeypatch.delenv("XRAY_DATA", raising=False)
    checks = {check.what: check for check in examine()}
    assert {"Python", "packages", "TensorFlow", "pictures", "weights", "Jupyter kernel"} <= set(
        checks
    )
    assert all(c.level in ("ok", "note", "problem") and c.found for c in checks.values())
    assert checks["weights"].level == "note"
    assert "vgg16" in checks["weights"].found
    assert not (tmp_path / "cache").exists()
    assert not (tmp_path / "runs").exists()


def test_the_doctor_names_a_data_folder_that_is_nowhere(no_network, monkeypatch, tmp_path):
    from xray_helpers import doctor

    monkeypatch.setenv("XRAY_DATA", str(tmp_path / "nowhere"))
    check = doctor._guarded("pictures", doctor._pictures)
    assert check.level == "problem"
    assert "nowhere" in check.found


def test_the_doctors_verdict_is_the_exit_code(monkeypatch):
    from xray_helpers import doctor

    well = [doctor.Check("Python", "ok", "3"), doctor.Check("weights", "note", "none")]
    monkeypatch.setattr(doctor, "examine", lambda: well)
    assert xray("doctor").exit_code == 0
    monkeypatch.setattr(doctor, "examine", lambda: [*well, doctor.Check("x", "problem", "bad")])
    done = xray("doctor")
    assert done.exit_code == 1
    assert "PROBLEM" in done.output


# --- paths --------------------------------------------------------------------------------------


def test_relative_paths_count_from_the_projects_root(tmp_path, monkeypatch):
    inside = tmp_path / "project" / "notebooks" / "deep"
    inside.mkdir(parents=True)
    (tmp_path / "project" / "xray_helpers").mkdir()
    monkeypatch.chdir(inside)
    assert paths.project_root() == tmp_path / "project"
    assert paths.resolve("data") == tmp_path / "project" / "data"
    assert paths.resolve(tmp_path / "x") == tmp_path / "x"
    assert paths.resolve("~/x") == Path.home() / "x"


def test_outside_a_project_it_is_the_one_the_package_is_installed_from(tmp_path):
    assert paths.project_root(tmp_path) == Path(paths.__file__).resolve().parents[1]


def test_environment_variables_name_the_folders(monkeypatch, tmp_path):
    root = paths.project_root()
    monkeypatch.setenv("XRAY_RUNS", "some/runs")
    monkeypatch.setenv("XRAY_CACHE", str(tmp_path / "c"))
    assert paths.runs_folder() == root / "some" / "runs"
    assert paths.runs_folder("other") == root / "other"
    assert paths.cache_folder() == tmp_path / "c"
    monkeypatch.delenv("XRAY_RUNS")
    monkeypatch.delenv("XRAY_CACHE")
    assert paths.runs_folder() == root / "runs"
    assert paths.cache_folder() == root / "cache"
