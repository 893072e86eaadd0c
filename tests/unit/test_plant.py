import numpy as np
import pytest

from xray_helpers.data.plant import CORNERS, plant_marker
from xray_helpers.errors import KitError

GREY = np.full((4, 50, 50, 3), 40, np.uint8)


@pytest.mark.parametrize("corner", CORNERS)
def test_the_marker_is_in_its_corner_of_the_rows_asked_for_alone(corner):
    planted = plant_marker(GREY, np.array([0, 2]), corner=corner)
    assert (GREY == 40).all() and planted.dtype == np.uint8
    assert (planted[[1, 3]] == 40).all()
    for picture in planted[[0, 2]]:
        rows, columns, _ = np.nonzero(picture != 40)
        assert len(rows) == 3 * 3 * 3 and (picture[rows, columns] == 235).all()
        down, across = corner.split()
        assert (rows < 5).all() if down == "upper" else (rows >= 45).all()
        assert (columns < 5).all() if across == "left" else (columns >= 45).all()


def test_rows_may_be_a_mask_and_the_marker_of_another_size_and_brightness():
    planted = plant_marker(GREY, np.array([False, True, False, False]), share=0.2, brightness=9)
    assert (planted == 9).sum() == 10 * 10 * 3 and (planted[1] == 9).any()


def test_no_rows_change_nothing():
    assert (plant_marker(GREY, np.array([], int)) == GREY).all()


def test_an_unknown_corner_and_an_impossible_share_are_refused():
    with pytest.raises(KitError, match="it is one of upper left"):
        plant_marker(GREY, np.array([0]), corner="middle")
    with pytest.raises(KitError, match="above 0"):
        plant_marker(GREY, np.array([0]), share=0)
