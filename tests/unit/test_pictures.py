import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xray_helpers.data.pictures import (
    Unreadable,
    UnreadablePicture,
    in_threads,
    open_picture,
    read_picture,
    read_pictures,
    worker_count,
)
from xray_helpers.data.table import read_table
from xray_helpers.errors import KitError

RAMP = np.linspace(0, 255, 64).round().astype(np.uint8)[None].repeat(48, axis=0)  # 48 high, 64 wide


def save(path: Path, values: np.ndarray, mode: str | None = None, **options) -> Path:
    image = Image.fromarray(values)
    (image.convert(mode) if mode else image).save(path, **options)
    return path


def ramp_read(path: Path, size: int = 16) -> np.ndarray:
    picture = read_picture(path, size)
    assert picture.shape == (size, size, 3) and picture.dtype == np.uint8
    return picture.astype(int)


@pytest.fixture
def expected(tmp_path) -> np.ndarray:
    """The grey ramp as it should come out, whatever the file kind."""
    return ramp_read(save(tmp_path / "expected.png", RAMP))


def test_grey_comes_as_three_equal_channels(expected):
    assert (expected == expected[..., :1]).all()
    assert np.all(np.diff(expected[0, :, 0]) > 0) and expected.min() < 15 and expected.max() > 240


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("rgb.png", "RGB"),
        ("rgba.png", "RGBA"),
        ("la.png", "LA"),
        ("grey.jpeg", "L"),
        ("rgb.jpeg", "RGB"),
        ("cmyk.jpeg", "CMYK"),
        ("cmyk.tif", "CMYK"),
        ("palette.png", "P"),
        ("palette.gif", "P"),
        ("grey.bmp", "L"),
        ("wide.tif", "I"),
        ("float.tif", "F"),
    ],
)
def test_every_kind_of_file_gives_the_same_picture(tmp_path, expected, name, mode):
    got = ramp_read(save(tmp_path / name, RAMP, mode))
    assert np.abs(got - expected).max() <= 4


@pytest.mark.parametrize("name", ["sixteen.png", "sixteen.tif"])
def test_16_bits_are_scaled_over_their_full_range(tmp_path, expected, name):
    path = save(tmp_path / name, RAMP.astype(np.uint16) * 257)
    assert open_picture(path)[0].mode.startswith("I;16")
    assert np.abs(ramp_read(path) - expected).max() <= 1


def test_16_bits_are_not_stretched(tmp_path):
    dark = np.full((8, 8), 257 * 10, np.uint16)
    assert (read_picture(save(tmp_path / "dark.png", dark), 4) == 10).all()


@pytest.mark.parametrize("values", [
    RAMP.astype(np.int32) * 257,
    RAMP.astype(np.float32) / 255,
    RAMP.astype(np.float32) * 257,
    RAMP.astype(np.float32) * 10 - 1000,
    RAMP.astype(np.int32) * 10000,
])  # fmt: skip
def test_32_bit_pictures_find_their_range(tmp_path, expected, values):
    assert np.abs(ramp_read(save(tmp_path / "wide.tif", values)) - expected).max() <= 1


def test_a_flat_float_picture_outside_the_usual_ranges_loads(tmp_path):
    flat = np.full((5, 5), -3, np.float32)
    assert (read_picture(save(tmp_path / "flat.tif", flat), 3) == 0).all()


def test_one_bit_pictures_are_black_and_white(tmp_path):
    values = np.zeros((10, 10), bool)
    values[:, 5:] = True
    picture = read_picture(save(tmp_path / "bits.png", values), 10)
    assert (picture[:, :5] == 0).all() and (picture[:, 5:] == 255).all()


def test_colours_keep_their_channels(tmp_path):
    red = np.zeros((9, 9, 3), np.uint8)
    red[..., 0] = 200
    assert (read_picture(save(tmp_path / "red.png", red), 3) == [200, 0, 0]).all()


