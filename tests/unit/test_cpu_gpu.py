import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from timing_rows import row

from xray_helpers.data import Source
from xray_helpers.errors import KitError
from xray_helpers.models.recipes import choose_recipe
from xray_helpers.quiet_import import tensorflow as tf
from xray_helpers.settings.check import check_settings
from xray_helpers.training import cpu_gpu, cpu_gpu_process, device, measure_devices, nvidia_smi
from xray_helpers.training.timed_work import timed_trainings
from xray_helpers.training.timing_table import ROW

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


# --- what is measured ---------------------------------------------------------------------------


class FakeRun:
    task = "task1"
    source = Source(Path("/pictures"), "other")

    def __init__(self, **settings):
        self.settings = check_settings("04_cpu_vs_gpu", settings)


def test_the_recipe_is_timed_as_it_is_and_fine_tuned():
    recipe = choose_recipe("task1", {})
    assert timed_trainings(recipe, 4) == {
        "training, backbone frozen": recipe,
        "fine-tuning, last 4 layers": replace(recipe, unfreeze=4),
    }
    assert list(timed_trainings(recipe, -1))[1] == "fine-tuning, all layers"


@pytest.mark.parametrize(
    ("settings", "fine_tune", "names"),
    [
        ({}, 0, ["training, backbone frozen"]),
        ({"unfreeze": 4}, 4, ["fine-tuning, last 4 layers"]),
        ({"unfreeze": 2}, 4, ["fine-tuning, last 2 layers", "fine-tuning, last 4 layers"]),
        ({"backbone": "cnn"}, 4, ["training, all layers"]),
    ],
)
def test_nothing_is_timed_twice_and_nothing_without_a_backbone_fine_tuned(
    settings, fine_tune, names
):
    assert list(timed_trainings(choose_recipe("task1", settings), fine_tune)) == names


# --- processes ------------------------------------------------------------------------------------


@pytest.fixture
def processes(monkeypatch):
    """What was started; each pretends to have measured."""
    started = []

    class Process:
        stdout = ("Training …\n",)

        def __init__(self, command, env, **options):
            order, result = json.loads(Path(command[3]).read_text()), Path(command[4])
            hidden = env.get("CUDA_VISIBLE_DEVICES") == "-1"
            started.append((hidden, command[5:]))
            cpu = hidden or order["gpu"] is None
            rows = [row(device="cpu" if cpu else order["gpu"])]
            smi = None if cpu else {"name": order["gpu"]}
            result.write_text(json.dumps({"rows": rows, "nvidia_smi": smi, "note": ""}))

        def wait(self):
            return 0

    monkeypatch.setattr(subprocess, "Popen", Process)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return started


def test_without_a_gpu_the_cpu_is_measured_once(processes, capsys):
    found = measure_devices({"gpu": None})
    assert capsys.readouterr().out == "Training …\n"  # what the process says is passed on
    assert processes == [(False, [])]
    (mine,) = found["measurements"]
    assert [r["device"] for r in mine["rows"]] == ["cpu"]
    assert (found["schema"], mine["order"], mine["nvidia_smi"]) == (2, {"gpu": None}, None)


def test_with_a_gpu_it_is_measured_again_with_the_gpu_hidden(processes):
    (mine,) = measure_devices({"gpu": "H200"})["measurements"]
    assert processes == [(False, []), (True, [])]
    assert [r["device"] for r in mine["rows"]] == ["H200", "cpu"]
    assert mine["nvidia_smi"] == {"name": "H200"}


@pytest.mark.parametrize(
    ("measure", "started", "devices"),
    [
        ("gpu", [(False, ["--need-gpu"])], ["H200"]),
        ("cpu", [(True, [])], ["cpu"]),
        ("none", [], []),
    ],
)
def test_one_device_or_none_is_measured_where_that_is_asked(processes, measure, started, devices):
    found = measure_devices({"gpu": "H200"}, measure)["measurements"]
    assert processes == started
    assert [r["device"] for m in found for r in m["rows"]] == devices


def test_a_process_that_fails_is_told_in_a_sentence():
    with pytest.raises(KitError, match="ended with an error: KeyError: 'task'"):
        measure_devices({"an order": "without a task"})


def test_what_the_process_refuses_is_passed_on_as_it_is(processes, monkeypatch):
    def start(command, stderr, **options):
        stderr.write("A warning of TensorFlow's\nmeasure='gpu': there is none.\n")
        return process

    process = subprocess.Popen
    process.wait, process.stdout = lambda: cpu_gpu_process.REFUSED, ()
    monkeypatch.setattr(subprocess, "Popen", start)
    with pytest.raises(KitError, match=r"^measure='gpu': there is none\.$"):
        measure_devices({}, "gpu")


def test_a_cpu_is_not_measured_where_a_gpu_is_asked_for(monkeypatch):
    facts = {"gpus": [], "threads": 4, "device": "cpu"}
    monkeypatch.setattr(device, "device_facts", lambda: facts)
    with pytest.raises(KitError, match=r"^measure='gpu': TensorFlow sees no GPU on .*xray doctor"):
        cpu_gpu_process.measure({}, need_gpu=True)


# --- measuring ----------------------------------------------------------------------------------


