"""What a backbone makes of pictures that were prepared for another one."""

import keras
import numpy as np
import pandas as pd

from xray_helpers.models.backbones import BACKBONES
from xray_helpers.models.build import preprocess

PICTURES = 16
WAYS = {
    "caffe": "blue-green-red less the ImageNet means (VGG, ResNet50)",
    "tf": "-1 to 1 (Inception, Xception)",
    "unit": "divided by 255",
}


def preprocessing_effect(model: keras.Model, backbone: str, pictures: np.ndarray) -> pd.DataFrame:
    """How much a backbone's features differ between pictures, for each way of preparing them.

    The features are the averages of the backbone's last maps. Their *spread* is the standard
    deviation over the pictures, averaged over the features, as a share of the features' root mean
    square: near 0, the network says the same of every picture, and no head can part the classes.
    *Likeness* is the correlation of the features with those of the right preparation, both less
    their mean over the pictures.

    Args:
        model: a model that `build_model` made, which holds the backbone by its name.
        backbone: a name in `BACKBONES`.
        pictures: uint8 (n, size, size, 3); the first `PICTURES` of an even choice are used.

    Returns:
        A row a way, the right one first: preparation, spread, likeness.
    """
    some = np.unique(np.linspace(0, len(pictures) - 1, PICTURES).astype(int))
    batch = np.asarray(pictures[some], np.float32)
    layer, info = model.get_layer(backbone), BACKBONES[backbone]
    features = {}
    for way in WAYS:
        inputs = keras.Input(batch.shape[1:])
        maps = layer(preprocess(inputs, info, way), training=False)
        pooled = keras.layers.GlobalAveragePooling2D()(maps)
        features[way] = keras.Model(inputs, pooled).predict(batch, batch_size=8, verbose=0)
    right = features[info.preprocessing]
    ways = sorted(WAYS.items(), key=lambda item: item[0] != info.preprocessing)
    rows = [
        {
            "preparation": text + (" – its own" if way == info.preprocessing else ""),
            "spread": _spread(features[way]),
            "likeness": _likeness(features[way], right),
        }
        for way, text in ways
    ]
    return pd.DataFrame(rows)


def _spread(features: np.ndarray) -> float:
    size = float(np.sqrt(np.mean(features.astype(np.float64) ** 2)))
    return float(features.std(axis=0).mean()) / size if size else 0.0


def _likeness(one: np.ndarray, other: np.ndarray) -> float:
    a, b = ((f - f.mean(axis=0)).ravel() for f in (one, other))
    scale = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / scale if scale else 0.0
