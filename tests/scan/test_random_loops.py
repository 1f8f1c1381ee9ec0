"""Random steps: compiled loops and their derivatives against the same expressions evaluated in plain Python.

A step mixes elementwise work, products, reductions, rows of a table, writes into slices; loops differ in taps, number of
states and outputs, direction, truncation, ``until``, and in what is asked of their results.
"""

import random

import numpy as np
import pytest

import tinygraph.tensor as T
from tinygraph import config, function, grad, scan, until
from tinygraph.passes.reference import evaluate

SEEDS = [*range(20), 45, 63, 66, 112, 159, 207]  # the latter found mistakes
SHAPELY = [*range(1000, 1012), 1205]  # steps that ask for shapes and compute with them


def mixtures(u, v, w, b):
    """Ways to make a matrix of two matrices of one shape, a square matrix and a row."""
    return [
        lambda: T.tanh(u) + v,
        lambda: u * v,
        lambda: T.tanh(T.dot(u, w)),
        lambda: u - b,
        lambda: u.sum(axis=0, keepdims=True) + v,
        lambda: T.concatenate([u[:, :1], v[:, 1:]], axis=1),
        lambda: T.set_subtensor(u[0], v[0]),
        lambda: T.switch(u > v, u, v * 0.5),
        lambda: T.nnet.softmax(u),
        lambda: u.T.dot(v).sum() + v,
        lambda: T.sqr(u) * 0.3,
    ]


def by_shapes(u, v, w, b):
    """Ways through more dimensions and through sizes that are computed in the step."""
    cube = u[:, None, :] + T.tanh(v)[None, :, :]
    rows, units = u.shape[0], u.shape[1]
    best = T.argmax(v, axis=1)
    return [
        lambda: T.dot(T.tanh(cube), w).sum(axis=1),
        lambda: T.dot(cube, w[:, :1]).reshape([cube.shape[0], cube.shape[1]]).sum(axis=1, keepdims=True) + u,
        lambda: T.tensordot(T.tanh(cube), cube, [[1, 2], [1, 2]]).dot(v),
        lambda: T.batched_dot(cube, cube.dimshuffle(0, 2, 1)).max(axis=2).dot(u),
        lambda: cube.reshape((rows * rows, units))[:rows],
        lambda: T.alloc(b, rows, units) * v,
        lambda: T.inc_subtensor(T.zeros_like(u)[:, : units - 1], v[:, 1:]),
        lambda: T.set_subtensor(T.zeros((rows, 2 * units))[:, units:], u)[:, 1 : units + 1],
        lambda: u[T.arange(rows), best].dimshuffle(0, "x") * v,
        lambda: T.concatenate([u, v], axis=0).flatten().reshape((2, rows, units)).sum(axis=0),
        lambda: (T.exp(cube) / T.exp(cube).sum(axis=1, keepdims=True) * cube).sum(axis=1),
        lambda: T.cumsum(u, axis=1) / T.cast(units, "float64"),
        lambda: (u - u.mean(axis=1, keepdims=True)) / T.sqrt(v.var() + 1),
        lambda: T.tile(u[:1], (rows, 1)) + T.repeat(v[:, :1], units, axis=1),
        lambda: T.sort(u, axis=1) + v[::-1],
        lambda: u[T.argsort(v[:, 0])],
    ]


