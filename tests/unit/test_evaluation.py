import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

from xray_helpers.errors import KitError
from xray_helpers.evaluation import embed, evaluate, pca, separation, tsne
from xray_helpers.evaluation.embedding import fitting_perplexity
from xray_helpers.quiet_import import keras

L = keras.layers


def network(units, activation, loss=None, l2=None):
    """A frozen convolution in a nested model, a head."""
    keras.utils.set_random_seed(0)
    inside = keras.Input((16, 16, 3))
    x = L.Conv2D(6, 3, name="conv")(inside)
    backbone = keras.Model(
        inside, L.MaxPooling2D(4, name="pool")(L.ReLU(name="relu")(x)), name="net"
    )
    backbone.trainable = False
    inputs = keras.Input((16, 16, 3))
    x = L.Flatten(name="flat")(backbone(L.Rescaling(1 / 255)(inputs)))
    x = L.Dropout(0.5)(L.Dense(8, activation="relu", name="feature_dense")(x))
    model = keras.Model(inputs, L.Dense(units, activation, kernel_regularizer=l2)(x))
    if loss:
        model.compile("sgd", loss=loss, metrics=["accuracy"])
    return model


@pytest.fixture(scope="module")
def softmax4():
    return network(4, "softmax", "categorical_crossentropy", keras.regularizers.L2(0.1))


# --- evaluate -----------------------------------------------------------------------------------


def test_predictions_stand_in_the_tables_order_with_the_models_probabilities(softmax4, tiny_data4):
    result = evaluate(softmax4, tiny_data4)
    table = result.predictions
    test = tiny_data4.table[tiny_data4.table["split"] == "test"]
    columns = ["path", "true", "predicted", *(f"p_{c}" for c in tiny_data4.classes), "patient"]
    assert list(table) == columns
    assert table["patient"].tolist() == test["patient"].tolist()
    assert result.split == "test"
    assert table["path"].tolist() == [p.removeprefix("/pictures/") for p in test["path"]]
    assert table["true"].tolist() == test["label"].tolist()
    x = tiny_data4.pictures[test.index].astype("float32")
    expected = softmax4.predict(x, verbose=0)
    np.testing.assert_allclose(table.filter(like="p_"), expected, atol=1e-6)
    named = [tiny_data4.classes[i] for i in expected.argmax(axis=1)]
    assert table["predicted"].tolist() == named
    np.testing.assert_allclose(result.probability, expected.max(axis=1), atol=1e-6)


@pytest.mark.parametrize("cache", [True, False])
def test_loss_and_accuracy_are_what_keras_says_l2_included(softmax4, tiny_data4, cache):
    result = evaluate(softmax4, tiny_data4, "validation", cache=cache)
    x, labels = tiny_data4.split("validation")
    loss, accuracy = softmax4.evaluate(x.astype("float32"), np.eye(4)[labels], verbose=0)
    assert result.loss == pytest.approx(loss, rel=1e-5)
    assert result.accuracy.value == pytest.approx(accuracy)
    assert result.accuracy.n == 12


def test_one_output_is_the_probability_of_the_second_class(tiny_data):
    model = network(1, "sigmoid", "binary_crossentropy")
    result = evaluate(model, tiny_data)
    x, labels = tiny_data.split("test")
    covid = model.predict(x.astype("float32"), verbose=0).ravel()
    np.testing.assert_allclose(result.predictions["p_covid"], covid, atol=1e-6)
    np.testing.assert_allclose(result.predictions["p_normal"], 1 - covid, atol=1e-6)
    assert (result.predictions["predicted"] == np.where(covid > 0.5, "covid", "normal")).all()
    loss, _ = model.evaluate(x.astype("float32"), labels[:, None].astype("float32"), verbose=0)
    assert result.loss == pytest.approx(loss, rel=1e-5)


def test_the_csv_alone_gives_the_confusion_matrix_again(softmax4, tiny_data4, tmp_path):
    result = evaluate(softmax4, tiny_data4, "train")
    result.predictions.to_csv(tmp_path / "predictions.csv", index=False)
    read = pd.read_csv(tmp_path / "predictions.csv")
    again = pd.crosstab(read["true"], read["predicted"]).reindex(
        index=tiny_data4.classes, columns=tiny_data4.classes, fill_value=0
    )
    assert np.array_equal(result.confusion, again)
    assert result.confusion.sum() == 24


