"""More pictures than the memory should hold: the same numbers, read from a file."""

import functools
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from xray_helpers import cache, cache_room, file_rows
from xray_helpers.data import Source, load_data, on_disk
from xray_helpers.data.augment import augmented_views
from xray_helpers.data.on_disk import kept_rows
from xray_helpers.data.pictures import UnreadablePicture, in_threads
from xray_helpers.errors import KitError
from xray_helpers.file_rows import FileRows
from xray_helpers.quiet_import import keras

L = keras.layers
SIZE = 16
PICTURE = SIZE * SIZE * 3  # bytes


@pytest.fixture
def small_memory(monkeypatch):
    """Nothing but ten pictures fits into the memory."""
    monkeypatch.setattr(file_rows, "MOST_IN_MEMORY", 10 * PICTURE)
    monkeypatch.setattr(file_rows, "SMALL", 10 * PICTURE)
    monkeypatch.setattr(cache, "_say_once", functools.cache(cache._say))


@pytest.fixture
def folder(tmp_path) -> Source:
    """Task 1: 60 train and 20 test pictures, two of the train pictures broken."""
    rng = np.random.default_rng(0)
    for split, n in (("train", 30), ("test", 10)):
        for label, light in (("covid", 60), ("normal", 0)):
            place = tmp_path / "pictures" / "two" / split / label
            place.mkdir(parents=True)
            for i in range(n):
                values = rng.integers(0, 190, (20, 20), np.uint8) + light
                Image.fromarray(values.astype(np.uint8)).save(place / f"p{i:02d}.png")
    train = tmp_path / "pictures" / "two" / "train"
    (train / "covid" / "p05.png").write_bytes(b"no picture")
    (train / "normal" / "p00.png").write_bytes(b"")
    return Source(tmp_path / "pictures", "other")


def read(source):
    return load_data("task1", source, image_size=SIZE, progress=None)


def in_file(data):
    """The same data with its pictures in a file."""
    shape = data.pictures.shape
    rows, _ = kept_rows("a" * 32, len(data.pictures), shape[1:], iter(data.pictures), "pictures")
    return replace(data, pictures=rows)


def kept():
    return [entry.folder for entry in cache_room.entries() if entry.kind == "pictures"]


# --- rows in a file -----------------------------------------------------------------------------


@pytest.mark.parametrize("small", [0, 1 << 30])
def test_rows_in_a_file_are_taken_as_from_an_array(tmp_path, monkeypatch, small):
    monkeypatch.setattr(file_rows, "SMALL", small)
    array = np.random.default_rng(0).random((50, 4, 3)).astype(np.float32)
    np.save(tmp_path / "a.npy", array)
    rows = FileRows.of_map(np.load(tmp_path / "a.npy", mmap_mode="r"))
    keys = [3, -1, np.int64(4), slice(2, 5), slice(None, None, -1), [0, -1], [], (2, 1, 0)]
    keys += [np.arange(50) % 3 == 0, np.array([7, 8, 9, 3, 3]), (slice(0, 3), 0)]
    for key in keys:
        np.testing.assert_array_equal(np.asarray(rows[key]), array[key])
    assert (len(rows), rows.shape, rows.dtype, rows.ndim) == (50, (50, 4, 3), np.float32, 3)
    assert isinstance(rows[:40], np.ndarray) == bool(small)
    with pytest.raises(IndexError):
        rows[50]
    np.testing.assert_array_equal(np.stack(list(rows.some([5, 6])[:])), array[5:7])
    again = pickle.loads(pickle.dumps(rows.some(np.arange(10, 20))))
    np.testing.assert_array_equal(again.read(), array[10:20])


def test_rows_have_the_same_identity_exactly_where_they_are_the_same(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(12.0).reshape(6, 2))
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    rows = FileRows.of_map(mapped, "a")
    assert rows.identity == FileRows.of_map(mapped, "a").some(slice(None)).identity
    others = [FileRows.of_map(mapped, "b"), rows.some([0, 1]), rows.some(slice(None, None, -1))]
    assert len({rows.identity, *(other.identity for other in others)}) == 4


