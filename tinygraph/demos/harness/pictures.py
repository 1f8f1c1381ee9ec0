"""Pictures of a trained classifier, through matplotlib where it is installed."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from tinygraph.demos.harness.classifier import Classifier

LARGEST_GRID = 35  # fills seven columns


def missing() -> str | None:
    """What to install for pictures, if anything."""
    if importlib.util.find_spec("matplotlib") is not None:
        return None
    return 'for pictures: pip install "tinygraph[viz]"'


def draw_all(
    out: Path,
    model: Classifier,
    costs: Sequence[float],
    errors: Sequence[Sequence[float]],
    predicted: np.ndarray,
) -> None:
    """Write ``curve.png``, ``filters.png``, ``misclassified.png`` and ``confusion.png`` into ``out``."""
    if missing():
        return
    test, shape = model.data.test, model.data.image_shape
    learning_curve(costs, errors, model.train_batches).savefig(out / "curve.png")
    if model.filters is not None:
        image_grid(model.filters(), title="first-layer weights").savefig(out / "filters.png")
    wrong = np.flatnonzero(predicted != test.y)
    labels = [f"a {test.y[i]}, read as {predicted[i]}" for i in wrong[:LARGEST_GRID]]
    digits = test.x[wrong[:LARGEST_GRID]].reshape(-1, *shape)
    title = f"{len(wrong)} of {len(test):,} test digits are misread" + (
        f"; the first {LARGEST_GRID}" if len(wrong) > LARGEST_GRID else ""
    )
    image_grid(digits, labels, title, "gray_r").savefig(out / "misclassified.png")
    confusion(confusion_counts(test.y, predicted, model.data.classes)).savefig(out / "confusion.png")


def confusion_counts(truth: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """How often each class (row) was taken for each class (column)."""
    pairs = truth.astype(np.int64) * classes + predicted
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def _figure(width: float, height: float) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # not pyplot: it would look for a display
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def learning_curve(costs: Sequence[float], errors: Sequence[Sequence[float]], per_epoch: int) -> Any:
    """Training cost (thin: every mini-batch; thick: mean of each epoch) and validation error over epochs."""
    figure = _figure(7, 4)
    left = figure.subplots()
    epochs = (np.arange(len(costs)) + 1) / per_epoch
    left.plot(epochs, costs, color="C0", alpha=0.3, linewidth=0.6)
    whole = len(costs) // per_epoch
    if whole:
        means = np.reshape(costs[: whole * per_epoch], (whole, per_epoch)).mean(axis=1)
        left.plot(np.arange(whole) + 0.5, means, color="C0", label="training cost")
    left.set(xlabel="epoch", ylabel="training cost", yscale="log")
    left.yaxis.label.set_color("C0")
    if errors:
        right = left.twinx()
        steps, values = np.transpose(errors)
        right.plot(steps / per_epoch, 100 * values, color="C1")
        right.set(ylabel="validation error (%)", ylim=(0, None))
        right.yaxis.label.set_color("C1")
        best = int(np.argmin(values))
        right.annotate(
            f"{100 * values[best]:.2f} %",
            (steps[best] / per_epoch, 100 * values[best]),
            xytext=(0, 8),
            textcoords="offset points",
            ha="center",
            color="C1",
        )
    return figure


def accuracy_curve(curves: Sequence[Sequence[Sequence[float]]]) -> Any:
    """Validation accuracy of each network over epochs, and the test accuracy where that was best so far.

    ``curves``: for each network, rows of (epoch, validation, test), the accuracies within 0 and 1.
    """
    figure = _figure(7, 4)
    axes = figure.subplots()
    for curve in curves:
        epochs, *accuracies = np.transpose(curve)
        for values, colour in zip(accuracies, ("C1", "C0"), strict=True):
            axes.plot(epochs, 100 * values, color=colour, alpha=1 if len(curves) == 1 else 0.6)
    for label, colour in (("validation", "C1"), ("test, where validation was best", "C0")):
        axes.plot([], [], color=colour, label=label)
    axes.set(xlabel="epoch", ylabel="accuracy (%)")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    return figure


def bits_curve(costs: Sequence[float], held_out: Sequence[Sequence[float]], per_epoch: int) -> Any:
    """Bits per character over epochs: thin in training, batch by batch; thick on held-out text."""
    figure = _figure(7, 4)
    axes = figure.subplots()
    axes.plot((np.arange(len(costs)) + 1) / per_epoch, costs, color="C0", alpha=0.4, linewidth=0.6, label="training")
    if held_out:
        steps, values = np.transpose(held_out)
        axes.plot(steps / per_epoch, values, color="C1", label="held-out text")
        axes.annotate(f"{values[-1]:.2f}", (steps[-1] / per_epoch, values[-1]), xytext=(0, 8),
                      textcoords="offset points", ha="center", color="C1")  # fmt: skip
    axes.set(xlabel="epoch", ylabel="bits per character")
    axes.legend()
    return figure


def image_grid(
    images: np.ndarray, labels: Sequence[str] | None = None, title: str = "", colours: str = "RdBu"
) -> Any:
    """``images`` (n, height, width) in a grid, on one scale, with a label below each if given."""
    columns = max(1, math.ceil(math.sqrt(len(images) * 1.3)))
    rows = max(1, math.ceil(len(images) / columns))
    figure = _figure(max(1.0 * columns, 4), (1.25 if labels else 1.05) * rows + 0.4)
    figure.suptitle(title, fontsize=9)
    axes = np.ravel(figure.subplots(rows, columns, squeeze=False))
    bound = np.abs(images).max() if len(images) else 1
    low = -bound if colours == "RdBu" else 0
    for i, axis in enumerate(axes):
        axis.set_axis_off()
        if i < len(images):
            axis.imshow(images[i], cmap=colours, vmin=low, vmax=bound)
            if labels:
                axis.set_title(labels[i], fontsize=7, pad=2)
    return figure


def confusion(counts: np.ndarray) -> Any:
    """A confusion matrix; its colours show the mistakes only, which the diagonal would drown."""
    figure = _figure(5.5, 5)
    axis = figure.subplots()
    mistakes = counts * (1 - np.eye(len(counts), dtype=counts.dtype))
    axis.imshow(mistakes, cmap="Reds", vmin=0, vmax=max(1, mistakes.max()))
    for row, column in np.ndindex(*counts.shape):
        if counts[row, column]:
            dark = mistakes[row, column] > 0.6 * mistakes.max()
            axis.text(
                column,
                row,
                counts[row, column],
                ha="center",
                va="center",
                fontsize=8,
                color="w" if dark else "k",
            )
    axis.set(xlabel="read as", ylabel="digit", xticks=range(len(counts)), yticks=range(len(counts)))
    return figure
