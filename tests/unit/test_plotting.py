"""Figures: what they say, not how they look to the pixel."""

import subprocess
import sys
from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text
from PIL import Image

from xray_helpers import plotting
from xray_helpers.errors import KitError
from xray_helpers.plotting.pictures import RIGHT, WRONG
from xray_helpers.plotting.style import class_looks, wrap

CLASSES = ["covid", "normal", "pneumonia_bac", "pneumonia_vir"]
MARK = "generated pictures · random weights: not a result"


def pictures(number: int, side: int = 12) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 255, (number, side, side, 3), dtype=np.uint8)


def history(epochs: int, validation: bool = True) -> pd.DataFrame:
    epoch = np.arange(1, epochs + 1)
    table = pd.DataFrame({"epoch": epoch, "loss": 1 / epoch, "accuracy": 1 - 0.5 / epoch})
    if validation:
        table["val_loss"] = 1.2 / epoch
        table["val_accuracy"] = 1 - 0.6 / epoch
    return table


def balance() -> pd.DataFrame:
    return pd.DataFrame(
        {"train": [101, 202, 303, 0], "validation": [11, 22, 33, 44], "test": [9, 8, 7, 6]},
        index=CLASSES,
    )


def scores() -> pd.DataFrame:
    rows = [
        ("covid", "precision", 0.8, 0.5, 0.95, 10),
        ("covid", "recall", 0.89, 0.57, 0.98, 9),
        ("normal", "precision", np.nan, np.nan, np.nan, 0),
        ("normal", "recall", 0.0, 0.0, 0.3, 9),
    ]
    return pd.DataFrame(rows, columns=["class", "metric", "value", "low", "high", "n"])


def metrics() -> pd.DataFrame:
    """All metrics of four classes; covid is never called, and the AUC has no interval."""
    names = ("precision", "recall", "specificity", "f1", "auc", "average_precision")
    rows = [("all", "accuracy", 0.75, 0.59, 0.86, 36, "wilson", 0.5, 0.9)]
    for name in names:
        method = "wilson" if name in names[:3] else "bootstrap"
        for label in (*CLASSES, "macro"):
            row = (0.8, 0.6, 0.9, 36, method, 0.5, 1.0)
            if (name, label) == ("precision", "covid"):
                row = (np.nan, 0.0, 1.0, 0, method, np.nan, np.nan)
            elif name == "auc":
                row = (1.0, np.nan, np.nan, 36, "bootstrap", np.nan, np.nan)
            rows.append((label, name, *row))
    columns = ["class", "metric", "value", "low", "high", "n"]
    return pd.DataFrame(rows, columns=[*columns, "method", "patient_low", "patient_high"])


def calibration() -> pd.DataFrame:
    rows = [(0.0, 0.1, 0.05, 0.0, 0.0, 0.4, 6), (0.95, 1.0, 0.98, 1.0, 0.6, 1.0, 7)]
    rows.append((0.96, 1.0, 0.99, 1.0, 0.6, 1.0, 7))
    columns = ["lowest", "highest", "mean", "share", "low", "high", "n"]
    return pd.DataFrame(rows, columns=columns)


def costs() -> pd.DataFrame:
    rows = [("validation", 0.0, 0.4, 0.5, 0, 9), ("validation", 0.4, 1.0, 2.5, 9, 0)]
    rows += [("test", 0.0, 0.2, 0.5, 0, 9), ("test", 0.2, 1.0, 1.0, 3, 3)]
    return pd.DataFrame(rows, columns=["split", "above", "up_to", "cost", "missed", "alarms"])


def accuracies() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "name": ["worst", "best", "unknown", "middle"],
            "value": [0.31, 0.92, np.nan, 0.55],
            "low": [0.2, 0.8, np.nan, 0.4],
            "high": [0.5, 0.98, np.nan, 0.7],
            "n": [36, 36, 0, 36],
            "mark": ["", "", "", "generated pictures, random weights"],
        }
    )