def test_the_test_section_of_the_record_is_json_with_n_and_interval(softmax4, tiny_data4, tmp_path):
    from xray_helpers.runs.record import write_json

    write_json(tmp_path / "x.json", evaluate(softmax4, tiny_data4).figures())
    section = json.loads((tmp_path / "x.json").read_text())
    metrics = ("precision", "recall", "specificity", "f1", "auc", "average_precision")
    names = {f"{m}_{c}" for m in metrics for c in (*tiny_data4.classes, "macro")}
    others = {"loss", "p_columns", "accuracy", "confusion", "calibration"}
    assert section.keys() == {*others, *names}
    assert section["p_columns"] == "probability"
    for name in ("accuracy", *names):
        assert section[name].keys() >= {"value", "low", "high", "n", "method"}
    confusion = section["confusion"]
    assert confusion["classes"] == list(tiny_data4.classes)
    assert np.sum(confusion["counts"]) == 9
    np.testing.assert_allclose(np.sum(confusion["shares"], axis=1), 1)
    assert section["calibration"]["error"].keys() >= {"value", "low", "high", "n"}


def test_a_model_that_was_not_compiled_has_no_loss(tiny_data4):
    result = evaluate(network(4, "softmax"), tiny_data4)
    assert result.loss is None
    assert result.accuracy.n == 9


@pytest.mark.parametrize(("units", "activation"), [(4, None), (4, "sigmoid"), (4, "relu")])
def test_outputs_that_are_no_probabilities_are_refused(units, activation, tiny_data4):
    with pytest.raises(KitError, match="no probabilities; end it with a softmax"):
        evaluate(network(units, activation), tiny_data4)


@pytest.mark.parametrize("loss", ["hinge", keras.losses.BinaryCrossentropy(from_logits=True)])
def test_a_model_that_diverged_is_told_so_whatever_its_numbers_mean(loss, tiny_data):
    model = network(1, None, loss)
    model.set_weights([np.full_like(weights, np.nan) for weights in model.get_weights()])
    with pytest.raises(KitError, match="training has diverged; use a smaller learning_rate"):
        evaluate(model, tiny_data)


def test_too_few_outputs_are_refused(tiny_data4):
    with pytest.raises(KitError, match="4 classes need"):
        evaluate(network(3, "softmax"), tiny_data4)


def test_paths_are_below_the_data_folder_also_behind_a_link(tmp_path):
    from xray_helpers.paths import below

    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    file = str((tmp_path / "real").resolve() / "two" / "a.png")
    assert below(file, tmp_path / "link") == "two/a.png"
    assert below("/elsewhere/a.png", Path("/pictures")) == "/elsewhere/a.png"


# --- embed --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "layer", ["feature_dense", "flat", "net/pool", "net/relu", "net/conv", "relu"]
)
def test_features_are_the_layers_output(softmax4, tiny_data4, layer):
    x = tiny_data4.pictures[:7]
    net = softmax4.get_layer("net")
    scaled = x.astype("float32") / 255
    if layer in ("feature_dense", "flat"):
        expected = keras.Model(softmax4.input, softmax4.get_layer(layer).output)(
            x.astype("float32")
        )
    else:
        name = layer.split("/")[-1]
        expected = keras.Model(net.input, net.get_layer(name).output)(scaled)
    ours = embed(softmax4, x, layer)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, np.asarray(expected).reshape(7, -1), atol=1e-5)


def test_features_of_a_model_without_a_frozen_part(tiny_data):
    inputs = keras.Input((16, 16, 3))
    hidden = L.Dense(3, name="feature_dense")(L.Flatten()(inputs / 255))
    model = keras.Model(inputs, L.Dense(1)(hidden))
    x = tiny_data.pictures[:5]
    expected = keras.Model(inputs, hidden)(x.astype("float32"))
    np.testing.assert_allclose(embed(model, x), expected, atol=1e-5)


def test_an_unknown_layer_gets_the_last_names(softmax4, tiny_data4):
    with pytest.raises(KitError, match=r"no layer 'nowhere'; its last layers are: .*feature_dense"):
        embed(softmax4, tiny_data4.pictures[:4], "nowhere")


