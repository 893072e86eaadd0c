"""Runs compared two by two, and the floors among them."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from statsmodels.stats.multitest import multipletests
from test_runs import a_record

from xray_helpers.cli import main
from xray_helpers.errors import KitError
from xray_helpers.evaluation.floor import FLOORS, Floors
from xray_helpers.evaluation.metrics import wilson
from xray_helpers.evaluation.significance import fewest_one_way
from xray_helpers.run import Run
from xray_helpers.runs import comparison, correction_note, pair_table, pairs_of, side_by_side
from xray_helpers.runs.record import GENERATED, RunFolder, write_json

N = 36
NUMBERS, THUMBNAILS = FLOORS.values()


def predictions(right: list[int], n: int = N) -> pd.DataFrame:
    """Right for the pictures with these numbers."""
    called = ["a" if i in set(right) else "b" for i in range(n)]
    paths = [f"test/{i}.png" for i in range(n)]
    return pd.DataFrame({"path": paths, "true": "a", "predicted": called})


def floors(numbers: list[int], thumbnails: list[int]) -> Floors:
    table = predictions(numbers)[["path", "true"]]
    table["numbers"] = predictions(numbers)["predicted"]
    table["thumbnails"] = predictions(thumbnails)["predicted"]
    scores = {"numbers": wilson(len(numbers), N), "thumbnails": wilson(len(thumbnails), N)}
    return Floors(table.assign(patient=[f"p{i}" for i in range(N)]), scores)


@pytest.fixture
def a_run(tmp_path):
    """Make the record of a run with its files: right pictures, validation accuracy, floors."""

    def make(name: str, right=None, validation=0.5, floor: Floors | None = None, **changes) -> dict:
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        record = a_record(name, folder=str(folder), **changes)
        record["model"]["changed"] = {}
        record["training"]["validation"]["accuracy"] = validation
        if right is not None:
            predictions(right).to_csv(folder / "predictions.csv", index=False)
            record["test"]["accuracy"] = wilson(len(right), N).as_dict()
        if floor:
            record["floor"] = floor.as_dict()
            floor.predictions.to_csv(folder / "floor.csv", index=False)
        write_json(folder / "run.json", {k: v for k, v in record.items() if k != "folder"})
        return record

    return make


def first(n: int) -> list[int]:
    return list(range(n))


# --- floors in records and tables -----------------------------------------------------------------


def test_a_floor_is_recorded_and_forgotten_with_its_data(tmp_path, new_data):
    settings = SimpleNamespace(smoke=False)
    run = Run("01_task1", settings, RunFolder(tmp_path, "01_task1", "task1", "x", {}))
    run.record_data(new_data())
    found = floors(first(20), first(24))
    run.record_floor(found)
    record = json.loads((run.folder / "run.json").read_text())
    assert record["floor"]["numbers"] == {
        "value": 20 / 36, "low": wilson(20, 36).low, "high": wilson(20, 36).high, "n": 36
    }  # fmt: skip
    assert record["floor"].keys() == {"numbers", "thumbnails"}
    kept = pd.read_csv(run.folder / "floor.csv")
    assert list(kept) == ["path", "true", "numbers", "thumbnails", "patient"]
    assert (kept["thumbnails"] == "a").sum() == 24
    run.record_data(new_data())
    assert "floor" not in json.loads((run.folder / "run.json").read_text())


def test_the_floors_of_the_newest_record_are_rows_behind_the_runs(a_run):
    records = [
        a_run("bbbb", first(30), floor=floors(first(20), first(24))),
        a_run("aaaa", first(31), floor=floors(first(1), first(2))),
        a_run("cccc", first(32)),
    ]
    table = comparison(records)
    assert table["reference"].tolist() == [False] * 3 + [True] * 2
    assert table["run"].tolist()[3:] == [NUMBERS, THUMBNAILS]
    assert table["test accuracy"].tolist()[3:] == [20 / 36, 24 / 36]
    assert table["n"].tolist() == [36] * 5
    assert table.loc[3:, "validation accuracy"].isna().all()
    assert table.loc[3:, "mark"].tolist() == ["", ""]
    shown = side_by_side(table)
    assert shown[NUMBERS]["test accuracy"] == "0.556"
    assert shown[NUMBERS]["parameters"] == shown[NUMBERS]["s in total"] == "–"
    # Whole numbers stay whole beside what is missing.
    run = table["run"][0]
    assert (shown[run]["parameters"], shown[run]["epochs"], shown[run]["n"]) == ("30", "7", "36")
    assert "reference" not in shown.index


def test_floors_of_generated_pictures_are_marked(a_run):
    data = {"fingerprint": "one", "kind": "generated"}
    (_, *marked) = comparison([a_run("aaaa", first(9), floor=floors([1], [2]), data=data)])["mark"]
    assert marked == [GENERATED, GENERATED] == ["generated pictures"] * 2


def test_records_of_older_kits_have_no_floor_rows(a_run):
    table = comparison([a_run("aaaa", first(9))])
    assert not table["reference"].any()
    assert len(table) == 1


# --- which pairs ----------------------------------------------------------------------------------


def names(pairs) -> list[tuple[str, str]]:
    return [(pair.first.split("#")[-1], pair.second.split("#")[-1]) for pair in pairs]


def test_up_to_three_runs_are_compared_each_with_each_and_the_best_with_the_floors(a_run):
    records = [
        a_run("aaaa", first(30), validation=0.6),
        a_run("bbbb", first(20), validation=0.7, floor=floors(first(20), first(24))),
        a_run("cccc", first(36), validation=0.5),
    ]
    assert names(pairs_of(records)) == [
        *[("aaaa", "bbbb"), ("aaaa", "cccc"), ("bbbb", "cccc")],
        *[("bbbb", NUMBERS), ("bbbb", THUMBNAILS)],
    ]
    assert names(pairs_of(records[:1])) == []


def test_of_more_runs_the_best_in_validation_is_compared_with_each(a_run):
    records = [a_run(name * 4, first(20), validation=0.6) for name in "abcd"]
    records[2]["training"]["validation"]["accuracy"] = 0.7
    assert names(pairs_of(records)) == [("cccc", "aaaa"), ("cccc", "bbbb"), ("cccc", "dddd")]
    for record in records:
        record["training"]["validation"]["accuracy"] = 0.7
    records[3]["training"]["validation"]["loss"] = 0.1
    assert {pair[0] for pair in names(pairs_of(records))} == {"dddd"}


def test_runs_without_predictions_are_left_out(a_run):
    records = [a_run("aaaa", first(20)), a_run("bbbb"), a_run("cccc", first(9))]
    assert names(pairs_of(records)) == [("aaaa", "cccc")]
    assert pairs_of([records[1]]) == []
    assert pair_table([]).empty


def test_runs_on_other_pictures_are_named(a_run):
    records = [a_run("aaaa", first(20)), a_run("bbbb", first(9))]
    predictions(first(9), n=30).to_csv(Path(records[1]["folder"]) / "predictions.csv", index=False)
    with pytest.raises(KitError, match=r"#aaaa and .*#bbbb cannot be compared: .* same pictures"):
        pairs_of(records)


# --- what is said of them -------------------------------------------------------------------------


def test_a_few_pictures_apart_cannot_tell_two_apart(a_run):
    records = [a_run("aaaa", first(23)), a_run("bbbb", [*first(20), 30])]
    (pair,) = pairs_of(records)
    one, two = "t1-default vgg16 #aaaa", "t1-default vgg16 #bbbb"
    assert pair.sentence == (
        f"{one} alone gets 3 pictures right, {two} alone 1: this test set cannot tell them apart "
        "(exact McNemar p = 0.62). It would take 6 such pictures, all one way."
    )
    assert pair.better is None
    assert correction_note([pair]) == correction_note([]) == ""


def test_six_one_way_tell_two_apart(a_run):
    (pair,) = pairs_of([a_run("aaaa", first(20)), a_run("bbbb", first(26))])
    assert pair.better == pair.second == "t1-default vgg16 #bbbb"
    assert pair.verdict == "second is better"
    assert pair.sentence.endswith(
        "alone 6: this test set tells them apart: t1-default vgg16 #bbbb is better "
        "(exact McNemar p = 0.031)."
    )


def test_many_apart_but_even_are_told_how_uneven_they_would_have_to_be(a_run):
    (pair,) = pairs_of([a_run("aaaa", first(20)), a_run("bbbb", list(range(5, 25)))])
    assert pair.sentence.endswith(
        "cannot tell them apart (exact McNemar p = 1). Of these 10, at least 9 would have to go "
        "one way."
    )


def test_the_same_pictures_right_is_said_so(a_run):
    (pair,) = pairs_of([a_run("aaaa", first(20)), a_run("bbbb", first(20))])
    assert "get the same 20 of 36 pictures right" in pair.sentence
    assert pair.verdict == "cannot be told apart"


def test_several_comparisons_are_corrected_together(a_run):
    records = [
        a_run("aaaa", first(27), validation=0.9, floor=floors(first(20), first(24))),
        a_run("bbbb", first(20)),
        a_run("cccc", first(26)),
    ]
    pairs = pairs_of(records)
    table = pair_table(pairs)
    assert len(table) == 5
    expected = multipletests(table["p"], method="holm")[1]
    assert table["p corrected"].to_numpy() == pytest.approx(expected)
    seven = table.iloc[0]
    assert (seven["only first right"], seven["only second right"]) == (7, 0)
    assert seven["p"] == pytest.approx(2 / 2**7) and seven["verdict"] == "cannot be told apart"
    assert "p = 0.016; 0.078 corrected for 5 comparisons" in pairs[0].sentence
    assert "It would take 8 such pictures, all one way." in pairs[0].sentence
    assert correction_note(pairs).startswith("5 comparisons at once")
    assert not {"low by patient", "high by patient"} & set(table)


def of_patients(records: list[dict], patients: list[str]) -> None:
    """Write down whose the pictures are."""
    for record in records:
        path = Path(record["folder"]) / "predictions.csv"
        pd.read_csv(path).assign(patient=patients).to_csv(path, index=False)


def test_pictures_of_one_patient_count_once(a_run):
    records = [a_run("aaaa", first(30)), a_run("bbbb", first(20))]
    of_patients(records, ["one" if 20 <= i < 30 else f"p{i}" for i in range(N)])
    (pair,) = pairs_of(records)
    assert pair.better is None
    assert pair.sentence.endswith(
        "this test set cannot tell them apart (exact McNemar p over patients = 1). One of the two "
        "gets more pictures right for 1 of 27 patients; it would take 6 such patients, all one way."
    )
    assert {"low by patient", "high by patient"} <= set(pair_table([pair]))


@pytest.mark.parametrize("patients", [1, 2])
def test_one_or_two_patients_never_tell_two_apart(a_run, patients):
    records = [a_run("aaaa", first(30)), a_run("bbbb", first(20))]
    of_patients(records, [f"p{i % patients}" for i in range(N)])
    (pair,) = pairs_of(records)
    assert pair.better is None and pair.verdict == "cannot be told apart"
    assert "cannot tell them apart" in pair.sentence


def test_several_patients_one_way_tell_two_apart(a_run):
    records = [a_run("aaaa", first(32)), a_run("bbbb", first(16))]
    of_patients(records, [f"p{i // 2}" for i in range(N)])
    (pair,) = pairs_of(records)
    assert pair.better == pair.first
    assert pair.sentence.endswith("(exact McNemar p over patients = 0.0078).")


def test_uneven_patients_are_told_how_many_would_be_enough(a_run):
    # Four pictures of one patient against six of other patients.
    records = [a_run("aaaa", first(30)), a_run("bbbb", [*first(24), *range(30, 34)])]
    of_patients(records, ["one" if i >= 30 else f"p{i}" for i in range(N)])
    (pair,) = pairs_of(records)
    assert pair.sentence.endswith(
        "One of the two gets more pictures right for 7 of 31 patients; all of these 7 one way "
        "would be enough."
    )
    assert fewest_one_way(pair.difference.gains) == 7


def test_the_correction_is_of_the_p_over_patients(a_run):
    records = [a_run("aaaa", first(36)), a_run("bbbb", first(20)), a_run("cccc", first(8))]
    of_patients(records, [f"p{i // 2}" for i in range(N)])
    table = pair_table(pairs_of(records))
    assert table["p"].tolist() == pytest.approx([2 / 2**8, 2 / 2**14, 2 / 2**6])
    expected = multipletests(table["p"], method="holm")[1]
    assert table["p corrected"].to_numpy() == pytest.approx(expected)


# --- xray compare ---------------------------------------------------------------------------------


def test_xray_compare_shows_floors_and_says_which_can_be_told_apart(a_run):
    a_run("aaaa", first(30), floor=floors(first(10), first(24)))
    a_run("bbbb", first(28))
    a_run("cccc")
    done = CliRunner().invoke(main, ["compare", "aaaa", "bbbb", "cccc"])
    assert done.exit_code == 0, done.output
    said = " ".join(done.output.split())
    assert NUMBERS in said and THUMBNAILS in said
    assert said.count(" alone gets ") == 3
    assert "tells them apart: t1-default vgg16 #aaaa is better" in said
    assert "3 comparisons at once" in said
    assert "00cccc has no predictions.csv: its pictures are not compared." in said


def test_names_that_look_like_numbers_stay_names(a_run):
    records = [a_run("aaaa", first(9)), a_run("bbbb", first(9))]
    for record, patient in zip(records, ("nan", "nan"), strict=True):
        path = Path(record["folder"]) / "predictions.csv"
        table = pd.read_csv(path).assign(true="NA", predicted="NA", patient=patient)
        table.to_csv(path, index=False)
    (pair,) = pairs_of(records)
    assert (pair.difference.counts.both, pair.difference.patients) == (N, 1)
    assert np.isnan(pair.difference.patient_low)
