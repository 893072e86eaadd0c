"""Settings of the two classifiers in a row."""

from pydantic import Field

from xray_helpers.models.cascade import STAGE
from xray_helpers.models.variants import VARIANTS, Variant
from xray_helpers.settings.kinds import Text, YesNo, number, one_of, parts, several_of, whole
from xray_helpers.settings.task import INITIALIZERS, OPTIMIZERS, PictureSettings

# A stage has one output: the cross-entropy of several is the softmax network's.
STAGE_LOSSES = ("binary_crossentropy", "hinge", "squared_hinge")


class TwoStageSettings(PictureSettings):
    """Settings of 06_two_stage."""

    data_dir: Text = Field(
        "auto",
        description="Folder with train/ and test/, or with all/; 'auto' is $XRAY_KERMANY, else "
        "$XRAY_DATA, else data/, else generated pictures.",
    )
    image_size: whole(ge=32, le=1024) = Field(150, description="Side of the pictures in pixels.")
    leaks: one_of(("keep", "drop_train")) = Field(
        "keep", description="What to do with patients in both train and test."
    )
    epochs: whole(ge=1, le=10000) = Field(
        STAGE.epochs, description="Passes of each network over its training pictures."
    )
    batch_size: whole(ge=1, le=4096) = Field(STAGE.batch_size, description="Pictures a step.")
    dropout: number(ge=0, lt=1) = Field(
        STAGE.dropout, description="Share of units dropped while training."
    )
    initializer: one_of(INITIALIZERS) = Field(
        STAGE.initializer, description="How all weights start."
    )
    optimizer: one_of(OPTIMIZERS) = Field(STAGE.optimizer, description="How weights are stepped.")
    learning_rate: number(gt=0, le=10) = Field(STAGE.learning_rate, description="Size of a step.")
    loss: one_of(STAGE_LOSSES) = Field(STAGE.loss, description="What training a stage makes small.")
    variants: several_of(("all", "none", *VARIANTS)) = Field(
        "all", description="The variants of the report to run: all, none, or names."
    )
    variant_pictures: whole(ge=12) = Field(
        600, description="Training pictures of each variant; a third as many validate it."
    )
    variant_epochs: whole(ge=1, le=1000) = Field(8, description="Epochs of each variant.")
    save_model: YesNo = Field(True, description="Keep the trained networks in the run's folder.")

    @property
    def recipe_settings(self) -> dict:
        """What the settings change in a stage, see `models.cascade.stage_recipe`."""
        return self.model_dump()

    @property
    def chosen_variants(self) -> list[Variant]:
        """The variants that `variants` names."""
        names = parts(self.variants)
        return [v for v in VARIANTS.values() if "all" in names or v.name in names]
