"""A network with one hidden layer that separates two moons, with a picture of its decision boundary.

The first check point of many introductions to Theano: two features, a hidden layer of sigmoids, softmax, gradient
descent on all points at once. The points are two moons, or what scikit-learn makes: --data circles, --data classes.
The picture needs matplotlib.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import tinygraph
import tinygraph.tensor as T
from tinygraph.arguments import output_directory, positive_float, positive_int, seed
from tinygraph.demos.harness.pictures import missing
from tinygraph.errors import DataError


def make_moons(rng, n, noise=0.2):
    """Points of two interleaved half circles, and which of the two each belongs to."""
    angle = rng.uniform(0, np.pi, n)
    label = rng.randint(0, 2, n)
    x = np.where(label == 0, np.cos(angle), 1 - np.cos(angle))
    y = np.where(label == 0, np.sin(angle), 0.5 - np.sin(angle))
    return np.stack([x, y], axis=1) + rng.normal(0, noise, (n, 2)), label


def make_points(name, rng, n):
    """``n`` points (n, 2) and their classes, 0 or 1: moons, or circles and classes by scikit-learn."""
    if name == "moons":
        return make_moons(rng, n)
    try:
        from sklearn import datasets
    except ImportError as error:
        raise DataError(f"--data {name} needs scikit-learn: pip install tinygraph[data]") from error
    if name == "circles":
        return datasets.make_circles(n, noise=0.1, factor=0.5, random_state=rng)
    # two clusters a class, at the corners of a square that the generator draws: one draw, split by the caller
    return datasets.make_classification(n, 2, n_informative=2, n_redundant=0, class_sep=1.5, random_state=rng)


class Net:
    """``softmax(sigmoid(x W1 + b1) W2 + b2)``, with functions to train, to measure and to predict."""

    def __init__(self, rng, hidden, learning_rate):
        def weights(rows, columns, name):
            return tinygraph.shared(rng.normal(0, 1 / np.sqrt(rows), (rows, columns)), name=name)

        x, y = T.dmatrix("x"), T.lvector("y")
        w1, w2 = weights(2, hidden, "W1"), weights(hidden, 2, "W2")
        b1, b2 = tinygraph.shared(np.zeros(hidden), name="b1"), tinygraph.shared(np.zeros(2), name="b2")
        p = T.nnet.softmax(T.dot(T.nnet.sigmoid(T.dot(x, w1) + b1), w2) + b2)
        loss = T.nnet.categorical_crossentropy(p, y).mean()
        params = [w1, b1, w2, b2]
        grads = T.grad(loss, params)
        updates = [(param, param - learning_rate * grad) for param, grad in zip(params, grads, strict=True)]
        self.train = tinygraph.function([x, y], loss, updates=updates)
        self.predict = tinygraph.function([x], T.argmax(p, axis=1))
        self.probability = tinygraph.function([x], p[:, 1])


def draw(net, x, y, path):
    """The points, and behind them what the network takes each place for."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    (left, low), (right, high) = x.min(0) - 0.5, x.max(0) + 0.5
    across, up = np.meshgrid(np.linspace(left, right, 200), np.linspace(low, high, 200))
    shade = net.probability(np.stack([across.ravel(), up.ravel()], axis=1)).reshape(across.shape)
    figure = Figure(figsize=(6, 4.5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.contourf(across, up, shade, levels=20, cmap="RdBu", alpha=0.7)
    axes.contour(across, up, shade, levels=[0.5], colors="k")
    axes.scatter(x[:, 0], x[:, 1], c=y, cmap="RdBu", edgecolors="k", s=18)
    axes.set_title(f"{(net.predict(x) == y).mean():.1%} of {len(y)} points are on their side")
    figure.savefig(path)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``tinygraph demo moons``."""
    parser.add_argument("--data", choices=("moons", "circles", "classes"), default="moons",
                        help="the points (default: %(default)s)")  # fmt: skip
    parser.add_argument("--points", type=positive_int, default=400, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--hidden", type=positive_int, default=16, metavar="H", help="(default: %(default)s)")
    parser.add_argument("--steps", type=positive_int, default=3000, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--learning-rate", type=positive_float, default=1.0, metavar="R", help="(default: %(default)s)")
    parser.add_argument("--seed", type=seed, default=0, metavar="S", help="(default: %(default)s)")
    parser.add_argument("--out", type=output_directory, default=Path("out/moons"), metavar="DIR",
                        help="where the picture goes (default: %(default)s)")  # fmt: skip


def run(args: argparse.Namespace) -> None:
    """Train, draw, report."""
    rng = np.random.RandomState(args.seed)
    x, y = make_points(args.data, rng, args.points + 1000)
    (x, fresh_x), (y, fresh_y) = np.split(x, [args.points]), np.split(y, [args.points])
    net = Net(rng, args.hidden, args.learning_rate)
    for step in range(args.steps):
        loss = net.train(x, y)
        if step % max(args.steps // 10, 1) == 0:
            print(f"step {step}: loss {float(loss):.4f}")
    if missing():
        print(missing())
    else:
        args.out.mkdir(parents=True, exist_ok=True)
        draw(net, x, y, args.out / "boundary.png")
        print(f"the picture is {args.out / 'boundary.png'}")
    print(f"accuracy on 1000 new points {(net.predict(fresh_x) == fresh_y).mean():.1%}")
