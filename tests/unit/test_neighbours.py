"""Features with their labels, scores of them, and what t-SNE keeps of their neighbours."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.manifold import trustworthiness as sklearn_trustworthiness
from sklearn.metrics import silhouette_score
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from threadpoolctl import threadpool_limits

from xray_helpers.errors import KitError
from xray_helpers.evaluation import (
    embed,
    neighbours_kept,
    separation,
    separation_table,
    split_features,
    tsne_seeds,
)
from xray_helpers.evaluation.embedding import Features, standard
from xray_helpers.evaluation.neighbours import trustworthiness
from xray_helpers.quiet_import import keras

L = keras.layers
RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def one_thread():
    """On a busy machine the threads of t-SNE would wait for each other, many times longer."""
    with threadpool_limits(1):
        yield


def clusters(seed=0, spread=1.0):
    """Three clusters of 20 points in 30 dimensions, mixed in order."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(["a", "b", "c"], 20))
    centres = {name: rng.normal(0, 10, 30) for name in "abc"}
    return np.array([centres[n] for n in labels]) + rng.normal(0, spread, (60, 30)), labels


# --- scores in feature space --------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_neighbours_of_the_same_patient_do_not_count_as_scikit_learn_leaves_them_out(seed):
    rng = np.random.default_rng(seed)
    features, labels = rng.normal(size=(40, 6)), rng.integers(2, size=40)
    patients = rng.integers(15, size=40)
    features += 0.7 * labels[:, None]
    ours = separation(features, labels, patients)["neighbours"]
    # Five neighbours of two classes never tie, so that nothing depends on how ties are broken.
    guesses = cross_val_predict(
        KNeighborsClassifier(5), standard(features), labels, groups=patients, cv=LeaveOneGroupOut()
    )
    assert ours.value == np.mean(guesses == labels)
    assert ours.n == 40
    assert ours.by_patient.patients == len(np.unique(patients))
    assert ours.by_patient.low < ours.value < ours.by_patient.high


def test_recognising_the_patient_is_not_taken_for_recognising_the_class():
    """Every patient has a place of his own, which says nothing about his class."""
    patients = np.repeat(np.arange(20), 4)
    features = RNG.normal(0, 10, (20, 8))[patients] + RNG.normal(0, 0.1, (80, 8))
    labels = np.where(RNG.permutation(20) < 10, "covid", "normal")[patients]
    assert separation(features, labels)["neighbours"].value > 0.95
    score = separation(features, labels, patients)
    assert score["neighbours"].value < 0.75
    assert score["chance"] == 0.5


def test_one_patient_alone_has_no_neighbours_and_is_a_miss():
    assert separation(RNG.normal(size=(8, 3)), [0, 1] * 4, [7] * 8)["neighbours"].value == 0


def test_of_equally_many_neighbours_the_nearest_decides():
    # Each of "near" has two of its own, two of "afar", and "other" among its five nearest.
    features = np.array([[0.0], [0.1], [0.2], [0.3], [9.0], [9.1]])
    labels = np.array(["near", "other", "near", "near", "afar", "afar"])
    space = features - features.mean()
    hits = separation(space, labels)["neighbours"]
    assert round(hits.value * 6) == 3  # the three of "near"; "afar" and "other" are outvoted


def test_the_silhouette_is_scikit_learns_with_an_interval_around_it():
    features, labels = clusters(spread=8)
    score = separation(features, labels)
    assert score["silhouette"] == pytest.approx(silhouette_score(standard(features), labels))
    interval = score["silhouette_interval"]
    assert interval.low < score["silhouette"] < interval.high
    assert (interval.n, interval.method) == (60, "bootstrap")


