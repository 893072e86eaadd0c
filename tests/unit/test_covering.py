"""Occlusion: what is lost when a place is covered."""

import numpy as np
import pytest

from xray_helpers.errors import KitError
from xray_helpers.evaluation import occlusion
from xray_helpers.quiet_import import keras

L = keras.layers
SIDE = 12


def watcher(activation=None, units=1):
    """A model whose score is the sum of the red values in rows 3 to 5, columns 6 to 8."""
    inputs = keras.Input((SIDE, SIDE, 3))
    dense = L.Dense(units, activation)
    model = keras.Model(inputs, dense(L.Flatten()(inputs)))
    kernel = np.zeros((SIDE, SIDE, 3, units), "float32")
    kernel[3:6, 6:9, 0, -1] = 1
    dense.set_weights([kernel.reshape(-1, units), np.zeros(units, "float32")])
    return model


def picture(watched=30, elsewhere=10):
    made = np.full((1, SIDE, SIDE, 3), elsewhere, np.uint8)
    made[:, 3:6, 6:9] = watched
    return made


def test_the_drop_is_where_the_model_looks_and_as_large_as_what_was_covered():
    heat = occlusion(watcher(), picture(), 1, patch=3, stride=3, fill=10)[0]
    expected = np.zeros((SIDE, SIDE))
    expected[3:6, 6:9] = 9 * (30 - 10)  # of this one patch the whole square is covered
    np.testing.assert_allclose(heat, expected, atol=1e-3)
    assert heat.dtype == np.float32


def test_a_pixel_has_the_mean_over_the_patches_that_cover_it():
    heat = occlusion(watcher(), picture(), 1, patch=5, stride=2, fill=0)[0]
    model, plain = watcher(), picture().astype("float32")
    whole = model(plain).numpy()[0, 0]
    total, count = np.zeros((SIDE, SIDE)), np.zeros((SIDE, SIDE))
    for y in (0, 2, 4, 6, 7):  # the last one ends at the edge
        for x in (0, 2, 4, 6, 7):
            copy = plain.copy()
            copy[0, y : y + 5, x : x + 5] = 0
            total[y : y + 5, x : x + 5] += whole - model(copy).numpy()[0, 0]
            count[y : y + 5, x : x + 5] += 1
    np.testing.assert_allclose(heat, total / count, rtol=1e-4)


def test_what_speaks_against_is_negative_and_the_other_class_has_the_other_sign():
    one = occlusion(watcher(), picture(), 1, 3, 3, fill=10)
    np.testing.assert_allclose(occlusion(watcher(), picture(), 0, 3, 3, fill=10), -one, atol=1e-3)
    assert one.max() == 180 and one.min() == 0


def test_the_patch_has_the_pictures_own_mean_colour():
    flat = np.full((1, SIDE, SIDE, 3), 77, np.uint8)
    assert not occlusion(watcher(), flat, 1, 3, 3).any()
    mixed = picture(200, 20)
    mean = int(mixed[0, ..., 0].mean())  # a grey value is a whole number
    heat = occlusion(watcher(), mixed, 1, 3, 3)
    assert heat.max() == pytest.approx(9 * (200 - mean))
    assert mixed.max() == 200  # the pictures are left alone


@pytest.mark.parametrize(("activation", "units"), [("sigmoid", 1), ("softmax", 2)])
def test_a_sure_models_score_is_taken_before_its_activation(activation, units):
    """Its probability stays 1 whatever is covered; its logit does not."""
    heat = occlusion(watcher(activation, units), picture(), None, 3, 3, fill=10)
    np.testing.assert_allclose(heat, occlusion(watcher(), picture(), 1, 3, 3, fill=10), atol=1e-3)


def test_a_model_that_cannot_be_looked_into_is_asked_for_its_output():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = watcher()

        def call(self, x):
            return self.inner(x)

    model = Own()
    model.compile("sgd", loss="hinge")
    both = np.concatenate([picture(), picture(60)])
    np.testing.assert_allclose(
        occlusion(model, both, None, 3, 3, 10), occlusion(watcher(), both, 1, 3, 3, 10), rtol=1e-5
    )


def test_dropout_is_off():
    inputs = keras.Input((SIDE, SIDE, 3))
    model = keras.Model(inputs, L.Dense(2, "softmax")(L.Dropout(0.9)(L.Flatten()(inputs))))
    one = occlusion(model, picture(), 0, 4, 4)
    np.testing.assert_array_equal(one, occlusion(model, picture(), 0, 4, 4))


@pytest.mark.parametrize(("patch", "stride"), [(13, 4), (0, 1), (4, 5), (4, 0)])
def test_patches_that_do_not_go_over_the_picture_are_refused(patch, stride):
    with pytest.raises(KitError, match="1 <= stride <= patch <= 12"):
        occlusion(watcher(), picture(), 1, patch, stride)
    assert occlusion(watcher(), picture()[:0], None, 4, 4).shape == (0, SIDE, SIDE)
