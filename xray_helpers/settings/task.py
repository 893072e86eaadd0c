"""Settings of the notebooks that build and train a model."""

from pydantic import Field

from xray_helpers.data.enhance import STEPS
from xray_helpers.models.backbones import BACKBONES, PRETRAINED
from xray_helpers.settings.kinds import (
    Settings,
    Text,
    YesNo,
    number,
    one_of,
    several_of,
    whole,
)

OPTIMIZERS = ("adam", "rmsprop", "sgd")
LOSSES = ("binary_crossentropy", "categorical_crossentropy", "hinge", "squared_hinge")
INITIALIZERS = (
    "glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "random_normal", "zeros",
)  # fmt: skip
OUTPUTS = ("sigmoid", "softmax", "linear")
SCHEDULES = ("constant", "cosine", "exponential", "plateau")
# Keras's dtype policies, see `models/precision.py`.
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


class PictureSettings(Settings):
    """Settings of the notebooks that choose their pictures."""

    data_dir: Text = Field(
        "auto",
        description="Folder with two/ and all/; 'auto' is $XRAY_DATA, else data/, else generated "
        "pictures. A relative path counts from the project's folder.",
    )
    enhance: several_of(STEPS) = Field(
        "",
        description="What is done to every picture, once, in the order given, but crop first; '' "
        "for nothing.",
    )


class ModelSettings(PictureSettings):
    """Settings of the notebooks that build a model."""

    recipe: Text | None = Field(None, description="A named recipe; None: the task's default.")
    backbone: one_of(BACKBONES) | None = Field(
        None, description="The network under the head; None: the recipe's."
    )
    weights: Text = Field(
        "auto", description="auto, imagenet, random, or the path of a weights file."
    )
    unfreeze: whole(ge=-1, le=1000) | None = Field(
        None, description="Train the last N layers of the backbone; -1 for all."
    )
    dropout: number(ge=0, lt=1) | None = Field(
        None, description="Share of units dropped while training."
    )
    l2: number(ge=0) | None = Field(None, description="Factor of the squared weights in the loss.")
    initializer: one_of(INITIALIZERS) | None = Field(
        None, description="How new weights start (those of the head, all of the cnn's)."
    )
    output: one_of(OUTPUTS) | None = Field(
        None, description="Activation of the last layer; None: what the loss wants."
    )
    loss: one_of(LOSSES) | None = Field(None, description="What training makes small.")
    optimizer: one_of(OPTIMIZERS) | None = Field(None, description="How weights are stepped.")
    learning_rate: number(gt=0, le=10) | None = Field(None, description="Size of a step.")
    batch_size: whole(ge=1, le=4096) | None = Field(None, description="Pictures a step.")
    image_size: whole(ge=32, le=1024) = Field(224, description="Side of the pictures in pixels.")
    leaks: one_of(("keep", "drop_train")) = Field(
        "keep",
        description="What to do with patients in both train and test: keep them, or drop their "
        "pictures from the training.",
    )

    xla: YesNo = Field(
        False, description="Let XLA compile what is trained; it draws other dropout masks."
    )
    precision: one_of(PRECISIONS) = Field(
        "float32", description="What the backbone computes in: 32 bits, or 16 where it is quicker."
    )

    @property
    def recipe_settings(self) -> dict:
        """What the settings change in a recipe, see `models.recipes.choose_recipe`."""
        return self.model_dump()


class TaskSettings(ModelSettings):
    """Settings of 01_task1 and 02_task2."""

    epochs: whole(ge=1, le=10000) | None = Field(
        None, description="Passes over the training pictures, at most."
    )
    steps_per_epoch: whole(ge=1) | None = Field(
        None, description="Steps that make an epoch; None: all training pictures."
    )
    validation_steps: whole(ge=1) | None = Field(
        None, description="Steps of each validation; None: all validation pictures."
    )
    patience: whole(ge=1) | None = Field(
        None, description="Epochs without a better validation loss before training stops."
    )
    schedule: one_of(SCHEDULES) | None = Field(
        None, description="How the learning rate changes from epoch to epoch."
    )
    class_weight: YesNo = Field(
        False, description="Weigh each class by the inverse of its share of training pictures."
    )
    augment_views: whole(ge=0, le=100) = Field(
        0, description="Augmented views a training picture; 0: none."
    )
    cache: YesNo = Field(True, description="Compute the frozen part of the model only once.")
    devices: whole(ge=1, le=64) = Field(
        1, description="GPUs that share every batch of the training; 1: no sharing."
    )
    timed_epochs: whole(ge=0, le=100) = Field(
        2, description="Epochs through the whole model, timed for comparison."
    )
    cost_missed: number(ge=0, le=1000) = Field(
        5.0, description="What it costs to call a covid picture something else."
    )
    cost_false_alarm: number(ge=0, le=1000) = Field(
        1.0, description="What it costs to call another picture covid."
    )
    compare_backbones: several_of(("all", *PRETRAINED)) = Field(
        "",
        description="Backbones to rank by repeated cross-validation; 'all' for all; '' for none.",
    )
    save_model: YesNo = Field(True, description="Keep the trained model in the run's folder.")
    tsne_layer: Text = Field("feature_dense", description="The layer whose output t-SNE shows.")
    tsne_perplexity: number(gt=0, le=500) = Field(
        30.0, description="Neighbours that t-SNE weighs, roughly."
    )


class TimingSettings(ModelSettings):
    """Settings of 04_cpu_vs_gpu."""

    task: one_of(("task1", "task2")) = Field("task1", description="Whose training is timed.")
    epochs: whole(ge=1, le=100) = Field(
        2, description="Timed epochs, behind a few steps for warming up."
    )
    fine_tune: whole(ge=-1, le=1000) = Field(
        4,
        description="Time the training a second time with the last N layers of the backbone "
        "trained too; -1 for all, 0 not to.",
    )
    measure: one_of(("both", "gpu", "cpu", "none")) = Field(
        "both",
        description="both: what this machine has, and again with its GPU hidden; gpu; cpu: with "
        "the GPU hidden; none: only merge.",
    )
    merge: Text = Field(
        "",
        description="Timings from other runs, comma-separated: a timing.json, a run's folder, or "
        "a run's id or part of it; '' for none.",
    )
    toy_repeats: whole(ge=1, le=1000) = Field(50, description="Repetitions of the toy convolution.")
