"""Find the CUDA C files of ``kernels/`` and turn one of them into a single, self-contained source string.

A checkout keeps the files in ``kernels/`` beside the package; an installed wheel carries them in
``tinygraph/_kernels``.  Neither NVRTC nor a host compiler is handed an include path: ``#include "x.cuh"`` is
replaced by the text of the file (once), so that the string is the whole truth about a kernel and can be shown, hashed
and cached as it is.

Two ways to specialise a file:

* macros: ``source("prefix_scan.cu", {"TG_T": "half_t"})`` puts ``#define TG_T half_t`` first; each file lists its own;
* placeholders: ``render("elementwise.cuh", name="f", ...)`` fills the ``@word@`` marks of a template.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path

from tinygraph.errors import InvalidValue

_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+"([^"]+)"[ \t]*$', re.MULTILINE)
_ONCE = re.compile(r"^[ \t]*#[ \t]*pragma[ \t]+once[ \t]*\n", re.MULTILINE)
_PLACEHOLDER = re.compile(r"@([a-z_]+)@")
_KERNEL = re.compile(
    r'extern\s+"C"\s+__global__\s+void\s+(?:__launch_bounds__\s*\([^)]*\)\s+|[A-Z_]+\s+)?(\w+)\s*\('
)


@lru_cache(maxsize=1)
def folder() -> Path:
    """Return the folder that holds the kernels.

    Raises: FileNotFoundError, naming the places that were tried.
    """
    package = Path(__file__).resolve().parents[2]
    places = (package / "_kernels", package.parent / "kernels")
    for place in places:
        if (place / "types.cuh").is_file():
            return place
    raise FileNotFoundError("CUDA kernels not found in " + " or ".join(map(str, places)))


@cache
def read(name: str) -> str:
    """Return the text of one kernel file as it is stored.

    Raises: FileNotFoundError for a name that is not in the folder.
    """
    path = folder() / name
    if Path(name).name != name or not path.is_file():
        raise FileNotFoundError(f"no CUDA kernel file {name!r} in {folder()}")
    return path.read_text(encoding="utf-8")


def expand(text: str, origin: str = "generated.cu") -> str:
    """Replace every ``#include "file"`` by that file's text, each file once, with ``#line`` marks around it.

    Includes of the form ``#include <...>`` stay for the compiler.
    """
    return _expand(text, origin, set()).rstrip() + "\n"


def _expand(text: str, origin: str, seen: set[str]) -> str:
    pieces, end = [f'#line 1 "{origin}"\n'], 0
    for match in _INCLUDE.finditer(text):
        pieces.append(text[end : match.start()])
        end = match.end()
        name = match.group(1)
        if name not in seen:
            seen.add(name)
            # The blank line stands for "#pragma once", so that line numbers stay those of the file.
            pieces.append(_expand(_ONCE.sub("\n", read(name)), name, seen))
            pieces.append(f'\n#line {text.count(chr(10), 0, end) + 2} "{origin}"')
    pieces.append(text[end:])
    return "".join(pieces)


def defines(values: Mapping[str, object] | None) -> str:
    """Return ``#define`` lines, sorted by name so that equal settings make equal text."""
    return "".join(f"#define {name} {value}\n" for name, value in sorted((values or {}).items()))


def source(name: str, macros: Mapping[str, object] | None = None) -> str:
    """Return kernel file ``name`` as one string, its macros defined first and its includes expanded.

    Example: ``source("prefix_scan.cu", {"TG_T": "double"})``.
    Raises: FileNotFoundError.
    """
    return defines(macros) + expand(read(name), name)


def placeholders(name: str) -> set[str]:
    """Return the ``@word@`` marks of a template, without the at signs."""
    return set(_PLACEHOLDER.findall(_strip_comments(read(name))))


def render(template: str, *, expanded: bool = True, **values: object) -> str:
    """Fill a template's placeholders; several lines keep the indentation of the mark they replace.

    ``expanded=False`` leaves the includes alone, for several rendered templates that share one expanded string.
    Raises: InvalidValue when a placeholder has no value or a value no placeholder; FileNotFoundError.
    """
    known = placeholders(template)
    if missing := sorted(known - values.keys()):
        raise InvalidValue(f"{template}: no value for {', '.join(missing)}")
    if unknown := sorted(values.keys() - known):
        raise InvalidValue(f"{template}: no placeholder named {', '.join(unknown)}")
    lines = [_fill(line, values) for line in read(template).split("\n")]
    text = _ONCE.sub("", "\n".join(lines))
    return expand(text, template) if expanded else text


def _fill(line: str, values: Mapping[str, object]) -> str:
    if line.lstrip().startswith("//"):
        return line
    indent = line[: len(line) - len(line.lstrip())]

    def value(match: re.Match[str]) -> str:
        return str(values[match.group(1)]).strip("\n").replace("\n", "\n" + indent)

    return _PLACEHOLDER.sub(value, line)


def kernel_names(text: str) -> list[str]:
    """Return the names of the ``extern "C" __global__`` functions of a source, in order."""
    return _KERNEL.findall(_strip_comments(text))


def _strip_comments(text: str) -> str:
    return re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.DOTALL)