def test_more_than_the_memory_should_hold_is_not_read_at_once(tmp_path, monkeypatch):
    np.save(tmp_path / "a.npy", np.zeros((100, 10), np.uint8))
    rows = FileRows.of_map(np.load(tmp_path / "a.npy", mmap_mode="r"))
    monkeypatch.setattr(file_rows, "MOST_AT_ONCE", 999)
    with pytest.raises(KitError, match=r"100 rows would take .* take some of them"):
        np.asarray(rows)
    assert np.asarray(rows.some(slice(99))).shape == (99, 10)


def test_a_file_that_is_cut_short_meanwhile_is_said(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((100, 10), np.uint8))
    rows = FileRows.of_map(np.load(tmp_path / "a.npy", mmap_mode="r"))
    with (tmp_path / "a.npy").open("r+b") as file:
        file.truncate(500)
    assert rows[3].sum() == 0
    with pytest.raises(KitError, match="cut short while it was read"):
        rows[90]


def test_threads_do_not_run_far_ahead_of_the_caller():
    started = []
    results = in_threads(lambda i: started.append(i) or i, range(5000), None)
    assert next(results) == 0
    assert len(started) <= 300
    assert list(results) == list(range(1, 5000))


# --- reading a folder ---------------------------------------------------------------------------


def test_from_a_file_everything_is_as_in_memory(folder, small_memory, monkeypatch):
    found = read(folder)
    with monkeypatch.context() as patch:
        patch.setattr(file_rows, "MOST_IN_MEMORY", 1 << 30)
        wanted = read(folder)
    assert isinstance(wanted.pictures, np.ndarray) and isinstance(found.pictures, FileRows)
    assert found.fingerprint == wanted.fingerprint
    assert found.table.equals(wanted.table)
    assert found.set_aside == wanted.set_aside
    assert [Path(u.path).name for u in found.set_aside] == ["p00.png", "p05.png"]
    np.testing.assert_array_equal(np.asarray(found.pictures), wanted.pictures)
    for split in ("train", "validation", "test"):
        ours, theirs = found.split(split), wanted.split(split)
        np.testing.assert_array_equal(np.asarray(ours[0]), theirs[0])
        np.testing.assert_array_equal(ours[1], theirs[1])
    views, same = (augmented_views(d.split("train")[0], 2, 3) for d in (found, wanted))
    assert isinstance(views, FileRows)
    np.testing.assert_array_equal(np.asarray(views), same)


def test_the_second_reading_decodes_nothing_and_sets_the_same_aside(
    folder, small_memory, monkeypatch
):
    first = read(folder)
    with monkeypatch.context() as patch:
        patch.setattr(on_disk, "decode", lambda *_: pytest.fail("decoded again"))
        second = read(folder)
    assert second.set_aside == first.set_aside and second.table.equals(first.table)
    np.testing.assert_array_equal(np.asarray(second.pictures), np.asarray(first.pictures))
    (folder.root / "two" / "train" / "covid" / "p01.png").unlink()
    assert len(read(folder).table) == len(first.table) - 1
    load_data("task1", folder, image_size=SIZE, progress=None, enhance="clahe")
    assert len(kept()) == 3


def test_a_file_that_could_not_be_read_then_is_tried_again(folder, small_memory, monkeypatch):
    away = str(folder.root / "two" / "train" / "covid" / "p07.png")
    real = on_disk.decode

    def disk_away(paths, *options):
        for path, picture in zip(paths, real(paths, *options), strict=True):
            yield UnreadablePicture(path, "the disk cannot read it") if path == away else picture

    with monkeypatch.context() as patch:
        patch.setattr(on_disk, "decode", disk_away)
        assert away in [u.path for u in read(folder).set_aside]
    found = read(folder)
    assert len(found.set_aside) == 2
    assert len(kept()) == 1
    place = list(found.table["path"]).index(away)
    with Image.open(away) as image:
        wanted = image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR)
    assert np.abs(found.pictures[place].astype(int) - np.asarray(wanted)).max() <= 1


def test_dropping_leaks_takes_the_right_rows(folder, small_memory):
    root = folder.root
    (root / "patients.csv").write_text(
        "file,patient\ntwo/train/covid/p02.png,x\ntwo/test/normal/p01.png,x\n"
    )
    whole = read(folder)
    kept_back = load_data("task1", folder, image_size=SIZE, progress=None, leaks="drop_train")
    assert len(kept_back.table) == len(whole.table) - 1
    of = dict(zip(whole.table["path"], np.asarray(whole.pictures), strict=True))
    for path, picture in zip(kept_back.table["path"], np.asarray(kept_back.pictures), strict=True):
        np.testing.assert_array_equal(picture, of[path])


