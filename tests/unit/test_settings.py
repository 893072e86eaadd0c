import ast
import json
from pathlib import Path

import pytest

from xray_helpers.errors import KitError
from xray_helpers.models.backbones import BACKBONES
from xray_helpers.settings import NOTEBOOKS, SMOKE, TaskSettings
from xray_helpers.settings.check import allowed_values, check_settings

ROOT = Path(__file__).parents[2]


def test_the_readme_names_every_choice_of_the_training():
    from xray_helpers.settings.task import INITIALIZERS, LOSSES, OPTIMIZERS, OUTPUTS, SCHEDULES

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = readme[readme.index("## Settings") : readme.index("## Runs")]
    for name in (*OPTIMIZERS, *LOSSES, *INITIALIZERS, *OUTPUTS, *SCHEDULES):
        assert f"`{name}`" in table, name
    assert "`glorot_normal` (Xavier)" in table
    assert "`he_normal` (Kaiming)" in table


def refusal(values: dict, notebook: str = "02_task2", unknown: tuple = ()) -> str:
    with pytest.raises(KitError) as caught:
        check_settings(notebook, values, unknown)
    return str(caught.value)


# --- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("misspelt", "meant"),
    [("bakcbone", "backbone"), ("epoch", "epochs"), ("learningrate", "learning_rate")],
)
def test_a_misspelt_name_names_the_closest_setting(misspelt, meant):
    assert f"'{misspelt}' is no setting" in (said := refusal({}, unknown=[misspelt]))
    assert f"did you mean '{meant}'?" in said


def test_a_name_like_no_other_gets_the_list_of_settings():
    said = refusal({}, unknown=["zzzz"])
    assert all(name in said for name in TaskSettings.model_fields)


def test_every_mistake_is_named_at_once():
    said = refusal({"epochs": 0, "dropout": 2}, unknown=["epohcs"])
    assert "epochs=0" in said
    assert "dropout=2" in said
    assert "'epohcs'" in said


def test_an_extra_value_is_refused_too():
    assert "'colour' is no setting" in refusal({"colour": 1})


# --- values -------------------------------------------------------------------------------------


def test_a_misspelt_backbone_names_the_closest_and_lists_all():
    said = refusal({"backbone": "resnet5"})
    assert "Did you mean 'resnet50'?" in said
    assert all(name in said for name in BACKBONES)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", -3),
        ("epochs", 0),
        ("epochs", "abc"),
        ("epochs", "40"),
        ("epochs", True),
        ("epochs", 2.5),
        ("learning_rate", True),
        ("learning_rate", "0.1"),
        ("learning_rate", 0),
        ("learning_rate", float("nan")),
        ("l2", float("inf")),
        ("l2", -0.1),
        ("dropout", 1),
        ("dropout", 1.5),
        ("dropout", False),
        ("unfreeze", -2),
        ("batch_size", 0),
        ("image_size", 31),
        ("image_size", None),
        ("seed", -1),
        ("seed", None),
        ("enhance", None),
        ("enhance", True),
        ("optimizer", "adamw"),
        ("optimizer", True),
        ("initializer", 3),
        ("leaks", "drop"),
        ("data_dir", True),
        ("data_dir", None),
        ("weights", None),
        ("smoke", "perhaps"),
        ("cache", None),
        ("cache", 2),
        ("augment_views", -1),
        ("timed_epochs", None),
    ],
)
def test_an_impossible_value_is_refused_in_words(name, value):
    said = refusal({name: value})
    assert said.startswith(f"{name}={value!r} is not possible: {name} is ")
    assert allowed_values(TaskSettings, name).split(",")[0] in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 1),
        ("learning_rate", 1),
        ("learning_rate", 1e-5),
        ("dropout", 0),
        ("dropout", 0.99),
        ("unfreeze", -1),
        ("l2", 0),
        ("backbone", "cnn"),
        ("weights", "/some/file.h5"),
    ],
)
def test_a_possible_value_is_taken(name, value):
    assert getattr(check_settings("01_task1", {name: value}), name) == value


NONE_ALLOWED = (
    "recipe", "backbone", "unfreeze", "dropout", "l2", "initializer", "optimizer",
    "learning_rate", "batch_size", "epochs", "steps_per_epoch", "validation_steps", "patience",
)  # fmt: skip


@pytest.mark.parametrize("name", NONE_ALLOWED)
def test_none_leaves_the_choice_to_the_recipe(name):
    assert getattr(check_settings("02_task2", {name: None}), name) is None


def test_a_folder_may_be_called_by_a_number():
    assert check_settings("02_task2", {"data_dir": 2024}).data_dir == "2024"


