"""What the figure with heat on pictures says."""

import numpy as np
import pytest
from matplotlib.contour import ContourSet
from matplotlib.text import Text

from xray_helpers import plotting
from xray_helpers.errors import KitError

RNG = np.random.default_rng(0)


def some(number, side=10):
    pictures = RNG.integers(0, 255, (number, side, side, 3), dtype=np.uint8)
    return pictures, RNG.random((number, side, side), np.float32)


def texts(figure):
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def drawn(figure):
    """The axes with pictures, in order."""
    return [axes for axes in figure.axes if axes.images and axes.get_label() != "scale"]


def test_each_picture_stands_beside_itself_with_its_heat_on_top():
    pictures, heats = some(3)
    figure = plotting.heat_grid(
        pictures, heats / 4, ["covid", "normal", "covid"], ["covid"] * 3, [0.9, 0.75, 0.5]
    )
    panels = drawn(figure)
    assert len(panels) == 6
    for place in range(3):
        plain, hot = panels[2 * place : 2 * place + 2]
        assert len(plain.images) == 1
        for axes in (plain, hot):
            np.testing.assert_array_equal(axes.images[0].get_array(), pictures[place])
        # To the picture's own most, the more opaque the hotter.
        top = hot.images[1]
        np.testing.assert_allclose(top.get_array(), heats[place] / heats[place].max(), rtol=1e-6)
        assert np.argmax(top.get_alpha()) == np.argmax(heats[place])
        assert top.get_clim() == (0, 1)
    said = [text.replace("\u00a0", " ") for text in texts(figure)]
    assert "✓ is COVID-19; model: COVID-19 90 %" in said
    assert "✗ is normal; model: COVID-19 75 %" in said
    assert "how much a place speaks for the predicted class" in said


def test_the_mask_is_outlined_where_it_lies_and_only_where_there_is_one():
    pictures, heats = some(2)
    masks = np.zeros((2, 10, 10), bool)
    masks[0, 2:5, 6:] = True  # up to the edge
    args = (["covid", "normal"], ["covid", "normal"], [0.9, 0.9])
    figure = plotting.heat_grid(pictures, np.zeros_like(heats), *args, masks)
    lines = [
        [c for c in axes.get_children() if isinstance(c, ContourSet)] for axes in drawn(figure)
    ]
    assert [len(found) for found in lines] == [0, 2, 0, 0]
    box = lines[1][0].get_paths()[0].get_extents()
    np.testing.assert_allclose([box.x0, box.x1, box.y0, box.y1], [5.5, 9.5, 1.5, 4.5])
    assert drawn(figure)[1].get_ylim() == (9.5, -0.5)
    assert "where the disease is drawn" in texts(figure)
    plain = plotting.heat_grid(pictures, heats, *args)
    assert "where the disease is drawn" not in texts(plain)


def test_occlusion_is_a_third_column_with_its_largest_drop():
    pictures, heats = some(2)
    covered = np.stack([heats[0] * 3 / heats[0].max(), -heats[1]])
    figure = plotting.heat_grid(
        pictures, heats, ["covid"] * 2, ["covid"] * 2, [0.8] * 2, covered=covered
    )
    assert len(drawn(figure)) == 6
    assert {"largest drop 3", "largest drop none", "no heat", "occlusion"} <= set(texts(figure))


def test_a_margin_is_no_percentage():
    pictures, heats = some(1)
    figure = plotting.heat_grid(pictures, heats, ["covid"], ["covid"], [0.8], score="margin")
    assert "✓ is COVID-19; model: COVID-19 0.80" in texts(figure)


def test_heat_that_does_not_fit_is_refused():
    pictures, heats = some(2)
    args = (["covid"] * 2, ["covid"] * 2, [0.8] * 2)
    with pytest.raises(KitError, match="same size"):
        plotting.heat_grid(pictures, heats[:, :5], *args)
    with pytest.raises(KitError, match="1 masks"):
        plotting.heat_grid(pictures, heats, *args, masks=heats[:1] > 0)
    with pytest.raises(KitError, match="at least one"):
        plotting.heat_grid(pictures[:0], heats[:0], [], [], [])


def test_four_clouds_stand_two_by_two():
    panels = [plotting.EmbeddingPanel(RNG.random((5, 2)), ["covid"] * 5, f"{i}") for i in range(4)]
    axes = [a for a in plotting.embedding_grid(panels).figure.axes if a.get_label() != "legend"]
    places = [a.get_subplotspec() for a in axes]
    assert [(p.rowspan.start, p.colspan.start) for p in places] == [(0, 0), (0, 1), (1, 0), (1, 1)]
