"""Arguments that every training demo takes."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tinygraph.arguments import file_to_write, output_directory, positive_float, positive_int, seed
from tinygraph.config import config

TARGETS = ("numpy", "llvm", "cuda")


def add_training_arguments(
    parser: argparse.ArgumentParser, name: str, *, learning_rate: float, epochs: str, batch_size: str
) -> None:
    """Add them; ``epochs`` and ``batch_size`` say what the defaults are, which depend on the data."""
    data = parser.add_argument_group("data")
    data.add_argument(
        "--data",
        metavar="DIR",
        help="directory with MNIST's idx files (default: TINYGRAPH_DATA, then what `tinygraph data fetch mnist` "
        "brought, else 1,797 digits that come with the package)",
    )
    training = parser.add_argument_group("training")
    training.add_argument(
        "--epochs", type=positive_int, metavar="N", help=f"at most so many (default: {epochs})"
    )
    training.add_argument("--batch-size", type=positive_int, metavar="B", help=f"(default: {batch_size})")
    training.add_argument(
        "--learning-rate",
        type=positive_float,
        default=learning_rate,
        metavar="R",
        help="(default: %(default)s)",
    )
    training.add_argument(
        "--seed",
        type=seed,
        default=23455,
        metavar="S",
        help="of the initial weights (default: %(default)s)",
    )
    training.add_argument(
        "--target", choices=TARGETS, help="what to compile for (default: the best there is)"
    )
    training.add_argument(
        "--floatX", choices=("float32", "float64"), default="float32", help="precision (default: %(default)s)"
    )
    results = parser.add_argument_group("results")
    results.add_argument(
        "--out",
        type=output_directory,
        default=Path("out") / name,
        metavar="DIR",
        help="where pictures, parameters and the checkpoint go (default: %(default)s)",
    )
    results.add_argument("--json", type=file_to_write, metavar="FILE", help="write the results there as well")
    results.add_argument(
        "--resume", action="store_true", help="go on from the checkpoint in --out, as if never stopped"
    )


@contextmanager
def settings(args: argparse.Namespace) -> Iterator[None]:
    """The switches that the arguments ask for, inside a ``with`` block."""
    changes = {"floatX": args.floatX}
    if args.target is not None:
        changes["target"] = args.target
        changes["device"] = "cuda" if args.target == "cuda" else "cpu"
    with config.change(**changes):
        yield
