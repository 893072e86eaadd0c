"""What a notebook may be told: one class per notebook, one field per setting.

The `parameters` cell of a notebook holds the same names as its class. A misspelt name, a wrong
type or an impossible value is refused with a sentence that names the setting and what would be
right; `True` is not a number here and `"true"` is not a word.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
)

from xray_helpers.models.backbones import BACKBONES
from xray_helpers.paths import resolve


def _not_a_truth_value(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("a number or a word is wanted here, not True or False")
    return value


def _number_as_text(value: Any) -> Any:
    """`-p data_dir 2024` arrives as a number, and a folder may be called so."""
    return str(value) if type(value) in (int, float) else value


def _one_of(names: Iterable[str]) -> Any:
    """A word out of a list."""
    return Annotated[Literal[tuple(names)], BeforeValidator(_not_a_truth_value)]


def _parts(text: str) -> list[str]:
    """What stands between the commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def _whole(**limits: int) -> Any:
    """A whole number between limits (`ge`, `gt`, `le`, `lt` as in pydantic)."""
    return Annotated[int, Field(strict=True, **limits), BeforeValidator(_not_a_truth_value)]


def _number(**limits: float) -> Any:
    """A number between limits."""
    finite = Field(strict=True, allow_inf_nan=False, **limits)
    return Annotated[float, finite, BeforeValidator(_not_a_truth_value)]


Text = Annotated[str, BeforeValidator(_not_a_truth_value), BeforeValidator(_number_as_text)]
YesNo = bool

OPTIMIZERS = ("adam", "rmsprop", "sgd")
LOSSES = ("binary_crossentropy", "categorical_crossentropy")
INITIALIZERS = ("glorot_uniform", "he_normal", "random_normal", "zeros")