class RandomLoop:
    """One random loop, and what is computed from its results."""

    def __init__(self, seed):
        self.seed, choose = seed, random.Random(seed)
        self.x, self.y, self.w = T.dtensor3("x"), T.dmatrix("y"), T.dmatrix("w")
        self.b, self.table, self.at, self.init = (
            T.dvector("b"),
            T.dmatrix("table"),
            T.lmatrix("at"),
            T.dmatrix("init"),
        )
        taps = choose.choice([[-1], [-1], [-2, -1], [-3], [-1, -3]])
        self.n_states, self.stops = choose.choice([1, 1, 2]), choose.random() < 0.2
        depth = -min(taps)
        infos = [
            self.init + k
            if taps == [-1]
            else dict(initial=T.stack([self.init * (j + 1) / 2 for j in range(depth)]), taps=taps)
            for k in range(self.n_states)
        ]
        self.n_extra = choose.randint(0, 2)
        self.outputs, _ = scan(
            self.step, [self.x, self.y, self.at], infos + [None] * self.n_extra, return_list=True,
            go_backwards=choose.random() < 0.2, truncate_gradient=choose.choice([-1, -1, -1, 2]),
        )  # fmt: skip
        asked = [lambda o: o, lambda o: o[-1], lambda o: T.sqr(o).sum(), lambda o: o.sum(axis=0)]
        self.results = [choose.choice(asked)(o) for o in self.outputs]
        self.results += self.derivatives(second=choose.random() < 0.3 and not self.stops)

    def step(self, x, y, at, *states):
        choose = random.Random(self.seed + 1000)
        pool = [x, T.tanh(x), T.dot(x, self.w), x + self.b, self.table[at], y.dimshuffle("x", 0) + x, *states]
        for _ in range(choose.randint(2, 7)):
            operands = (choose.choice(pool), choose.choice(pool), self.w, self.b)
            ways = [*mixtures(*operands), *by_shapes(*operands)] if self.seed in SHAPELY else mixtures(*operands)
            z = choose.choice(ways)()
            pool.append(T.tanh(z) if choose.random() < 0.5 else z)
        new = [T.tanh(choose.choice(pool) / 2 + pool[-1] / 2 + x * 0) for _ in range(self.n_states)]
        more = [choose.choice(self.shapes_of(choose.choice(pool) + x * 0))() for _ in range(self.n_extra)]
        if self.stops:
            return new + more, until(choose.choice(pool).sum() > choose.choice([0.5, 1.5]))
        return new + more

    def shapes_of(self, z):
        """Outputs of several shapes made of a matrix."""
        return [
            lambda: z,
            lambda: T.dot(z, self.w),
            lambda: z.sum(),
            lambda: z.T,
            lambda: T.outer(z[0], self.b),
        ]

    def derivatives(self, second):
        cost = sum(T.tanh(o).sum() * (k + 1) for k, o in enumerate(self.results))
        wrt = [self.x, self.y, self.w, self.b, self.table, self.init]
        first = grad(cost, wrt, disconnected_inputs="ignore")
        if not second:
            return first
        return [*first, grad(sum(T.sqr(g).sum() for g in first), self.w, disconnected_inputs="ignore")]

    def arguments(self):
        rng = np.random.RandomState(self.seed)
        rows, units = ((1, 3), (2, 3), (3, 2))[self.seed % 3]
        steps = (1, 2, 4, 5)[self.seed % 4]
        shapes = [(steps, rows, units), (steps, units), (units, units), (units,), (4, units)]
        values = [rng.randn(*s) * 0.6 for s in shapes]
        values += [rng.randint(0, 4, (steps, rows)), rng.randn(rows, units) * 0.6]
        return [self.x, self.y, self.w, self.b, self.table, self.at, self.init], values


def cases():
    """Every seed as it is, and with each access of the kernels compared with its buffer's extent."""
    for k, seed in enumerate([*SEEDS, *SHAPELY]):
        yield pytest.param(seed, False, id=f"{seed}")
        yield pytest.param(seed, True, id=f"{seed} checked", marks=[pytest.mark.slow] if k % 3 else [])


@pytest.mark.parametrize("seed, checked", list(cases()))
def test_a_random_loop(seed, checked):
    loop = RandomLoop(seed)
    variables, values = loop.arguments()
    want = evaluate(loop.results, dict(zip(variables, values, strict=True)))
    with config.change(bounds_check=checked):
        f = function(variables, loop.results, on_unused_input="ignore")
        for _ in range(2):  # the second call finds the memory of the first
            for k, (a, b) in enumerate(zip(f(*values), want, strict=True)):
                np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-9, err_msg=f"result {k}")
