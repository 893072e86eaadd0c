"""timing.json: reading, merging, and what a run makes of it."""

import json
from pathlib import Path

import pandas as pd
import pytest
from timing_rows import FROZEN, TOY, TUNED, gpu_timing, old_timing, row, timing

from xray_helpers.data import Source
from xray_helpers.errors import KitError
from xray_helpers.run import Run
from xray_helpers.runs.record import RunFolder
from xray_helpers.runs.timings import timings_to_merge
from xray_helpers.session import check_run
from xray_helpers.settings import TimingSettings
from xray_helpers.training import cpu_gpu, machine_lines, merge_timings, read_timing
from xray_helpers.training.timing_table import join_timings, timing_rows


def write(path: Path, content: dict) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


# --- reading ------------------------------------------------------------------------------------


def test_a_timing_file_is_read_as_it_was_written(tmp_path):
    path = write(tmp_path / "timing.json", timing(row(), row(TUNED)))
    assert read_timing(path) == timing(row(), row(TUNED))


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "3", "null", "{}", '{"schema": 2, "rows": [1]}', "\x00\x01"),
        *('{"schema": 1, "rows": []}', '{"schema": 1, "rows": [{"work": "x"}]}'),
        *('{"schema": 1, "rows": [3]}', '{"schema": 2, "measurements": []}'),
        '{"schema": 2, "measurements": [{"order": {}, "rows": [{"work": "x"}]}]}',
        json.dumps({**timing(row()), "schema": 3}),
        json.dumps({"schema": 2, "measurements": [{"rows": [row()]}]}),
    ],
)
def test_what_is_no_timing_file_is_named(tmp_path, text):
    (tmp_path / "timing.json").write_text(text)
    with pytest.raises(KitError, match=r"merge: .*timing.json is not a timing.json"):
        read_timing(tmp_path / "timing.json")


def test_a_missing_timing_file_is_named(tmp_path):
    with pytest.raises(KitError, match="there is no file"):
        read_timing(tmp_path / "nowhere.json")


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({}, FROZEN),
        ({"unfreeze": 4}, TUNED),
        ({"unfreeze": -1}, "fine-tuning, all layers"),
        ({"backbone": "cnn"}, "training, all layers"),
        ({"recipe": "t1-vgg16-last5"}, "fine-tuning, last 5 layers"),
        ({"recipe": "gone"}, "training"),
    ],
)
def test_an_older_file_s_training_is_called_by_what_it_trained(tmp_path, settings, name):
    old = old_timing(row(), row(TOY), settings=settings)
    found = read_timing(write(tmp_path / "timing.json", old))
    assert [r["work"] for r in timing_rows(found)] == [name, TOY]
    _, notes = merge_timings([found])
    assert len(notes) == 1 and "Only one device" in notes[0]


# --- merging ------------------------------------------------------------------------------------


def test_faster_is_counted_from_the_slowest_at_the_same_work():
    here = timing(row(total=12.0), row(TOY, total=3.0))
    there = timing(row(device="NVIDIA H200", total=3.0), row(TOY, "NVIDIA H200", total=0.5))
    table, notes = merge_timings([here, there])
    assert notes == []
    assert table["work"].tolist() == [FROZEN, FROZEN, TOY, TOY]
    assert table["times faster"].tolist() == [1.0, 4.0, 1.0, 6.0]
    assert table["device"].tolist()[:2] == ["CPU, 4 threads on laptop", "NVIDIA H200 on laptop"]
    assert pd.isna(table["seconds_epoch"][2])


def test_frozen_and_fine_tuned_are_compared_each_with_itself():
    table, _ = merge_timings([timing(row(total=10.0), row(TUNED, total=30.0)), gpu_timing()])
    faster = table.set_index(["work", "device"])["times faster"]
    assert faster[(FROZEN, "NVIDIA A100-SXM4-80GB on scc-213")] == 10.0
    assert faster[(TUNED, "NVIDIA A100-SXM4-80GB on scc-213")] == 20.0


def test_two_machines_are_named():
    _, notes = merge_timings([timing(row()), timing(row(device="GPU", host="node7"))])
    assert len(notes) == 1
    assert "laptop, node7" in notes[0]


def test_one_device_is_not_enough_to_compare():
    _, notes = merge_timings([timing(row(), row(TUNED), row(TOY))])
    assert len(notes) == 1
    assert "Only one device" in notes[0]