class Settings(BaseModel):
    """Settings of every notebook."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    runs_dir: Text = Field(
        "auto", description="Folder for the records of runs; 'auto' is $XRAY_RUNS, else runs/."
    )
    seed: _whole(ge=0, le=2**31 - 1) = Field(42, description="Seed of everything random.")
    smoke: YesNo = Field(
        False, description="Make the notebook small: few generated pictures, two epochs."
    )


class PictureSettings(Settings):
    """Settings of the notebooks that choose their pictures."""

    data_dir: Text = Field(
        "auto",
        description="Folder with two/ and all/; 'auto' is $XRAY_DATA, else data/, else generated "
        "pictures. A relative path counts from the project's folder.",
    )


class StartSettings(PictureSettings):
    """Settings of 00_start_here."""

    task: _one_of(("task1", "task2")) = Field("task2", description="Whose pictures to look at.")


class ModelSettings(PictureSettings):
    """Settings of the notebooks that build a model."""

    recipe: Text | None = Field(None, description="A named recipe; None: the task's default.")
    backbone: _one_of(BACKBONES) | None = Field(
        None, description="The network under the head; None: the recipe's."
    )
    weights: Text = Field(
        "auto", description="auto, imagenet, random, or the path of a weights file."
    )
    unfreeze: _whole(ge=-1, le=1000) | None = Field(
        None, description="Train the last N layers of the backbone; -1 for all."
    )
    dropout: _number(ge=0, lt=1) | None = Field(
        None, description="Share of units dropped while training."
    )
    l2: _number(ge=0) | None = Field(None, description="Factor of the squared weights in the loss.")
    initializer: _one_of(INITIALIZERS) | None = Field(
        None, description="How new weights start (those of the head, all of the cnn's)."
    )
    loss: _one_of(LOSSES) | None = Field(None, description="What training makes small.")
    optimizer: _one_of(OPTIMIZERS) | None = Field(None, description="How weights are stepped.")
    learning_rate: _number(gt=0, le=10) | None = Field(None, description="Size of a step.")
    batch_size: _whole(ge=1, le=4096) | None = Field(None, description="Pictures a step.")
    image_size: _whole(ge=32, le=1024) = Field(224, description="Side of the pictures in pixels.")
    leaks: _one_of(("keep", "drop_train")) = Field(
        "keep",
        description="What to do with patients in both train and test: keep them, or drop their "
        "pictures from the training.",
    )


class TaskSettings(ModelSettings):
    """Settings of 01_task1 and 02_task2."""

    epochs: _whole(ge=1, le=10000) | None = Field(
        None, description="Passes over the training pictures, at most."
    )
    steps_per_epoch: _whole(ge=1) | None = Field(
        None, description="Steps that make an epoch; None: all training pictures."
    )
    validation_steps: _whole(ge=1) | None = Field(
        None, description="Steps of each validation; None: all validation pictures."
    )
    patience: _whole(ge=1) | None = Field(
        None, description="Epochs without a better validation loss before training stops."
    )
    class_weight: YesNo = Field(
        False, description="Weigh each class by the inverse of its share of training pictures."
    )
    augment_views: _whole(ge=0, le=100) = Field(
        0, description="Augmented views a training picture; 0: none."
    )
    cache: YesNo = Field(True, description="Compute the frozen part of the model only once.")
    timed_epochs: _whole(ge=0, le=100) = Field(
        2, description="Epochs through the whole model, timed for comparison."
    )
    save_model: YesNo = Field(True, description="Keep the trained model in the run's folder.")
    tsne_layer: Text = Field("feature_dense", description="The layer whose output t-SNE shows.")
    tsne_perplexity: _number(gt=0, le=500) = Field(
        30.0, description="Neighbours that t-SNE weighs, roughly."
    )


class TsneSettings(Settings):
    """Settings of 03_tsne; lists are comma-separated text, since papermill cannot pass lists."""

    runs: Text = Field(
        "latest", description="Run ids (or parts of them), comma-separated; 'latest': the newest."
    )
    layers: Text = Field("feature_dense", description="Names of layers, comma-separated.")
    perplexities: Text = Field(
        "10,30,50", description="Perplexities, above 0 to 500, comma-separated."
    )
    split: _one_of(("train", "test")) = Field("train", description="Whose pictures to show.")

    @field_validator("layers", "runs")
    @classmethod
    def _not_empty(cls, text: str) -> str:
        if not _parts(text):
            raise ValueError("empty")
        return text

    @field_validator("perplexities")
    @classmethod
    def _numbers(cls, text: str) -> str:
        if not _parts(text) or not all(0 < float(part) <= 500 for part in _parts(text)):
            raise ValueError("not above 0")
        return text

    @property
    def layer_names(self) -> list[str]:
        """`layers`, one by one."""
        return _parts(self.layers)

    @property
    def perplexity_values(self) -> list[float]:
        """`perplexities` as numbers."""
        return [float(part) for part in _parts(self.perplexities)]


class TimingSettings(ModelSettings):
    """Settings of 04_cpu_vs_gpu."""

    task: _one_of(("task1", "task2")) = Field("task1", description="Whose training is timed.")
    epochs: _whole(ge=1, le=100) = Field(
        2, description="Timed epochs, behind a few steps for warming up."
    )
    merge: Text = Field(
        "", description="timing.json files from other machines, comma-separated; '' for none."
    )
    toy_repeats: _whole(ge=1, le=1000) = Field(
        50, description="Repetitions of the toy convolution."
    )

    @property
    def merge_paths(self) -> list[Path]:
        """`merge`, one by one, as absolute paths."""
        return [resolve(part) for part in _parts(self.merge)]


NOTEBOOKS: dict[str, type[Settings]] = {
    "00_start_here": StartSettings,
    "01_task1": TaskSettings,
    "02_task2": TaskSettings,
    "03_tsne": TsneSettings,
    "04_cpu_vs_gpu": TimingSettings,
}

# What `smoke` sets, where the notebook has the setting.
SMOKE = {"epochs": 2, "timed_epochs": 0, "image_size": 96, "toy_repeats": 2}
