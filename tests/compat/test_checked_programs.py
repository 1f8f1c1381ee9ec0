"""Programs that state in themselves what must come out: moments of samplers, losses reached, gradients by differences."""

import runpy
import warnings
from pathlib import Path

import pytest

from tinygraph import config

PROGRAMS = sorted((Path(__file__).parent / "programs" / "checked").glob("*.py"))


@pytest.fixture(autouse=True)
def switches():
    """Programs assign to ``theano.config``: what they set is taken back."""
    before = config.floatX
    yield
    config.floatX = before


@pytest.mark.parametrize("path", PROGRAMS, ids=[p.stem for p in PROGRAMS])
def test_a_program_finds_what_it_asserts(path, capsys):
    needs_scipy = "scipy" in path.read_text()
    if needs_scipy:
        pytest.importorskip("scipy")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        runpy.run_path(str(path), run_name="__main__")
