import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from xray_helpers.data import Source
from xray_helpers.errors import KitError
from xray_helpers.quiet_import import tensorflow as tf
from xray_helpers.settings.check import check_settings
from xray_helpers.training import cpu_gpu, measure_devices, merge_timings, read_timing


def row(work="training", device="cpu", host="laptop", total=10.0, **changes) -> dict:
    return {
        "work": work,
        "device": device,
        "devices": [device],
        "host": host,
        "threads": 4,
        "data_fingerprint": "one",
        "weights": "random",
        "seconds_epoch": total / 2,
        "seconds_step": total / 20,
        "seconds_total": total,
    } | changes


def timing(*rows: dict, **order) -> dict:
    return {"schema": 1, "order": {"task": "task1", "epochs": 2} | order, "rows": list(rows)}


# --- reading ------------------------------------------------------------------------------------


def test_a_timing_file_is_read_as_it_was_written(tmp_path):
    (tmp_path / "timing.json").write_text(json.dumps(timing(row())))
    assert read_timing(tmp_path / "timing.json") == timing(row())


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "3", "null", "{}", '{"schema": 2, "rows": [1]}'),
        *('{"schema": 1, "rows": []}', '{"schema": 1, "rows": [{"work": "x"}]}'),
        *('{"schema": 1, "rows": [3]}', "\x00\x01"),
    ],
)
def test_what_is_no_timing_file_is_named(tmp_path, text):
    (tmp_path / "timing.json").write_text(text)
    with pytest.raises(KitError, match=r"merge: .*timing.json is not a timing.json"):
        read_timing(tmp_path / "timing.json")


def test_a_missing_timing_file_is_named(tmp_path):
    with pytest.raises(KitError, match="there is no file"):
        read_timing(tmp_path / "nowhere.json")


# --- before TensorFlow starts -------------------------------------------------------------------


def test_a_jobs_slots_and_growing_gpu_memory_are_set_before_tensorflow_is_imported():
    script = (
        "import os, sys, xray_helpers\n"
        "names = 'TF_NUM_INTRAOP_THREADS TF_NUM_INTEROP_THREADS TF_FORCE_GPU_ALLOW_GROWTH'\n"
        "print(*(os.environ.get(n) for n in names.split()), 'tensorflow' in sys.modules)"
    )
    unset = {k: v for k, v in os.environ.items() if not k.startswith("TF_") and k != "NSLOTS"}
    for slots, said in (({"NSLOTS": "3"}, "3 2 true False"), ({}, "None None true False")):
        done = subprocess.run(
            [sys.executable, "-c", script], env=unset | slots, capture_output=True, text=True
        )
        assert done.stdout.strip() == said


# --- merging ------------------------------------------------------------------------------------


def test_faster_is_counted_from_the_slowest_at_the_same_work():
    here = timing(row(total=12.0), row("toy convolution", total=3.0))
    there = timing(
        row(device="NVIDIA H200", total=3.0), row("toy convolution", "NVIDIA H200", total=0.5)
    )
    table, notes = merge_timings([here, there])
    assert notes == []
    assert table["times faster"].tolist() == [1.0, 1.0, 4.0, 6.0]
    assert table["device"].tolist()[::2] == ["CPU, 4 threads on laptop", "NVIDIA H200 on laptop"]


def test_two_machines_are_named():
    _, notes = merge_timings([timing(row()), timing(row(device="GPU", host="node7"))])
    assert len(notes) == 1
    assert "laptop, node7" in notes[0]


def test_one_device_is_not_enough_to_compare():
    _, notes = merge_timings([timing(row(), row("toy convolution"))])
    assert len(notes) == 1
    assert "Only one device" in notes[0]


@pytest.mark.parametrize("change", [{"epochs": 3}, {"task": "task2"}, {"settings": {"l2": 1}}])
def test_measurements_of_different_work_are_told_apart(change):
    _, notes = merge_timings([timing(row()), timing(row(device="GPU"), **change)])
    assert notes == [f"The measurements differ in {next(iter(change))}: totals cannot be compared."]


def test_every_setting_of_the_model_is_part_of_the_order():
    from xray_helpers.settings import ModelSettings, Settings

    elsewhere = {*Settings.model_fields, "data_dir", "image_size"}
    assert set(cpu_gpu.MODEL_SETTINGS) == set(ModelSettings.model_fields) - elsewhere


def test_a_setting_that_an_older_file_does_not_have_was_at_its_default():
    settings = cpu_gpu.timing_order(FakeRun())["settings"]
    older = {name: value for name, value in settings.items() if name != "enhance"}
    before = timing(row(), settings=older)
    _, notes = merge_timings([before, timing(row(device="GPU"), settings=settings)])
    assert notes == []
    settings["enhance"] = "clahe"
    _, notes = merge_timings([before, timing(row(device="GPU"), settings=settings)])
    assert notes == ["The measurements differ in settings: totals cannot be compared."]


