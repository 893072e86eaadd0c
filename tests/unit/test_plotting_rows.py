"""Figures with a row a run, a pair or a backbone."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from xray_helpers import plotting
from xray_helpers.errors import KitError

LONG = "20250102T101112Z-task2-inception_resnet_v2-unfreeze_4,learning_rate=0.0001-abcdef"


def pairs() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "first": ["a", LONG, "a"],
            "second": [LONG, "b", "b"],
            "difference": [0.25, -0.2, 0.0],
            "low": [0.1, -0.4, -0.1],
            "high": [0.35, 0.1, 0.1],
            "only first right": [10, 2, 0],
            "only second right": [1, 9, 0],
            "verdict": ["first is better", "cannot be told apart", "cannot be told apart"],
        }
    )


def ranking() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "backbone": ["vgg16", "inception_resnet_v2", "floor: 14×14 thumbnails"],
            "accuracy": [0.7, 0.6, 0.65],
            "low": [0.6, 0.5, np.nan],
            "high": [0.8, 0.7, np.nan],
            "verdict": ["the best here", "worse than the best", "cannot be told from the best"],
            "mark": ["random weights", "", ""],
            "reference": [False, False, True],
        }
    )


def runs() -> pd.DataFrame:
    rows = ranking().rename(columns={"backbone": "name", "accuracy": "value"})
    return rows.assign(n=pd.array([36] * 3, "Int64"))


DRAWN = {
    "pairs": lambda: plotting.paired_differences(pairs()),
    "ranking": lambda: plotting.backbone_ranking(ranking(), chance=0.25),
    "runs": lambda: plotting.compare_accuracy(runs(), chance=0.25),
}


def axes_of(figure):
    (axes,) = [axes for axes in figure.axes if axes.get_label() != "legend"]
    return axes


def dots(figure) -> dict[float, tuple[str, bool]]:
    """Value -> marker, and whether it is hollow."""
    return {
        float(line.get_xdata()[0]): (line.get_marker(), line.get_markerfacecolor() == "white")
        for line in axes_of(figure).lines
        if len(line.get_xdata()) == 1
    }


def words(figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


@pytest.mark.parametrize("name", DRAWN)
def test_nothing_is_cut_off(name):
    figure = plotting.stamp(DRAWN[name](), "random weights: not a result")
    figure.draw_without_rendering()
    width, height = figure.get_size_inches()
    box = figure.get_tightbbox()
    assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width + 0.01 and box.y1 <= height + 0.01


def test_pairs_stand_around_zero_the_undecided_hollow():
    figure = DRAWN["pairs"]()
    axes = axes_of(figure)
    low, high = axes.get_xlim()
    assert low == -high and high >= 0.4
    assert dots(figure) == {0.25: ("o", False), -0.2: ("o", True), 0.0: ("o", True)}
    zero = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert [list(line.get_xdata()) for line in zero] == [[0, 0]]
    assert "+0.250\nright alone: 10 and 1\nupper one is better" in words(figure)
    assert "−0.200\nright alone: 2 and 9\ncannot be told apart" in words(figure)


def test_floors_are_shaded_diamonds_and_no_runs():
    figure = DRAWN["runs"]()
    assert dots(figure) == {0.7: ("o", True), 0.6: ("o", False), 0.65: ("D", False)}
    assert figure.get_suptitle() == "Accuracy of 2 runs"
    (shade,) = axes_of(figure).patches
    top, bottom = sorted(shade.get_corners()[[0, 2], 1])
    (row,) = [t for t in axes_of(figure).texts if t.get_text() == "floor: 14×14 thumbnails"]
    assert top < row.xy[1] < bottom
    assert "floor: has seen no detail of a lung" in words(figure)
    plain = plotting.compare_accuracy(runs().iloc[:2])
    assert "floor: has seen no detail of a lung" not in words(plain)


def test_backbones_keep_their_order_and_say_who_is_worse():
    figure = DRAWN["ranking"]()
    names = [t for t in axes_of(figure).texts if t.get_text() in set(ranking()["backbone"])]
    assert [t.get_text() for t in sorted(names, key=lambda t: t.xy[1])] == list(
        ranking()["backbone"]
    )
    assert "0.600\nworse than the best" in words(figure)
    assert "guessing (0.25)" in words(figure)


@pytest.mark.parametrize("draw", [plotting.paired_differences, plotting.backbone_ranking])
def test_a_missing_column_is_named_and_an_empty_table_refused(draw):
    table = pairs() if draw is plotting.paired_differences else ranking()
    with pytest.raises(KitError, match="'verdict'"):
        draw(table.drop(columns="verdict"))
    with pytest.raises(KitError, match="no row"):
        draw(table.iloc[:0])