def test_a_model_whose_inside_is_not_visible_is_told_so(tiny_data):
    class Own(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(KitError, match="functional API or Sequential"):
        embed(Own(), tiny_data.pictures[:4])


# --- the cloud and its scores -------------------------------------------------------------------


@pytest.fixture(autouse=True)
def one_thread():
    """On a busy machine the threads of t-SNE would wait for each other, many times longer."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def planted():
    """Three clusters far apart, 20 points each, in 30 dimensions."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 20)
    centres = rng.normal(0, 10, (3, 30))
    return centres[labels] + rng.normal(0, 1, (60, 30)), labels


def test_planted_clusters_are_found_and_shuffled_labels_are_not(planted):
    features, labels = planted
    good = separation(features, labels)
    assert good["neighbours"].value == 1.0
    assert good["neighbours"].n == 60
    assert good["silhouette"] > 0.5
    shuffled = separation(features, np.random.default_rng(1).permutation(labels))
    assert shuffled["neighbours"].value < 0.6
    assert shuffled["silhouette"] < 0.1


def test_labels_out_of_step_by_one_class_would_be_noticed(planted):
    features, labels = planted
    assert separation(features, np.roll(labels, 10))["neighbours"].value < 0.6


def test_tsne_keeps_the_order_of_pictures_and_the_seed_repeats_it(planted):
    features, labels = planted
    points = tsne(features, 10, seed=1)
    assert points.shape == (60, 2)
    assert separation(points, labels)["neighbours"].value == 1.0
    assert np.array_equal(points, tsne(features, 10, seed=1))


@pytest.mark.parametrize(("asked", "pictures", "used"), [(30, 270, 30), (30, 40, 13), (50, 4, 1)])
def test_perplexity_is_lowered_to_fit_few_pictures(asked, pictures, used):
    assert fitting_perplexity(asked, pictures) == used


def test_tsne_of_very_few_pictures():
    assert tsne(np.random.default_rng(0).normal(size=(5, 3)), 30).shape == (5, 2)
    with pytest.raises(KitError, match="needs 4 pictures or more, there are 3"):
        tsne(np.zeros((3, 2)))


def test_features_that_never_change_do_no_harm(planted):
    features, labels = planted
    constant = np.hstack([features, np.ones((60, 3))])
    assert separation(constant, labels)["neighbours"].value == 1.0
    points, share = pca(constant)
    assert np.isfinite(points).all()
    assert 0 < share <= 1


def test_pictures_with_the_same_features_all_lie_in_one_place():
    """As behind a layer that starts from zeros; scikit-learn's t-SNE alone crashes there."""
    same = np.full((12, 8), 3.0)
    assert not tsne(same, 30).any()
    assert separation(same, np.arange(12) % 2)["silhouette"] == 0
    points, share = pca(same)
    assert not points.any() and np.isnan(share)


# --- a whole run's record -----------------------------------------------------------------------


def test_the_record_has_the_fields_that_scripts_rely_on(tmp_path, new_data, monkeypatch):
    from xray_helpers import session
    from xray_helpers.data import Source
    from xray_helpers.models import Weights, own_recipe
    from xray_helpers.runs import comparison, list_runs
    from xray_helpers.training import train

    monkeypatch.setattr(session, "_open", None)
    data = replace(new_data(), source=Source(tmp_path, "other"))
    run = session.begin("01_task1", {"data_dir": str(tmp_path), "timed_epochs": 1})
    model = network(1, "sigmoid", "binary_crossentropy")
    run.record_data(data)
    run.record_model(model, own_recipe(run.recipe, "mine"), Weights("none"))
    run.record_training(train(model, data, epochs=2, timed_epochs=1))
    run.record_test(evaluate(model, data))
    run.complete()

    (record,) = list_runs(tmp_path / "runs")
    assert record.keys() >= {
        *("schema", "id", "task", "status", "error", "started_at", "finished_at", "settings"),
        *("data", "model", "training", "test", "environment"),
    }
    assert (record["schema"], record["task"], record["status"]) == (1, "task1", "complete")
    assert record["started_at"].endswith("+00:00")
    assert record["data"].keys() == {"kind", "root", "fingerprint", "counts", "set_aside"}
    assert record["data"]["counts"]["train"] == {"normal": 12, "covid": 12}
    assert record["model"].keys() >= {
        *("recipe", "backbone", "weights", "layers", "parameters", "megabytes")
    }
    assert record["model"]["parameters"].keys() == {"total", "trainable", "non_trainable"}
    assert (record["model"]["recipe"], record["model"]["backbone"]) == ("mine", None)
    training = record["training"]
    assert training.keys() >= {
        *("epochs", "best_epoch", "batch_size", "steps_per_epoch", "train", "validation"),
        *("seconds", "device", "cached"),
    }
    assert training["train"].keys() >= {"loss", "accuracy"}
    assert training["seconds"].keys() == {
        *("features", "first_epoch", "median_epoch", "median_step"),
        *("uncached_epoch", "uncached_step", "total"),
    }
    assert record["test"]["accuracy"].keys() == {
        *("value", "low", "high", "n", "method", "no_interval", "by_patient")
    }
    assert record["environment"].keys() >= {"versions", "cpu", "gpus", "threads", "git_commit"}
    assert record["environment"]["threads"] >= 1
    folder = Path(record["folder"])
    assert len(pd.read_csv(folder / "history.csv")) == 2
    assert len(pd.read_csv(folder / "predictions.csv")) == 9
    assert (folder / "model.keras").is_file()
    (row,) = comparison([record]).to_dict("records")
    assert row["test accuracy"] == record["test"]["accuracy"]["value"]

    from xray_helpers.report import facts

    said = facts(record)
    assert record["id"] in said
    assert "/9, 95 % interval" in said
    assert "enhanced" not in said
    enhanced = record | {"settings": record["settings"] | {"enhance": "crop,clahe"}}
    assert "enhanced by crop, clahe" in facts(enhanced)
    assert "XLA" not in said and "backbone in" not in said
    faster = record | {"training": training | {"xla": True, "precision": "mixed_bfloat16"}}
    assert "compiled by XLA, backbone in mixed_bfloat16" in facts(faster)


def own_vgg16(size):
    """The network of `t1-vgg16` as a student writes it."""
    backbone = keras.applications.VGG16(
        include_top=False, weights=None, input_shape=(size, size, 3)
    )
    backbone.trainable = False
    inputs = keras.Input((size, size, 3))
    x = L.Flatten()(backbone(inputs / 255))
    x = L.Dense(256, activation="relu", name="feature_dense")(x)
    model = keras.Model(inputs, L.Dense(1, activation="sigmoid")(L.Dropout(0.25)(x)))
    model.compile("adam", loss="binary_crossentropy")
    return model


def all_keys(item):
    """The keys of a record with what lies under them; lists of objects as one."""
    if isinstance(item, dict):
        return {key: all_keys(value) for key, value in item.items()}
    if isinstance(item, list) and item and isinstance(item[0], dict):
        return [all_keys(part) for part in item[:1]]
    return None


def test_a_model_of_ones_own_leaves_the_same_record_as_the_recipe(tmp_path, new_data, monkeypatch):
    from xray_helpers import session
    from xray_helpers.data import Source
    from xray_helpers.models import Weights, build_model, count_parameters, own_recipe
    from xray_helpers.report import facts
    from xray_helpers.training import train

    counts = count_parameters(own_vgg16(224))
    assert (counts["total"], counts["trainable"]) == (21137729, 6423041)  # those of t1-vgg16
    monkeypatch.setattr(session, "_open", None)
    data = replace(new_data(counts=(10, 6, 6), size=32), source=Source(tmp_path, "other"))
    settings = {"data_dir": str(tmp_path), "recipe": "t1-vgg16", "image_size": 32, "epochs": 1}
    settings["save_model"] = False
    found = []
    for own in (False, True):
        run = session.begin("01_task1", settings)
        plan, start = run.recipe, Weights("random")
        if own:
            model, plan, start = own_vgg16(32), own_recipe(plan, "my-vgg16"), Weights("none")
        else:
            model = build_model(
                plan, data.classes, start, image_size=32, calibrate_on=data.split("train")[0]
            )
        run.record_data(data)
        run.record_model(model, plan, start)
        run.record_training(train(model, data, epochs=plan.epochs, schedule=plan.schedule))
        run.record_test(evaluate(model, data))
        run.complete()
        found.append(run.record.record)
    recipe, mine = found
    assert all_keys(mine) == all_keys(recipe)
    assert mine["model"]["parameters"] == recipe["model"]["parameters"]
    assert mine["model"]["output"] == recipe["model"]["output"]
    assert [line.split(":")[0] for line in facts(mine).splitlines() if line.startswith("-")] == [
        line.split(":")[0] for line in facts(recipe).splitlines() if line.startswith("-")
    ]


def test_the_facts_of_a_hinge_run_say_that_its_columns_are_no_probabilities(
    tmp_path, new_data, monkeypatch
):
    from xray_helpers import session
    from xray_helpers.data import Source
    from xray_helpers.models import Weights, own_recipe
    from xray_helpers.report import facts
    from xray_helpers.training import train

    monkeypatch.setattr(session, "_open", None)
    data = replace(new_data(), source=Source(tmp_path, "other"))
    run = session.begin("01_task1", {"data_dir": str(tmp_path), "save_model": False})
    model = network(1, None, "hinge")
    run.record_data(data)
    run.record_model(model, own_recipe(run.recipe, "mine"), Weights("none"))
    run.record_training(train(model, data, epochs=1, schedule="cosine"))
    run.record_test(evaluate(model, data))
    said = facts(run.record.record)
    assert "(cosine), hinge" in said
    assert "no calibrated probability" in said


def test_a_wrong_preparation_leaves_less_of_the_pictures_in_the_features():
    from xray_helpers.evaluation import preprocessing_effect
    from xray_helpers.models import RECIPES, Weights, build_model

    pictures = np.random.default_rng(0).integers(0, 256, (12, 4, 4, 3)).astype(np.uint8)
    pictures = pictures.repeat(12, axis=1).repeat(12, axis=2)
    model = build_model(
        RECIPES["t2-template"], ("a", "b", "c", "d"), Weights("random"), image_size=48,
        calibrate_on=pictures,
    )  # fmt: skip
    table = preprocessing_effect(model, "vgg16", pictures)
    assert table["preparation"][0].endswith("its own")
    assert table["likeness"][0] == pytest.approx(1)
    assert table["spread"][0] > 3 * table["spread"][1:].max()
    assert (table["likeness"][1:] < 0.9).all()