def times(*rows: tuple[str, str, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["work", "device", "seconds"])


def variants(number: int) -> pd.DataFrame:
    """So many variants; the first diverged, the second has no precision and no reported recall."""
    table = pd.DataFrame({"variant": [f"model{i}" for i in range(number)]})
    table["what"] = "dropout 0.40, no third conv, fewer nodes"
    table["stage"] = [1 + i % 2 for i in range(number)]
    for metric, value in (("accuracy", 0.8), ("recall", 0.9), ("precision", 0.7)):
        table[f"test_{metric}"], table[f"reported_{metric}"] = value, value - 0.1
        table[f"test_{metric}_low"], table[f"test_{metric}_high"] = value - 0.05, value + 0.05
    ours = [c for c in table if c.startswith("test_")]
    table.loc[0, ours] = np.nan
    table.loc[1, ["test_precision", "reported_recall"]] = np.nan
    return table


def heats(number: int, side: int = 12) -> np.ndarray:
    return np.random.default_rng(1).random((number, side, side), np.float32)


def cloud(number: int) -> tuple[np.ndarray, list[str]]:
    points = np.random.default_rng(0).normal(size=(number, 2))
    return points, [CLASSES[place % 4] for place in range(number)]


POINTS, LABELS = cloud(20)
LONG = "20250102T101112Z-task2-inception_resnet_v2-unfreeze_4,learning_rate=0.0001-abcdef"
EVERY: dict[str, Callable[[], Figure]] = {
    "class_balance": lambda: plotting.class_balance(balance()),
    "sample_pictures": lambda: plotting.sample_pictures({c: pictures(3) for c in CLASSES}),
    "enhancement_grid": lambda: plotting.enhancement_grid(
        {f"step {i}": pictures(4) for i in range(6)}, CLASSES
    ),
    "predictions_grid": lambda: plotting.predictions_grid(
        pictures(7), ["covid"] * 7, ["pneumonia_bac"] * 7, [0.5] * 7
    ),
    "learning_curves": lambda: plotting.learning_curves(history(5), best_epoch=3),
    "learning_curves of four": lambda: plotting.learning_curves(
        history(5).assign(precision=0.5, val_recall=0.6), best_epoch=3
    ),
    "confusion": lambda: plotting.confusion(np.eye(4, dtype=int), CLASSES),
    "class_scores": lambda: plotting.class_scores(scores()),
    "metric_dots": lambda: plotting.metric_dots(metrics()),
    "calibration_curve": lambda: plotting.calibration_curve(calibration(), "the predicted class"),
    "calibration_curve of margins": lambda: plotting.calibration_curve(
        calibration()[:0], "covid", reason="The scores are no probabilities. " * 4
    ),
    "cost_curve": lambda: plotting.cost_curve(costs(), 0.3, 0.167, (5.0, 1.0)),
    "cost_curve of four": lambda: plotting.cost_curve(
        costs(), 0.3, 0.167, (5.0, 1.0), usual={"validation": 0.4, "test": 0.2}
    ),
    "embedding": lambda: plotting.embedding(POINTS, LABELS, "Layer", note="perplexity 30"),
    "embedding_grid": lambda: plotting.embedding_grid(
        [plotting.EmbeddingPanel(POINTS, LABELS, f"Layer {i}", "note") for i in range(3)]
    ),
    "embedding_grid of four": lambda: plotting.embedding_grid(
        [plotting.EmbeddingPanel(POINTS, LABELS, f"seed {i}", "note " * 20) for i in range(4)]
    ),
    "heat_grid": lambda: plotting.heat_grid(
        pictures(7), heats(7), ["pneumonia_bac"] * 7, ["pneumonia_bac"] * 7, [1.0] * 7
    ),
    "heat_grid with occlusion": lambda: plotting.heat_grid(
        pictures(2), heats(2), CLASSES[:2], CLASSES[2:], [0.5] * 2, heats(2) > 0.5, heats(2) - 0.5
    ),
    "compare_curves": lambda: plotting.compare_curves({f"{LONG}{i}": history(3) for i in range(4)}),
    "compare_accuracy": lambda: plotting.compare_accuracy(
        accuracies().assign(name=LONG), chance=0.25
    ),
    "timing_bars": lambda: plotting.timing_bars(times((LONG, "CPU", 3.0), (LONG, "GPU", 0.5))),
    "variants_beside_report": lambda: plotting.variants_beside_report(
        variants(25), same_answer={1: 0.6, 2: 0.7}
    ),
}


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def panels(figure: Figure) -> list:
    return [axes for axes in figure.axes if axes.get_label() != "legend"]


def legend_texts(figure: Figure) -> list[str]:
    (axes,) = [axes for axes in figure.axes if axes.get_label() == "legend"]
    return [text.get_text() for text in axes.get_legend().get_texts()]


# All figures


def test_no_figure_is_left_open_and_no_setting_is_left_changed():
    before = dict(plt.rcParams)
    assert all(type(draw()) is Figure for draw in EVERY.values())
    assert plt.get_fignums() == []
    assert dict(plt.rcParams) == before


@pytest.mark.parametrize("name", EVERY)
def test_nothing_is_cut_off_also_with_a_mark(name):
    figure = plotting.stamp(EVERY[name](), MARK)
    figure.draw_without_rendering()
    width, height = figure.get_size_inches()
    box = figure.get_tightbbox()
    assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width + 0.01 and box.y1 <= height + 0.01
    (mark,) = [text for text in figure.texts if text.get_text() == MARK]
    top = mark.get_window_extent().y1
    assert all(axes.get_tightbbox().y0 >= top for axes in figure.axes)


@pytest.mark.parametrize("name", EVERY)
def test_each_figure_has_a_title_or_panel_titles(name):
    figure = EVERY[name]()
    assert figure.get_suptitle() or all(axes.get_title("left") for axes in panels(figure))


def test_plotting_imports_no_other_room_of_the_package():
    code = (
        "import sys, xray_helpers.plotting; print('tensorflow' in sys.modules, *sorted("
        "n for n in sys.modules if n.startswith('xray_helpers.') and n.count('.') == 1))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "xray_helpers.errors", "xray_helpers.plotting"]


def test_each_public_name_exists():
    assert all(hasattr(plotting, name) for name in plotting.__all__)


# Names and looks


def test_class_names():
    shown = [plotting.class_name(label) for label in [*CLASSES, "other"]]
    assert shown == ["COVID-19", "normal", "bacterial pneumonia", "viral pneumonia", "other"]


def test_class_looks_do_not_depend_on_order_or_on_other_classes():
    forward, backward = class_looks([*CLASSES, "a", "b"]), class_looks(["b", "a", *CLASSES[::-1]])
    assert forward == backward
    assert class_looks(["covid"])["covid"] == forward["covid"]


def test_class_looks_differ_in_colour_and_in_marker():
    looks = class_looks([*CLASSES, "a", "b", "c"]).values()
    assert len({look.color for look in looks}) == 7
    assert len({look.marker for look in looks}) == 7


def test_the_signs_are_in_the_font():
    glyphs = FT2Font(findfont("DejaVu Sans")).get_charmap()
    assert {ord(sign) for sign in (RIGHT, WRONG, "–", "·")} <= glyphs.keys()


@pytest.mark.parametrize("text", ["a" * 90, "some words and more words", "a_b=" * 20, "", "a  b"])
def test_wrap_keeps_all_letters_and_the_width(text):
    wrapped = wrap(text, 20)
    assert wrapped.replace("\n", "").replace(" ", "") == text.replace(" ", "")
    assert all(len(line) <= 20 for line in wrapped.split("\n"))


# Counts and scores


def test_class_balance_writes_every_number_on_its_bar():
    (axes,) = panels(plotting.class_balance(balance()))
    for bars, split in zip(axes.containers, balance().columns, strict=True):
        assert [bar.get_height() for bar in bars] == list(balance()[split])
    shown = [text.get_text() for text in axes.texts]
    assert shown == [str(count) for split in balance() for count in balance()[split]]
    assert axes.get_xticklabels()[0].get_text() == "COVID-19"


def test_class_balance_gives_a_split_the_same_look_in_any_order():
    def looks(table: pd.DataFrame) -> dict:
        (axes,) = panels(plotting.class_balance(table))
        return {
            bars.get_label(): (bars[0].get_facecolor(), bars[0].get_hatch())
            for bars in axes.containers
        }

    assert looks(balance()) == looks(balance()[["test", "validation", "train"]])
    assert len(set(looks(balance()).values())) == 3


def test_class_balance_counts_missing_as_none_and_refuses_an_empty_table():
    table = balance().astype(float)
    table.loc["covid", "test"] = np.nan
    (axes,) = panels(plotting.class_balance(table))
    assert axes.containers[2][0].get_height() == 0
    with pytest.raises(KitError):
        plotting.class_balance(pd.DataFrame())


def test_confusion_shows_counts_shares_and_an_empty_row():
    matrix = np.array([[3, 1], [0, 0]])
    (axes,) = panels(plotting.confusion(matrix, ["normal", "covid"]))
    assert [text.get_text() for text in axes.texts] == ["3\n75 %", "1\n25 %", "–", "–"]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == [
        "normal\n(n = 4)",
        "COVID-19\n(n = 0)",
    ]


@pytest.mark.parametrize(
    "matrix", [np.eye(3, dtype=int), np.ones((2, 3), int), np.array([[1, -1], [0, 1]])]
)
def test_confusion_refuses_what_is_no_confusion_matrix(matrix):
    with pytest.raises(ValueError, match="confusion"):
        plotting.confusion(matrix, ["normal", "covid"])


def test_class_scores_say_what_is_not_defined():
    precision, recall = panels(plotting.class_scores(scores()))
    shown = [text.get_text() for text in precision.texts]
    assert shown == ["0.80  (n = 10)", "not defined", "n = 0"]
    assert [text.get_text() for text in recall.texts] == ["0.89  (n = 9)", "0.00  (n = 9)"]


def test_class_scores_refuse_a_metric_that_comes_twice():
    with pytest.raises(KitError, match="twice"):
        plotting.class_scores(pd.concat([scores(), scores()]))


def test_class_scores_keep_the_class_colours_in_any_order():
    def colors(table: pd.DataFrame) -> set:
        return {
            (float(line.get_xdata()[0]), to_hex(line.get_markerfacecolor()))
            for axes in panels(plotting.class_scores(table))
            for line in axes.lines
            if len(line.get_xdata()) == 1
        }

    looks = class_looks(CLASSES)
    assert colors(scores()) == colors(scores().iloc[::-1])
    assert (0.89, looks["covid"].color.lower()) in colors(scores())


def test_metric_dots_show_both_intervals_and_say_where_there_is_none():
    made = panels(plotting.metric_dots(metrics()))
    by_title = {axes.get_title("left"): axes for axes in made}
    spans = {tuple(line.get_xdata()) for line in by_title["Recall"].lines}
    assert {(0.6, 0.9), (0.5, 1.0)} <= spans
    assert "not defined" in [text.get_text() for text in by_title["Precision"].texts]
    area = by_title["AUC (area under the ROC curve)"]
    assert [text.get_text() for text in area.texts] == ["1.00  (n = 36) *"] * 5
    assert {len(set(line.get_xdata())) for line in area.lines} == {1}  # dots and a line at 0.5
    with pytest.raises(KitError, match="twice"):
        plotting.metric_dots(pd.concat([metrics(), metrics()]))


def test_metric_dots_explain_the_star_only_where_there_is_one():
    note = "* no interval: all resamples alike"
    assert note in texts(plotting.metric_dots(metrics()))
    unsure = metrics().fillna({"low": 0.1, "high": 0.9})
    assert note not in texts(plotting.metric_dots(unsure))
    one = metrics().assign(n=1)
    assert "All figures of 1 picture, with 95 % intervals" in texts(plotting.metric_dots(one))


def test_calibration_curve_shows_each_bin_and_its_number_of_pictures():
    (axes,) = panels(plotting.calibration_curve(calibration(), "covid"))
    assert [text.get_text() for text in axes.texts] == ["n = 6", "n = 7", "n = 7"]
    spans = {tuple(line.get_xdata()) for line in axes.lines}
    assert {(0.0, 0.1), (0.95, 1.0), (0.05,), (0.98,)} <= spans
    assert axes.get_ylabel() == "share of pictures that are COVID-19"
    with pytest.raises(KitError, match="no bin"):
        plotting.calibration_curve(calibration()[:0], "covid")


def test_cost_curve_marks_the_three_thresholds_in_every_panel():
    figure = plotting.cost_curve(costs(), 0.3, 0.167, (5.0, 1.0))
    for axes in panels(figure):
        assert [line.get_xdata()[0] for line in axes.lines] == [0.3, 0.167, 0.5]
    (cost, missed, _) = panels(figure)
    assert [list(steps.get_data().values) for steps in cost.patches] == [[0.5, 2.5], [0.5, 1.0]]
    assert [list(steps.get_data().edges) for steps in missed.patches] == [
        [0.0, 0.4, 1.0],
        [0.0, 0.2, 1.0],
    ]
    several = plotting.cost_curve(costs(), 0.3, 0.167, (5.0, 1.0), usual={"test": 0.2})
    assert "0.20" in texts(several)
    assert 0.5 not in [line.get_xdata()[0] for line in panels(several)[0].lines]


def test_compare_accuracy_puts_the_best_on_top_and_the_undefined_at_the_bottom():
    (axes,) = panels(plotting.compare_accuracy(accuracies(), chance=0.25))
    top, bottom = axes.get_ylim()[::-1]
    assert top < bottom
    names = [text for text in axes.texts if text.get_text() in set(accuracies()["name"])]
    names.sort(key=lambda text: text.xy[1])
    assert [text.get_text() for text in names] == ["best", "middle", "worst", "unknown"]
    shown = [text.get_text() for text in axes.texts]
    assert "0.920  (n = 36)" in shown
    assert "not defined" in shown
    assert "generated pictures, random weights" in shown


def test_compare_accuracy_draws_marked_runs_hollow_and_chance_dashed():
    figure = plotting.compare_accuracy(accuracies(), chance=0.25)
    (axes,) = panels(figure)
    dots = {
        line.get_xdata()[0]: line.get_markerfacecolor()
        for line in axes.lines
        if len(line.get_xdata()) == 1
    }
    assert dots[0.55] == "white"
    assert dots[0.92] != "white"
    assert any(
        line.get_linestyle() == "--" and list(line.get_xdata()) == [0.25, 0.25]
        for line in axes.lines
    )
    assert "guessing (0.25)" in legend_texts(figure)


def test_compare_accuracy_takes_runs_of_the_same_name_and_no_marks():
    table = accuracies().drop(columns="mark").assign(name="same", n=36)
    (axes,) = panels(plotting.compare_accuracy(table))
    assert [text.get_text() for text in axes.texts].count("same") == 4


def test_a_missing_column_is_named():
    with pytest.raises(ValueError, match="'low'"):
        plotting.compare_accuracy(accuracies().drop(columns="low"))


# Pictures


@pytest.mark.parametrize("number", [1, 4, 18, 36])
def test_predictions_grid_marks_the_wrong_ones_and_no_other(number):
    true = [CLASSES[place % 4] for place in range(number)]
    predicted = ["covid"] * number
    share = np.linspace(0.3, 0.99, number)
    figure = plotting.predictions_grid(pictures(number), true, predicted, share)
    shown = panels(figure)
    assert len(shown) == number
    for place, axes in enumerate(shown):
        wrong = true[place] != "covid"
        assert axes.get_title() == plotting.class_name(true[place])
        sign = WRONG if wrong else RIGHT
        assert axes.get_xlabel() == f"COVID-19\n{sign} {100 * share[place]:.0f} %"
        assert [frame.get_linewidth() >= 3 for frame in axes.patches] == [True] * wrong
    assert f"{sum(t != 'covid' for t in true)} wrongly" in figure.get_suptitle()


@pytest.mark.parametrize("short", ["true", "predicted", "probability"])
def test_predictions_grid_refuses_other_lengths_in_one_sentence(short):
    parts = {"true": ["covid"] * 3, "predicted": ["covid"] * 3, "probability": [0.5] * 3}
    parts[short] = parts[short][:2]
    with pytest.raises(ValueError, match="got 3 pictures") as caught:
        plotting.predictions_grid(pictures(3), **parts)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


def test_predictions_grid_takes_columns_of_a_table_with_any_index():
    table = pd.DataFrame({"true": ["covid", "normal"], "predicted": ["covid"] * 2}, index=[7, 5])
    figure = plotting.predictions_grid(pictures(2), table["true"], table["predicted"], [0.9, 0.8])
    assert [len(axes.patches) for axes in panels(figure)] == [0, 1]


def test_pictures_of_another_shape_or_type_are_refused():
    with pytest.raises(KitError, match="uint8"):
        plotting.sample_pictures({"covid": pictures(2) / 255.0})
    with pytest.raises(KitError, match="uint8"):
        plotting.predictions_grid(pictures(2)[..., 0], ["a"] * 2, ["a"] * 2, [1.0] * 2)
    with pytest.raises(KitError):
        plotting.predictions_grid(pictures(0), [], [], [])


def test_sample_pictures_has_a_row_a_class_also_for_an_empty_one():
    figure = plotting.sample_pictures({"covid": pictures(3), "normal": pictures(0)})
    assert [len(axes.images) for axes in figure.axes] == [1, 1, 1, 0, 0, 0]
    assert "no picture" in texts(figure)
    assert figure.axes[0].get_ylabel() == "COVID-19"


def test_the_enhancement_grid_has_a_row_a_picture_and_a_column_a_form():
    plain, changed = pictures(2), 255 - pictures(2)
    figure = plotting.enhancement_grid({"as it is": plain, "crop": changed}, ["covid", "normal"])
    shown = [axes.images[0].get_array() for axes in figure.axes]
    expected = [plain[0], changed[0], plain[1], changed[1]]
    assert all(np.array_equal(a, b) for a, b in zip(shown, expected, strict=True))
    assert [axes.get_title() for axes in figure.axes] == ["as it is", "crop", "", ""]
    assert [axes.get_ylabel() for axes in figure.axes] == ["COVID-19", "", "normal", ""]


def test_an_enhancement_grid_with_a_gap_is_refused():
    for columns, rows in (({}, ["a"]), ({"x": pictures(0)}, []), ({"x": pictures(2)}, ["a"])):
        with pytest.raises(KitError, match="enhancement_grid"):
            plotting.enhancement_grid(columns, rows)


# Curves


@pytest.mark.parametrize("epochs", [1, 2, 40])
def test_learning_curves_draw_the_numbers_with_markers(epochs):
    table = history(epochs)
    accuracy, loss = panels(plotting.learning_curves(table, best_epoch=1))
    for axes, quantity in ((accuracy, "accuracy"), (loss, "loss")):
        train, validation = axes.lines[:2]
        np.testing.assert_allclose(train.get_ydata(), table[quantity])
        np.testing.assert_allclose(validation.get_ydata(), table[f"val_{quantity}"])
        assert train.get_linestyle() == "-"
        assert validation.get_linestyle() == "--"
        assert train.get_marker() != validation.get_marker()
        assert 0 in train.get_markevery()
        assert list(axes.lines[2].get_xdata()) == [1, 1]
        assert axes.get_xlabel() == "epoch"


def test_learning_curves_without_validation_or_with_gaps():
    figure = plotting.learning_curves(history(3, validation=False))
    assert legend_texts(figure) == ["training"]
    table = history(9)
    table.loc[[1, 3], "val_loss"] = [np.nan, np.inf]
    table["val_accuracy"] = np.nan
    accuracy, loss = panels(plotting.learning_curves(table))
    assert len(accuracy.lines) == 1
    # The epoch between two gaps is reached by no line, so it must have a marker.
    assert {0, 2} <= set(loss.lines[1].get_markevery())


def test_learning_curves_show_precision_and_recall_where_the_table_has_them():
    table = history(4).assign(precision=[np.nan, 0.5, 0.6, 0.7], recall=0.9, val_recall=0.8)
    figure = plotting.learning_curves(table, best_epoch=2)
    assert [axes.get_title("left") for axes in panels(figure)] == [
        *("Accuracy", "Loss", "Precision", "Recall")
    ]
    assert figure.get_suptitle() == "Accuracy, loss, precision and recall by epoch (4 epochs)"
    _, _, precision, recall = panels(figure)
    np.testing.assert_allclose(precision.lines[0].get_ydata(), table["precision"])
    np.testing.assert_allclose(recall.lines[1].get_ydata(), table["val_recall"])
    assert precision.get_ylim() == recall.get_ylim() == (0, 1)


def test_learning_curves_refuse_a_history_without_epochs():
    with pytest.raises(KitError, match="'epoch'"):
        plotting.learning_curves(history(3).drop(columns="epoch"))
    with pytest.raises(KitError, match="no epoch"):
        plotting.learning_curves(history(3).iloc[:0])


def test_compare_curves_has_the_same_axes_for_all_runs():
    runs = {f"run {place}": history(place + 1) for place in range(12)}
    shown = panels(plotting.compare_curves(runs))
    assert len(shown) == 24
    assert len({axes.get_ylim() for axes in shown[::2]}) == 1
    assert len({axes.get_ylim() for axes in shown[1::2]}) == 1
    assert [axes.get_title("left") for axes in shown[::2]] == list(runs)
    columns = {axes.get_subplotspec().colspan.start for axes in shown}
    assert columns == {0, 1, 2}


def test_compare_curves_takes_a_logarithmic_axis_when_losses_are_far_apart():
    far = history(3).assign(loss=[900.0, 800.0, 700.0])
    shown = panels(plotting.compare_curves({"a": history(3), "b": far}))
    assert {axes.get_yscale() for axes in shown[1::2]} == {"log"}
    assert {axes.get_yscale() for axes in shown[::2]} == {"linear"}


# Embeddings


def test_embedding_draws_test_points_hollow_and_has_no_ticks():
    points, labels = cloud(40)
    test = np.arange(40) < 8
    figure = plotting.embedding(points, labels, "Layer", test=test, note="perplexity 30")
    (axes,) = panels(figure)
    hollow = [dots for dots in axes.collections if not len(dots.get_facecolors())]
    assert sum(len(dots.get_offsets()) for dots in hollow) == 8
    assert sum(len(dots.get_offsets()) for dots in axes.collections) == 40
    assert axes.get_xlabel() == "t-SNE 1 (no unit)"
    assert len(axes.get_xticks()) == len(axes.get_yticks()) == 0
    assert "perplexity 30" in texts(figure)
    assert "hollow: test" in legend_texts(figure)
    assert "COVID-19 (10)" in legend_texts(figure)


def test_embedding_keeps_the_class_colours_in_any_order():
    points, labels = cloud(40)

    def colors(order: np.ndarray) -> dict:
        figure = plotting.embedding(points[order], [labels[i] for i in order], "Layer")
        (axes,) = panels(figure)
        return {dots.get_label(): to_hex(dots.get_facecolor()[0]) for dots in axes.collections}

    assert colors(np.arange(40)) == colors(np.arange(40)[::-1])
    assert colors(np.arange(40)) == {
        label: look.color.lower() for label, look in class_looks(CLASSES).items()
    }


def test_embedding_refuses_what_does_not_fit():
    points, labels = cloud(8)
    with pytest.raises(ValueError, match="8 points, 7 labels"):
        plotting.embedding(points, labels[:7], "Layer")
    with pytest.raises(ValueError, match="7 test flags"):
        plotting.embedding(points, labels, "Layer", test=np.zeros(7, bool))
    with pytest.raises(ValueError, match="shape"):
        plotting.embedding(points[:, :1], labels, "Layer")
    with pytest.raises(ValueError, match="finite"):
        plotting.embedding(points * np.nan, labels, "Layer")


def test_embedding_grid_has_one_legend_for_all_panels():
    points, labels = cloud(8)
    chosen = [
        plotting.EmbeddingPanel(points, labels, "all"),
        plotting.EmbeddingPanel(points[:1], ["covid"], "one"),
        plotting.EmbeddingPanel(np.zeros((0, 2)), [], "none"),
    ]
    figure = plotting.embedding_grid(chosen, title="Three", axes="PCA")
    assert len(panels(figure)) == 3
    assert set(legend_texts(figure)) == {plotting.class_name(label) for label in CLASSES}
    assert "no points" in texts(figure)
    assert panels(figure)[0].get_xlabel() == "PCA 1 (no unit)"


# Times


def test_timing_bars_write_the_seconds_and_what_was_not_measured():
    table = times(("a", "CPU", 340.2), ("a", "GPU", 60.25), ("b", "CPU", np.nan))
    figure = plotting.timing_bars(table, unit="seconds a step")
    (axes,) = panels(figure)
    assert [bars[0].get_width() for bars in axes.containers] == [340.2, 60.25]
    assert [text.get_text() for text in axes.texts] == ["340", "60.2", "not measured"]
    assert axes.get_xlabel() == "seconds a step"
    assert legend_texts(figure) == ["CPU", "GPU"]


@pytest.mark.parametrize(("slow", "scale"), [(29.0, "linear"), (31.0, "log")])
def test_timing_bars_take_a_logarithmic_axis_beyond_thirty_times(slow, scale):
    (axes,) = panels(plotting.timing_bars(times(("a", "CPU", slow), ("a", "GPU", 1.0))))
    assert axes.get_xscale() == scale
    assert axes.get_xlim()[0] < 1.0


def test_timing_bars_refuse_a_pair_that_comes_twice_and_no_time():
    with pytest.raises(KitError, match="twice"):
        plotting.timing_bars(times(("a", "CPU", 1.0), ("a", "CPU", 2.0)))
    with pytest.raises(KitError, match="zero"):
        plotting.timing_bars(times(("a", "CPU", 0.0)))


# Mark and file


def test_an_empty_mark_or_the_same_mark_again_leaves_the_figure_alone():
    figure = plotting.learning_curves(history(2))
    size = tuple(figure.get_size_inches())
    assert plotting.stamp(figure, " ") is figure
    assert tuple(figure.get_size_inches()) == size
    plotting.stamp(figure, MARK)
    marked = tuple(figure.get_size_inches())
    assert marked > size
    plotting.stamp(figure, MARK)
    assert tuple(figure.get_size_inches()) == marked
    assert texts(figure).count(MARK) == 1


def test_a_second_mark_joins_the_first():
    figure = plotting.stamp(plotting.stamp(plotting.learning_curves(history(2)), "one"), "two")
    assert "one · two" in texts(figure)
    assert "one" not in texts(figure)


@pytest.mark.parametrize("layout", [None, "tight", "constrained"])
def test_a_mark_overlaps_nothing_in_a_figure_from_elsewhere(layout):
    figure, grid = plt.subplots(2, 2, layout=layout)
    plt.close(figure)
    figure.suptitle("title")
    figure.supxlabel("below")
    before = figure.get_size_inches()[1]
    plotting.stamp(figure, "a long mark " * 20)
    figure.draw_without_rendering()
    mark = next(text for text in figure.texts if "a long mark" in text.get_text())
    others = [text for text in figure.texts if text is not mark]
    top = mark.get_window_extent().y1
    assert figure.get_size_inches()[1] > before
    assert all(axes.get_tightbbox().y0 >= top for axes in grid.flat)
    assert all(text.get_window_extent().y0 >= top for text in others)


@pytest.mark.parametrize(("asked", "least"), [(72, 150), (150, 150), (200, 200)])
def test_save_writes_a_png_that_prints_well(tmp_path, asked, least):
    figure = plotting.confusion(np.eye(2, dtype=int), ["normal", "covid"])
    path = plotting.save(figure, tmp_path / "new" / "deep" / "confusion.png", dpi=asked)
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        assert picture.info["dpi"][0] == pytest.approx(least, abs=0.5)
        assert picture.width == pytest.approx(figure.get_size_inches()[0] * least, abs=1)
    assert list(path.parent.iterdir()) == [path]


def test_a_half_written_file_never_has_the_final_name(tmp_path, monkeypatch):
    figure = plotting.learning_curves(history(2))
    path = tmp_path / "curves.png"
    path.write_bytes(b"earlier")
    seen = []

    def breaks(beside, **_):
        beside.write_bytes(b"half")
        seen.append((beside, path.read_bytes()))
        raise OSError("disk full")

    monkeypatch.setattr(figure, "savefig", breaks)
    with pytest.raises(KitError, match="disk full"):
        plotting.save(figure, path)
    assert seen[0][0] != path
    assert seen[0][1] == path.read_bytes() == b"earlier"
    assert list(tmp_path.iterdir()) == [path]


def test_save_refuses_another_format(tmp_path):
    with pytest.raises(KitError, match=r"\.png"):
        plotting.save(plotting.learning_curves(history(2)), tmp_path / "curves.pdf")


# Variants


def drawn_at(axes, marker: str) -> list[tuple[float, float]]:
    """Where points with that marker lie, from left to right."""
    lines = [line for line in axes.lines if line.get_marker() == marker]
    return sorted((round(line.get_xdata()[0], 6), line.get_ydata()[0]) for line in lines)


def test_a_variant_has_our_value_and_the_reports_on_its_own_line():
    table = variants(3).iloc[[2]].assign(stage=1)
    figure = plotting.variants_beside_report(table)
    accuracy, recall, precision = panels(figure)
    assert drawn_at(accuracy, "o") == [(0.8, 1.0)] and drawn_at(accuracy, "D") == [(0.7, 1.0)]
    assert drawn_at(recall, "o") == [(0.9, 1.0)] and drawn_at(recall, "D") == [(0.8, 1.0)]
    assert drawn_at(precision, "o") == [(0.7, 1.0)]
    whiskers = [line.get_xdata() for line in accuracy.lines if len(line.get_xdata()) == 2]
    assert np.allclose(whiskers, [[0.75, 0.85]])
    assert "Stage 1" in texts(figure) and "Stage 2" not in texts(figure)


def test_variants_stand_under_their_stage_in_the_order_given():
    figure = plotting.variants_beside_report(variants(5))
    names = [label.get_text().split("(")[1][:-1] for label in panels(figure)[0].get_yticklabels()]
    assert names == ["model0", "model2", "model4", "model1", "model3"]
    heights = {t.get_text(): t.xy[1] for t in panels(figure)[0].texts if "Stage" in t.get_text()}
    assert heights == {"Stage 1": 0, "Stage 2": 4}


def test_what_is_missing_of_a_variant_is_said():
    figure = plotting.variants_beside_report(variants(3))
    accuracy, recall, precision = panels(figure)
    assert [t.get_text() for t in recall.texts] == ["diverged"]
    assert [t.get_text() for t in precision.texts] == ["diverged", "not defined"]
    assert len(drawn_at(accuracy, "o")) == 2 and len(drawn_at(recall, "D")) == 2


def test_a_value_far_below_the_others_is_an_arrow_at_the_edge_with_its_number():
    table = variants(3)
    table.loc[2, ["test_recall", "test_recall_low", "test_recall_high"]] = [0.0, 0.0, 0.03]
    recall = panels(plotting.variants_beside_report(table))[1]
    assert drawn_at(recall, "<") == [(round(recall.get_xlim()[0], 6), 2.0)]
    assert "0.00" in [t.get_text() for t in recall.texts]
    assert len(drawn_at(recall, "o")) == 1


def test_variants_show_the_accuracy_of_one_answer_for_all():
    figure = plotting.variants_beside_report(variants(4), same_answer={1: 0.6, 2: 0.7})
    dotted = [
        [line.get_xdata()[0] for line in axes.lines if line.get_linestyle() == ":"]
        for axes in panels(figure)
    ]
    assert dotted == [[0.6, 0.7], [], []]
    assert "the same answer for every picture" in legend_texts(figure)


def test_variants_without_a_column_or_a_row_are_refused():
    with pytest.raises(KitError, match="'test_recall_low'"):
        plotting.variants_beside_report(variants(2).drop(columns="test_recall_low"))
    with pytest.raises(KitError, match="no row"):
        plotting.variants_beside_report(variants(2).iloc[:0])
