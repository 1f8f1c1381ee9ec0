"""Graphs made visible: text trees, one-line formulas, pictures, reports; and ops that print or stop at a value."""

from tinygraph.printing.debugprint import debugprint
from tinygraph.printing.draw import draw, pydotprint
from tinygraph.printing.pp import pp, pprint
from tinygraph.tensor.breakpoint import PdbBreakpoint
from tinygraph.tensor.checks import Assert, Print

__all__ = ["Assert", "PdbBreakpoint", "Print", "debugprint", "draw", "pp", "pprint", "pydotprint"]