def test_pictures_of_few_patients_make_the_interval_wider():
    features, labels = clusters(spread=8)
    alone = separation(features, labels)["silhouette_interval"]
    shared = separation(features, labels, np.arange(60) % 6)["silhouette_interval"]
    twice = separation(
        np.repeat(features, 2, axis=0), np.repeat(labels, 2), np.repeat(np.arange(60), 2)
    )["silhouette_interval"]
    assert shared.by_patient.patients == 6
    assert twice.high - twice.low > 0.8 * (alone.high - alone.low)


def test_one_class_has_no_silhouette_and_its_neighbours_are_chance():
    score = separation(RNG.normal(size=(9, 3)), ["covid"] * 9)
    assert np.isnan(score["silhouette"])
    assert score["neighbours"].value == score["chance"] == 1


def test_parts_of_other_lengths_are_refused():
    features, labels = clusters()
    with pytest.raises(KitError, match="60 rows of features, 59 labels, 59 patients"):
        separation(features, labels[:59])
    with pytest.raises(KitError, match="59 points"):
        separation(features, labels, points=np.zeros((59, 2)))


def test_the_table_scores_training_and_test_pictures_apart():
    values, labels = clusters(spread=15)
    test, patients = np.arange(60) % 3 == 0, np.arange(60) // 2
    values[test] = RNG.normal(size=(20, 30))
    features = Features(values, labels, patients, np.arange(60), test)
    points = RNG.normal(size=(60, 2))
    table = separation_table(features, points).set_index("pictures")
    assert table["n"].to_dict() == {"train": 40, "test": 20}
    assert table["patients"].to_dict() == {"train": 30, "test": 20}
    for name, part in (("train", ~test), ("test", test)):
        alone = separation(values[part], labels[part], patients[part], points[part])
        row = table.loc[name]
        assert row["silhouette"] == alone["silhouette"]
        assert row["neighbours"] == alone["neighbours"].value
        assert row["trustworthiness_high"] == alone["trustworthiness"].high
        assert row["chance"] == alone["chance"]
    train = separation(values[~test], labels[~test], patients[~test])["neighbours"]
    assert table.loc["train", "neighbours_low"] == train.by_patient.low
    sure = Features(clusters()[0], clusters()[1], patients, np.arange(60), np.zeros(60, bool))
    assert separation_table(sure)["neighbours_low"][0] == pytest.approx(60 / (60 + 1.96**2), 1e-3)
    assert table.loc["train", "silhouette"] > table.loc["test", "silhouette"]
    assert "trustworthiness" not in separation_table(features)


# --- labels and points in step ------------------------------------------------------------------


def test_labels_that_are_out_of_step_score_no_better_than_chance():
    features, labels = clusters()
    good = separation(features, labels)
    assert good["neighbours"].value == 1.0
    assert good["silhouette"] > 0.4
    for wrong in (np.roll(labels, 1), labels[::-1], np.sort(labels)):
        bad = separation(features, wrong)
        assert bad["neighbours"].value < bad["chance"] + 0.25
        assert bad["silhouette"] < 0.1


def network():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((16, 16, 3))
    x = L.Conv2D(4, 3, trainable=False, name="conv")(inputs)
    x = L.Dense(5, name="feature_dense")(L.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, L.Dense(4, activation="softmax")(x))


def test_features_come_with_the_labels_of_the_same_pictures_whatever_the_tables_order(new_data):
    data, model = new_data("task2"), network()
    order = np.random.default_rng(1).permutation(len(data.table))
    mixed = replace(
        data,
        table=data.table.iloc[order].reset_index(drop=True),
        pictures=data.pictures[order],
    )
    known = {
        path: (label, patient, value)
        for path, label, patient, value in zip(
            data.table["path"],
            data.table["label"],
            data.table["patient"],
            embed(model, data.pictures),
            strict=True,
        )
    }
    for split in ("train", ("test", "train")):
        features = split_features(model, mixed, split)
        assert len(features.values) == {"train": 24}.get(split, 33)
        for i, row in enumerate(features.rows):
            label, patient, value = known[mixed.table["path"][row]]
            assert (features.labels[i], features.patients[i]) == (label, patient)
            np.testing.assert_allclose(features.values[i], value, rtol=1e-4)
            assert features.test[i] == (mixed.table["split"][row] == "test")


