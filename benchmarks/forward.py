"""How near a forward pass comes to what the machine can multiply.

The machine's own rate is measured with TensorFlow's matrix multiplication in float32, the best of
several sizes; the two are measured in turns, so that what else the machine does meets both.
"""

import time

import numpy as np

from xray_helpers.quiet_import import keras, tensorflow
from xray_helpers.training.features import BATCH, model_outputs

SIZES = (1024, 2048, 4096)
ROUNDS = 5
SOURCE = (
    "two operations for each multiplication and addition of the 13 convolutions, from the shapes "
    "of their layers; biases, activations and pooling are not counted. Simonyan and Zisserman "
    "2015, arXiv:1409.1556, configuration D"
)


def forward_share(size: int = 224, rounds: int = ROUNDS, sizes: tuple[int, ...] = SIZES) -> dict:
    """VGG16's forward rate beside that of the matrix multiplication, in 10^9 operations a second.

    Args:
        size: side of the pictures.
        rounds: how often each is measured; the best counts.
        sizes: rows and columns of the matrices.
    """
    model = keras.applications.VGG16(include_top=False, weights=None, input_shape=(size, size, 3))
    pictures = np.random.default_rng(0).integers(0, 256, (2 * BATCH, size, size, 3), np.uint8)
    work = {n: multiplication(n) for n in sizes}
    forward, products = [], {n: [] for n in sizes}
    model_outputs(model, pictures)  # compiles
    for _ in range(rounds):
        for n, multiply in work.items():
            products[n].append(2 * n**3 / seconds_of(multiply) / 1e9)
        took = seconds_of(lambda: model_outputs(model, pictures))
        forward.append(convolution_flops(model) * len(pictures) / took / 1e9)
    best = max(products, key=lambda n: max(products[n]))
    return {
        "model": f"VGG16 without its classifier, {size}x{size}, float32",
        "gflop_per_picture": convolution_flops(model) / 1e9,
        "source": SOURCE,
        "batch": BATCH,
        "forward_gflops": max(forward),
        "matmul_gflops": max(products[best]),
        "matmul_size": best,
        "share": max(forward) / max(products[best]),
    }


def convolution_flops(model: keras.Model) -> int:
    """Operations of a picture's way through the convolutions of a model."""
    flops = 0
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            _, height, width, _ = layer.output.shape
            flops += 2 * height * width * int(np.prod(layer.kernel.shape))
    return flops


def multiplication(n: int) -> object:
    """A function that multiplies two random matrices of n x n float32, compiled before."""
    a, b = (tensorflow.random.stateless_normal((n, n), seed=(n, k)) for k in range(2))

    @tensorflow.function
    def multiply() -> tensorflow.Tensor:
        return tensorflow.reduce_sum(tensorflow.matmul(a, b))  # needs all of the product

    multiply()
    return lambda: multiply().numpy()


def seconds_of(work: object) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
