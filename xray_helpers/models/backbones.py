"""The networks that a head is put on, each with the preprocessing it was trained with.

Plain facts only; `build.py` makes Keras layers of them.
"""

from dataclasses import dataclass
from typing import Literal

# Where Keras keeps its ImageNet weights: keras.src.applications.*.WEIGHTS_PATH_NO_TOP.
WEIGHTS_URL = "https://storage.googleapis.com/tensorflow/keras-applications"


@dataclass(frozen=True)
class Backbone:
    """A convolutional network without its classifier.

    Attributes:
        name: what settings call it.
        keras_name: the function in `keras.applications`, or None for the kit's own network.
        preprocessing: "caffe" turns RGB 0 to 255 into BGR less the ImageNet means; "tf" scales to
            -1 to 1; "unit" scales to 0 to 1. Each network wants the one it was trained with.
        native_size: the side, in pixels, of the pictures it was trained on.
        smallest_size: the smallest side, in pixels, it can take.
        md5: checksum of its ImageNet weights file without the classifier.
    """

    name: str
    keras_name: str | None
    preprocessing: Literal["caffe", "tf", "unit"]
    native_size: int
    smallest_size: int
    md5: str | None

    @property
    def weights_file(self) -> str:
        """Name of the file with its ImageNet weights."""
        return f"{self.name}_weights_tf_dim_ordering_tf_kernels_notop.h5"

    @property
    def weights_url(self) -> str:
        """Address of the file with its ImageNet weights."""
        return f"{WEIGHTS_URL}/{self.name}/{self.weights_file}"


BACKBONES: dict[str, Backbone] = {
    b.name: b
    for b in (
        Backbone("vgg16", "VGG16", "caffe", 224, 32, "6d6bbae143d832006294945121d1f1fc"),
        Backbone("vgg19", "VGG19", "caffe", 224, 32, "253f8cb515780f3b799900260a226db6"),
        Backbone("resnet50", "ResNet50", "caffe", 224, 32, "4d473c1dd8becc155b73f8504c6f6626"),
        Backbone("inception_v3", "InceptionV3", "tf", 299, 75, "bcbd6486424b2319ff4ef7d526e38f63"),
        Backbone(
            "inception_resnet_v2",
            "InceptionResNetV2",
            "tf",
            299,
            75,
            "d19885ff4a710c122648d3b5c3b684e4",
        ),
        Backbone("xception", "Xception", "tf", 299, 71, "b0042744bf5b25fce3cb969f33bebb97"),
        Backbone("cnn", None, "unit", 224, 32, None),
    )
}

PRETRAINED = tuple(name for name, b in BACKBONES.items() if b.keras_name)
