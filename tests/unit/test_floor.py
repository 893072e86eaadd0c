"""The floor's ten numbers."""

import numpy as np
import pytest
from PIL import Image

from xray_helpers.evaluation.floor import NAMES, floor_features, floor_model, ten_numbers


def test_ten_numbers_of_a_known_picture(tmp_path):
    values = np.full((224, 224), 100, np.uint8)
    values[:, :8] = 20
    values[:, -8:] = 40
    path = tmp_path / "grey.jpeg"
    Image.fromarray(values).save(path.with_suffix(".png"))
    numbers = dict(zip(NAMES, ten_numbers(path.with_suffix(".png")), strict=True))
    assert numbers["width"] == numbers["height"] == 224
    assert (numbers["width / height"], numbers["mode is L"], numbers["mode is RGBA"]) == (1, 1, 0)
    assert numbers["file is PNG"] == 1
    assert numbers["mean"] == pytest.approx(values.mean())
    assert numbers["standard deviation"] == pytest.approx(values.std())
    assert numbers["mean of the left and right 8 columns"] == pytest.approx(30)
    assert numbers["mean of the top and bottom 8 rows"] == pytest.approx(values[0].mean())


def test_colour_and_transparency(tmp_path):
    Image.new("RGBA", (50, 20), (255, 0, 0, 128)).save(tmp_path / "a.png")
    Image.new("RGB", (50, 20)).save(tmp_path / "b.jpg")
    features = floor_features([tmp_path / "a.png", tmp_path / "b.jpg"])
    assert features.shape == (2, 10)
    assert features.dtype == np.float64
    assert features[0, :6].tolist() == [50, 20, 2.5, 0, 1, 1]
    assert features[1, :6].tolist() == [50, 20, 2.5, 0, 0, 0]
    assert floor_features([]).shape == (0, 10)


def test_the_model_learns_what_the_numbers_tell():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(100, 10))
    labels = features[:, 6] > 0
    assert floor_model().fit(features, labels).score(features, labels) > 0.9
