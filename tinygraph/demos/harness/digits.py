"""From an expression for the classes of digits to a trained classifier: what several demos have in common."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import tinygraph
import tinygraph.tensor as T
from tinygraph.datasets import load_images
from tinygraph.demos.harness.arguments import settings
from tinygraph.demos.harness.classifier import Classifier, batch_size_for, train_classifier


@dataclass
class Model:
    """What a demo builds: the cost and updates of a step, predicted classes, parameters, and other state."""

    cost: Any
    updates: Any
    predicted: Any
    params: list[Any]
    filters: Callable[[], np.ndarray] | None = None
    state: list[Any] = field(default_factory=list)


def parameter(values: np.ndarray, name: str) -> Any:
    """A shared variable of floatX."""
    return tinygraph.shared(np.asarray(values, dtype=tinygraph.config.floatX), name=name, borrow=True)


def train_digits(
    args: argparse.Namespace, name: str, build: Callable[..., Model], epochs: tuple[int, int], batch: tuple[int, int]
) -> int:
    """Train what ``build(rng, x, y, data)`` makes; defaults for MNIST come first, for the package's digits second."""
    with settings(args):
        data = load_images(args.data)
        other = int(data.name != "MNIST")
        size = batch_size_for(data, args.batch_size, batch[other])
        (train_x, train_y), (valid_x, _), (test_x, _) = (split.shared() for split in data.splits)
        index, x, y = T.lscalar("index"), T.matrix("x"), T.ivector("y")
        rows = slice(index * size, (index + 1) * size)
        made = build(np.random.RandomState(args.seed), x, y, data)
        own = [v for v in dict(made.updates) if v not in made.params]
        model = Classifier(
            name=name,
            data=data,
            batch_size=size,
            train=tinygraph.function(
                [index], made.cost, updates=made.updates, givens={x: train_x[rows], y: train_y[rows]}
            ),
            validate=tinygraph.function([index], made.predicted, givens={x: valid_x[rows]}),
            test=tinygraph.function([index], made.predicted, givens={x: test_x[rows]}),
            params=made.params,
            state=[*own, *made.state],
            filters=made.filters,
        )
        return train_classifier(model, args, args.epochs or epochs[other])