@pytest.mark.parametrize("change", [{"epochs": 3}, {"task": "task2"}, {"settings": {"l2": 1}}])
def test_measurements_of_different_work_are_told_apart(change):
    _, notes = merge_timings([timing(row()), timing(row(device="GPU"), **change)])
    assert notes == [f"The measurements differ in {next(iter(change))}: totals cannot be compared."]


def test_another_number_of_tuned_layers_is_another_work():
    three = "fine-tuning, last 3 layers"
    table, notes = merge_timings([timing(row(TUNED)), timing(row(three, "GPU"), fine_tune=3)])
    assert notes == []
    assert table["times faster"].tolist() == [1.0, 1.0]


def test_measurements_on_other_pictures_are_told_apart():
    other = timing(row(device="GPU", data_fingerprint="two"))
    _, notes = merge_timings([timing(row()), other])
    assert notes == ["The measurements differ in their pictures: totals cannot be compared."]


def test_every_setting_of_the_model_is_part_of_the_order():
    from xray_helpers.settings import ModelSettings, Settings

    elsewhere = {*Settings.model_fields, "data_dir", "image_size"}
    assert set(cpu_gpu.MODEL_SETTINGS) == set(ModelSettings.model_fields) - elsewhere


def test_a_setting_that_an_older_file_does_not_have_was_at_its_default():
    settings = {name: getattr(TimingSettings(), name) for name in cpu_gpu.MODEL_SETTINGS}
    older = {name: value for name, value in settings.items() if name != "enhance"}
    before = timing(row(), settings=older)
    _, notes = merge_timings([before, timing(row(device="GPU"), settings=settings)])
    assert notes == []
    settings["enhance"] = "clahe"
    _, notes = merge_timings([before, timing(row(device="GPU"), settings=settings)])
    assert notes == ["The measurements differ in settings: totals cannot be compared."]


def test_the_same_measurement_named_twice_comes_once():
    both = join_timings([timing(row()), gpu_timing()])
    assert len(join_timings([both, timing(row())])["measurements"]) == 2


def test_the_same_device_measured_twice_is_shown_twice():
    table, _ = merge_timings([timing(row(total=10.0)), timing(row(total=11.0))])
    assert table["device"].tolist() == [
        "CPU, 4 threads on laptop",
        "CPU, 4 threads on laptop, time 2",
    ]


def test_one_thread_is_one_thread():
    table, _ = merge_timings([timing(row(threads=1))])
    assert table["device"].tolist() == ["CPU, 1 thread on laptop"]


def test_nothing_measured_is_a_sentence():
    with pytest.raises(KitError, match="Nothing was measured"):
        merge_timings([{"schema": 2, "measurements": []}])


def test_a_machine_s_line_has_its_processor_gpu_driver_and_use():
    (line,) = machine_lines(gpu_timing(processor="Xeon Gold 6326"))
    assert line.startswith(
        "scc-213: Xeon Gold 6326, 4 threads, NVIDIA A100-SXM4-80GB, 81,920 MiB, driver 535.104.05; "
    )
    assert f"{FROZEN}: GPU busy 97 % of the time, 3,210 MiB in use; {TUNED}: GPU busy" in line
    assert machine_lines(timing(row())) == ["laptop: 4 threads."]


def test_a_gpu_without_nvidia_smi_is_said():
    found = timing(row(device="NVIDIA H200"))
    found["measurements"][0]["note"] = "There is no nvidia-smi on this machine."
    assert machine_lines(found) == [
        "laptop: 4 threads, NVIDIA H200. There is no nvidia-smi on this machine."
    ]


# --- what a run merges ----------------------------------------------------------------------------


@pytest.fixture
def runs(tmp_path) -> Path:
    return tmp_path / "runs"


def finished(runs: Path, content: dict, name: str = "vgg16", complete: bool = True) -> RunFolder:
    """A run of 04_cpu_vs_gpu with this timing."""
    run = RunFolder(runs, "04_cpu_vs_gpu", "task1", name, {})
    write(run.folder / "timing.json", content)
    if complete:
        run.complete()
    return run


def merged(runs: Path, merge: str, **settings) -> list[dict]:
    return timings_to_merge(TimingSettings(merge=merge, **settings), runs)