def test_measurements_on_other_pictures_are_told_apart():
    other = timing(row(device="GPU", data_fingerprint="two"))
    _, notes = merge_timings([timing(row()), other])
    assert notes == ["The measurements differ in their pictures: totals cannot be compared."]


# --- measuring ----------------------------------------------------------------------------------


class FakeRun:
    task = "task1"
    source = Source(Path("/pictures"), "other")

    def __init__(self, **settings):
        self.settings = check_settings("04_cpu_vs_gpu", settings)


def test_the_order_says_what_the_work_is_and_not_where_files_lie():
    """Two machines have other folders, and one of the two names the other's file."""
    first = cpu_gpu.timing_order(FakeRun(backbone="cnn"))
    second = cpu_gpu.timing_order(
        FakeRun(backbone="cnn", merge="a.json", runs_dir="/scratch/runs", data_dir="/scratch/data")
    )
    assert json.loads(json.dumps(first)) == first == second
    assert first["settings"]["backbone"] == "cnn"
    assert first != cpu_gpu.timing_order(FakeRun(backbone="vgg16"))


@pytest.fixture
def processes(monkeypatch):
    """What was started; each pretends to have measured."""
    started = []

    class Process:
        stdout = ("Training …\n",)

        def __init__(self, command, env, **options):
            order, result = json.loads(Path(command[3]).read_text()), Path(command[4])
            hidden = env.get("CUDA_VISIBLE_DEVICES") == "-1"
            started.append((order, hidden))
            device = "cpu" if hidden or order["gpu"] is None else order["gpu"]
            result.write_text(json.dumps([row(device=device)]))

        def wait(self):
            return 0

    monkeypatch.setattr(subprocess, "Popen", Process)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return started


def test_without_a_gpu_the_cpu_is_measured_once(processes, capsys):
    found = measure_devices({"gpu": None})
    assert capsys.readouterr().out == "Training …\n"  # what the process says is passed on
    assert [hidden for _, hidden in processes] == [False]
    assert [r["device"] for r in found["rows"]] == ["cpu"]
    assert (found["schema"], found["order"]) == (1, {"gpu": None})


def test_with_a_gpu_it_is_measured_again_with_the_gpu_hidden(processes):
    found = measure_devices({"gpu": "H200"})
    assert [hidden for _, hidden in processes] == [False, True]
    assert [r["device"] for r in found["rows"]] == ["H200", "cpu"]


def test_a_process_that_fails_is_told_in_a_sentence():
    with pytest.raises(KitError, match="ended with an error: KeyError: 'data_root'"):
        measure_devices({"an order": "without pictures"})


def test_the_work_is_measured_on_the_pictures_asked_for(new_data, monkeypatch):
    from xray_helpers import data as data_package

    asked = {}

    def load_data(task, source, **options):
        asked.update(task=task, source=source, **options)
        return new_data(size=32)

    monkeypatch.setattr(data_package, "load_data", load_data)
    monkeypatch.setattr(cpu_gpu, "time_toy_convolution", lambda repeats: 0.5 * repeats)
    order = cpu_gpu.timing_order(
        FakeRun(
            backbone="cnn",
            image_size=32,
            epochs=1,
            toy_repeats=4,
            leaks="drop_train",
            enhance="crop",
        )
    )
    training, toy = cpu_gpu.measure(order)
    assert asked["leaks"] == "drop_train"
    assert asked["enhance"] == "crop"
    assert asked["image_size"] == 32
    assert asked["source"] == Source(Path("/pictures"), "other")
    assert training.keys() >= cpu_gpu.ROW
    assert training["data_fingerprint"] == new_data().fingerprint
    assert training["seconds_total"] >= training["seconds_epoch"] > 0
    assert (toy["seconds_step"], toy["seconds_total"]) == (0.5, 2.0)


def test_the_toy_convolution_is_32_filters_over_120_pictures(monkeypatch):
    shapes = []
    convolve = tf.nn.conv2d

    def spy(pictures, filters, **options):
        out = convolve(pictures, filters, **options)
        shapes.append((tuple(pictures.shape), tuple(filters.shape), tuple(out.shape)))
        return out

    monkeypatch.setattr(tf.nn, "conv2d", spy)
    assert cpu_gpu.time_toy_convolution(1) > 0
    assert shapes == [((120, 224, 224, 3), (3, 3, 3, 32), (120, 222, 222, 32))]
