"""The recipes in words: one line each, and everything about one. Plain Python."""

from collections.abc import Iterator
from dataclasses import fields
from textwrap import fill

from xray_helpers.models.recipe import Recipe
from xray_helpers.models.recipes import RECIPES, is_default
from xray_helpers.settings import TaskSettings

NOTEBOOKS = {"task1": "01_task1", "task2": "02_task2"}
_KINDS = {"task1": "covid or normal", "task2": "covid, normal, bacterial or viral pneumonia"}
# Name, source, backbone, head, what is trained, reported test accuracy.
_LINE = "{:21} {:10} {:19} {:32} {:12} {}"


def recipe_lines() -> Iterator[str]:
    """All recipes, a line each of at most 110 characters, each task's default first."""
    for task, notebook in NOTEBOOKS.items():
        yield f"{notebook}, {_KINDS[task]}"
        yield _LINE.format("name", "from", "backbone", "head", "trained", "test acc.").rstrip()
        mine = [recipe for recipe in RECIPES.values() if recipe.task == task]
        for recipe in sorted(mine, key=is_default, reverse=True):
            yield _LINE.format(
                recipe.name,
                "start here" if is_default(recipe) else source(recipe),
                recipe.backbone,
                short_head(recipe),
                trained(recipe),
                recipe.reported_test or "",
            ).rstrip()
        yield ""
    yield "test acc.: what the report gives, if it does (18 test pictures in task 1, 36 in task 2)."
    yield "Everything about one: xray recipes NAME.  Run one: -p recipe NAME"


def source(recipe: Recipe) -> str:
    """Where a recipe was taken from: "report A", "template", "this kit"."""
    return {None: "this kit", "T": "template"}.get(recipe.report, f"report {recipe.report}")


def trained(recipe: Recipe) -> str:
    """What training changes: "head", "head, last 5", "all"."""
    if recipe.unfreeze == -1:
        return "all"
    return f"head, last {recipe.unfreeze}" if recipe.unfreeze else "head"


def short_head(recipe: Recipe) -> str:
    """The layers behind the backbone without output, dropout and pooling: "bn, flatten, 256"."""
    words = f"{recipe.convolutions or ''} > {recipe.head}".split(" > ")
    kinds = [word.split()[0].removeprefix("dense") for word in words[:-1] if word.strip()]
    kinds = [kind for kind in kinds if kind != "dropout" and not kind.startswith("maxpool")]
    return ", ".join("bn" if kind == "batchnorm" else kind for kind in kinds)


def recipe_page(recipe: Recipe) -> str:
    """Everything about one recipe, and the command that runs it."""
    lines = [
        f"{recipe.name}: {NOTEBOOKS[recipe.task]}, {_KINDS[recipe.task]}, from {source(recipe)}"
    ]
    lines += ["", "Layers behind the preprocessing"]
    lines += [f"  {part}" for part in (recipe.convolutions or recipe.backbone, recipe.whole_head)]
    lines += ["", "Settings (-p NAME VALUE changes one)"]
    lines += [f"  {name:17} {value}" for name, value in _settings(recipe)]
    lines += ["", "What is known of it"]
    for note in recipe_notes(recipe) or ["It is in no report."]:
        lines.append(fill(note, 100, initial_indent="  ", subsequent_indent="    "))
    lines += ["", "Run it", "  cd notebooks"]
    named = "" if is_default(recipe) else f" -p recipe {recipe.name}"
    lines += [f"  papermill {NOTEBOOKS[recipe.task]}.ipynb out.ipynb{named}"]
    return "\n".join(lines)


def recipe_notes(recipe: Recipe) -> list[str]:
    """What a report gives, leaves out and contradicts, in sentences."""
    notes = []
    if recipe.reported:
        notes.append(f"Reported: {recipe.reported}.")
    if recipe.chosen:
        notes.append(f"Left out by {source(recipe)}, chosen here: {'; '.join(recipe.chosen)}.")
    return notes + ([recipe.note] if recipe.note else [])


def _settings(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """Each part of a recipe that is a setting."""
    for field in fields(recipe):
        if field.name not in TaskSettings.model_fields:
            continue
        value = getattr(recipe, field.name)
        if field.name in ("dropout", "l2") and field.name not in recipe.head:
            value = "none in this head"
        elif value is None:
            value = _NONE[field.name]
        yield field.name, f"{value:g}" if isinstance(value, float) else str(value)


# What a setting of None means.
_NONE = {
    "output": "the head's own",
    "steps_per_epoch": "all pictures",
    "validation_steps": "all pictures",
    "patience": "none: never stops early",
}
