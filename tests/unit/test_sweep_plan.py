"""What a sweep runs: combinations, tables and recipes, refused before the first one starts."""

import pytest

from xray_helpers.errors import KitError
from xray_helpers.models.recipes import RECIPES
from xray_helpers.sweep import open_sweep, plan_sweep, save_sweep
from xray_helpers.sweep.plan import parse_grid
from xray_helpers.sweep.values import parse_value, read_table


def test_every_combination_of_a_grid_is_a_task():
    plan = plan_sweep(
        "02_task2", grid={"backbone": ["vgg16", "cnn"], "dropout": [0.2, 0.5]}, fixed={"epochs": 3}
    )
    assert [(t.settings["backbone"], t.settings["dropout"]) for t in plan.tasks] == [
        ("vgg16", 0.2),
        ("vgg16", 0.5),
        ("cnn", 0.2),
        ("cnn", 0.5),
    ]
    assert [t.number for t in plan.tasks] == [1, 2, 3, 4]
    assert {t.settings["epochs"] for t in plan.tasks} == {3}
    assert plan.tasks[1].label == "backbone=vgg16 dropout=0.5"
    assert len({t.key for t in plan.tasks}) == 4


def test_a_sweep_keeps_no_models_unless_asked():
    assert plan_sweep("02_task2").tasks[0].settings == {"save_model": False}
    kept = plan_sweep("02_task2", fixed={"save_model": True})
    assert kept.tasks[0].settings == {"save_model": True}


def test_recipes_run_in_their_own_task_s_notebook():
    plan = plan_sweep(recipes="*")
    assert [t.settings["recipe"] for t in plan.tasks] == list(RECIPES)
    assert all(RECIPES[t.settings["recipe"]].task[-1] == t.notebook[-1] for t in plan.tasks)
    mine = plan_sweep("02_task2.ipynb", recipes="*")
    assert {RECIPES[t.settings["recipe"]].task for t in mine.tasks} == {"task2"}


def test_the_same_command_means_the_same_sweep_and_another_one_another():
    first = plan_sweep("02_task2", grid={"dropout": [0.2, 0.5]})
    assert plan_sweep("02_task2", grid={"dropout": [0.2, 0.5]}) == first
    assert plan_sweep("02_task2", grid={"dropout": [0.2, 0.4]}).name != first.name
    assert plan_sweep("01_task1", grid={"dropout": [0.2, 0.5]}).name != first.name


def test_once_other_pictures_have_come_it_is_another_sweep(tmp_path, monkeypatch):
    drawn = plan_sweep("02_task2")
    smoke = plan_sweep("02_task2", fixed={"smoke": True})
    for part in ("two", "all"):
        (tmp_path / "pictures" / part).mkdir(parents=True)
    monkeypatch.setenv("XRAY_DATA", str(tmp_path / "pictures"))
    assert plan_sweep("02_task2").tasks[0].key != drawn.tasks[0].key
    # A smoke run draws its pictures in any case.
    assert plan_sweep("02_task2", fixed={"smoke": True}) == smoke


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"notebook": "02_task2", "grid": {"backbon": ["vgg16"]}}, "did you mean 'backbone'"),
        ({"notebook": "02_task2", "grid": {"backbone": ["cnn", "vg16"]}}, "Task 2 (backbone=vg16)"),
        ({"notebook": "02_task2", "grid": {"dropout": [0.2, 1.5]}}, "Task 2 (dropout=1.5)"),
        ({"notebook": "02_task2", "fixed": {"recipe": "t1-vgg16"}}, "belongs to task1"),
        ({"notebook": "02_task2", "fixed": {"data_dir": "/nowhere"}}, "there is no folder"),
        ({"notebook": "02_task2", "fixed": {"weights": "/no.h5"}}, "/no.h5"),
        ({"notebook": "02_task"}, "did you mean 02_task2"),
        ({"notebook": "03_tsne"}, "keeps no record"),
        ({"notebook": "02_task2", "recipes": "t1-*"}, "No recipe of task2"),
        ({"recipes": "t9-*"}, "`xray recipes` lists them"),
        ({"notebook": "02_task2", "grid": {"seed": [1]}, "fixed": {"seed": 2}}, "give it once"),
        ({"notebook": "02_task2", "grid": {"seed": [1, 1]}}, "is there twice"),
        ({"notebook": "02_task2", "fixed": {"runs_dir": "x"}}, "--runs-dir"),
        ({"notebook": "02_task2", "name": "../x"}, "no name for a folder"),
        ({}, "Name the notebook"),
    ],
)
def test_what_is_wrong_is_refused_before_anything_starts(arguments, said):
    with pytest.raises(KitError) as error:
        plan_sweep(**arguments)
    assert said in str(error.value)


def test_values_are_read_as_papermill_reads_them():
    words = ("True", "None", "12", "0.5", "1e-3", "vgg16", "true")
    assert [parse_value(w) for w in words] == [True, None, 12, 0.5, 0.001, "vgg16", "true"]
    assert parse_grid(["a=1, x", "b=0.5"]) == {"a": [1, "x"], "b": [0.5]}


@pytest.mark.parametrize("item", ["backbone", "=a", "backbone=", "a=1"])
def test_a_grid_that_cannot_be_read_is_refused(item):
    with pytest.raises(KitError):
        parse_grid(["a=0", item])


def test_a_table_has_a_row_a_task_and_its_empty_cells_stay_at_their_default(tmp_path):
    table = tmp_path / "sweep.tsv"
    table.write_text("backbone\tenhance\tdropout\n# a remark\nvgg16\tcrop,clahe\t\n\ncnn\t\t0.1\n")
    assert read_table(table) == [
        {"backbone": "vgg16", "enhance": "crop,clahe"},
        {"backbone": "cnn", "dropout": 0.1},
    ]
    labels = [t.label for t in plan_sweep("02_task2", table=table).tasks]
    assert labels == ["backbone=vgg16 enhance=crop,clahe", "backbone=cnn dropout=0.1"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("backbone\n", "no task"),
        ("backbone\tbackbone\ncnn\tcnn\n", "twice"),
        ("backbone\n# x\ncnn\t0.1\n", "line 3"),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused(tmp_path, text, said):
    table = tmp_path / "sweep.tsv"
    table.write_text(text)
    with pytest.raises(KitError, match=said):
        read_table(table)
    with pytest.raises(KitError, match="there is no file"):
        read_table(tmp_path / "other.tsv")


def test_a_saved_sweep_is_opened_as_it_was_and_its_name_is_not_given_to_another(tmp_path):
    plan = plan_sweep("02_task2", grid={"seed": [1, 2]}, name="mine")
    saved = save_sweep(plan, tmp_path)
    assert open_sweep(tmp_path / "sweeps" / "mine") == saved == save_sweep(plan, tmp_path)
    assert [s.state for s in saved.states()] == ["waiting", "waiting"]
    with pytest.raises(KitError, match="other tasks"):
        save_sweep(plan_sweep("02_task2", grid={"seed": [3]}, name="mine"), tmp_path)
    with pytest.raises(KitError, match="there is: mine"):
        open_sweep(tmp_path / "sweeps" / "yours")
    (saved.folder / "sweep.json").write_text("{")
    with pytest.raises(KitError, match="cannot be read"):
        open_sweep(saved.folder)
