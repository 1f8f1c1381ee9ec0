"""Training a classifier of images: the loop, its checkpoints, and what is left in the output directory."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tinygraph import checkpoint
from tinygraph.datasets import ImageData, Split
from tinygraph.demos.harness import pictures
from tinygraph.demos.harness.progress import Progress, missing_bar
from tinygraph.demos.harness.stopping import EarlyStopping, deferred_interrupt
from tinygraph.errors import DataError, InvalidValue

CHECKPOINT = "checkpoint.safetensors"
INTERRUPTED = 130  # the exit status of a program that Ctrl-C ended


@dataclass
class Classifier:
    """A compiled classifier: what the loop needs to know of a demo's model.

    ``train(index)`` takes a step on a mini-batch and returns its cost; ``validate(index)`` and ``test(index)``
    return the classes predicted for a mini-batch. ``params`` are the parameters, ``state`` every other shared
    variable that training changes (a rule's memory, random streams): together they are the checkpoint.
    ``filters`` is a parameter to draw, in a shape that :func:`pictures.filters` takes.
    """

    name: str
    data: ImageData
    batch_size: int
    train: Callable[[int], Any]
    validate: Callable[[int], Any]
    test: Callable[[int], Any]
    params: Sequence[Any]
    state: Sequence[Any] = ()
    filters: Callable[[], np.ndarray] | None = None

    @property
    def train_batches(self) -> int:
        """Whole mini-batches in the training part; as in the tutorials, what is left over is not trained on."""
        return len(self.data.train) // self.batch_size

    def variables(self) -> dict[str, Any]:
        """Every variable of the checkpoint by a name of its own."""
        return {f"{i:03d}.{v.name or 'value'}": v for i, v in enumerate([*self.params, *self.state])}

    def predictions(self, predict: Callable[[int], Any], split: Split) -> np.ndarray:
        """Predicted classes of all of ``split``, the last mini-batch being as long as it is."""
        count = -(-len(split) // self.batch_size)
        return np.concatenate([np.asarray(predict(index)) for index in range(count)])


@dataclass
class History:
    """How far training is, in a form that a checkpoint holds."""

    iteration: int = 0
    seconds: float = 0.0
    costs: list[float] = field(default_factory=list)  # of every mini-batch
    errors: list[list[float]] = field(default_factory=list)  # [mini-batches seen, validation error]
    stopping: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)


def batch_size_for(data: ImageData, wanted: int | None, default: int) -> int:
    """The batch size asked for, or the default; raises InvalidValue if there are fewer training images."""
    size = default if wanted is None else wanted
    if size > len(data.train):
        raise InvalidValue(f"--batch-size {size}: there are only {len(data.train):,} training images")
    return size


def train_classifier(model: Classifier, args: argparse.Namespace, epochs: int) -> int:
    """Train, report, and leave everything in ``args.out``; returns the exit status."""
    args.out.mkdir(parents=True, exist_ok=True)
    history, best = _start(model, args)
    stopping = EarlyStopping(**history.stopping)
    print(f"{model.data}; batch size {model.batch_size}, {model.train_batches} batches per epoch")
    for hint in (missing_bar(), pictures.missing()):
        if hint:
            print(hint)
    interrupted = _loop(model, args, epochs, history, stopping, best)
    for param, value in zip(model.params, best, strict=True):
        param.set_value(value)
    return _report(model, args, history, stopping, interrupted)


def _start(model: Classifier, args: argparse.Namespace) -> tuple[History, list[np.ndarray]]:
    """A fresh history, or that of the checkpoint, whose values are put in place; and the best parameters so far."""
    settings = {
        "demo": model.name,
        "data": str(model.data).partition(" from ")[0],
        "batch_size": model.batch_size,
        "learning_rate": args.learning_rate,
        "seed": args.seed,
        "floatX": args.floatX,
    }
    if not args.resume:
        return History(settings=settings), [p.get_value() for p in model.params]
    path = args.out / CHECKPOINT
    arrays, metadata = checkpoint.load(path)
    try:
        history = History(**json.loads(metadata["history"]), costs=arrays["costs"].tolist())
        values = {name: arrays[name] for name in model.variables()}
        best = [arrays[f"best.{i:03d}"] for i in range(len(model.params))]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path}: expected a checkpoint of the {model.name} demo: {error} is missing"
        ) from error
    for name, value in settings.items():
        if history.settings.get(name) != value:
            raise InvalidValue(
                f"{path}: was written with {name} {history.settings.get(name)}, cannot be resumed with {value}"
            )
    for name, variable in model.variables().items():
        variable.set_value(values[name])
    return history, best


def _save(
    model: Classifier, out: Path, history: History, stopping: EarlyStopping, best: list[np.ndarray]
) -> None:
    history.stopping = asdict(stopping)
    arrays = {name: variable.get_value(borrow=True) for name, variable in model.variables().items()}
    arrays |= {f"best.{i:03d}": value for i, value in enumerate(best)}
    arrays["costs"] = np.array(history.costs)
    record = {name: value for name, value in vars(history).items() if name != "costs"}
    checkpoint.save(out / CHECKPOINT, arrays, {"history": json.dumps(record)})


def _loop(
    model: Classifier,
    args: argparse.Namespace,
    epochs: int,
    history: History,
    stopping: EarlyStopping,
    best: list[np.ndarray],
) -> bool:
    """Train until the epochs or the patience are used up, or Ctrl-C; True in the last case."""
    per_epoch = model.train_batches
    validation_frequency = min(per_epoch, EarlyStopping.patience // 2)
    total = epochs * per_epoch
    clock = time.perf_counter() - history.seconds
    with deferred_interrupt() as interrupt, Progress(total, history.iteration) as progress:
        while history.iteration < total and not interrupt and not stopping.exhausted(history.iteration - 1):
            iteration = history.iteration
            cost = float(model.train(iteration % per_epoch))
            if not np.isfinite(cost):
                raise InvalidValue(
                    f"the cost became {cost} at batch {iteration + 1}; try a smaller --learning-rate"
                )
            history.costs.append(cost)
            history.iteration += 1
            progress.step(cost)
            if history.iteration % validation_frequency == 0:
                error = _validation_error(model)
                history.errors.append([history.iteration, error])
                if stopping.improved(error, iteration):
                    best[:] = [param.get_value() for param in model.params]
                history.seconds = time.perf_counter() - clock
                progress.say(
                    f"epoch {history.iteration / per_epoch:g}, batch {iteration % per_epoch + 1}/{per_epoch}, "
                    f"validation error {100 * error:.2f} %{_mark(stopping, iteration)}, {history.seconds:.1f} s"
                )
                _save(model, args.out, history, stopping, best)
        history.seconds = time.perf_counter() - clock
        _save(model, args.out, history, stopping, best)
        return bool(interrupt)


def _mark(stopping: EarlyStopping, iteration: int) -> str:
    return " (best)" if stopping.best_iteration == iteration else ""


def _validation_error(model: Classifier) -> float:
    return float(np.mean(model.predictions(model.validate, model.data.valid) != model.data.valid.y))


def _report(
    model: Classifier, args: argparse.Namespace, history: History, stopping: EarlyStopping, interrupted: bool
) -> int:
    """Test with the best parameters; write pictures, parameters, JSON, and the last line."""
    predicted = model.predictions(model.test, model.data.test)
    wrong = int(np.sum(predicted != model.data.test.y))
    error = wrong / len(predicted)
    epochs = history.iteration / model.train_batches
    checkpoint.save(
        args.out / f"{model.name}.safetensors",
        {param.name: param.get_value(borrow=True) for param in model.params},
        {"demo": model.name, "test_error": repr(error)},
    )
    pictures.draw_all(args.out, model, history.costs, history.errors, predicted)
    if args.json is not None:
        result = {
            **history.settings,
            "test_error": error,
            "test_errors": wrong,
            "test_images": len(predicted),
            "validation_error": stopping.best_error if history.errors else None,
            "best_iteration": stopping.best_iteration + 1,
            "best_epoch": (stopping.best_iteration + 1) / model.train_batches,
            "iterations": history.iteration,
            "epochs": epochs,
            "seconds": history.seconds,
            "interrupted": interrupted,
            "curve": history.errors,
        }
        args.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    if history.errors:
        best_epoch = (stopping.best_iteration + 1) / model.train_batches
        print(f"best validation error {100 * stopping.best_error:.2f} % after epoch {best_epoch:.4g}")
    if interrupted:
        print(f"stopped by Ctrl-C; --resume goes on from {args.out / CHECKPOINT}")
    print(f"results are in {args.out}")
    print(
        f"test error {100 * error:.2f} % ({wrong} of {len(predicted):,} digits) "
        f"after {epochs:.3g} epochs in {history.seconds:.1f} s"
    )
    return INTERRUPTED if interrupted else 0
