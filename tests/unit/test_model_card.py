import copy

import pytest

from xray_helpers.model_card import model_card

ESTIMATE = {"value": 0.75, "low": 0.58932, "high": 0.8616, "n": 36}
RECORD = {
    "id": "20250101T000000Z-task2-vgg16-00abcd",
    "task": "task2",
    "started_at": "2025-01-01T00:00:00+00:00",
    "marks": [],
    "settings": {"seed": 7, "enhance": "crop,clahe"},
    "data": {
        "kind": "class",
        "fingerprint": "f00d",
        "counts": {
            "train": {"covid": 48, "normal": 56, "pneumonia_bac": 56, "pneumonia_vir": 56},
            "test": {"covid": 9, "normal": 9, "pneumonia_bac": 9, "pneumonia_vir": 9},
        },
        "set_aside": [{"path": "a.jpeg", "reason": "cut short"}],
    },
    "model": {
        "recipe": "t2-default",
        "backbone": "resnet50",
        "changed": {"backbone": "resnet50"},
        "weights": "imagenet",
        "parameters": {"total": 1234567, "trainable": 4567, "non_trainable": 1230000},
        "regularisation": ["dropout 0.25"],
        "optimizer": "adam",
        "learning_rate": 0.001,
        "loss": "categorical_crossentropy",
        "notes": [],
    },
    "training": {"epochs": 40, "best_epoch": 12, "batch_size": 10, "device": "cpu"},
    "test": {
        "loss": 0.6,
        "accuracy": ESTIMATE,
        "recall_covid": ESTIMATE | {"n": 9, "by_patient": {"low": 0.4, "high": 1.0, "patients": 5}},
        "precision_pneumonia_bac": {"value": None, "low": None, "high": None, "n": 0},
        "average_precision_macro": ESTIMATE,
        "confusion": {"counts": [[9]]},
    },
    "environment": {
        "versions": {"keras": "3.15.1"},
        "system": "Linux",
        "cpu": "a CPU",
        "git_commit": "c0ffee",
    },
}


@pytest.fixture
def record() -> dict:
    return copy.deepcopy(RECORD)


def test_the_card_says_what_the_model_is_for_first_and_how_far_to_trust_it(record):
    card = model_card(record)
    headings = [line.removeprefix("## ") for line in card.splitlines() if line.startswith("## ")]
    assert headings[0] == "Intended use"
    assert "Not for diagnosis" in card
    assert "How far to trust this" in headings
    assert "Not a result" not in card


def test_every_figure_of_the_record_stands_in_the_card_with_interval_and_n(record):
    card = model_card(record)
    assert "| accuracy | 0.750 | 0.589 to 0.862 | 36 |" in card
    assert "| recall, covid | 0.750 | 0.589 to 0.862 | 9 |" in card
    assert "| … by patient (5 patients) | 0.750 | 0.400 to 1.000 | 9 |" in card
    assert "| precision, pneumonia_bac | – | – | 0 |" in card
    assert "| average precision, mean of the classes | 0.750 |" in card
    assert "confusion" not in card


def test_data_licence_and_environment_are_named(record):
    card = model_card(record)
    for words in (
        *("CC BY 4.0", "patient ieee-13", "covid 48, normal 56", "Set aside, unreadable: 1"),
        *("crop, clahe", "Seed: 7", "1,234,567", "keras 3.15.1", "c0ffee", "backbone = resnet50"),
    ):
        assert words in card


@pytest.mark.parametrize(
    ("floor", "verdict"),
    [(0.5, "the model's interval lies above it"), (0.6, "interval does not lie above it")],
)
def test_the_score_is_held_against_the_floor(record, floor, verdict):
    record["floor"] = {
        "numbers": {"value": 0.25, "low": 0.1, "high": 0.4, "n": 36},
        "thumbnails": {"value": floor, "low": 0.3, "high": 0.7, "n": 36},
    }
    card = model_card(record)
    assert verdict in card
    assert "| floor: accuracy from a thumbnail of 14×14 pixels |" in card


def test_a_run_that_is_no_result_says_so_at_the_top(record):
    record["marks"] = ["generated pictures", "random weights"]
    record["data"]["kind"] = "generated"
    lines = model_card(record).splitlines()
    assert lines[2] == "**Not a result:** generated pictures · random weights."
    assert "CC BY" not in "\n".join(lines)
