import pandas as pd
import pytest

from xray_helpers.data.splits import add_validation, drop_leaks, patients_in_two_splits
from xray_helpers.data.table import read_table
from xray_helpers.errors import KitError


def make(*rows: tuple[str, str, str, int]) -> pd.DataFrame:
    """Rows (label, split, patient, number of pictures) -> table."""
    records = [
        (f"/data/{split}/{label}/{patient}-{i}.jpeg", label, split, patient, "other")
        for label, split, patient, n in rows
        for i in range(n)
    ]
    return pd.DataFrame(records, columns=["path", "label", "split", "patient", "source"])


def class_like() -> pd.DataFrame:
    """Patients with one to seven pictures, 60 covid and 70 normal, and nine each in test."""
    sizes = [7, 6, 5, 4, 4, 3, 3, 2, 2, 2, 2, *[1] * 20]
    covid = [("covid", "train", f"c{i}", n) for i, n in enumerate(sizes)]
    normal = [("normal", "train", f"n{i}", 1) for i in range(70)]
    test = [(x, "test", f"t{x}{i}", 1) for x in ("covid", "normal") for i in range(9)]
    return make(*covid, *normal, *test)


def counts(table: pd.DataFrame, split: str) -> dict[str, int]:
    return table.loc[table["split"] == split, "label"].value_counts().to_dict()


@pytest.mark.parametrize("seed", [*range(10), 42])
def test_a_fifth_of_each_class_goes_to_validation(seed):
    table = add_validation(class_like(), seed)
    assert counts(table, "validation") == {"covid": 12, "normal": 14}
    assert counts(table, "train") == {"covid": 48, "normal": 56}


@pytest.mark.parametrize("seed", range(10))
def test_no_patient_is_on_both_sides(seed):
    assert patients_in_two_splits(add_validation(class_like(), seed)).empty


def test_the_split_depends_on_the_seed_and_not_on_the_order_of_rows():
    table = class_like()
    shuffled = table.sample(frac=1, random_state=3)

    def validation(table):
        return set(table.loc[table["split"] == "validation", "path"])

    assert validation(add_validation(table, 5)) == validation(add_validation(shuffled, 5))
    assert validation(add_validation(table, 5)) != validation(add_validation(table, 6))
    pd.testing.assert_index_equal(add_validation(shuffled, 5).index, shuffled.index)


def test_test_rows_are_never_touched_even_of_a_patient_who_goes_to_validation():
    table = make(("covid", "train", "a", 1), ("covid", "train", "b", 1), ("covid", "test", "a", 2),
                 ("covid", "test", "b", 1))  # fmt: skip
    after = add_validation(table, 0)
    pd.testing.assert_frame_equal(after[table["split"] == "test"], table[table["split"] == "test"])
    assert counts(after, "validation") == {"covid": 1}


def test_the_given_table_is_not_changed():
    table = class_like()
    before = table.copy()
    add_validation(table, 0)
    pd.testing.assert_frame_equal(table, before)


def test_a_table_with_validation_rows_stays_as_it_is():
    table = make(("covid", "train", "a", 9), ("covid", "train", "b", 9),
                 ("covid", "validation", "c", 1))  # fmt: skip
    pd.testing.assert_frame_equal(add_validation(table, 0), table)


@pytest.mark.parametrize("sizes", [(1, 1), (5, 5), (1, 30), (2, 2, 2)])
@pytest.mark.parametrize("seed", range(5))
def test_tiny_classes_keep_a_picture_on_each_side(sizes, seed):
    table = make(*[("covid", "train", f"c{i}", n) for i, n in enumerate(sizes)],
                 *[("normal", "train", f"n{i}", 1) for i in range(10)])  # fmt: skip
    after = add_validation(table, seed)
    for split in ("train", "validation"):
        assert counts(after, split)["covid"] >= 1 and counts(after, split)["normal"] >= 1
    assert patients_in_two_splits(after).empty


def test_when_no_patient_fits_the_smallest_goes():
    table = make(("covid", "train", "big", 30), ("covid", "train", "small", 12))
    for seed in range(5):
        assert counts(add_validation(table, seed), "validation") == {"covid": 12}


@pytest.mark.parametrize("seed", range(5))
def test_patients_with_pictures_in_two_classes_stay_together(seed):
    shared = [(x, "train", f"p{i}", 2) for i in range(20) for x in ("bac", "vir")]
    after = add_validation(make(*shared, ("bac", "train", "lone", 1)), seed)
    assert patients_in_two_splits(after).empty
    for label in ("bac", "vir"):  # the quota is 8, patients have 2
        assert 6 <= counts(after, "validation")[label] <= 8


def test_a_class_of_one_patient_is_refused_by_name():
    table = make(("covid", "train", "ann", 4), ("normal", "train", "n1", 1),
                 ("normal", "train", "n2", 1))  # fmt: skip
    with pytest.raises(KitError, match="All 4 train pictures of the class covid are of one patien"):
        add_validation(table, 0)


@pytest.mark.parametrize("share", [0, 1, -0.2, 20])
def test_an_impossible_share_is_refused(share):
    with pytest.raises(KitError, match="between 0 and 1"):
        add_validation(class_like(), 0, share)


def test_patients_in_two_splits_are_listed_with_their_pictures():
    table = make(("covid", "train", "a", 1), ("covid", "test", "a", 2), ("covid", "train", "b", 1))
    (row,) = patients_in_two_splits(table).itertuples()
    assert row.patient == "a" and row.splits == ("test", "train")
    assert row.paths == [
        "/data/train/covid/a-0.jpeg",
        "/data/test/covid/a-0.jpeg",
        "/data/test/covid/a-1.jpeg",
    ]


def test_drop_leaks_removes_only_train_and_validation_pictures_of_test_patients():
    table = make(
        ("covid", "train", "leak", 2),
        ("covid", "train", "fine", 1),
        ("covid", "validation", "leak2", 1),
        ("covid", "validation", "fine2", 1),
        ("covid", "test", "leak", 3),
        ("covid", "test", "leak2", 1),
    )
    after = drop_leaks(table)
    assert set(after.loc[after["split"] != "test", "patient"]) == {"fine", "fine2"}
    assert (after["split"] == "test").sum() == 4
    assert list(after.index) == list(range(6))


def test_drop_leaks_refuses_to_empty_a_class():
    table = make(("covid", "train", "a", 2), ("covid", "test", "a", 1))
    with pytest.raises(KitError, match="All train pictures of the class covid"):
        drop_leaks(table)


@pytest.mark.parametrize("seed", [*range(10), 42])
def test_class_data_splits_as_the_assignment_did(class_data, seed):
    for task, train, validation in (("task1", 104, 26), ("task2", 216, 54)):
        table = read_table(class_data, task)
        after = add_validation(table, seed)
        assert abs((after["split"] == "train").sum() - train) <= 2
        assert abs((after["split"] == "validation").sum() - validation) <= 2
        overlap = patients_in_two_splits(after)
        assert list(overlap["patient"]) == ["ieee-13"]
        assert patients_in_two_splits(drop_leaks(after)).empty
        assert len(drop_leaks(after)) == len(after) - 1
