import json
from pathlib import Path
from types import SimpleNamespace

import matplotlib.figure
import pandas as pd
import pytest

from xray_helpers import page, session
from xray_helpers.data import Source
from xray_helpers.errors import KitError
from xray_helpers.injected import injected_names
from xray_helpers.session import begin
from xray_helpers.settings import NOTEBOOKS

PARAMETERS = "recipe = None\nepochs = None\nruns_dir = 'auto'\nsmoke = False\n"


@pytest.fixture(autouse=True)
def fresh_kernel(monkeypatch):
    monkeypatch.setattr(session, "_open", None)


@pytest.fixture
def pictures(tmp_path) -> Path:
    """A folder that exists; nobody reads it here."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    return folder


def records(tmp_path: Path) -> list[dict]:
    return [json.loads(p.read_text()) for p in sorted((tmp_path / "runs").glob("*/run.json"))]


# --- what papermill passed ----------------------------------------------------------------------


def names(*cells: str) -> set[str]:
    return injected_names({"In": ["", *cells]})


def test_names_in_papermills_cell_are_found():
    assert names(PARAMETERS, "# Parameters\nepochs = 3\nbakcbone = 'cnn'\n") == {
        "epochs",
        "bakcbone",
    }


def test_papermills_cell_counts_also_when_it_sets_what_marks_the_parameters_cell():
    injected = "# Parameters\nruns_dir = 'x'\nsmoke = True\nepoch = 3\n"
    assert names(PARAMETERS, injected) == {"runs_dir", "smoke", "epoch"}


def test_the_latest_of_several_injected_cells_counts():
    assert names(PARAMETERS, "# Parameters\na = 1\n", "# Parameters\nb = 1\n") == {"b"}


def test_parameters_run_again_by_hand_end_what_papermill_said():
    assert names(PARAMETERS, "# Parameters\nepohcs = 3\n", PARAMETERS) == set()


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_the_parameters_cell_of_every_notebook_is_known_as_such(notebook):
    path = Path(__file__).parents[2] / "notebooks" / f"{notebook}.ipynb"
    (cell,) = [
        "".join(cell["source"])
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
        if "parameters" in cell["metadata"].get("tags", [])
    ]
    assert names(cell, "# Parameters\nepohcs = 3\n", cell) == set()
    assert names(cell, "# Parameters\nepohcs = 3\n") == {"epohcs"}


def test_other_variables_and_cells_with_magics_raise_no_false_alarm():
    cells = ("%matplotlib inline", "!ls", "my_variable = 3", "def f(:")
    assert names(*cells, PARAMETERS, *cells) == set()
    assert names(PARAMETERS, "# Parameters\nepochs = 3\n", *cells) == {"epochs"}


def test_without_ipython_nothing_was_injected():
    assert injected_names({}) == set()


# --- begin --------------------------------------------------------------------------------------


def test_begin_opens_a_run_in_a_plain_namespace(tmp_path, pictures, capsys):
    run = begin("02_task2", {"data_dir": str(pictures), "backbone": "cnn", "other": object()})
    assert run.task == "task2"
    assert run.recipe.backbone == "cnn"
    assert run.source == Source(pictures, "other")
    assert run.marks == []
    assert run.mark == ""
    (record,) = records(tmp_path)
    assert record["status"] == "started"
    assert record["settings"]["backbone"] == "cnn"
    assert record["id"] == run.folder.name
    assert "-task2-cnn-" in record["id"]
    said = capsys.readouterr().out
    assert str(run.folder) in said
    assert "backbone=cnn" in said


def test_the_folder_bears_the_recipes_name_when_one_is_named(pictures):
    run = begin("01_task1", {"data_dir": str(pictures), "recipe": "t1-default", "epochs": 3})
    assert "-task1-t1-default-" in run.folder.name


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"epochs": -3}, "epochs=-3"),
        ({"recipe": "t1-default"}, "belongs to task1"),
        ({"recipe": "t3"}, "unknown"),
        ({"backbone": "inception_v3", "image_size": 64}, "too small"),
        ({"In": ["", PARAMETERS, "# Parameters\nepohcs = 3\n"]}, "did you mean 'epochs'?"),
    ],
)
def test_refused_settings_leave_a_failed_record(tmp_path, pictures, values, said):
    with pytest.raises(KitError, match=said.replace("?", r"\?")):
        begin("02_task2", {"data_dir": str(pictures), **values})
    (record,) = records(tmp_path)
    assert record["status"] == "failed"
    assert said in record["error"]
    assert record["task"] == "task2"
    assert record["finished_at"] is not None
    assert "In" not in record["settings"]


def test_the_mistake_in_the_settings_is_told_even_where_no_record_can_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(KitError, match="epochs=0"):
        begin("02_task2", {"runs_dir": str(tmp_path / "file"), "epochs": 0})


def test_a_runs_folder_that_is_a_file_is_one_sentence(tmp_path, pictures):
    (tmp_path / "file").write_text("")
    with pytest.raises(KitError, match="runs_dir: "):
        begin("02_task2", {"runs_dir": str(tmp_path / "file"), "data_dir": str(pictures)})


def test_a_data_folder_that_is_nowhere_leaves_a_failed_record(tmp_path):
    with pytest.raises(KitError, match="there is no folder"):
        begin("01_task1", {"data_dir": str(tmp_path / "nowhere")})
    (record,) = records(tmp_path)
    assert record["status"] == "failed"
    assert "nowhere" in record["error"]


def test_a_notebook_without_a_model_keeps_no_record(tmp_path, pictures):
    run = begin("00_start_here", {"data_dir": str(pictures), "task": "task1"})
    assert run.record is None
    assert run.recipe is None
    assert run.task == "task1"
    run.complete()
    with pytest.raises(KitError):
        begin("00_start_here", {"seed": -1})
    assert records(tmp_path) == []


def test_a_run_begun_again_in_the_same_kernel_fails_the_earlier_one(tmp_path, pictures):
    first = begin("01_task1", {"data_dir": str(pictures)})
    second = begin("01_task1", {"data_dir": str(pictures)})
    states = {record["id"]: record for record in records(tmp_path)}
    assert states[first.folder.name]["status"] == "failed"
    assert "again" in states[first.folder.name]["error"]
    assert states[second.folder.name]["status"] == "started"


def test_a_complete_run_stays_complete_when_the_next_begins(tmp_path, pictures):
    first = begin("01_task1", {"data_dir": str(pictures)})
    first.record.update(data={}, model={}, training={}, test={})
    first.complete()
    begin("01_task1", {"data_dir": str(pictures)})
    assert first.record.record["status"] == "complete"
    assert [r["status"] for r in records(tmp_path)].count("complete") == 1


# --- a run --------------------------------------------------------------------------------------


@pytest.fixture
def run(pictures):
    return begin("01_task1", {"data_dir": str(pictures)})


def test_complete_refuses_while_parts_are_missing(run):
    run.record.update(data={}, model={})
    with pytest.raises(KitError, match="no training, test yet"):
        run.complete()
    assert run.record.record["status"] == "started"
    run.record.update(training={}, test={})
    run.complete()
    assert run.record.record["status"] == "complete"


def test_generated_pictures_and_smoke_runs_are_marked(tmp_path, monkeypatch, capsys):
    source = Source(tmp_path, "generated", "Drawn by a program.")
    monkeypatch.setattr(session, "find_source", lambda *a, **k: source)
    run = begin("01_task1", {"smoke": True})
    assert run.marks == ["smoke run", "generated pictures"]
    assert run.mark == "smoke run · generated pictures: not a result"
    assert "Drawn by a program." in capsys.readouterr().out
    assert records(tmp_path)[0]["marks"] == run.marks


def test_random_weights_are_marked_once(run, monkeypatch):
    import xray_helpers.models.describe as describe_module
    import xray_helpers.models.graph as graph

    def describe(model, recipe, weights, shape):
        return {"weights": weights, "notes": []}

    monkeypatch.setattr(describe_module, "describe", describe)
    monkeypatch.setattr(graph, "is_graph", lambda model: False)
    random = SimpleNamespace(kind="random", note="Nothing learnt.")
    run.record_model(None, run.recipe, random)
    run.record_model(None, run.recipe, random)
    assert run.record.record["marks"] == ["random weights"]
    assert run.record.record["model"]["weights"] == "random"


def test_a_complete_record_never_mixes_two_models(run, tmp_path, monkeypatch):
    import xray_helpers.models.describe as describe_module
    import xray_helpers.models.graph as graph

    monkeypatch.setattr(describe_module, "describe", lambda *facts: {"notes": []})
    monkeypatch.setattr(graph, "is_graph", lambda model: False)
    run.record.update(data={}, model={}, training={}, test={})
    run.complete()
    plan = run.recipe
    run.record_model(None, plan, SimpleNamespace(kind="none"))  # the cells are run again
    (record,) = records(tmp_path)
    assert (record["status"], record["finished_at"]) == ("started", None)
    assert "training" not in record
    assert "test" not in record
    with pytest.raises(KitError, match="has no training, test yet"):
        run.complete()
    assert run.recipe is plan  # and the model can be built again from the recipe


def test_an_own_model_behind_random_weights_is_not_marked_random(run, monkeypatch):
    import xray_helpers.models.describe as describe_module
    import xray_helpers.models.graph as graph

    monkeypatch.setattr(describe_module, "describe", lambda *facts: {"notes": []})
    monkeypatch.setattr(graph, "is_graph", lambda model: False)
    run.record_model(None, run.recipe, SimpleNamespace(kind="random", note="Nothing learnt."))
    run.record_model(None, run.recipe, SimpleNamespace(kind="none"))
    assert "random weights" not in run.record.record["marks"]


def test_a_named_recipe_says_what_its_report_left_out_and_the_default_says_nothing(
    pictures, capsys
):
    begin("02_task2", {"data_dir": str(pictures), "recipe": "t2-resnet50-last3"})
    said = capsys.readouterr().out
    assert said.count("The report says the last 4 of 175 layers") == 1
    assert "Left out by report A, chosen here: 40 epochs" in said
    begin("02_task2", {"data_dir": str(pictures)})
    assert capsys.readouterr().out.splitlines()[-1] == "Recipe:   t2-default"


def test_a_poor_pair_of_loss_and_output_is_shown_in_a_box_and_recorded(pictures, tmp_path, capsys):
    from xray_helpers.models import Weights, build_model

    settings = {"data_dir": str(pictures), "backbone": "cnn", "image_size": 32}
    run = begin("01_task1", {**settings, "loss": "hinge", "output": "sigmoid"})
    model = build_model(run.recipe, ("normal", "covid"), Weights("none"), image_size=32)
    run.record_model(model, run.recipe, Weights("none"))
    assert "Note. hinge behind a sigmoid is a poor pair" in capsys.readouterr().out
    section = records(tmp_path)[0]["model"]
    (note,) = section["notes"]
    assert "never reaches the -1" in note
    assert section["output"] == {"activation": "sigmoid", "meaning": "probability"}
    assert section["changed"] == {"backbone": "cnn", "loss": "hinge", "output": "sigmoid"}


def test_margins_are_not_shown_as_probabilities(run, new_data, capsys):
    from xray_helpers.evaluation import evaluate
    from xray_helpers.quiet_import import keras

    model = keras.Sequential(
        [keras.Input((16, 16, 3)), keras.layers.Flatten(), keras.layers.Dense(1)]
    )
    model.compile(loss="hinge")
    run.record_test(evaluate(model, new_data()))
    assert "no calibrated probability" in capsys.readouterr().out
    assert "no calibrated probability" in run.record.record["test"]["p_columns"]


def test_a_cell_that_raises_marks_the_run_failed_and_running_on_completes_it(run, tmp_path):
    cell = SimpleNamespace(error_before_exec=None, error_in_exec=ZeroDivisionError("by zero"))
    session._on_cell_end(cell)
    (record,) = records(tmp_path)
    assert record["status"] == "failed"
    assert record["error"] == "ZeroDivisionError: by zero"
    run.record.update(data={}, model={}, training={}, test={})
    run.complete()
    session._on_cell_end(cell)  # playing on after the last cell does not undo the run
    (record,) = records(tmp_path)
    assert record["status"] == "complete"
    assert record["error"] is None


def test_a_cell_that_ends_well_changes_nothing(run, tmp_path):
    session._on_cell_end(SimpleNamespace(error_before_exec=None, error_in_exec=None))
    assert records(tmp_path)[0]["status"] == "started"


def test_a_figure_is_saved_with_the_mark_in_it(run):
    run.add_mark("random weights")
    figure = matplotlib.figure.Figure()
    figure.subplots().plot([1, 2])
    run.show(figure, "line", "A line")
    assert (run.folder / "figures" / "line.png").read_bytes().startswith(b"\x89PNG")
    assert any("random weights" in text.get_text() for text in figure.texts)


def test_set_aside_files_are_counted_and_named(run, new_data, tmp_path, capsys):
    from dataclasses import replace

    from xray_helpers.data.pictures import Unreadable

    broken = [Unreadable("/pictures/train/covid/x.png", "the file is empty", 3)]
    run.record_data(replace(new_data(), set_aside=broken))
    aside = records(tmp_path)[0]["data"]["set_aside"]
    assert aside == [{"path": "/pictures/train/covid/x.png", "reason": "the file is empty"}]
    assert "x.png (the file is empty)" in capsys.readouterr().out


def test_a_table_shows_whole_numbers_grouped_and_missing_ones_as_dashes(capsys):
    page.show_table(pd.DataFrame({"n": [1234567], "x": [0.12345], "y": [float("nan")]}))
    said = capsys.readouterr().out
    assert "1,234,567" in said
    assert "0.123" in said
    assert "–" in said
