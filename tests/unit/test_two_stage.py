"""What 06_two_stage leaves in its run's folder."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from xray_helpers import session
from xray_helpers.cli import _result
from xray_helpers.data import Dataset, Source, first_stage, second_stage
from xray_helpers.errors import KitError
from xray_helpers.evaluation.cascade import evaluate_cascade
from xray_helpers.evaluation.pairing import paired
from xray_helpers.evaluation.predict import evaluate
from xray_helpers.models.build import build_model
from xray_helpers.models.cascade import softmax_recipe
from xray_helpers.models.weights import Weights
from xray_helpers.report import facts
from xray_helpers.runs import comparison, list_runs
from xray_helpers.session import begin
from xray_helpers.training.fit import train
from xray_helpers.two_stage import (
    cascade_facts,
    record_cascade,
    record_network,
    record_variants,
    show_networks,
    variant_columns,
)

CLASSES = ("normal", "pneumonia_other", "covid")


@pytest.fixture(autouse=True)
def fresh_kernel(monkeypatch):
    monkeypatch.setattr(session, "_open", None)


@pytest.fixture(scope="module")
def data() -> Dataset:
    """Noise whose brightness tells the class; 24 training, 9 validation, 12 test pictures."""
    rows = [
        (f"/p/{split}/{i}.png", CLASSES[i % 3], split, f"{split}{i}", "other")
        for split, n in (("train", 24), ("validation", 9), ("test", 12))
        for i in range(n)
    ]
    table = pd.DataFrame(rows, columns=["path", "label", "split", "patient", "source"])
    light = table["label"].map(CLASSES.index).to_numpy()[:, None, None, None]
    noise = np.random.default_rng(0).normal(60 + 60 * light, 10, (len(table), 16, 16, 3))
    pictures = np.clip(noise, 0, 255).astype(np.uint8)
    source = Source(Path("/p"), "other")
    return Dataset("two_stage", source, CLASSES, table, pictures, [], "f", ("A note.",))


@pytest.fixture
def run(tmp_path):
    (tmp_path / "pictures").mkdir()
    return begin("06_two_stage", {"data_dir": str(tmp_path / "pictures"), "epochs": 2})


@pytest.fixture(scope="module")
def networks(data):
    """name -> (its data, its recipe, its training, its result), trained for one epoch."""
    from xray_helpers.models.cascade import STAGE

    views = {"stage1": first_stage(data), "stage2": second_stage(data), "softmax": data}
    made = {}
    for name, view in views.items():
        recipe = softmax_recipe(STAGE, 3) if name == "softmax" else STAGE
        model = build_model(recipe, view.classes, Weights("none"), image_size=16)
        watched = () if name == "softmax" else ("precision", "recall")
        training = train(model, view, epochs=2, metrics=watched)
        made[name] = (view, recipe, training, evaluate(model, view))
    return made


def record_all(run, data, networks) -> None:
    run.record_data(data)
    for name, parts in networks.items():
        record_network(run, name, *parts)
    first, second = (networks[name][2].model for name in ("stage1", "stage2"))
    splits = ("train", "validation", "test")
    results = {split: evaluate_cascade(first, second, data, split) for split in splits}
    record_cascade(run, results, paired(results["test"], networks["softmax"][3]))


def read(run, name: str) -> dict:
    return json.loads((run.folder / name).read_text(encoding="utf-8"))


# --- begin --------------------------------------------------------------------------------------


def test_begin_opens_a_run_of_its_own_task(run):
    assert run.task == "two_stage"
    assert "-two_stage-cnn-" in run.folder.name
    assert run.recipe.name == "cascade"
    assert run.recipe.changed == ("epochs",)
    assert run.marks == []


def test_begin_takes_kermanys_folder_first(tmp_path, monkeypatch):
    for name in ("XRAY_DATA", "XRAY_KERMANY"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(name, str(tmp_path / name))
    assert begin("06_two_stage", {}).source.root == tmp_path / "XRAY_KERMANY"
    assert begin("02_task2", {}).source.root == tmp_path / "XRAY_DATA"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"variants": "modl1_9"}, "Did you mean 'model1_9'"),
        ({"loss": "categorical_crossentropy"}, "binary_crossentropy, hinge, squared_hinge"),
        ({"variant_pictures": 3}, "12 or more"),
    ],
)
def test_refused_settings_leave_a_failed_record_of_the_task(tmp_path, values, said):
    with pytest.raises(KitError, match=said):
        begin("06_two_stage", {"data_dir": str(tmp_path), **values})
    (record,) = list_runs(tmp_path / "runs")
    assert (record["status"], record["task"]) == ("failed", "two_stage")


# --- the record ---------------------------------------------------------------------------------


def test_every_network_has_a_record_and_the_cascade_is_the_runs(run, data, networks):
    record_all(run, data, networks)
    run.complete()
    (record,) = list_runs(run.folder.parent)
    assert record["status"] == "complete"
    for name, (view, _, training, result) in networks.items():
        own = read(run, f"{name}.json")
        assert own["test"]["accuracy"]["value"] == result.accuracy.value
        assert own["training"]["best_epoch"] == training.best_epoch
        assert own["data"]["counts"]["test"] == view.counts["test"].to_dict()
        assert (run.folder / f"{name}.keras").is_file()
    assert read(run, "stage2.json")["test"]["recall_covid"]["n"] == 4
    parameters = [
        read(run, f"{n}.json")["model"]["parameters"]["total"] for n in ("stage1", "stage2")
    ]
    assert record["model"]["parameters"]["total"] == sum(parameters)
    assert record["training"]["epochs"] == 4
    assert record["data"]["notes"] == ["A note."]
    assert record["test"]["accuracy"]["n"] == 12
    pairs = record["cascade"]["beside_softmax"]
    assert sum(pairs[k] for k in ("both", "first_only", "second_only", "neither")) == 12


def test_the_tables_have_a_row_a_picture_and_a_row_an_epoch(run, data, networks):
    record_all(run, data, networks)
    for name, result in (("predictions", None), ("predictions_softmax", networks["softmax"][3])):
        table = pd.read_csv(run.folder / f"{name}.csv")
        columns = ["path", "true", "predicted", *(f"p_{c}" for c in CLASSES), "patient"]
        assert list(table.columns) == columns and len(table) == 12
        assert table[columns[3:-1]].sum(axis=1).to_numpy() == pytest.approx(1, abs=1e-5)
        if result:
            assert table["predicted"].tolist() == result.predictions["predicted"].tolist()
    history = pd.read_csv(run.folder / "history.csv")
    assert history["network"].tolist() == ["stage1"] * 2 + ["stage2"] * 2 + ["softmax"] * 2
    assert history["epoch"].tolist() == [1, 2] * 3
    assert history.loc[history["network"] == "stage1", "val_recall"].notna().all()


def test_lists_and_comparisons_take_the_run_like_any_other(run, data, networks):
    record_all(run, data, networks)
    run.complete()
    (record,) = list_runs(run.folder.parent)
    assert f"n = {12})" in _result(record)
    (row,) = comparison([record]).to_dict("records")
    assert row["test accuracy"] == record["test"]["accuracy"]["value"]
    assert row["validation accuracy"] == record["training"]["validation"]["accuracy"]
    assert row["run"].startswith("cascade cnn")
    assert "/12, 95 % interval" in facts(record)


def test_a_stage_trained_again_replaces_its_epochs_and_reopens_the_run(run, data, networks):
    record_all(run, data, networks)
    run.complete()
    view, recipe, training, result = networks["stage1"]
    shorter = replace(training, history=training.history.iloc[:1])
    record_network(run, "stage1", view, recipe, shorter, result)
    history = pd.read_csv(run.folder / "history.csv")
    assert history["network"].value_counts().to_dict() == {"stage2": 2, "softmax": 2, "stage1": 1}
    with pytest.raises(KitError, match="no model, training, test yet"):
        run.complete()


def test_a_cascade_without_its_second_stage_is_refused(run, data, networks):
    run.record_data(data)
    record_network(run, "stage1", *networks["stage1"])
    model = networks["stage1"][2].model
    results = {"test": evaluate_cascade(model, networks["stage2"][2].model, data)}
    beside = paired(results["test"], networks["softmax"][3])
    with pytest.raises(KitError, match=r"no stage2\.json yet; run the cells that train it"):
        record_cascade(run, results, beside)


def test_facts_name_every_network_with_its_pictures(run, data, networks, capsys):
    record_all(run, data, networks)
    text = cascade_facts(run.record.record)
    right = networks["softmax"][3].accuracy
    assert "- **Accuracy:**" in text and "n = 12" in text
    assert "**Recall covid:**" in text and "n = 4" in text
    assert right.n == 12
    run.record.record["test"]["recall_covid"] = {"value": float("nan"), "low": 0, "high": 1, "n": 0}
    assert "Recall covid" not in cascade_facts(run.record.record)
    show_networks(run)


def test_variants_are_kept_whole_and_shown_in_part(run):
    from xray_helpers.evaluation.variants import _row
    from xray_helpers.models.variants import VARIANTS

    score = {"loss": 0.5, "accuracy": [9, 12], "recall": [8, 8], "precision": [8, 11]}
    trained = {"best_epoch": 1, "train_seconds": 2.0, "validation": score, "test": score}
    diverged = dict.fromkeys(trained)
    rows = [_row(VARIANTS["model1_9"], trained), _row(VARIANTS["rate0.5"], diverged)]
    record_variants(run, pd.DataFrame(rows))
    kept = pd.read_csv(run.folder / "variants.csv")
    assert kept["test_recall_n"].tolist() == [8, 0]
    assert kept["reported_precision"].tolist()[0] == 0.747
    shown = variant_columns(kept)
    assert shown["best epoch"].tolist() == ["1", "–"]
    assert shown["test accuracy"].tolist()[0] == 0.75
    assert shown["report accuracy"].tolist() == [0.7883, 0.62]
