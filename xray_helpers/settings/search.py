"""Settings of the search for settings."""

from pydantic import Field, field_validator

from xray_helpers.models.backbones import BACKBONES
from xray_helpers.models.grids import GRIDS, Grid
from xray_helpers.settings.kinds import Text, YesNo, number, one_of, parts, whole
from xray_helpers.settings.task import PRECISIONS, PictureSettings


class GridSettings(PictureSettings):
    """Settings of 05_grid_search; lists are comma-separated text."""

    grid: one_of(GRIDS) = Field("t2-vgg16", description="The grid of settings to search.")
    learning_rates: Text = Field(
        "", description="Learning rates above 0, comma-separated; '' for the grid's own."
    )
    activations: Text = Field(
        "", description="sigmoid, relu, tanh or elu, comma-separated; '' for the grid's own."
    )
    dropouts: Text = Field(
        "", description="Dropouts from 0 to below 1, comma-separated; '' for the grid's own."
    )
    units: Text = Field(
        "", description="Units of the second dense layer, comma-separated; '' for the grid's own."
    )
    grid_epochs: Text = Field(
        "", description="Epochs of a fit, comma-separated; '' for the grid's own."
    )
    at_most: whole(ge=0) = Field(
        0, description="Search so many settings of the grid, drawn at random; 0 for all."
    )
    folds: whole(ge=2, le=20) = Field(3, description="Parts that the training pictures make.")
    backbone: one_of(BACKBONES) | None = Field(
        None, description="The network under the head; None: the grid's."
    )
    weights: Text = Field(
        "auto", description="auto, imagenet, random, or the path of a weights file."
    )
    batch_size: whole(ge=1, le=4096) | None = Field(None, description="Pictures a step.")
    image_size: whole(ge=32, le=1024) = Field(224, description="Side of the pictures in pixels.")
    leaks: one_of(("keep", "drop_train")) = Field(
        "keep", description="What to do with patients in both train and test."
    )
    patience: whole(ge=1) | None = Field(
        None, description="Epochs without a better validation loss before the best one stops."
    )
    timed_epochs: whole(ge=0, le=100) = Field(
        1, description="Epochs through the whole model, timed to say what the search has saved."
    )
    xla: YesNo = Field(
        False, description="Let XLA compile what is trained; it draws other dropout masks."
    )
    precision: one_of(PRECISIONS) = Field(
        "float32", description="What the backbone computes in: 32 bits, or 16 where it is quicker."
    )
    l2: number(ge=0) = Field(0.01, description="L2 of the head that shows what L2 does.")
    save_model: YesNo = Field(True, description="Keep the trained model in the run's folder.")

    @field_validator("learning_rates", "dropouts", "units", "grid_epochs", "activations")
    @classmethod
    def _possible(cls, text: str, info: object) -> str:
        if not all(map(_POSSIBLE[info.field_name], parts(text))):
            raise ValueError("not possible")
        return text

    @property
    def task(self) -> str:
        """The grid's task."""
        return GRIDS[self.grid].task

    @property
    def chosen_grid(self) -> Grid:
        """The grid, narrowed to what the settings ask for.

        Raises:
            KitError: the grid does not vary what a setting narrows.
        """
        return GRIDS[self.grid].narrowed(
            {
                "learning_rate": tuple(float(part) for part in parts(self.learning_rates)),
                "activation": tuple(parts(self.activations)),
                "dropout": tuple(float(part) for part in parts(self.dropouts)),
                "units": tuple(int(part) for part in parts(self.units)),
                "epochs": tuple(int(part) for part in parts(self.grid_epochs)),
            }
        )

    @property
    def recipe_settings(self) -> dict:
        """What the settings change in the grid's recipe, see `models.recipes.choose_recipe`."""
        names = ("backbone", "batch_size", "image_size", "patience")
        return {"recipe": GRIDS[self.grid].recipe} | {n: getattr(self, n) for n in names}


_POSSIBLE = {
    "learning_rates": lambda text: 0 < float(text) <= 10,
    "dropouts": lambda text: 0 <= float(text) < 1,
    "units": lambda text: 1 <= int(text) <= 4096,
    "grid_epochs": lambda text: 1 <= int(text) <= 10000,
    "activations": lambda text: text in ("sigmoid", "relu", "tanh", "elu"),
}
