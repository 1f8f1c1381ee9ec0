"""``theano.d3viz``."""

from tinygraph.compat.theano.parts.absent import absent_function

_VIEW = "this version makes no interactive pictures; theano.printing.debugprint shows a graph as text"
d3viz = absent_function("d3viz", _VIEW)
d3write = absent_function("d3write", _VIEW)
