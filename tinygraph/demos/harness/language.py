"""Training a language model: the loop, its checkpoints, samples on the way, and what is left in the end."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tinygraph import checkpoint
from tinygraph.datasets.text import Corpus
from tinygraph.demos.harness import pictures
from tinygraph.demos.harness.classifier import CHECKPOINT, INTERRUPTED
from tinygraph.demos.harness.progress import Progress, missing_bar
from tinygraph.demos.harness.stopping import deferred_interrupt
from tinygraph.errors import DataError, InvalidValue

_REPORTS = 500  # batches between reports, at most


@dataclass
class LanguageModel:
    """What the loop needs to know of a model.

    ``train(index)`` takes a step on piece ``index`` of the text and returns its cost in nats per character;
    ``forget()`` sets the carried state to zero; ``bits()`` tests on held-out text; ``write(prime, length,
    temperature)`` samples. ``params`` are the weights, ``state`` every other shared variable that training changes.
    """

    corpus: Corpus
    params: Sequence[Any]
    state: list[Any]
    per_epoch: int
    train: Callable[[int], Any]
    forget: Callable[[], Any]
    bits: Callable[[], float]
    write: Callable[..., np.ndarray]
    prime: np.ndarray

    def variables(self) -> dict[str, Any]:
        """Every variable of the checkpoint by a name of its own."""
        return {f"{i:03d}.{v.name or 'value'}": v for i, v in enumerate([*self.params, *self.state])}

    def sample(self, length: int, temperature: float) -> str:
        """Text that the model writes after its prime."""
        if length == 0:
            return ""
        codes = self.write(self.prime, np.int32(length), np.asarray(temperature, self.params[0].dtype))
        return self.corpus.decode(codes)


@dataclass
class History:
    """How far training is, in a form that a checkpoint holds."""

    iteration: int = 0
    seconds: float = 0.0
    costs: list[float] = field(default_factory=list)  # of every batch, in bits per character
    bits: list[list[float]] = field(default_factory=list)  # [batches seen, held-out bits per character]
    settings: dict[str, Any] = field(default_factory=dict)


def train_language_model(model: LanguageModel, args: argparse.Namespace) -> int:
    """Train, report, and leave everything in ``args.out``; returns the exit status."""
    args.out.mkdir(parents=True, exist_ok=True)
    history = _start(model, args)
    total = args.steps or (args.epochs or 5) * model.per_epoch
    corpus = model.corpus
    print(
        f"{corpus.source}: {len(corpus.text):,} characters, {len(corpus.vocabulary)} different; {args.cell}, "
        f"{args.layers} x {args.hidden}; {model.per_epoch} batches per epoch"
    )
    for hint in (missing_bar(), pictures.missing()):
        if hint:
            print(hint)
    interrupted = _loop(model, args, total, history)
    return _report(model, args, history, interrupted)


def _start(model: LanguageModel, args: argparse.Namespace) -> History:
    """A fresh history, or that of the checkpoint, whose values are put in place."""
    names = (
        "cell",
        "hidden",
        "layers",
        "seq_length",
        "batch_size",
        "optimizer",
        "learning_rate",
        "clip",
        "seed",
        "floatX",
    )
    settings = {name: getattr(args, name) for name in names}
    settings |= {"characters": len(model.corpus.text), "vocabulary": model.corpus.vocabulary}
    if not args.resume:
        return History(settings=settings)
    path = args.out / CHECKPOINT
    arrays, metadata = checkpoint.load(path)
    try:
        history = History(**json.loads(metadata["history"]), costs=arrays["costs"].tolist())
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: expected a checkpoint of the char-rnn demo: {error} is missing") from error
    for name, value in settings.items():
        if history.settings.get(name) != value:
            what = (
                "another text"
                if name in ("characters", "vocabulary")
                else f"{name} {history.settings.get(name)}"
            )
            raise InvalidValue(f"{path}: was written with {what}, cannot be resumed with {str(value)[:40]}")
    missing = [name for name in model.variables() if name not in arrays]
    if missing:
        raise DataError(f"{path}: expected a checkpoint of the char-rnn demo: {missing[0]} is missing")
    for name, variable in model.variables().items():
        variable.set_value(arrays[name])
    return history


def _save(model: LanguageModel, out: Path, history: History) -> None:
    arrays = {name: variable.get_value(borrow=True) for name, variable in model.variables().items()}
    arrays["costs"] = np.array(history.costs)
    record = {name: value for name, value in vars(history).items() if name != "costs"}
    checkpoint.save(out / CHECKPOINT, arrays, {"history": json.dumps(record)})


def _loop(model: LanguageModel, args: argparse.Namespace, total: int, history: History) -> bool:
    """Train for ``total`` batches in all, or until Ctrl-C; True in the last case."""
    every = min(model.per_epoch, _REPORTS, total)
    clock = time.perf_counter() - history.seconds
    with deferred_interrupt() as interrupt, Progress(total, history.iteration) as progress:
        while history.iteration < total and not interrupt:
            index = history.iteration % model.per_epoch
            if index == 0:
                model.forget()
            cost = float(model.train(index)) / np.log(2)
            if not np.isfinite(cost):
                raise InvalidValue(
                    f"the cost became {cost} at batch {history.iteration + 1}; try a smaller --learning-rate"
                )
            history.costs.append(cost)
            history.iteration += 1
            progress.step(cost)
            if history.iteration % every == 0 or history.iteration == total:
                history.bits.append([history.iteration, model.bits()])
                history.seconds = time.perf_counter() - clock
                _tell(model, args, history, progress)
                _save(model, args.out, history)
        history.seconds = time.perf_counter() - clock
        _save(model, args.out, history)
        return bool(interrupt)


def _tell(model: LanguageModel, args: argparse.Namespace, history: History, progress: Progress) -> None:
    recent = history.costs[-_REPORTS:]
    progress.say(
        f"epoch {history.iteration / model.per_epoch:.2f}: {np.mean(recent):.3f} bits per character in training, "
        f"{history.bits[-1][1]:.3f} on held-out text, {history.seconds:.1f} s"
    )
    text = model.sample(args.sample, args.temperature)
    if text:
        progress.say("\n".join(f"  | {line}" for line in (args.prime + text).splitlines()))


def _report(model: LanguageModel, args: argparse.Namespace, history: History, interrupted: bool) -> int:
    """Write the curve, a sample, the parameters, JSON, and the last line."""
    bits = history.bits[-1][1] if history.bits else model.bits()
    checkpoint.save(
        args.out / "char-rnn.safetensors",
        {param.name: param.get_value(borrow=True) for param in model.params},
        {
            "demo": "char-rnn",
            "bits_per_character": repr(bits),
            "vocabulary": json.dumps(model.corpus.vocabulary),
        },
    )
    sample = model.sample(max(args.sample, 1000) if args.sample else 0, args.temperature)
    (args.out / "sample.txt").write_text(args.prime + sample, encoding="utf-8")
    if not pictures.missing():
        pictures.bits_curve(history.costs, history.bits, model.per_epoch).savefig(args.out / "curve.png")
    if args.json is not None:
        result = {
            **history.settings, "bits_per_character": bits, "iterations": history.iteration,
            "epochs": history.iteration / model.per_epoch, "seconds": history.seconds, "interrupted": interrupted,
            "curve": history.bits, "sample": sample,
        }  # fmt: skip
        args.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    if interrupted:
        print(f"stopped by Ctrl-C; --resume goes on from {args.out / CHECKPOINT}")
    print(f"results are in {args.out}")
    print(
        f"{bits:.3f} bits per character on held-out text after {history.iteration / model.per_epoch:.3g} epochs "
        f"in {history.seconds:.1f} s"
    )
    return INTERRUPTED if interrupted else 0
