"""What a wheel and an sdist hold, and that an installed wheel works by itself."""

import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

pytestmark = pytest.mark.skipif(not (ROOT / "kernels").is_dir(), reason="needs a checkout")


def test_core_dependencies_are_numpy_and_networkx_only():
    assert [text.split(">")[0] for text in PROJECT["dependencies"]] == ["numpy", "networkx"]


def test_every_extra_that_messages_name_exists():
    import re

    named = set()
    for path in (ROOT / "tinygraph").rglob("*.py"):
        named |= set(re.findall(r"tinygraph\[([a-z0-9]+)\]", path.read_text(encoding="utf-8")))
    assert named and named <= set(PROJECT["optional-dependencies"])


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    pytest.importorskip("build")
    out = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--outdir", out, ROOT], capture_output=True, text=True
    )
    if (
        done.returncode
        and "hatchling" in done.stdout + done.stderr
        and "No matching" in done.stdout + done.stderr
    ):
        pytest.skip("the build backend cannot be downloaded")
    assert done.returncode == 0, done.stdout + done.stderr
    return next(out.glob("*.whl")), next(out.glob("*.tar.gz"))


@pytest.mark.slow
def test_contents(built):
    wheel, sdist = built
    names = set(zipfile.ZipFile(wheel).namelist())
    kernels = {
        f"tinygraph/_kernels/{path.relative_to(ROOT / 'kernels')}"
        for path in (ROOT / "kernels").rglob("*.cu*")
    }
    assert kernels <= names
    assert {"tinygraph/py.typed", "tinygraph/datasets/files/digits-images-idx3-ubyte.gz"} <= names
    assert not [name for name in names if name.startswith(("tests/", "kernels/"))]
    with tarfile.open(sdist) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    assert {"kernels/README.md", "tests/test_packaging.py", "README.md", "LICENSE"} <= inside


@pytest.mark.slow
def test_the_installed_wheel_trains_with_numpy_and_networkx_alone(built, tmp_path):
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    done = subprocess.run(
        [python, "-m", "pip", "install", "--quiet", built[0]], capture_output=True, text=True
    )
    if done.returncode and "No matching distribution" in done.stderr:
        pytest.skip("numpy and networkx cannot be downloaded")
    assert done.returncode == 0, done.stderr
    command = [python, "-m", "tinygraph", "demo", "lenet", "--epochs", "1", "--out", tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1].startswith("test error") and 'for pictures: pip install "tinygraph[viz]"' in lines
    assert (tmp_path / "out" / "lenet.safetensors").exists()