@pytest.mark.parametrize("text", ["true", "True", "false", "no"])
def test_yes_and_no_as_text_are_taken_for_what_they_say(text):
    taken = check_settings("02_task2", {"smoke": False, "cache": text}).cache
    assert taken is (text.lower() == "true")


def test_lists_arrive_as_text():
    settings = check_settings("03_tsne", {"layers": "a, b/c,", "perplexities": "5, 12.5"})
    assert settings.layer_names == ["a", "b/c"]
    assert settings.perplexity_values == [5.0, 12.5]


@pytest.mark.parametrize("notebook", ["00_start_here", "02_task2", "04_cpu_vs_gpu"])
@pytest.mark.parametrize("text", ["clae", "crop, clae", "clae,equalise"])
def test_a_misspelt_step_gets_the_nearest_and_the_list(notebook, text):
    assert refusal({"enhance": text}, notebook) == (
        f"enhance={text!r} is not possible: enhance is one or more of crop, normalize, denoise, "
        "equalize, clahe, with commas between them, or ''. Did you mean 'clahe'?"
    )


def test_steps_of_enhancement_come_without_the_spaces_around_them():
    assert check_settings("02_task2", {"enhance": " crop , clahe "}).enhance == "crop,clahe"
    assert check_settings("02_task2", {"enhance": ""}).enhance == ""


@pytest.mark.parametrize("text", ["", ",", "5,abc", "0", "-3", "nan", "501"])
def test_impossible_perplexities_are_refused_with_what_would_be_right(text):
    said = refusal({"perplexities": text}, "03_tsne")
    assert said.startswith(f"perplexities={text!r} is not possible")
    assert "above 0 to 500, comma-separated" in said


def test_allowed_values_in_words():
    words = {name: allowed_values(TaskSettings, name) for name in TaskSettings.model_fields}
    assert words["epochs"] == "a whole number, 1 or more, 10000 or less, or None"
    assert words["dropout"] == "a number, 0 or more, below 1, or None"
    assert words["learning_rate"] == "a number, above 0, 10 or less, or None"
    assert words["smoke"] == "True or False"
    assert words["data_dir"] == "text"
    assert words["optimizer"] == "one of adam, rmsprop, sgd, or None"


def test_every_setting_has_a_description():
    for kind in NOTEBOOKS.values():
        assert all(field.description for field in kind.model_fields.values())


# --- smoke --------------------------------------------------------------------------------------


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_smoke_settings_are_valid_and_small(notebook):
    settings = check_settings(notebook, {"smoke": True})
    again = check_settings(notebook, settings.model_dump())  # model_copy does not validate
    assert again == settings
    for name, value in SMOKE.items():
        if hasattr(settings, name):
            assert getattr(settings, name) == value


# --- the notebooks ------------------------------------------------------------------------------


def code_cells(notebook: str) -> list[tuple[bool, str]]:
    """(is it the parameters cell, source) of each code cell."""
    content = json.loads((ROOT / "notebooks" / f"{notebook}.ipynb").read_text(encoding="utf-8"))
    return [
        ("parameters" in cell["metadata"].get("tags", []), "".join(cell["source"]))
        for cell in content["cells"]
        if cell["cell_type"] == "code"
    ]


def parameters(notebook: str) -> ast.Module:
    (source,) = [source for is_parameters, source in code_cells(notebook) if is_parameters]
    return ast.parse(source)


def bound_names(source: str) -> set[str]:
    """Every name that a cell gives a value to, in whatever way."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name.split(".")[0] for alias in node.names}
    return names


def test_every_notebook_has_a_class_of_settings():
    # A student's executed copies, out.ipynb and the like, may lie beside them.
    numbered = {path.stem for path in (ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb")}
    assert {name for name in numbered if "out" not in name} == set(NOTEBOOKS)


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_the_parameters_cell_holds_the_settings_with_their_defaults(notebook):
    cell = {}
    for node in parameters(notebook).body:
        # papermill does not see annotated parameters
        assert isinstance(node, ast.Assign), ast.unparse(node)
        cell[node.targets[0].id] = ast.literal_eval(node.value)
    fields = NOTEBOOKS[notebook].model_fields
    assert cell == {name: field.default for name, field in fields.items()}
    assert [type(v) for v in cell.values()] == [type(fields[name].default) for name in cell]


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_no_other_cell_gives_a_setting_another_value(notebook):
    for is_parameters, source in code_cells(notebook):
        if not is_parameters:
            assert not bound_names(source) & set(NOTEBOOKS[notebook].model_fields), source


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_the_notebook_begins_with_its_own_name(notebook):
    begins = [s for _, s in code_cells(notebook) if "begin(" in s]
    assert len(begins) == 1
    assert f'begin("{notebook}", globals())' in begins[0]