# --- what goes wrong ----------------------------------------------------------------------------


def test_a_full_disk_is_said_in_a_sentence_and_leaves_nothing(folder, small_memory, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(cache._Summing, "write", full)
        with pytest.raises(KitError, match=r"No space left on device.*free some space.*XRAY_CACHE"):
            read(folder)
    assert list(cache_room.folder_of("pictures").iterdir()) == []
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=50_000_100))
    with pytest.raises(KitError, match="its disk has 0 MB to spare"):
        read(folder)


def test_an_interrupted_write_is_not_taken_for_whole(folder, small_memory, monkeypatch):
    def stops(paths, *options):
        yield np.zeros((SIZE, SIZE, 3), np.uint8)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(on_disk, "decode", stops)
        with pytest.raises(KeyboardInterrupt):
            read(folder)
    assert kept() == []
    assert read(folder).pictures[3].any()


@pytest.mark.parametrize("where", ["00.npy", "entry.json"])
def test_changed_bytes_are_found_and_the_pictures_decoded_again(folder, small_memory, where):
    wanted = np.asarray(read(folder).pictures)
    (entry,) = kept()
    content = bytearray((entry / where).read_bytes())
    place = len(content) // 2 if where == "00.npy" else content.index(b"it holds text") + 1
    content[place] ^= 1
    (entry / where).write_bytes(content)
    found = read(folder)
    np.testing.assert_array_equal(np.asarray(found.pictures), wanted)
    assert [u.reason[:13] for u in found.set_aside] == ["the file is e", "it holds text"]


def test_two_that_write_the_same_at_once_both_get_it(small_memory):
    array = np.random.default_rng(0).integers(0, 256, (30, 2, 2, 3), np.uint8)

    def quicker():
        yield from array[:10]
        kept_rows("b" * 32, 30, (2, 2, 3), iter(array), "the same")
        yield from array[10:]

    rows, _ = kept_rows("b" * 32, 30, (2, 2, 3), quicker(), "the same")
    np.testing.assert_array_equal(rows.read(), array)
    assert len(kept()) == 1


def test_what_the_cache_may_not_hold_stays_in_memory(folder, small_memory, monkeypatch, capsys):
    monkeypatch.setenv("XRAY_CACHE_GB", "0.00001")
    assert isinstance(read(folder).pictures, np.ndarray)
    assert "more than the cache may hold" in capsys.readouterr().err
    assert kept() == []


def test_the_cache_shows_counts_and_clears_the_pictures(folder, small_memory):
    from xray_helpers.training import cache_contents

    data = read(folder)
    (item,) = [item for item in cache_contents.contents() if item.kind == "pictures"]
    assert item.size > 80 * PICTURE and "pictures, 80×16×16×3" in item.about
    assert "pictures" in cache_contents.as_text([item]).splitlines()[0]
    assert cache_contents.clear() >= item.size and cache_contents.others() == []
    assert np.asarray(data.pictures).any()  # who reads them is not disturbed


# --- training and prediction --------------------------------------------------------------------


def convolutions(frozen: bool) -> keras.Model:
    keras.utils.set_random_seed(1)
    inputs = keras.Input((SIZE, SIZE, 3))
    x = L.Conv2D(6, 3, activation="relu", trainable=not frozen)(L.Rescaling(1 / 255)(inputs))
    x = L.Dense(8, activation="relu", name="feature_dense")(L.Flatten()(x))
    model = keras.Model(inputs, L.Dense(1, activation="sigmoid")(L.Dropout(0.3)(x)))
    model.compile("sgd", loss="binary_crossentropy", metrics=["accuracy"])
    return model


