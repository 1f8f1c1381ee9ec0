"""map, reduce, foldl, foldr."""

import numpy as np
import pytest

import tinygraph.tensor as T
from tinygraph import errors, foldl, foldr, function, map, reduce


def test_map_is_the_step_of_each_element():
    x, w = T.dvector("x"), T.dscalar("w")
    y, updates = map(lambda e, w: e * e * w, x, [w])
    assert function([x, w], y)([1.0, 2.0, 3.0], 2.0).tolist() == [2, 8, 18] and updates == {}


def test_reduce_gives_the_last_value():
    x = T.dvector("x")
    y, _ = reduce(lambda e, s: s + e, x, 0.0)
    assert float(function([x], y)([1.0, 2.0, 3.0])) == 6.0


def test_reduce_of_several_values():
    x = T.dvector("x")
    (total, most), _ = reduce(lambda e, s, m: (s + e, T.maximum(m, e)), x, [0.0, -np.inf])
    a, b = function([x], [total, most])([1.0, 5.0, 2.0])
    assert float(a) == 8.0 and float(b) == 5.0


def test_the_folds_differ_in_direction():
    x = T.dvector("x")
    left, _ = foldl(lambda e, s: s * 2 + e, x, 0.0)
    right, _ = foldr(lambda e, s: s * 2 + e, x, 0.0)
    a, b = function([x], [left, right])([1.0, 2.0, 3.0])
    assert float(a) == 11.0 and float(b) == 17.0


def test_reduce_looks_one_step_back_only():
    with pytest.raises(errors.InvalidValue, match="one step back only; use scan"):
        reduce(lambda e, a, b: a + b + e, T.dvector(), [dict(initial=T.dvector(), taps=[-2, -1])])
