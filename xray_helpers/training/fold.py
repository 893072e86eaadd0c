"""One fit of a search: a setting, trained on all folds but one and scored on that one.

It runs in a process of its own that does many of them, one after the other.
"""

import json
import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from xray_helpers import quiet_import  # noqa: F401 - before the others: a process starts here
from xray_helpers.models.backbones import BACKBONES
from xray_helpers.models.build import build_head, build_model
from xray_helpers.models.output import output_meaning, predicted_classes
from xray_helpers.models.recipe import Recipe
from xray_helpers.models.weights import Weights
from xray_helpers.quiet_import import keras
from xray_helpers.training.batches import targets_for, training_batches, training_order


def fit_fold(job: dict[str, Any], inputs: dict[str, Any]) -> dict[str, Any]:
    """One fit: train on all folds but one, score on that one after each of `epochs`.

    Args:
        job: recipe (its fields), epochs (rising), fold.
        inputs: x, labels, fold_of, classes, seed, xla, precision.

    Returns:
        `at_epoch`: {"40": {"hits", "n", "loss"}, …}; hits and loss are None where the training
        diverged before.
    """
    recipe = Recipe(**job["recipe"])
    x, labels, seed = inputs["x"], inputs["labels"], inputs["seed"]
    trained = np.flatnonzero(inputs["fold_of"] != job["fold"])
    left_out = np.flatnonzero(inputs["fold_of"] == job["fold"])
    steps = math.ceil(len(trained) / recipe.batch_size)
    model = _fresh_model(recipe, inputs, steps)
    targets = targets_for(model, model.output_shape[-1], labels, len(inputs["classes"]))
    order = trained[training_order(len(trained), 0, job["epochs"][-1], seed)]
    scorer = _ScoreAt(
        job["epochs"], x[left_out], labels[left_out], targets[left_out], recipe.batch_size
    )
    model.fit(
        training_batches([x], targets, order, recipe.batch_size),
        epochs=job["epochs"][-1],
        steps_per_epoch=steps,
        callbacks=[scorer, keras.callbacks.TerminateOnNaN()],
        shuffle=False,  # the stream has its order already
        verbose=0,
    )
    return {"at_epoch": scorer.scores}


def structure(recipe: Recipe) -> str:
    """What two recipes have in common whose compiled models differ in the learning rate only."""
    return json.dumps(asdict(replace(recipe, learning_rate=0.0)))


@dataclass(frozen=True)
class _Start:
    """A compiled model, and all its numbers before any training."""

    model: keras.Model
    numbers: list[np.ndarray]


# The models of the fits before in this process, which share a structure: one for each number of
# steps an epoch, for folds differ in size by a picture or two.
_starts: dict[tuple[str, int], _Start] = {}


def _fresh_model(recipe: Recipe, inputs: dict[str, Any], steps: int) -> keras.Model:
    """A compiled model with its first weights.

    A model of the fits before is set back to its start where only the learning rate differs:
    compiling takes longer than some fits.
    """
    rest = {name: inputs[name] for name in ("classes", "seed", "xla", "precision")}
    kind = f"{structure(recipe)} {inputs['x'].shape[1:]} {json.dumps(rest)}"
    if not any(known == kind for known, _ in _starts):
        _starts.clear()  # one structure at a time: models are large
    if (kind, steps) not in _starts:
        model = _new_model(recipe, inputs, steps)
        numbers = [variable.numpy() for variable in _state(model)]
        _starts[kind, steps] = _Start(model, numbers)
    start = _starts[kind, steps]
    for variable, value in zip(_state(start.model), start.numbers, strict=True):
        variable.assign(value)
    start.model.optimizer.learning_rate = recipe.learning_rate
    return start.model


def _new_model(recipe: Recipe, inputs: dict[str, Any], steps: int) -> keras.Model:
    """A head on frozen outputs, whose epochs are one call each, or a network for pictures."""
    shape, seed = inputs["x"].shape[1:], inputs["seed"]
    on_features = BACKBONES[recipe.backbone].keras_name is not None
    if on_features:
        model = build_head(recipe, shape, inputs["classes"], seed)
    else:
        model = build_model(
            recipe,
            inputs["classes"],
            Weights("none"),
            image_size=shape[0],
            seed=seed,
            precision=inputs["precision"],
        )
    model.compile(
        optimizer=model.optimizer,
        loss=model.loss,
        steps_per_execution=steps if on_features else 1,
        jit_compile=inputs["xla"],
    )
    model.optimizer.build(model.trainable_variables)
    return model


def _state(model: keras.Model) -> list[keras.Variable]:
    """All that training changes: weights, dropout's random state, the optimizer's memory."""
    return [*model.variables, *model.optimizer.variables]


class _ScoreAt(keras.callbacks.Callback):
    """Scores the pictures left out after some of the epochs."""

    def __init__(
        self,
        epochs: list[int],
        x: np.ndarray,
        labels: np.ndarray,
        targets: np.ndarray,
        batch: int,
    ) -> None:
        super().__init__()
        self.x, self.labels, self.targets, self.batch = x, labels, targets, batch
        # What stays where training stops because the loss is no number any more.
        nothing = {"hits": None, "n": len(x), "loss": None}
        self.scores = {str(epoch): nothing for epoch in epochs}

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if str(epoch + 1) not in self.scores:
            return
        parts = [
            self.model.predict_on_batch(self.x[i : i + self.batch].astype(np.float32))
            for i in range(0, len(self.x), self.batch)
        ]
        outputs = np.concatenate(parts)
        if np.isfinite(outputs).all():
            predicted = predicted_classes(outputs, output_meaning(self.model))
            self.scores[str(epoch + 1)] = {
                "hits": int(np.sum(predicted == self.labels)),
                "n": len(self.x),
                "loss": float(np.mean(keras.losses.get(self.model.loss)(self.targets, outputs))),
            }