@pytest.mark.parametrize(
    ("frozen", "options"),
    [
        (False, {"validation_steps": 2, "augment_views": 2}),
        (True, {}),
    ],
)
def test_losses_and_predictions_are_exactly_those_of_memory(
    tiny_data, frozen, options, monkeypatch
):
    from xray_helpers.evaluation import evaluate
    from xray_helpers.training import batches, train

    def outcome(data):
        model = convolutions(frozen)
        history = train(model, data, epochs=3, batch_size=5, **options).history
        return history.drop(columns="seconds"), evaluate(model, data).predictions

    wanted = outcome(tiny_data)
    # Now the pictures are in a file, and the features of a frozen part stay in theirs.
    monkeypatch.setattr(file_rows, "MOST_IN_MEMORY", 4 * PICTURE)
    monkeypatch.setattr(file_rows, "SMALL", 4 * PICTURE)
    tensors = []
    real = batches.tf.numpy_function
    monkeypatch.setattr(
        batches.tf, "numpy_function", lambda *a: tensors.append(real(*a)) or tensors[-1]
    )
    found = outcome(in_file(tiny_data))
    assert tensors  # rows were read by batches
    assert found[0].equals(wanted[0])
    assert found[1].equals(wanted[1])


def test_features_that_do_not_fit_go_to_the_cache_batch_by_batch(tiny_data, monkeypatch):
    from xray_helpers.training import features, frozen_outputs, split_model

    frozen = split_model(convolutions(True)).frozen
    wanted = features.model_outputs(frozen, tiny_data.pictures)
    monkeypatch.setattr(file_rows, "MOST_IN_MEMORY", 1000)
    with monkeypatch.context() as patch:
        patch.setattr(features, "model_outputs", lambda *_, **__: pytest.fail("all at once"))
        found = frozen_outputs(frozen, tiny_data.pictures)
    assert all(isinstance(array, np.memmap) for array in found)
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_features_for_which_there_is_no_room_are_computed_in_memory(tiny_data, monkeypatch, capsys):
    from xray_helpers.training import frozen_outputs, split_model

    frozen = split_model(convolutions(True)).frozen
    monkeypatch.setattr(file_rows, "MOST_IN_MEMORY", 1000)
    monkeypatch.setattr(cache, "_say_once", functools.cache(cache._say))
    write = cache._Summing.write
    monkeypatch.setattr(
        cache._Summing,
        "write",
        lambda self, data: (
            (_ for _ in ()).throw(OSError(28, "No space left on device"))
            if len(data) > 1000
            else write(self, data)
        ),
    )
    (found,) = frozen_outputs(frozen, tiny_data.pictures)
    assert found.shape[0] == len(tiny_data.pictures)
    assert "No space left on device" in capsys.readouterr().err
    assert cache_room.entries() == []