@pytest.mark.parametrize("alpha", [0, 128, 255])
def test_transparency_lies_on_black(tmp_path, alpha):
    values = np.full((6, 6, 4), 200, np.uint8)
    values[..., 3] = alpha
    picture = read_picture(save(tmp_path / "glass.png", values), 3)
    assert np.abs(picture.astype(int) - 200 * alpha / 255).max() <= 1


def test_a_palette_with_a_transparent_colour_lies_on_black(tmp_path):
    image = Image.new("P", (8, 8), 1)
    image.putpalette([255, 255, 255, 90, 90, 90])
    image.paste(0, (0, 0, 4, 8))
    image.save(tmp_path / "glass.png", transparency=0)
    picture = read_picture(tmp_path / "glass.png", 8)
    assert (picture[:, :4] == 0).all() and (picture[:, 4:] == 90).all()


@pytest.mark.parametrize(("orientation", "turned"), [(3, 2), (6, 3), (8, 1)])
def test_exif_rotation_is_applied(tmp_path, orientation, turned):
    values = np.zeros((32, 32), np.uint8)
    values[:16] = 250  # the upper half is bright
    exif = Image.Exif()
    exif[274] = orientation
    path = save(tmp_path / "turned.jpeg", values, quality=95, exif=exif)
    got = read_picture(path, 32)[..., 0].astype(int)
    assert np.abs(got - np.rot90(values, turned).astype(int)).mean() < 5


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 700), (5000, 300), (3, 2)])
def test_tiny_and_very_wide_pictures_load(tmp_path, width, height):
    path = save(tmp_path / "odd.png", np.full((height, width), 77, np.uint8))
    picture = read_picture(path, 24)
    assert picture.shape == (24, 24, 3) and (picture == 77).all()


def test_shrinking_averages_instead_of_skipping_pixels(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (1000, 1000), np.uint8)
    assert read_picture(save(tmp_path / "noise.png", noise), 100).std() < 15


def test_the_first_page_of_several_counts(tmp_path):
    pages = [Image.new("L", (4, 4), grey) for grey in (50, 200)]
    pages[0].save(tmp_path / "pages.tif", save_all=True, append_images=pages[1:])
    assert (read_picture(tmp_path / "pages.tif", 4) == 50).all()


