"""``f.report("file.html")``: one page with everything that is known of a compiled function.

The graph (pan, zoom, search; a click shows the user's line, types, cost and time of a node), what each pass changed,
the lowered program, the printed source, the memory plan over time, and the profile. The page needs nothing else.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from tinygraph.lower.cost import bytes_moved, cost_by_node
from tinygraph.passes.pipeline import optimise
from tinygraph.printing.draw import svg_text
from tinygraph.printing.picture import picture_of, short
from tinygraph.printing.ssa import ssa
from tinygraph.program.text import program_text

#: graphs with more nodes than this are shown by their text alone
_DRAWN = 1500


def report(f: Any, file: str | Path) -> Path:
    """Write the report of a compiled function; program, memory and source are those of its last call."""
    path = Path(file)
    path.write_text(report_html(f), encoding="utf-8")
    return path


def report_html(f: Any) -> str:
    """The report as one HTML page."""
    picture = picture_of(f) if len(f.fgraph) <= _DRAWN else picture_of([])
    last = next(reversed(f._programs.values()), None) if f._programs else None
    program = last.program if last is not None else None
    _add_costs(picture, f, program)
    plan = getattr(last.executable, "plan", None) if last is not None else None
    data = {
        "boxes": {name: {"kind": box.kind, **box.details} for name, box in picture.boxes.items()},
        "passes": _snapshots(f),
        "program": _program_text(program),
        "source": f.source() if last is not None else "(not yet called)",
        "profile": f.profile.summary() if f.profile is not None else "(compile with profile=True to see times)",
    }
    page = files("tinygraph.printing").joinpath("report.html").read_text(encoding="utf-8")
    parts = {
        "TITLE": escape(f"tinygraph: {f.name or 'function'}"),
        "SVG": svg_text(picture),
        "MEMORY": "" if plan is None else memory_svg(plan, program),
        "DATA": json.dumps(data).replace("</", "<\\/"),
    }
    for key, text in parts.items():
        page = page.replace(f"%%{key}%%", text)
    return page


def _program_text(program: Any) -> str:
    if program is None:
        return "(not yet called)"
    before = program.unfused_bytes
    note = f"; {before:,} before fusion" if before is not None else ""
    return f"{program_text(program)}\n\n{bytes_moved(program):,} bytes read and written by its instructions{note}"


def _snapshots(f: Any) -> list[dict[str, str]]:
    """The graph's text as given and after each pass."""
    if getattr(f, "given", None) is None:
        return [{"name": "optimised", "text": ssa(f.fgraph)}]
    graph = f.given.clone()
    found = [{"name": "as given", "text": ssa(graph)}]
    for r in optimise(graph, f.mode, f.options, snapshot=ssa):
        if r.snapshot != found[-1]["text"]:
            used = ", ".join(f"{k} {n}" if n > 1 else k for k, n in sorted(r.rules.items(), key=lambda p: -p[1]))
            rules = f"{r.nodes_before} to {r.nodes_after} nodes: {used}"
            found.append({"name": f"{r.name} ({r.seconds * 1e3:.1f} ms)", "text": r.snapshot, "rules": rules})
    return found


def _add_costs(picture: Any, f: Any, program: Any) -> None:
    """Flops, bytes and time of each node, and what ran together with it.

    The time of an instruction that computes several nodes is shared out by what their parts cost by themselves.
    """
    if program is None:
        return
    flops: dict[Any, int] = defaultdict(int)
    moved: dict[Any, int] = defaultdict(int)
    seconds: dict[Any, float] = defaultdict(float)
    places: dict[Any, list[str]] = defaultdict(list)
    for k, i in enumerate(program.instructions):
        parts = cost_by_node(i)
        entry = f.profile.entries.get((id(program), k)) if f.profile is not None else None
        whole = sum(a + b for a, b in parts.values()) or 1
        for node, (operations, nbytes) in parts.items():
            flops[node] += operations
            moved[node] += nbytes
            places[node].append(f"{k}: {i.label}" if i.label else str(k))
            if entry is not None and entry.calls:
                seconds[node] += entry.seconds / entry.calls * (operations + nbytes) / whole
    for box in picture.boxes.values():
        if box.node in flops:
            box.details["flops"] = f"{flops[box.node]:,}"
            box.details["bytes"] = f"{moved[box.node]:,}"
            box.details["instructions"] = "; ".join(places[box.node])
            if f.profile is not None:
                box.details["time"] = f"{seconds[box.node] * 1e6:.1f} us a call"
        elif box.kind == "op":
            box.details["cost"] = "none: a view, a size, or what another node computes too"


def memory_svg(plan: Any, program: Any = None, width: int = 1000, height: int = 380) -> str:
    """The memory plan: instructions from left to right, addresses upwards, a block for each buffer's life.

    ``program``: its instructions, by which blocks are named after what makes them.
    """
    if not plan.offsets:
        return "<p>No temporary memory.</p>"
    steps = max(last for _, last in plan.spans.values()) + 1
    left, below = 80, 24
    sx, sy = (width - left) / steps, height / max(plan.peak, 1)
    makers = _makers(program)
    parts = []
    for part in range(5):
        y = height * (1 - part / 4)
        parts.append(
            f'<path d="M{left} {y:.1f}H{width}" stroke="#ddd"/><text x="{left - 6}" y="{y + 4:.1f}" '
            f'text-anchor="end">{plan.peak * part // 4:,}</text>'
        )
    for k in range(0, steps, -(-steps // 20)):
        parts.append(f'<text x="{left + (k + 0.5) * sx:.1f}" y="{height + 16}" text-anchor="middle">{k}</text>')
    for k, (buf, offset) in enumerate(sorted(plan.offsets.items(), key=lambda p: p[1])):
        first, last = plan.spans[buf]
        x, w, h = left + first * sx, (last - first + 1) * sx, max(buf.nbytes * sy, 1)
        y = height - offset * sy - h
        name = makers.get(buf, str(buf))
        parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" fill="hsl({k * 47 % 360} 55% 78%)" '
            f'stroke="white"><title>{escape(name)}: {buf.nbytes:,} bytes, instructions {first} to {last}</title></rect>'
        )
        if h > 14 and w > 50:
            parts.append(f'<text x="{x + 4:.1f}" y="{y + h / 2 + 4:.1f}">{escape(short(name, int(w / 7)))}</text>')
    y = height - plan.lower_bound * sy
    parts.append(f'<path d="M{left} {y:.1f}H{width}" stroke="#d33" stroke-dasharray="6 4"/>')
    text = (f"<p>Bytes of temporary memory over the {steps} instructions of the program: peak {plan.peak:,}; largest "
            f"live set {plan.lower_bound:,} (dashed), below which no plan can go.</p>")  # fmt: skip
    return (f'{text}<svg viewBox="0 -8 {width} {height + below + 8}" style="max-width:100%" font-size="11" '
            f'font-family="sans-serif">{"".join(parts)}</svg>')  # fmt: skip


def _makers(program: Any) -> dict[Any, str]:
    """For each buffer the label of the instruction that writes it first."""
    made: dict[Any, str] = {}
    for i in program.instructions if program is not None else ():
        for b in i.writes():
            label = re.sub(r"Elemwise{(\w+)}", r"\1", i.label or type(i).__name__)
            made.setdefault(b, re.sub(r"{[^{}]*}", "", label))
    return made
