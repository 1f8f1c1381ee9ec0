"""Products with gathered rows become products with the table: the same results, fewer multiplications."""

import numpy as np
import pytest

import tinygraph
import tinygraph.tensor as T
from tinygraph.compile.mode import Mode
from tinygraph.lower import tables
from tinygraph.program.contraction import is_product
from tinygraph.program.text import nest_text

RNG = np.random.default_rng(3)
ROWS, TABLE, COLUMNS, WIDTH = 96, 7, 32, 40


@pytest.fixture
def seen(monkeypatch):
    """The texts of the products that a program holds after the rewrite."""
    from tinygraph.targets.llvm import executable

    pytest.importorskip("llvmlite")
    found = []

    def run(program):
        tables.multiply_tables(program)
        found.extend(i for i in program.instructions if getattr(i, "kinds", None) and is_product(i))

    monkeypatch.setattr(executable, "multiply_tables", run)
    return found


def normal(*shape):
    return RNG.standard_normal(shape).astype("float32")


def compiled(inputs, outputs):
    return tinygraph.function(inputs, outputs, mode=Mode(target="llvm"))


def multiplications(nests):
    return sorted(n.points for n in nests)


def close(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


def test_rows_of_a_product_are_gathered_instead_of_multiplied(seen):
    e, w, i = T.fmatrix("e"), T.fmatrix("w"), T.ivector("i")
    x, y, k = normal(TABLE, COLUMNS), normal(COLUMNS, WIDTH), RNG.integers(-TABLE, TABLE, ROWS).astype("int32")
    close(compiled([e, w, i], T.dot(e[i], w))(x, y, k), x[k] @ y)
    assert multiplications(seen) == [TABLE * COLUMNS * WIDTH]
    assert nest_text(seen[0]).startswith("for i<7, j<40")


@pytest.mark.parametrize("shape", [(ROWS,), (12, 8), (4, 3, 8)])
def test_an_embedding_and_its_gradients_multiply_the_table_only(seen, shape):
    e, w, d = T.fmatrix("e"), T.fmatrix("w"), T.fmatrix("d")
    i = T.TensorType("int32", (None,) * len(shape))("i")
    z = T.dot(e[i].reshape((-1, COLUMNS)), w)
    f = compiled([e, w, d, i], [z, *tinygraph.grad((T.tanh(z) * d).sum(), [e, w])])
    x, y, above = normal(TABLE, COLUMNS), normal(COLUMNS, WIDTH), normal(ROWS, WIDTH)
    k = RNG.integers(0, TABLE, shape).astype("int32")
    found = f(x, y, above, k)
    rows = k.ravel()
    product = x[rows] @ y
    back = above * (1 - np.tanh(product) ** 2)
    table = np.zeros_like(x)
    np.add.at(table, rows, back @ y.T)
    for a, b in zip(found, [product, table, x[rows].T @ back], strict=True):
        close(a, b)
    assert multiplications(seen) == [TABLE * COLUMNS * WIDTH] * 3


def test_rows_that_no_index_names_reach_nothing(seen):
    e, w, d, i = T.fmatrix("e"), T.fmatrix("w"), T.fmatrix("d"), T.ivector("i")
    f = compiled([e, w, d, i], tinygraph.grad((T.dot(e[i], w) * d).sum(), [e, w]))
    x, y, above = normal(TABLE, COLUMNS), normal(COLUMNS, WIDTH), normal(ROWS, WIDTH)
    k = RNG.integers(0, TABLE - 1, ROWS).astype("int32")
    x[TABLE - 1] = np.nan
    to_table, to_w = f(x, y, above, k)
    assert not to_table[TABLE - 1].any()
    close(to_w, x[k].T @ above)
    y[0, 0] = np.inf
    to_table, _ = f(x, y, above, k)
    assert not np.isfinite(to_table[: TABLE - 1, 0]).any() and not to_table[TABLE - 1].any()
    assert multiplications(seen) == [TABLE * COLUMNS * WIDTH] * 2


def test_a_table_read_in_part_and_indices_from_the_second_on(seen):
    e, w, i = T.fmatrix("e"), T.fmatrix("w"), T.ivector("i")
    x, y, k = normal(TABLE, COLUMNS), normal(COLUMNS - 2, WIDTH), RNG.integers(0, TABLE, 2 * ROWS).astype("int32")
    close(compiled([e, w, i], T.dot(e[i[::2]][1:, 1:-1], w))(x, y, k), x[k[::2]][1:, 1:-1] @ y)
    assert multiplications(seen) == [TABLE * (COLUMNS - 2) * WIDTH]


def test_a_table_with_more_rows_than_indices_is_left_alone(seen):
    e, w, i = T.fmatrix("e"), T.fmatrix("w"), T.ivector("i")
    x, y, k = normal(ROWS, COLUMNS), normal(COLUMNS, WIDTH), RNG.integers(0, ROWS, ROWS).astype("int32")
    close(compiled([e, w, i], T.dot(e[i], w))(x, y, k), x[k] @ y)
    assert multiplications(seen) == [ROWS * COLUMNS * WIDTH]


def test_gathered_rows_that_are_wanted_too_are_still_there(seen):
    e, w, i = T.fmatrix("e"), T.fmatrix("w"), T.ivector("i")
    x, y, k = normal(TABLE, COLUMNS), normal(COLUMNS, WIDTH), RNG.integers(0, TABLE, ROWS).astype("int32")
    rows, product = compiled([e, w, i], [e[i], T.dot(e[i], w)])(x, y, k)
    np.testing.assert_array_equal(rows, x[k])
    close(product, x[k] @ y)


def test_an_index_out_of_range_is_told(seen):
    e, w, i = T.fmatrix("e"), T.fmatrix("w"), T.ivector("i")
    f = compiled([e, w, i], T.dot(e[i], w))
    k = np.zeros(ROWS, "int32")
    k[5] = TABLE
    with pytest.raises(IndexError, match="7"):
        f(normal(TABLE, COLUMNS), normal(COLUMNS, WIDTH), k)


def test_a_loop_over_embedded_letters(seen):
    """The input product of a recurrent net, its weights' and the table's gradients."""
    e, w, u, i = T.fmatrix("e"), T.fmatrix("w"), T.fmatrix("u"), T.imatrix("i")
    start = T.zeros((i.shape[1], WIDTH), dtype="float32")
    h, _ = tinygraph.scan(lambda x, h: T.tanh(T.dot(x, w) + T.dot(h, u)), sequences=[e[i]], outputs_info=[start])
    outputs = [h[-1], *tinygraph.grad(h.sum(), [e, w, u])]
    args = [normal(TABLE, COLUMNS), normal(COLUMNS, WIDTH), normal(WIDTH, WIDTH) / 8,
            RNG.integers(0, TABLE, (12, 8)).astype("int32")]  # fmt: skip
    found = compiled([e, w, u, i], outputs)(*args)
    plain = tinygraph.function([e, w, u, i], outputs, mode=Mode(target="numpy"))(*args)
    for a, b in zip(found, plain, strict=True):
        close(a, b)
    assert multiplications(seen).count(TABLE * COLUMNS * WIDTH) == 3