MEMORY = """
import sys
from pathlib import Path
import numpy as np, pandas as pd
from xray_helpers import file_rows
from xray_helpers.data import Dataset, Source
from xray_helpers.data.on_disk import kept_rows
from xray_helpers.quiet_import import keras
from xray_helpers.evaluation import evaluate
from xray_helpers.training import train

def peak():
    text = Path("/proc/self/status").read_text()
    return int(text.split("VmHWM:")[1].split()[0]) * 1024

def run(n):
    rows = (np.full((160, 160, 3), i % 256, np.uint8) for i in range(n))
    pictures, _ = kept_rows(f"{n:032d}", n, (160, 160, 3), rows, "pictures")
    splits = np.resize(["train", "train", "train", "validation", "test"], n)
    table = pd.DataFrame({"path": [f"/p/{i}.png" for i in range(n)], "split": splits})
    table["label"] = np.resize(["normal", "normal", "covid"], n)
    table["patient"] = table["path"]
    data = Dataset("task1", Source(Path("/p"), "other"), ("normal", "covid"), table, pictures,
                   [], "f00d" * 4)
    inputs = keras.Input((160, 160, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(x))
    model.compile("sgd", loss="binary_crossentropy", metrics=["accuracy"])
    train(model, data, epochs=1, batch_size=10)
    evaluate(model, data)
    return peak()

file_rows.MOST_IN_MEMORY = file_rows.SMALL = 2_000_000
few, many = run(200), run(1800)
print(many - few)
"""


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="asks Linux for the memory")
def test_memory_does_not_grow_with_the_pictures():
    done = subprocess.run(
        [sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True
    )
    grown = int(done.stdout.split()[-1])
    assert grown < 1600 * 160 * 160 * 3 / 3  # a third of what the pictures alone would add


# --- what looks at some of very many ------------------------------------------------------------


def test_floors_learn_from_some_of_very_many_and_say_so(folder, monkeypatch):
    from xray_helpers.evaluation import floor, floors

    data = read(folder)
    whole = floors(data, None)
    assert whole.note == ""
    monkeypatch.setattr(floor, "MOST_LEARNT", 20)
    monkeypatch.setattr(floor, "_AT_ONCE", 7)
    some = floors(data, None)
    assert "from 20 of the 58 train and validation pictures" in some.note
    assert list(some.predictions["path"]) == list(whole.predictions["path"])


def test_t_sne_takes_some_of_very_many_in_the_shares_of_splits_and_classes(new_data):
    from xray_helpers.evaluation import split_features

    data, model = new_data(counts=(80, 4, 40)), convolutions(True)
    some = split_features(model, data, ("train", "test"), most=30)
    assert some.note.startswith("30 of these 120 pictures, drawn by chance")
    assert some.test.sum() == 10 and (some.labels == "covid").sum() == 15
    whole = split_features(model, data, ("train", "test"))
    assert whole.note == "" and len(whole.rows) == 120
    of = dict(zip(whole.rows, whole.values, strict=True))
    for row, values in zip(some.rows, some.values, strict=True):
        np.testing.assert_allclose(values, of[row], rtol=1e-5)


def test_of_very_many_test_pictures_some_and_the_surest_mistakes_are_looked_at(new_data):
    from xray_helpers.evaluation import evaluate, mistakes, to_look_at

    data, model = new_data(counts=(6, 4, 90)), convolutions(True)
    result = evaluate(model, data)
    assert to_look_at(result) is result
    some = to_look_at(result, most=10)
    rows = some.predictions.index.to_numpy()
    assert 10 <= len(rows) <= 18 and (np.diff(rows) > 0).all()
    surest = mistakes(result)
    assert set(surest["row"]) <= set(rows)
    assert list(mistakes(some)["path"]) == list(surest["path"])
    assert list(some.probability) == list(result.probability[rows])


def test_the_grid_of_predictions_shows_some_of_very_many_and_says_so(new_data):
    from xray_helpers import plotting

    data = in_file(new_data(counts=(6, 4, 90)))
    names = ["covid"] * 100
    made = plotting.predictions_grid(data.pictures, names, names, [0.9] * 100, most=12)
    assert sum(bool(axes.images) for axes in made.axes) == 12
    assert "12 of them shown, spread evenly" in made.get_suptitle()


# --- the benchmark ------------------------------------------------------------------------------


@pytest.fixture
def benchmark_modules(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    import large
    import large_folder

    return large, large_folder


def test_the_benchmarks_folder_has_the_pictures_and_no_patient_in_two_splits(
    benchmark_modules, tmp_path
):
    from xray_helpers.data.splits import patients_in_two_splits
    from xray_helpers.data.table import read_table

    _, folder = benchmark_modules
    drawn = folder.draw_patients(20)
    folder.write_folder(tmp_path, drawn, 50)
    table = read_table(tmp_path, "task1")
    assert len(table) == 50 and table["patient"].nunique() == 20
    assert set(table["source"]) == {"generated"}
    assert patients_in_two_splits(table).empty
    assert table["split"].value_counts().to_dict() == {"train": 40, "test": 10}


def test_the_benchmarks_chart_says_what_it_shows(benchmark_modules):
    large, _ = benchmark_modules
    seconds = {"reading": 1.0, "epoch": 2.0, "predicting": 0.5}
    rows = [
        {"work": work, "pictures": 1000 * k, "decoded_mb": 12.0 * k, "peak_mb": 900 + k}
        | {"seconds": {part: s * k for part, s in seconds.items()}}
        for k in (1, 100)
        for work in large.WORKS
    ]
    made = large.chart({"rows": rows})
    said = " ".join(made.get_suptitle().split())
    assert said.startswith("100 times the pictures: an epoch's steps take 100 times as long, at")
    assert said.endswith("at most 0.1 GB more memory")
    times, memory, *_ = made.axes
    assert {axes.get_yscale() for axes in (times, memory)} == {"log"}
