"""A head written in words, and the Keras layers it stands for.

| word | layer |
|---|---|
| `gap` | GlobalAveragePooling2D |
| `flatten` | Flatten |
| `batchnorm` | BatchNormalization; `batchnorm 0.9` sets the momentum of its statistics (0.99) |
| `dropout` | Dropout, at the recipe's rate |
| `dense256 relu` | Dense, 256 units; any Keras activation; `l2` behind it adds the recipe's L2 |
| `conv64 3x3 relu` | Conv2D, 64 filters; `valid` or `same` padding (same) |
| `maxpool2` | MaxPooling2D, 2x2 |

A name in brackets, `dense256 relu (feature_dense)`, becomes the layer's name. The first dense
layer that is not the output is called `feature_dense` anyway: it is what t-SNE looks at.
"""

import re

import keras

from xray_helpers.errors import KitError


def head_layers(
    head: str, dropout: float = 0.0, l2: float = 0.0, initializer: str = "glorot_uniform"
) -> list[keras.layers.Layer]:
    """The layers of `head`, in order, not yet built.

    Raises:
        KitError: a word is not in the table above.
    """
    words = [part.strip() for part in head.split(">")]
    dense = [i for i, word in enumerate(words) if word.startswith("dense")]
    layers = []
    for i, word in enumerate(words):
        word, name = _split_name(word)
        if name is None and i in dense[:1] and i != dense[-1]:
            name = "feature_dense"
        if i == len(words) - 1 and dense:
            name = name or "output"
        layers.append(_layer(word, name, dropout, l2, initializer))
    return layers


def _split_name(word: str) -> tuple[str, str | None]:
    match = re.fullmatch(r"(.*?)\s*\((\w+)\)", word)
    return (match[1], match[2]) if match else (word, None)


def _layer(
    word: str, name: str | None, dropout: float, l2: float, initializer: str
) -> keras.layers.Layer:
    kind, *options = word.split()
    regularizer = keras.regularizers.L2(l2) if "l2" in options and l2 else None
    options = [o for o in options if o != "l2"]
    if match := re.fullmatch(r"dense(\d+)", kind):
        return keras.layers.Dense(
            int(match[1]),
            activation=options[0] if options else None,
            kernel_initializer=initializer,
            kernel_regularizer=regularizer,
            name=name,
        )
    if match := re.fullmatch(r"conv(\d+)", kind):
        shape = next((o for o in options if "x" in o and o[0].isdigit()), "3x3")
        padding = "valid" if "valid" in options else "same"
        rest = [o for o in options if o not in (shape, "valid", "same")]
        return keras.layers.Conv2D(
            int(match[1]),
            tuple(int(side) for side in shape.split("x")),
            padding=padding,
            activation=rest[0] if rest else None,
            kernel_initializer=initializer,
            kernel_regularizer=regularizer,
            name=name,
        )
    if kind == "gap":
        return keras.layers.GlobalAveragePooling2D(name=name)
    if kind == "flatten":
        return keras.layers.Flatten(name=name)
    if kind == "batchnorm":
        momentum = float(options[0]) if options else 0.99
        return keras.layers.BatchNormalization(momentum=momentum, name=name)
    if kind == "dropout":
        return keras.layers.Dropout(dropout, name=name)
    if match := re.fullmatch(r"maxpool(\d+)", kind):
        return keras.layers.MaxPooling2D(int(match[1]), name=name)
    raise KitError(
        f"The head has the word '{word}', which is none of: gap, flatten, batchnorm, dropout, "
        "dense<units>, conv<filters>, maxpool<size>."
    )
