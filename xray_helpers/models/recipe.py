"""What a recipe is: everything that says how a model is built and trained, under one name.

A head is written as its layers in order, for instance
`"gap > batchnorm > dense256 relu > dropout > dense4 softmax"`. The words are explained in
`xray_helpers.models.head`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from xray_helpers.models.pairs import last_activation, with_activation

# What no setting replaces.
_FIXED = {
    "name",
    "task",
    "head",
    "convolutions",
    "report",
    "reported",
    "reported_test",
    "chosen",
    "note",
    "changed",
}


@dataclass(frozen=True)
class Recipe:
    """One model and its training.

    Attributes:
        name: what `-p recipe` takes; also part of the run's folder name.
        task: "task1" or "task2".
        backbone: a name in `BACKBONES`, or None for a model of the student's own.
        head: the layers behind the backbone, in words.
        unfreeze: the last N layers of the backbone are trained; -1 for all, 0 for none. The
            kit's own `cnn` has no pretrained weights and is always trained whole.
        dropout: share of units dropped by each `dropout` of the head.
        l2: factor of the squared weights added to the loss by each `l2` of the head.
        initializer: how the head's (and the `cnn`'s) weights start, a Keras name.
        output: activation of the last layer; None for what the loss wants, or the head's own.
        optimizer, learning_rate, loss: Keras names; the learning rate a step.
        schedule: how the learning rate changes: constant, cosine, exponential, plateau.
        epochs: at most so many passes over the training pictures.
        batch_size: pictures a step.
        steps_per_epoch, validation_steps: steps an epoch; None for all pictures.
        patience: epochs without a better validation loss before training stops; None to never
            stop early. Either way the weights of the best epoch are kept.
        convolutions: layers in words that take the place of the kit's own `cnn`; None for that.
        report: letter of the report the recipe was taken from; None for the kit's own.
        reported: what that report says of its accuracy.
        reported_test: the test accuracy among it, as the report writes it; None where it has none.
        chosen: what the report leaves out and what is taken here instead.
        note: where the report disagrees with itself.
        changed: names of the fields that a setting has replaced.
    """

    name: str
    task: str
    backbone: str | None
    head: str
    unfreeze: int = 0
    dropout: float = 0.25
    l2: float = 0.0
    initializer: str = "glorot_uniform"
    output: str | None = None
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    schedule: str = "constant"
    loss: str = "categorical_crossentropy"
    epochs: int = 40
    batch_size: int = 10
    steps_per_epoch: int | None = None
    validation_steps: int | None = None
    patience: int | None = 20
    convolutions: str | None = None
    report: str | None = None
    reported: str | None = None
    reported_test: str | None = None
    chosen: tuple[str, ...] = ()
    note: str = ""
    changed: tuple[str, ...] = ()

    def override(self, settings: Mapping[str, Any]) -> "Recipe":
        """This recipe with every setting that is not None in place of its own value."""
        names = {f.name for f in fields(self)} - _FIXED
        new = {
            name: value
            for name, value in settings.items()
            if name in names and value is not None and value != getattr(self, name)
        }
        return replace(self, **new, changed=tuple(sorted(new)))

    @property
    def whole_head(self) -> str:
        """The head in words, with the activation that `output` and `loss` give its last layer."""
        return with_activation(self.head, last_activation(self.head, self.output, self.loss))

    @property
    def title(self) -> str:
        """The recipe's name and what was changed in it, in one line."""
        changes = ", ".join(f"{name}={getattr(self, name)}" for name in self.changed)
        return f"{self.name} ({changes})" if changes else self.name