@pytest.fixture
def pictures(new_data, monkeypatch):
    """What pictures were asked for; small ones are given."""
    from xray_helpers import data as data_package

    asked = {}

    def load_data(task, source, **options):
        asked.update(task=task, source=source, **options)
        return new_data(size=32)

    monkeypatch.setattr(data_package, "load_data", load_data)
    monkeypatch.setattr(cpu_gpu_process, "time_toy_convolution", lambda repeats: 0.5 * repeats)
    return asked


SMALL = {"backbone": "cnn", "image_size": 32, "epochs": 1, "toy_repeats": 4}


def test_the_work_is_measured_on_the_pictures_asked_for(pictures, new_data):
    order = cpu_gpu.timing_order(FakeRun(**SMALL, leaks="drop_train", enhance="crop"))
    found = cpu_gpu_process.measure(order)
    training, toy = found["rows"]
    assert pictures["leaks"] == "drop_train"
    assert pictures["enhance"] == "crop"
    assert pictures["image_size"] == 32
    assert pictures["source"] == Source(Path("/pictures"), "other")
    assert training.keys() >= ROW
    assert training["data_fingerprint"] == new_data().fingerprint
    assert training["seconds_total"] >= training["seconds_epoch"] > 0
    assert (toy["seconds_step"], toy["seconds_total"]) == (0.5, 2.0)
    assert (found["nvidia_smi"], found["note"]) == (None, "")


def test_a_fine_tuned_backbone_has_its_last_layers_trained(pictures, monkeypatch):
    trained = []

    def time_uncached(model, *work, **options):
        (backbone,) = [layer for layer in model.layers if layer.name == "vgg16"]
        trained.append([layer.name for layer in backbone.layers if layer.trainable])
        return {"uncached_epoch": 1.0, "uncached_step": 0.1, "uncached_total": 2.0}

    from xray_helpers.training import timing

    monkeypatch.setattr(timing, "time_uncached", time_uncached)
    settings = {**SMALL, "backbone": "vgg16", "weights": "random", "fine_tune": 2}
    rows = cpu_gpu_process.measure(cpu_gpu.timing_order(FakeRun(**settings)))["rows"]
    assert trained == [[], ["block5_conv3", "block5_pool"]]
    assert [r["work"] for r in rows] == [
        *("training, backbone frozen", "fine-tuning, last 2 layers", "toy convolution"),
    ]


@pytest.fixture
def gpu(monkeypatch):
    """TensorFlow seems to see a GPU; the training is watched for half a second."""
    facts = {"gpus": ["NVIDIA A100"], "threads": 4, "device": "NVIDIA A100"}
    monkeypatch.setattr(device, "device_facts", lambda: facts)
    monkeypatch.setattr(cpu_gpu_process, "WATCHED_SECONDS", 0.5)
    monkeypatch.setattr(nvidia_smi, "INTERVAL_SECONDS", 0.01)


@pytest.mark.skipif(os.name == "nt", reason="the stand-in is a shell script")
def test_the_gpu_is_watched_while_it_trains(pictures, gpu, monkeypatch, tmp_path):
    program = tmp_path / "nvidia-smi"
    program.write_text(
        '#!/bin/sh\ncase "$*" in\n*name*) echo "NVIDIA A100, 81920, 535.1" ;;\n'
        '*utilization*) echo "88, 2048" ;;\n*) echo "the page" ;;\nesac\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    found = cpu_gpu_process.measure(cpu_gpu.timing_order(FakeRun(**SMALL)), need_gpu=True)
    training, toy = found["rows"]
    assert (training["gpu_busy_percent"], training["gpu_memory_mib"]) == (88, 2048)
    assert "gpu_busy_percent" not in toy
    assert found["nvidia_smi"] == {
        "name": "NVIDIA A100",
        "memory_mib": 81920,
        "driver": "535.1",
        "page": "the page\n",
    }


def test_a_gpu_without_nvidia_smi_is_measured_and_said(pictures, gpu, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    found = cpu_gpu_process.measure(cpu_gpu.timing_order(FakeRun(**SMALL)))
    assert found["nvidia_smi"] is None
    assert found["note"].startswith("There is no nvidia-smi on this machine.")
    assert found["rows"][0]["device"] == "NVIDIA A100"


def test_the_order_says_what_the_work_is_and_not_where_files_lie():
    """Two machines have other folders, and one of the two names the other's file."""
    first = cpu_gpu.timing_order(FakeRun(backbone="cnn"))
    second = cpu_gpu.timing_order(
        FakeRun(
            backbone="cnn",
            merge="a.json",
            measure="cpu",
            runs_dir="/scratch/runs",
            data_dir="/scratch/data",
        )
    )
    assert json.loads(json.dumps(first)) == first == second
    assert first["settings"]["backbone"] == "cnn"
    assert first != cpu_gpu.timing_order(FakeRun(backbone="vgg16"))


def test_the_toy_convolution_is_32_filters_over_120_pictures(monkeypatch):
    shapes = []
    convolve = tf.nn.conv2d

    def spy(pictures, filters, **options):
        out = convolve(pictures, filters, **options)
        shapes.append((tuple(pictures.shape), tuple(filters.shape), tuple(out.shape)))
        return out

    monkeypatch.setattr(tf.nn, "conv2d", spy)
    assert cpu_gpu_process.time_toy_convolution(1) > 0
    assert shapes == [((120, 224, 224, 3), (3, 3, 3, 32), (120, 222, 222, 32))]