def test_a_timing_is_named_by_its_file_its_run_s_folder_its_id_or_a_part_of_it(runs):
    RunFolder(runs, "01_task1", "task1", "vgg16", {})  # no timing: not meant
    run = finished(runs, timing(row()))
    finished(runs, gpu_timing(), "resnet50")
    finished(runs, gpu_timing(), complete=False)
    identity = run.record["id"]
    for name in (run.folder / "timing.json", run.folder, identity, identity[-6:], "task1-vgg16"):
        assert merged(runs, str(name)) == [timing(row())]
    assert merged(runs, f"{identity}, resnet50") == [timing(row()), gpu_timing()]


def test_a_name_that_means_no_timing_is_told(runs):
    run = finished(runs, timing(row()))
    with pytest.raises(KitError, match=f"'inception'.*{run.record['id']}"):
        merged(runs, "inception")
    with pytest.raises(KitError, match="there is no file /nowhere/timing"):
        merged(runs, "/nowhere/timing.json")
    with pytest.raises(KitError, match="no complete run of its is in"):
        merged(runs, str(runs))


def test_a_sweep_s_folder_means_the_timing_of_its_complete_run(runs, monkeypatch):
    folder = runs / "sweeps" / "cpu-gpu-1a2b-gpu"
    folder.mkdir(parents=True)
    monkeypatch.setenv("XRAY_SWEEP_TASK", json.dumps({"name": folder.name, "task": 1}))
    finished(runs, gpu_timing())
    finished(runs, timing(row(total=1.0)), complete=False)
    monkeypatch.delenv("XRAY_SWEEP_TASK")
    finished(runs, timing(row(total=2.0)))
    assert merged(runs, str(folder)) == [gpu_timing()]


def test_merging_alone_needs_something_to_merge(runs):
    with pytest.raises(KitError, match="measure='none' only merges"):
        check_run("04_cpu_vs_gpu", {"measure": "none", "runs_dir": str(runs)})


# --- the record -----------------------------------------------------------------------------------


def open_run(runs: Path, **settings) -> Run:
    checked, task, recipe = check_run("04_cpu_vs_gpu", {"runs_dir": str(runs), **settings})
    run = Run("04_cpu_vs_gpu", checked, RunFolder(runs, "04_cpu_vs_gpu", task, "vgg16", {}))
    run.recipe, run.source = recipe, Source(Path("/here"), "generated")
    return run


def record_of(run: Run) -> dict:
    return json.loads((run.folder / "run.json").read_text())


def test_a_run_signs_what_it_measured(runs):
    run = open_run(runs)
    assert run.record_timing(timing(row(), row(TOY)))["measurements"][0]["run"] == run.folder.name
    (mine,) = read_timing(run.folder / "timing.json")["measurements"]
    record = record_of(run)
    assert mine["processor"] == record["environment"]["cpu"]
    assert (record["environment"]["gpus"], record["environment"]["threads"]) == ([], 4)
    assert record["data"] == {"kind": "class", "root": "/pictures", "fingerprint": "one"}
    assert record["marks"] == ["random weights"]
    assert not (run.folder / "nvidia-smi.txt").exists()


def test_a_merging_run_has_both_devices_hosts_and_threads_and_what_nvidia_smi_said(runs):
    one = finished(runs, gpu_timing())
    two = finished(runs, timing(row(weights="imagenet", host="scc-7", threads=16)))
    run = open_run(runs, measure="none", merge=f"{one.folder},{two.record['id']}")
    run.add_mark("generated pictures")  # this machine has none, the others had
    whole = run.record_timing(cpu_gpu.measure_devices({}, "none"))
    assert read_timing(run.folder / "timing.json") == whole
    record = record_of(run)
    assert record["timing"]["devices"] == [
        {"device": "NVIDIA A100-SXM4-80GB", "host": "scc-213", "threads": 4, "processor": "Xeon",
         "run": "gpu-run"},
        {"device": "cpu", "host": "scc-7", "threads": 16, "processor": None, "run": None},
    ]  # fmt: skip
    assert record["marks"] == ["random weights"]
    assert record["environment"]["threads"] is None
    assert "| A100 |" in (run.folder / "nvidia-smi.txt").read_text()
    run.complete()
    # What was merged can be moved away, and the whole be merged again.
    (one.folder / "timing.json").unlink()
    assert merged(runs, run.folder.name) == [whole]
