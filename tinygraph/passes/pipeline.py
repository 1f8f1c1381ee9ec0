"""The order of passes, as data, and running it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from tinygraph.graph.collector import without_collector
from tinygraph.graph.fgraph import FunctionGraph
from tinygraph.passes import families as families  # registers every rule and pass
from tinygraph.passes.rewrite import PASSES, RULES, Context, GraphPass, Query, Report, Rule, measured


class Stage(NamedTuple):
    """One entry of the pipeline: the rules with some tags, then the graph passes with its name as theirs or a tag."""

    name: str
    why: str
    rules: tuple[str, ...] = ()


PIPELINE: tuple[Stage, ...] = (
    Stage("merge", "first, so that every rule after it sees each value once and can compare by identity"),
    Stage("canonicalise", "one form for equal things and sizes instead of arrays, so that later patterns are few",
          rules=("canonicalise",)),
    Stage("stabilise", "before anything is specialised or moved, while the naive formulas still stand as written; "
          "together with canonicalise, because each uncovers work for the other", rules=("canonicalise", "stabilise")),
    Stage("loops", "while the bodies are in normal form and before their gemms take their final shape"),
    Stage("specialise", "cheaper forms of what is left; last of the rules, as it undoes some of the normal form",
          rules=("canonicalise", "stabilise", "specialise")),
    Stage("merge_constants", "equal constants that rules made are held once"),
)  # fmt: skip


@without_collector
def optimise(
    fgraph: FunctionGraph,
    mode: Any = None,
    options: Any = None,
    check: Any = None,
    snapshot: Callable[[FunctionGraph], Any] | None = None,
    pipeline: Sequence[Stage] = PIPELINE,
) -> list[Report]:
    """Run the passes that ``mode`` chooses on ``fgraph``; what each did is also kept as ``fgraph.reports``.

    ``check``: values for the graph's inputs (a list, or a dict by variable). Each replacement is then evaluated before
    and after, and the first rule that changes a value raises RewriteError.
    ``snapshot``: called with the graph after each pass; its result goes into the report.
    """
    chosen = mode_query(mode)
    reports: list[Report] = []
    fgraph.__dict__["reports"] = reports
    own = getattr(mode, "rewriter", None)
    if own is not None:  # a mode may bring rewrites of its own, in place of the registered ones
        reports.append(measured("rewriter", fgraph, lambda: own(fgraph)))
    if chosen is None:
        return reports
    context = Context(fgraph, options, fast_math="fast_math" in chosen.include)
    context.memo["query"] = chosen  # passes on loops run the same rules on the steps
    checker = None
    if check is not None:
        from tinygraph.passes.check import Checker

        checker = Checker(fgraph, check)
    try:
        last = max((i for i, stage in enumerate(pipeline) if stage.rules and stage_rules(stage, chosen)), default=-1)
        for i, stage in enumerate(pipeline):
            report = _run(stage, fgraph, context, chosen, thorough=i == last)
            if report is None:
                continue
            if snapshot is not None:
                report.snapshot = snapshot(fgraph)
            reports.append(report)
    finally:
        if checker is not None:
            checker.remove()
    return reports


def mode_query(mode: Any) -> Query | None:
    """The query that a mode stands for; None for no passes at all."""
    optimizer = getattr(mode, "optimizer", mode) or "fast_run"
    if isinstance(optimizer, Query):
        return optimizer
    if optimizer == "none":
        return None
    include, exclude, require = (tuple(getattr(mode, part, ())) for part in ("include", "exclude", "require"))
    return Query((optimizer, *include), exclude, require)


def stage_rules(stage: Stage, chosen: Query) -> list[Rule]:
    """The rules of a stage that the query chooses, in order of registration."""
    return [r for r in RULES.values() if not r.tags.isdisjoint(stage.rules) and chosen.chooses(r)]


def stage_passes(stage: Stage, chosen: Query) -> list[GraphPass]:
    """The graph passes of a stage: the one of its name, or all with its name as a tag."""
    return [p for p in PASSES.values() if stage.name in p.tags and chosen.chooses(p)]


def _run(stage: Stage, fgraph: FunctionGraph, context: Context, chosen: Query, thorough: bool) -> Report | None:
    if stage.name in chosen.exclude:
        return None
    rules = stage_rules(stage, chosen) if stage.rules else []
    passes = stage_passes(stage, chosen)
    if not rules and not passes:
        return None

    def run() -> int:
        visits = context.driver.run(rules, thorough) if rules else 0
        already = len(fgraph.history)
        for p in passes:
            p(fgraph, context)
        if rules and len(fgraph.history) > already:  # a pass of the user's beside the rules
            visits += context.driver.run(rules, thorough)
        return visits

    return measured(stage.name, fgraph, run)


def report_text(reports: Sequence[Report]) -> str:
    """A table of what each pass did."""
    total = sum(r.seconds for r in reports)
    return "\n".join([*map(str, reports), f"{'in all':<14} {total * 1e3:8.2f} ms"])
