"""Finding kernel files, and turning them into one self-contained source."""

from __future__ import annotations

import shutil

import pytest

from tinygraph.errors import InvalidValue
from tinygraph.targets.cuda import kernels


@pytest.fixture
def kernel_folder(tmp_path, monkeypatch):
    """A folder of three small files in place of the real one."""
    (tmp_path / "types.cuh").write_text("#pragma once\ntypedef int number;\n")
    (tmp_path / "maths.cuh").write_text('// maths\n#pragma once\n#include "types.cuh"\nnumber two();\n')
    (tmp_path / "loop.cuh").write_text("// @not_this@\nvoid @name@() {\n    {\n        @body@\n    }\n}\n")
    monkeypatch.setattr(kernels, "folder", lambda: tmp_path)
    kernels.read.cache_clear()
    yield tmp_path
    kernels.read.cache_clear()


def test_a_checkout_has_its_kernels_beside_the_package():
    assert (kernels.folder() / "types.cuh").is_file()


def test_an_installed_package_carries_them(tmp_path, monkeypatch):
    package = tmp_path / "site" / "tinygraph"
    (package / "targets" / "cuda").mkdir(parents=True)
    shutil.copytree(kernels.folder(), package / "_kernels")
    monkeypatch.setattr(kernels, "__file__", str(package / "targets" / "cuda" / "kernels.py"))
    kernels.folder.cache_clear()
    try:
        assert kernels.folder() == package / "_kernels"
        shutil.rmtree(package / "_kernels")
        kernels.folder.cache_clear()
        with pytest.raises(FileNotFoundError, match="CUDA kernels not found in .*_kernels or .*kernels"):
            kernels.folder()
    finally:
        monkeypatch.undo()
        kernels.folder.cache_clear()


def test_includes_are_expanded_once_with_line_marks(kernel_folder):
    text = '#include "maths.cuh"\n#include "types.cuh"\n#include <cuda_fp16.h>\nnumber three();\n'
    assert kernels.expand(text, "mine.cu") == (
        '#line 1 "mine.cu"\n'
        '#line 1 "maths.cuh"\n// maths\n\n'
        '#line 1 "types.cuh"\n\ntypedef int number;\n\n'
        '#line 4 "maths.cuh"\nnumber two();\n\n'
        '#line 2 "mine.cu"\n'
        '\n#include <cuda_fp16.h>\nnumber three();\n'
    )  # fmt: skip


def test_macros_come_first_and_sorted(kernel_folder):
    text = kernels.source("types.cuh", {"TG_T": "float", "TG_MMA": 1})
    assert text.startswith('#define TG_MMA 1\n#define TG_T float\n#line 1 "types.cuh"\n')


def test_placeholders_keep_their_indentation(kernel_folder):
    text = kernels.render("loop.cuh", name="f", body="a = 1;\nif (a)\n    b = 2;\n", expanded=False)
    assert (
        text
        == "// @not_this@\nvoid f() {\n    {\n        a = 1;\n        if (a)\n            b = 2;\n    }\n}\n"
    )


def test_missing_and_unknown_placeholders_are_named(kernel_folder):
    with pytest.raises(InvalidValue, match="^loop.cuh: no value for body$"):
        kernels.render("loop.cuh", name="f")
    with pytest.raises(InvalidValue, match="^loop.cuh: no placeholder named size$"):
        kernels.render("loop.cuh", name="f", body="", size=3)


@pytest.mark.parametrize("name", ["absent.cu", "../pyproject.toml", "sub/types.cuh"])
def test_only_files_of_the_folder_can_be_read(name):
    with pytest.raises(FileNotFoundError, match="no CUDA kernel file"):
        kernels.read(name)


def test_kernel_names():
    text = """
    // extern "C" __global__ void not_me(int)
    extern "C" __global__ void one(int a) {}
    extern "C" __global__ void __launch_bounds__(256, 4)
    two(float* x);
    extern "C" __global__ void TILE_LAUNCH
    three (int a);
    __global__ void templated() {}
    """
    assert kernels.kernel_names(text) == ["one", "two", "three"]


def test_every_kernel_file_says_what_it_is():
    for path in kernels.folder().glob("*.cu*"):
        head = path.read_text().split("\n#")[0]
        assert head.startswith("// "), path.name
        if path.suffix == ".cu":
            assert all(word in head for word in ("Launch:", "Arguments:", "Source:")), path.name
            assert kernels.kernel_names(path.read_text()), path.name
