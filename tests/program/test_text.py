"""Programs as text."""

from textwrap import dedent

import numpy as np

import tinygraph as tg
import tinygraph.tensor as T
from tinygraph.program.expr import Access, cast, const, load, select
from tinygraph.program.instructions import Buffer, Group, Nest, Ref
from tinygraph.program.text import access_text, expr_text, instruction_lines, program_text, ref_text


def buffer(number, size=12, dtype="float64", kind="temp"):
    return Buffer(number, dtype, size, kind)


def test_addresses():
    b = buffer(3)
    assert access_text(Access(b, 2, (784, 0, 1))) == "t3[784*i + k + 2]"
    assert access_text(Access(b, 0, ())) == "t3[0]"
    assert access_text(Access(b, 0, (1,), (("p0", 5), ("p1", 1)))) == "t3[i + 5*p0 + p1]"


def test_arrays():
    b = buffer(1)
    assert ref_text(Ref(b, (3, 4), (4, 1))) == "t1[3, 4]"
    assert ref_text(Ref(b, (4, 3), (1, 4), 2)) == "t1[4, 3] at 2 strides (1, 4)"
    assert ref_text(Ref(b, (2, 4), (4, 1), 0, (("p0", 4),))) == "t1[2, 4] at 0 + 4*p0"


def test_nests():
    a, out = buffer(0), buffer(1, 3)
    row = load(Access(a, 0, (4, 1)), "float64")
    total = Nest((3, 4), "pr", row * row, Access(out, 0, (1, 0)), "add")
    assert instruction_lines(total) == ["for i<3: t1[i] = add over j<4 of (t0[4*i + j] * t0[4*i + j])"]
    more = Nest((3,), "p", const(1.0, "float64"), Access(out, 0, (1,)), "add", accumulate=True)
    assert instruction_lines(more) == ["for i<3: t1[i] += 1.0"]
    assert instruction_lines(Group([total, more], 1), "  ") == [
        "  group over 1:",
        "    for i<3: t1[i] = add over j<4 of (t0[4*i + j] * t0[4*i + j])",
        "    for i<3: t1[i] += 1.0",
    ]


def test_selections_and_casts():
    n = load(Access(buffer(0, 1, "int32"), 0, ()), "int32")
    assert expr_text(select(n > 0, cast(n, "float64"), 0.0)) == "(float64(t0[0]) if (t0[0] > 0) else 0.0)"


def test_a_whole_program():
    x = T.dmatrix("x")
    W = tg.shared(np.ones((3, 2)), name="W")
    f = tg.function([x], T.tanh(T.dot(x, W)), updates=[(W, W * 0.5)], name="step", mode=tg.Mode(target="numpy"))
    f(np.ones((4, 3)))
    assert program_text(f._last().program) == dedent("""\
        program step
          input i0[4, 3] float64 x
          shared s1[3, 2] float64 W
          group over 2:
            for i<4, j<2: o3[2*i + j] = add over k<3 of (i0[3*i + k] * s1[j + 2*k])
          together:
            group over 2:
              for i<4, j<2: o3[2*i + j] = tanh(o3[2*i + j])
            group over 2:
              for i<3, j<2: u4[2*i + j] = (s1[2*i + j] * 0.5)
          output o3[4, 2]
          update u4[3, 2]""")
