"""The measurements in benchmarks/: their form, not their figures."""

import json
import sys
from pathlib import Path

import pytest

from xray_helpers.quiet_import import keras

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
WORKS = ("t1-vgg16", "grid-t2-vgg16")


@pytest.fixture(scope="module")
def modules():
    """Its modules import each other by name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        import chart
        import forward
        import speed
        import ways

        yield {"chart": chart, "forward": forward, "speed": speed, "ways": ways}


@pytest.fixture(scope="module")
def measured(modules, tmp_path_factory):
    """Of two works on a few generated pictures."""
    folder = tmp_path_factory.mktemp("benchmark")
    words = ["speed.py", "--quick", "--works", *WORKS, "--results", str(folder / "results.json")]
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("XRAY_DATA", raising=False)
        patch.setenv("XRAY_CACHE", str(folder / "cache"))
        patch.setattr(sys, "argv", words)
        modules["speed"].main()
    return (folder / "results.json").read_text()


@pytest.fixture
def results(measured, tmp_path):
    """What was measured, also in `results.json`."""
    (tmp_path / "results.json").write_text(measured)
    return json.loads(measured)


def test_a_quick_run_measures_every_way_and_the_losses_agree(results, modules, capsys):
    rows = {(row["work"], row["way"]): row for row in results["rows"]}
    assert list(rows) == [(work, way) for work in WORKS for way in ("classical", "cold", "warm")]
    for (work, _), row in rows.items():
        assert row.keys() == {"work", "way", "epochs", "measured_epochs", "seconds", "ratio"}
        assert row["ratio"] == pytest.approx(rows[work, "classical"]["seconds"] / row["seconds"])
        assert 1 <= row["measured_epochs"] <= row["epochs"]
    assert rows["t1-vgg16", "warm"]["epochs"] == 2
    assert rows["grid-t2-vgg16", "warm"]["epochs"] == 1 * 2 * 2  # settings, folds, epochs
    assert rows["grid-t2-vgg16", "cold"]["seconds"] > rows["grid-t2-vgg16", "warm"]["seconds"]
    (agreement,) = results["agreement"]
    assert agreement["largest_relative_difference"] < 1e-5
    share = results["forward_share"]
    assert share["share"] == pytest.approx(share["forward_gflops"] / share["matmul_gflops"])
    assert results["machine"].keys() >= {"cpu", "threads", "versions", "load_at_start", "date"}
    assert results["data"] == {"kind": "generated"}
    text = modules["chart"].section(results)
    assert all(f"| `{work}` |" in text for work in WORKS)
    assert "generated pictures and random weights" in text
    figure = modules["chart"].chart(results)
    assert {t.get_text() for t in figure.axes[0].get_yticklabels()} == set(WORKS)


def test_an_interrupted_benchmark_goes_on_and_only_a_whole_one_is_published(
    results, modules, tmp_path, monkeypatch
):
    speed, file = modules["speed"], tmp_path / "results.json"
    published = []
    monkeypatch.setattr(speed, "publish", published.append)
    monkeypatch.setattr(speed, "RESULTS", tmp_path / "whole.json")
    half = {**results, "rows": results["rows"][:3]}
    file.write_text(json.dumps(half))
    monkeypatch.setattr(speed, "training_rows", None)  # what was measured is not measured again
    words = ["speed.py", "--go-on", "--works", "t1-vgg16", "--results", str(file)]
    monkeypatch.setattr(sys, "argv", words)
    monkeypatch.setattr(speed, "find_source", lambda *a, **k: speed.Source(tmp_path, "generated"))
    speed.main()
    assert json.loads(file.read_text())["rows"] == half["rows"]
    assert published == []
    monkeypatch.setattr(speed, "WORKS", ("t1-vgg16", "grid-t2-vgg16"))
    monkeypatch.setattr(speed, "grid_rows", lambda *facts: results["rows"][3:])
    monkeypatch.setattr(sys, "argv", ["speed.py", "--go-on", "--results", str(file)])
    speed.main()
    assert [whole["rows"] for whole in published] == [results["rows"]]
    assert json.loads((tmp_path / "whole.json").read_text()) == published[0]


def test_what_another_machine_measured_is_not_gone_on_with(results, modules, tmp_path):
    speed, file = modules["speed"], tmp_path / "results.json"
    source = speed.Source(tmp_path, "generated")
    assert speed.earlier(file, source) == results
    assert speed.earlier(file, speed.Source(tmp_path, "class")) is None
    results["machine"]["cpu"] = "another"
    file.write_text(json.dumps(results))
    assert speed.earlier(file, source) is None
    file.unlink()
    assert speed.earlier(file, source) is None


def test_the_classical_way_stops_when_its_budget_is_used_but_not_after_one_epoch(
    modules, monkeypatch
):
    from types import SimpleNamespace

    ticks = iter([0, 9, 10, 13, 20, 24])
    monkeypatch.setattr(modules["ways"], "time", SimpleNamespace(perf_counter=lambda: next(ticks)))
    clock = modules["ways"].EpochClock(budget=14)
    clock.set_model(SimpleNamespace(stop_training=False))
    stopped = []
    for epoch in range(3):
        clock.on_epoch_begin(epoch)
        clock.on_epoch_end(epoch)
        stopped.append(clock.model.stop_training)
    assert stopped == [False, False, True]
    assert clock.seconds == [9, 3, 4]


def test_operations_of_vgg16_are_those_of_its_layers(modules):
    vgg16 = keras.applications.VGG16(include_top=False, weights=None, input_shape=(224, 224, 3))
    # 15.3 billion multiplications and additions, as published.
    assert modules["forward"].convolution_flops(vgg16) == 2 * 15_346_630_656


def test_the_readme_shows_the_results(modules):
    chart = modules["chart"]
    results = json.loads(chart.RESULTS.read_text(encoding="utf-8"))
    assert chart.section(results) in chart.README.read_text(encoding="utf-8")
    assert {row["work"] for row in results["rows"]} == set(modules["speed"].WORKS)
    assert chart.CHART.is_file()