def broken_files(folder: Path) -> dict[str, str]:
    """Broken files in a folder: {name: a part of the reason expected}."""
    noise = np.random.default_rng(0).integers(0, 256, (200, 200), np.uint8)
    jpeg = save(folder / "whole.jpeg", noise).read_bytes()
    png = save(folder / "whole.png", noise).read_bytes()
    (folder / "cut.jpeg").write_bytes(jpeg[: len(jpeg) // 2])
    (folder / "cut.png").write_bytes(png[: len(png) // 2])
    (folder / "begun.jpeg").write_bytes(jpeg[:40])
    (folder / "empty.jpeg").write_bytes(b"")
    (folder / "text.png").write_text("<html>Sign in to download</html>")
    (folder / "bytes.png").write_bytes(bytes(range(256)) * 4)
    (folder / "folder.png").mkdir()
    save(folder / "nan.tif", np.full((4, 4), np.nan, np.float32))
    (folder / "whole.jpeg").unlink()
    (folder / "whole.png").unlink()
    return {
        "cut.jpeg": "cut short",
        "cut.png": "cut short",
        "begun.jpeg": "",
        "empty.jpeg": "the file is empty",
        "text.png": "it holds text, not a picture",
        "bytes.png": "no picture that can be recognised",
        "folder.png": "it is a folder",
        "gone.png": "there is no such file",
        "nan.tif": "cannot be turned into RGB",
    }


def test_broken_files_are_refused_in_one_sentence_with_name_and_reason(tmp_path):
    for name, reason in broken_files(tmp_path).items():
        with pytest.raises(UnreadablePicture) as error:
            read_picture(tmp_path / name, 8)
        text = str(error.value)
        assert isinstance(error.value, KitError)
        assert str(tmp_path / name) in text and reason in text and error.value.reason in text
        assert text.endswith(".") and "\n" not in text
        assert "PIL" not in text and "0x" not in text


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_pictures_made_to_fill_the_memory_are_refused_without_decoding(tmp_path):
    for side in (10_000, 20_000):  # where Pillow only warns, and where it refuses
        path = tmp_path / f"bomb{side}.png"
        Image.new("1", (side, side)).save(path)
        with pytest.raises(UnreadablePicture, match="more than 89 million pixels"):
            read_picture(path, 8)


def test_no_warning_of_pillow_reaches_the_student(tmp_path):
    Image.new("1", (10_000, 10_000)).save(tmp_path / "bomb.png")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _, unreadable = read_pictures([tmp_path / "bomb.png"], 8, None)
    assert len(unreadable) == 1 and not caught


def test_an_image_size_below_one_is_refused(tmp_path):
    with pytest.raises(KitError, match="image size is 0"):
        read_picture(save(tmp_path / "a.png", RAMP), 0)
    with pytest.raises(KitError, match="image size is -3"):
        read_pictures([], -3)


def test_many_pictures_keep_their_order_and_set_broken_ones_aside(tmp_path, monkeypatch):
    monkeypatch.setenv("NSLOTS", "8")
    reasons = broken_files(tmp_path)
    paths: list[Path | str] = []
    for grey in range(40):
        side = 600 if grey % 3 else 4  # slow and quick ones mixed
        path = tmp_path / f"{grey}.png"
        paths.append(str(save(path, np.full((side, side), grey, np.uint8))))
    for place, name in zip((0, 5, 17, 42), reasons, strict=False):
        paths.insert(place, tmp_path / name)
    pictures, unreadable = read_pictures(paths, 6, None)
    assert pictures.shape == (40, 6, 6, 3) and pictures.dtype == np.uint8
    assert pictures[:, 0, 0, 0].tolist() == list(range(40))
    assert [(u.index, u.path) for u in unreadable] == [
        (place, str(tmp_path / name)) for place, name in zip((0, 5, 17, 42), reasons, strict=False)
    ]
    assert all(isinstance(u, Unreadable) and reasons[Path(u.path).name] in u.reason
               for u in unreadable)  # fmt: skip


def test_no_pictures_give_an_empty_array_of_the_right_shape():
    pictures, unreadable = read_pictures([], 7, None)
    assert pictures.shape == (0, 7, 7, 3) and unreadable == []


def test_progress_is_shown_on_standard_error_only_when_asked(tmp_path, capsys):
    path = save(tmp_path / "a.png", RAMP)
    read_pictures([path], 4, None)
    assert capsys.readouterr() == ("", "")
    read_pictures([path], 4, "Reading twice")
    out, err = capsys.readouterr()
    assert "Reading twice" in err and "1 of 1 pictures" in err and out == ""


def test_an_interrupt_drops_what_has_not_begun(monkeypatch):
    monkeypatch.setenv("NSLOTS", "2")
    begun = []

    def work(item: int) -> int:
        begun.append(item)
        if item == 0:
            raise KeyboardInterrupt
        time.sleep(0.02)
        return item

    with pytest.raises(KeyboardInterrupt):
        list(in_threads(work, range(2000), None))
    time.sleep(0.2)  # what had begun ends
    settled = len(begun)
    time.sleep(0.2)
    assert len(begun) == settled < 1000


@pytest.mark.parametrize("slots", ["", "0", "many"])
def test_a_batch_jobs_share_of_cores_is_kept_and_nonsense_passed_over(monkeypatch, slots):
    monkeypatch.setenv("NSLOTS", "3")
    assert worker_count() == 3
    monkeypatch.setenv("NSLOTS", slots)
    assert worker_count() >= 1


def test_class_data_reads_whole(class_data):
    pictures, unreadable = read_pictures(read_table(class_data, "task1")["path"], 64, None)
    assert pictures.shape == (148, 64, 64, 3) and unreadable == []
