"""``python -m tests.benchmarks.numpy_cnn``: a convolutional network written by hand in NumPy against the compiled one.

The network of ``tinygraph demo numpy-cnn`` (28x28 images with one channel, 5 and 4 filters of 3x3, max-pooling, 50 hidden
units, relu) as tutorials write it: convolution by copying each patch into a row of a matrix, one Python step per image,
row, column and channel; pooling by the argmax of such rows; backward through both by the same loops, the gradient to the
images included. The two compute the same gradients (tests/demos checks it) and are timed in turns in one run.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

import tinygraph
import tinygraph.tensor as T
from tests.benchmarks.timing import compare
from tinygraph.demos import numpy_cnn

SHAPES = ((5, 3, 3, 1), (4, 3, 3, 5), (100, 50), (50, 10))


def correlate(x: np.ndarray, filters: np.ndarray) -> np.ndarray:
    """Channels-last images with (filters, height, width, channels): each patch copied to a row, then one product."""
    many, height, width, channels = filters.shape
    rows_out, columns_out = x.shape[1] - height + 1, x.shape[2] - width + 1
    area = height * width
    kernel = np.zeros((channels * area, many))
    for f in range(many):
        for c in range(channels):
            kernel[c * area : (c + 1) * area, f] = filters[f, :, :, c].flatten()
    patches = np.zeros((len(x) * rows_out * columns_out, channels * area))
    row = 0
    for image in range(len(x)):
        for i in range(rows_out):
            for j in range(columns_out):
                for c in range(channels):
                    patch = x[image, i : i + height, j : j + width, c]
                    patches[row, c * area : (c + 1) * area] = patch.flatten()
                row += 1
    return (patches @ kernel).reshape(len(x), rows_out, columns_out, many)


def max_pool(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The largest of each 2x2 window, and its place in the window, 0 to 3."""
    n, height, width, channels = x.shape[0], x.shape[1] // 2, x.shape[2] // 2, x.shape[3]
    windows = np.zeros((n * height * width, 4, channels))
    row = 0
    for image in range(n):
        for i in range(0, 2 * height, 2):
            for j in range(0, 2 * width, 2):
                for c in range(channels):
                    windows[row, :, c] = x[image, i : i + 2, j : j + 2, c].flatten()
                row += 1
    place = np.argmax(windows, axis=1)
    largest = np.zeros(place.shape)
    for r in range(place.shape[0]):
        for c in range(channels):
            largest[r, c] = windows[r, place[r, c], c]
    return largest.reshape(n, height, width, channels), place


def pool_gradient(grad: np.ndarray, place: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Each gradient put back where the largest value of its window was."""
    out = np.zeros(shape)
    row = 0
    for image in range(grad.shape[0]):
        for i in range(grad.shape[1]):
            for j in range(grad.shape[2]):
                for c in range(grad.shape[3]):
                    where = place[row, c]
                    out[image, 2 * i + where // 2, 2 * j + where % 2, c] = grad[image, i, j, c]
                row += 1
    return out


def conv_gradients(grad: np.ndarray, x: np.ndarray, filters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """To the filters, by correlating every channel with every gradient map; to the images, with turned filters."""
    to_filters = np.zeros_like(filters)
    for f in range(filters.shape[0]):
        for c in range(filters.shape[3]):
            image = np.moveaxis(x[..., c], 0, 2)[np.newaxis]
            kernel = np.moveaxis(grad[..., f], 0, 2)[np.newaxis]
            to_filters[f, :, :, c] = correlate(image, kernel)[0, :, :, 0]
    border = ((0, 0), (filters.shape[1] - 1,) * 2, (filters.shape[2] - 1,) * 2, (0, 0))
    turned = np.moveaxis(filters[:, ::-1, ::-1, :], 3, 0)
    return to_filters, correlate(np.pad(grad, border), np.moveaxis(turned, 1, 3))


def gradients(x: np.ndarray, y: np.ndarray, parameters: list[np.ndarray]) -> tuple[float, list[np.ndarray]]:
    """Cost and gradients of a batch of images (n, 28, 28, 1) with classes ``y``."""
    filter1, filter2, w3, w4 = parameters
    conv1 = correlate(x, filter1)
    pool1, place1 = max_pool(np.maximum(conv1, 0))
    conv2 = correlate(pool1, filter2)
    pool2, place2 = max_pool(np.maximum(conv2, 0))
    flat = pool2.reshape(len(x), -1)
    hidden = flat @ w3
    active = np.maximum(hidden, 0)
    scores = active @ w4
    p = np.exp(scores - scores.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)

    target = np.eye(w4.shape[1])[y]
    to_p = -target / (p + 1e-5) / len(x)
    to_scores = p * (to_p - (to_p * p).sum(1, keepdims=True))
    to_hidden = to_scores @ w4.T * (hidden > 0)
    to_pool2 = (to_hidden @ w3.T).reshape(pool2.shape)
    to_conv2 = pool_gradient(to_pool2, place2, conv2.shape) * (conv2 > 0)
    to_filter2, to_pool1 = conv_gradients(to_conv2, pool1, filter2)
    to_conv1 = pool_gradient(to_pool1, place1, conv1.shape) * (conv1 > 0)
    to_filter1, _ = conv_gradients(to_conv1, x, filter1)
    cost = -np.mean(np.log((p + 1e-5)[np.arange(len(x)), y]))
    return cost, [to_filter1, to_filter2, flat.T @ to_hidden, active.T @ to_scores]


def compiled(
    target: str, dtype: str, values: list[np.ndarray]
) -> Callable[[np.ndarray, np.ndarray], list[np.ndarray]]:
    """Cost and gradients of the same network as one compiled function of images and classes."""
    x, y = T.tensor4("x", dtype=dtype), T.lvector("y")
    params = [tinygraph.shared(v.astype(dtype)) for v in values]
    cost = numpy_cnn.cross_entropy(numpy_cnn.probabilities(x, params), y)
    return tinygraph.function([x, y], [cost, *T.grad(cost, params)], mode=tinygraph.Mode(target=target))


def parameters(seed: int = 0) -> list[np.ndarray]:
    """Initial values as in those programs: normal, 0.1 wide."""
    rng = np.random.default_rng(seed)
    return [rng.normal(0, 0.1, shape) for shape in SHAPES]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.numpy_cnn", description=__doc__)
    parser.add_argument("--batch", type=int, default=300, help="images per batch (default 300)")
    parser.add_argument("--seconds", type=float, default=5.0, help="spent on each candidate (default 5)")
    args = parser.parse_args()
    rng, values = np.random.default_rng(1), parameters()
    x, y = rng.random((args.batch, 28, 28, 1)), rng.integers(0, 10, args.batch)
    candidates = {"by hand, NumPy, float64": lambda: gradients(x, y, values)}
    for target in ("numpy", "llvm"):
        for dtype in ("float64", "float32"):
            step, images = compiled(target, dtype, values), x.astype(dtype)
            candidates[f"compiled, {target}, {dtype}"] = lambda step=step, images=images: step(images, y)
    times = compare(candidates, args.seconds, least=3)
    by_hand = next(iter(times.values()))
    print(f"forward and backward of {args.batch} images, medians, {time.strftime('%Y-%m-%d')}\n")
    print("| program | ms per batch | faster than by hand |\n| --- | --- | --- |")
    for name, seconds in times.items():
        print(f"| {name} | {seconds * 1e3:.2f} | {by_hand / seconds:.0f} x |")


if __name__ == "__main__":
    main()