def test_a_split_without_pictures_is_said():
    from conftest import make_data

    with pytest.raises(KitError, match="no picture in validation"):
        split_features(network(), make_data(counts=(6, 0, 4)), "validation")


# --- what a picture keeps -----------------------------------------------------------------------


@pytest.mark.parametrize("n", [11, 12, 60])
def test_trustworthiness_is_scikit_learns_picture_by_picture(n):
    space, points = RNG.normal(size=(n, 7)), RNG.normal(size=(n, 2))
    points[: n // 2] = space[: n // 2, :2]
    each = trustworthiness(space, points)
    expected = sklearn_trustworthiness(space, points, n_neighbors=5)
    assert each.mean() == pytest.approx(expected, abs=1e-12)


def test_a_faithful_picture_is_trusted_and_a_random_one_is_half():
    space = RNG.normal(size=(300, 2))
    assert np.all(trustworthiness(space, 3 * space) == 1)
    assert abs(trustworthiness(space, RNG.normal(size=(300, 2))).mean() - 0.5) < 0.03


def test_the_score_of_a_picture_has_an_interval_over_patients():
    features, labels = clusters(spread=5)
    points = standard(features)[:, :2]
    patients = np.arange(60) // 2
    score = separation(features, labels, patients, points)["trustworthiness"]
    expected = sklearn_trustworthiness(standard(features), points, n_neighbors=5)
    assert score.value == pytest.approx(expected)
    assert score.low < score.value < score.high
    assert score.by_patient.patients == 30
    assert separation(features, labels)["trustworthiness"] is None


def test_very_few_pictures_take_fewer_neighbours():
    assert np.isnan(trustworthiness(np.eye(3), np.eye(3)[:, :2])).all()
    space = RNG.normal(size=(6, 3))
    expected = sklearn_trustworthiness(space, space[:, :2], n_neighbors=2)
    assert trustworthiness(space, space[:, :2]).mean() == pytest.approx(expected)


def test_kept_neighbours_are_counted_as_by_hand():
    cloud = np.c_[np.arange(12.0), np.zeros(12)]
    moved = cloud[::-1] * 7 + 3  # turned, shifted, stretched: the same neighbours
    shares, chance = neighbours_kept([cloud, moved])
    assert np.all(shares == 1) and chance == 5 / 11
    other = RNG.normal(size=(12, 2))
    shares, _ = neighbours_kept([cloud, moved, other])

    def five(points, i):
        return set(np.argsort(np.linalg.norm(points - points[i], axis=1))[1:6])

    # The points at an edge and in the middle, whose five nearest have no ties.
    for i in (0, 11):
        common = len(five(cloud, i) & five(other, i)) / 5
        assert shares[i] == pytest.approx((1 + 2 * common) / 3)
    random = neighbours_kept(list(RNG.normal(size=(4, 200, 2))))
    assert random[0].mean() == pytest.approx(random[1], abs=0.01)


def test_too_little_to_compare_is_said():
    for clouds in ([], [np.zeros((12, 2))], [np.zeros((1, 2))] * 2):
        with pytest.raises(KitError, match="nothing to compare"):
            neighbours_kept(clouds)


def test_seeds_give_other_clouds_and_the_same_seed_the_same():
    features, labels = clusters()
    first, second, again = tsne_seeds(features, 10, (0, 1, 0))
    assert first.shape == (60, 2)
    assert np.array_equal(first, again)
    assert not np.allclose(first, second, atol=1)
    for points in (first, second):  # planted clusters show from every start
        assert separation(points, labels)["neighbours"].value == 1.0
    assert not tsne_seeds(np.ones((12, 3)), 5, (0,))[0].any()
