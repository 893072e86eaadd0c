"""Settings of the notebooks that look at pictures or at models that were trained before."""

from pydantic import Field, field_validator

from xray_helpers.models.backbones import PRETRAINED
from xray_helpers.settings.kinds import Settings, Text, one_of, parts, whole
from xray_helpers.settings.task import PictureSettings


class StartSettings(PictureSettings):
    """Settings of 00_start_here."""

    task: one_of(("task1", "task2")) = Field("task2", description="Whose pictures to look at.")


class TsneSettings(Settings):
    """Settings of 03_tsne; lists are comma-separated text, since papermill cannot pass lists."""

    runs: Text = Field(
        "latest", description="Run ids (or parts of them), comma-separated; 'latest': the newest."
    )
    layers: Text = Field("feature_dense", description="Names of layers, comma-separated.")
    perplexities: Text = Field(
        "10,30,50", description="Perplexities, above 0 to 500, comma-separated."
    )
    split: one_of(("train", "test", "both")) = Field("both", description="Whose pictures to show.")

    @field_validator("layers", "runs")
    @classmethod
    def _not_empty(cls, text: str) -> str:
        if not parts(text):
            raise ValueError("empty")
        return text

    @field_validator("perplexities")
    @classmethod
    def _numbers(cls, text: str) -> str:
        if not parts(text) or not all(0 < float(part) <= 500 for part in parts(text)):
            raise ValueError("not above 0")
        return text

    @property
    def layer_names(self) -> list[str]:
        """`layers`, one by one."""
        return parts(self.layers)

    @property
    def perplexity_values(self) -> list[float]:
        """`perplexities` as numbers."""
        return [float(part) for part in parts(self.perplexities)]


class ShortcutSettings(PictureSettings):
    """Settings of 07_shortcuts."""

    task: one_of(("task1", "task2")) = Field("task2", description="Whose pictures to question.")
    backbone: one_of(PRETRAINED) = Field(
        "vgg16", description="The network whose features are questioned."
    )
    weights: Text = Field(
        "auto", description="auto, imagenet, random, or the path of a weights file."
    )
    image_size: whole(ge=32, le=1024) = Field(224, description="Side of the pictures in pixels.")
    permutations: whole(ge=19, le=10000) = Field(
        9999, description="How often the labels are shuffled."
    )
    other_data_dir: Text = Field(
        "", description="A folder of pictures from elsewhere, to test on; '' for none."
    )
