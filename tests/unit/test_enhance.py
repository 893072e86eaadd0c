"""What each step does to a picture, in which order, and to which part of a file."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from xray_helpers.data.enhance import (
    STEPS,
    chosen_steps,
    clahe,
    crop,
    denoise,
    equalize,
    normalize,
)
from xray_helpers.data.pictures import read_picture, read_pictures
from xray_helpers.errors import KitError


def noise(height=64, width=64, low=0, high=256, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).integers(low, high, (height, width), np.uint8)


def rgb(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[..., None], 3, axis=-1)


@pytest.fixture
def smooth() -> np.ndarray:
    """A picture with light and dark parts and fine detail in both, (96, 96), 20 to 200."""
    y, x = np.mgrid[:96, :96] / 96
    waves = 70 * np.sin(3 * x + 2 * y) + 20 * np.sin(60 * x) * np.cos(50 * y)
    return (110 + waves).astype(np.uint8)


# --- all of them --------------------------------------------------------------------------------

ODD = {
    "black": np.zeros((40, 30), np.uint8),
    "grey": np.full((40, 30), 77, np.uint8),
    "white": np.full((40, 30), 255, np.uint8),
    "one pixel": np.full((1, 1), 9, np.uint8),
    "one pixel wide": noise(50, 1),
    "one pixel high": noise(1, 50),
    "two values": np.array([[0, 255]], np.uint8),
    "nearly all black": np.pad(np.full((1, 1), 200, np.uint8), 30),
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("name", ODD)
@pytest.mark.filterwarnings("error")
def test_odd_pictures_survive_every_step(step, name):
    for picture in (ODD[name], rgb(ODD[name])):
        changed = STEPS[step](picture)
        assert changed.dtype == np.uint8
        assert changed.ndim == picture.ndim
        assert changed.size > 0
        if step != "crop":
            assert changed.shape == picture.shape


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("name", ["black", "grey", "white", "one pixel"])
def test_a_picture_without_contrast_keeps_its_brightness(step, name):
    for picture in (ODD[name], rgb(ODD[name])):
        assert np.unique(STEPS[step](picture)).tolist() == np.unique(picture).tolist()


@pytest.mark.parametrize("step", STEPS)
def test_a_grey_picture_stays_grey_and_comes_out_as_its_one_channel_does(step, smooth):
    before = smooth.copy()
    changed = STEPS[step](rgb(smooth))
    assert (changed == changed[..., :1]).all()
    assert np.array_equal(changed[..., 0], STEPS[step](smooth))
    assert np.array_equal(smooth, before)


@pytest.mark.parametrize("step", STEPS)
def test_a_coloured_picture_keeps_its_hue_and_saturation(step, smooth):
    orange = np.rint(smooth[..., None] * np.array([1, 0.6, 0.2])).astype(np.uint8)
    changed = STEPS[step](orange).astype(int)
    bright = changed[..., 0] > 60  # in the dark, 8 bits round a colour to anything
    assert bright.sum() > 1000
    shares = changed[bright] / changed[bright][:, :1]
    assert np.abs(shares - [1, 0.6, 0.2]).max() < 0.05


# --- crop ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [2, 90, 250])
@pytest.mark.parametrize("sides", [(0, 0, 9, 12), (8, 3, 0, 0), (5, 6, 7, 8), (0, 0, 0, 15)])
def test_a_planted_border_is_cut_and_the_content_kept(value, sides):
    content = noise()
    top, bottom, left, right = sides
    framed = np.pad(content, [(top, bottom), (left, right)], constant_values=value)
    assert np.array_equal(crop(framed), content)
    assert np.array_equal(crop(rgb(framed)), rgb(content))


def test_a_border_need_not_be_of_one_value_and_may_carry_a_letter():
    content = noise(100, 80)
    left = noise(100, 12, 0, 9)
    left[10:18, 3:9] = 255  # an R, say
    assert np.array_equal(crop(np.hstack([left, content])), content)


def test_a_strip_of_one_brightness_inside_the_picture_stays():
    picture = noise()
    picture[:, 20:40] = 0
    assert np.array_equal(crop(picture), picture)


def test_at_most_a_quarter_is_cut_at_each_side():
    framed = np.zeros((100, 200), np.uint8)
    framed[45:55, 95:105] = noise(10, 10)
    assert crop(framed).shape == (50, 100)


def test_the_border_is_cut_before_the_picture_is_made_smaller(tmp_path):
    content = noise(200, 200)
    Image.fromarray(content).save(tmp_path / "content.png")
    Image.fromarray(np.pad(content, [(0, 0), (60, 40)])).save(tmp_path / "framed.png")
    whole = read_picture(tmp_path / "content.png", 100)
    assert np.array_equal(read_picture(tmp_path / "framed.png", 100, "crop"), whole)
    assert not np.array_equal(read_picture(tmp_path / "framed.png", 100), whole)


# --- brightness ---------------------------------------------------------------------------------


def test_normalize_stretches_low_contrast_and_keeps_the_order_of_brightness():
    picture = noise(100, 100, low=100, high=151)
    changed = normalize(picture)
    assert (changed.min(), changed.max()) == (0, 255)
    assert changed.std() > 4 * picture.std()
    mapped = [changed[picture == value] for value in range(100, 151)]
    assert all(len(set(values)) == 1 for values in mapped)
    assert (np.diff([int(values[0]) for values in mapped]) >= 0).all()


def test_normalize_leaves_a_picture_that_is_of_one_value_but_for_a_few_points():
    assert np.array_equal(normalize(ODD["nearly all black"]), ODD["nearly all black"])


def test_normalize_is_not_led_by_single_points(smooth):
    spotted = smooth.copy()
    spotted[3, 3], spotted[50, 50] = 0, 255
    assert np.abs(normalize(spotted).astype(int) - normalize(smooth))[10:40].max() <= 2


def test_denoise_takes_salt_and_pepper_away_and_keeps_an_edge():
    clean = np.full((80, 80), 60, np.uint8)
    clean[:, 40:] = 180
    salted = clean.copy()
    points = np.random.default_rng(0).random(clean.shape)
    salted[points < 0.02] = 255
    salted[points > 0.98] = 0
    before, after = (np.abs(p.astype(int) - clean).mean() for p in (salted, denoise(salted)))
    assert after < before / 20
    assert np.array_equal(denoise(clean), clean)


@pytest.mark.parametrize("side", [32, 224])
def test_equalize_makes_every_brightness_about_as_frequent(side):
    skewed = np.rint(255 * np.random.default_rng(0).random((side, side)) ** 4).astype(np.uint8)
    skewed[:2] = 0
    changed = equalize(skewed)
    assert (changed.min(), changed.max()) == (0, 255)
    assert (changed[skewed == 0] == 0).all()  # black stays black
    # A third of the pixels was 3 or darker; now the lighter quarters have equal shares.
    shares = np.histogram(changed[changed > 64], bins=4, range=(64, 256))[0]
    assert shares.min() > 0.8 * shares.max()


def test_clahe_raises_contrast_where_it_is_low(smooth):
    """Also in a part that is dark as a whole, which stretching the whole picture leaves dark."""
    picture = (0.5 * smooth + 30).astype(np.uint8)
    picture[48:] //= 3
    changed = clahe(picture)

    def local(values: np.ndarray) -> np.ndarray:
        """Mean spread within tiles of 8x8, in the upper and the lower half."""
        tiles = values.astype(float).reshape(12, 8, 12, 8).std(axis=(1, 3))
        return np.array([tiles[:6].mean(), tiles[6:].mean()])

    assert (local(changed) > 1.5 * local(picture)).all()
    assert local(changed)[1] > local(normalize(picture))[1]


@pytest.mark.parametrize("side", [48, 96, 224])
def test_clahe_turns_no_part_of_a_small_picture_white(side, smooth):
    picture = np.asarray(Image.fromarray(smooth).resize((side, side)))
    assert (clahe(picture) == 255).mean() < 0.05


# --- names and order ----------------------------------------------------------------------------


def test_steps_are_taken_in_the_order_of_their_names_but_crop_first():
    assert chosen_steps("") == chosen_steps(" , ") == ()
    assert chosen_steps("clahe, denoise,crop") == ("crop", "clahe", "denoise")
    assert chosen_steps("denoise,clahe,denoise") == ("denoise", "clahe")


def test_a_picture_is_read_with_its_steps_one_after_the_other(tmp_path):
    Image.fromarray(noise(90, 90, 40, 200)).save(tmp_path / "a.png")
    plain = read_picture(tmp_path / "a.png", 48)
    read = {text: read_picture(tmp_path / "a.png", 48, text) for text in (
        "denoise,clahe", "clahe,denoise", "clahe,crop,denoise",
    )}  # fmt: skip
    assert np.array_equal(read["denoise,clahe"], clahe(denoise(plain)))
    assert np.array_equal(read["clahe,denoise"], denoise(clahe(plain)))
    assert np.array_equal(read["clahe,crop,denoise"], read["clahe,denoise"])  # no border
    assert not np.array_equal(read["denoise,clahe"], read["clahe,denoise"])


def test_many_pictures_come_as_one_by_one(tmp_path):
    paths = [tmp_path / f"{i}.png" for i in range(9)]
    for i, path in enumerate(paths):
        Image.fromarray(noise(40, 50, seed=i)).save(path)
    every = ",".join(STEPS)
    pictures, unreadable = read_pictures(paths, 32, None, every)
    assert not unreadable
    assert np.array_equal(pictures, np.stack([read_picture(path, 32, every) for path in paths]))


@pytest.mark.parametrize(("text", "wrong", "meant"), [
    ("clae", "clae", "clahe"), ("crop,normalise", "normalise", "normalize"), ("x", "x", None),
    ("crop clahe", "crop clahe", "clahe"), ("CLAHE2", "CLAHE2", None),
])  # fmt: skip
def test_an_unknown_step_is_named_with_the_nearest_and_all(text, wrong, meant):
    with pytest.raises(KitError) as caught:
        chosen_steps(text)
    said = str(caught.value)
    assert said.startswith(f"enhance: '{wrong}' is no step; ")
    assert said.endswith("crop, normalize, denoise, equalize, clahe.")
    assert ("did you mean" in said) == (meant is not None)
    assert meant is None or f"'{meant}'?" in said


def test_knowing_the_steps_imports_no_picture_library():
    code = (
        "import sys; from xray_helpers.data.enhance import STEPS; "
        "print([m for m in sys.modules if m.split('.')[0] in ('skimage', 'tensorflow')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
