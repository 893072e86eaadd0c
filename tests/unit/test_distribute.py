"""One training on several devices: parts of the CPU, in a process of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from xray_helpers.errors import KitError
from xray_helpers.training import train
from xray_helpers.training.distribute import device_names

SCRIPT = Path(__file__).with_name("several_devices.py")
CASES = [
    "frozen head",
    "L2, class weights, schedule",
    "last layers unfrozen",
    "whole cnn",
    "one's own",
]
every_case = pytest.mark.parametrize("case", CASES)


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    """What `several_devices.py` found."""
    folder = tmp_path_factory.mktemp("devices")
    variables = {"XRAY_CACHE": str(folder / "cache"), "CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run(
        [sys.executable, SCRIPT, folder / "figures.json"],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((folder / "figures.json").read_text(encoding="utf-8"))


@every_case
def test_losses_and_metrics_of_every_epoch_are_those_of_one_device(figures, case):
    alone, shared = figures[case]["one"], figures[case]["several"]
    for (ours, our_scores, our_best), (theirs, scores, best) in zip(shared, alone, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)
        np.testing.assert_allclose(our_scores, scores, rtol=1e-5)
        assert our_best == best


@every_case
def test_the_students_model_gets_weights_and_statistics_back(figures, case):
    assert figures[case]["weights"] < 1e-5
    assert figures[case]["statistics"] < 1e-5


@every_case
def test_the_record_names_the_devices(figures, case):
    number = 3 if case == "whole cnn" else 2
    assert figures[case]["devices"] == ["CPU:0", "CPU:1", "CPU:2"][:number]


def test_the_cases_are_what_they_are_called(figures):
    assert [figures[case]["cached"] for case in CASES] == [True, True, True, False, False]
    epochs = [len(figures[case]["several"][0][0]) for case in CASES]
    assert epochs[:4] == [3, 3, 3, 3]
    assert epochs[4] < 12  # stopped early


@every_case
def test_the_students_optimizer_is_where_one_device_would_have_left_it(figures, case):
    """Averages, number of steps, the first learning rate."""
    assert figures[case]["optimizer"] < 1e-5


def test_a_second_training_goes_on_from_there(figures):
    first, second = figures["frozen head"]["several"]
    assert second[0][0][1] < first[0][0][1]  # the loss goes on from where it was


@pytest.mark.parametrize("case", CASES[:4])
def test_the_saved_model_says_the_same(figures, case):
    np.testing.assert_allclose(figures[case]["saved"], figures[case]["predictions"], rtol=1e-5)


def test_each_device_drops_units_of_its_own(figures):
    states, losses = figures["dropout"]
    assert states[0] != states[1]
    assert np.isfinite(losses).all()


def test_a_training_that_is_interrupted_leaves_what_it_learnt(figures):
    assert figures["interrupted"] > 1e-4


def test_uncached_epochs_are_timed_on_the_same_devices_and_change_nothing(figures):
    seconds, moved = figures["timed"]
    assert seconds["uncached_epoch"] > seconds["uncached_step"] > 0
    assert moved < 1e-6


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("four devices", "devices=4, but TensorFlow sees no GPU here"),
        ("xla", "set xla = False, or devices = 1"),
        ("no get_config", "its class Scaled has no get_config that describes it"),
        ("same names", "cannot be copied to several devices (The name"),
        ("add_loss", "adds to the loss what it makes of each batch"),
        ("scalar loss", "one number for each picture"),
        ("summed loss", "no reduction of your own"),
        ("short name", "name the loss in full"),
        ("clipnorm", "clipnorm needs the gradient of the whole batch"),
    ],
)
def test_what_cannot_be_shared_is_refused_in_a_sentence(figures, what, said):
    refusal = figures["refusals"][what]
    assert said in refusal
    assert "Traceback" not in refusal


def test_more_devices_than_there_are_is_refused_before_anything_is_computed(tiny_data):
    from xray_helpers.quiet_import import keras

    model = keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Flatten()])
    model.compile(loss="binary_crossentropy")
    with pytest.raises(KitError, match=r"devices=99, but TensorFlow sees .* set devices = "):
        train(model, tiny_data, devices=99)


def test_one_device_needs_no_sharing():
    (name,) = device_names(1)
    assert name in ("CPU:0", "GPU:0")


def test_the_setting_is_a_number_from_one():
    from xray_helpers.settings.check import check_settings

    assert check_settings("02_task2", {"devices": 2}).devices == 2
    with pytest.raises(KitError, match="devices is a whole number, 1 or more"):
        check_settings("02_task2", {"devices": 0})
