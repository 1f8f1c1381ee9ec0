"""What is wrong with a loop is said with its name, the output, and what to change."""

import numpy as np
import pytest

import tinygraph.tensor as T
from tinygraph import errors, function, scan, scan_checkpoints, shared, until


def fails(error, *words):
    """The message of an error of type ``error`` must hold all of ``words``."""
    return pytest.raises(error, match="(?s)" + ".*".join(words))


x, m = T.dvector("x"), T.dmatrix("m")


class TestStates:
    def test_another_dtype(self):
        with fails(TypeError, "scan 'rnn': output 1 has dtype float64", "initial value has dtype float32",
                   r"T.cast\(output, 'float32'\)", r"outputs_info\[1\]", "test_errors.py"):  # fmt: skip
            scan(lambda e, s: (e, s + e), x, [None, T.constant(np.float32(0))], name="rnn")

    def test_another_rank(self):
        with fails(
            TypeError,
            "scan: output 0 has 1 dimension",
            "its initial value has 0 dimensions",
            r"outputs_info\[0\]",
        ):
            scan(lambda row, s: s + row, m, [0.0])

    def test_another_size_known_while_building(self):
        with fails(TypeError, "scan: output 0", r"\(3,\)", r"\(2,\)"):
            scan(lambda s: T.zeros((3,)), outputs_info=[T.constant(np.zeros(2))], n_steps=2)

    def test_another_size_known_at_the_call(self):
        init = T.dvector("init")
        y, _ = scan(lambda row, s: s + row, m, [init], name="sum")
        f = function([m, init], y)
        with fails(
            errors.ShapeMismatch,
            r"scan 'sum': output 0 is of shape \(3,\) after a step",
            r"shape \(1,\)",
            "outputs_info",
        ):
            f(np.ones((2, 3)), np.zeros(1))

    def test_too_few_initial_values(self):
        with fails(
            ValueError,
            r"scan: outputs_info\[0\] has taps \[-3, -1\], so 'initial' must hold 3 values",
            "holds 2",
        ):
            scan(
                lambda a, b: a + b,
                outputs_info=[dict(initial=T.constant(np.zeros(2)), taps=[-3, -1])],
                n_steps=2,
            )

    def test_too_few_at_the_call(self):
        y, _ = scan(lambda a, b: a + b, outputs_info=[dict(initial=x, taps=[-2, -1])], n_steps=2, name="fib")
        with fails(errors.ShapeMismatch, "scan 'fib': state 0 needs 2 initial values, got 1"):
            function([x], y)([1.0])


class TestLengths:
    def test_no_way_to_know_the_number_of_steps(self):
        with fails(ValueError, "scan 'powers': how many steps", "give n_steps, or a sequence"):
            scan(lambda s: s * 2, outputs_info=[1.0], name="powers")

    def test_a_sequence_too_short_for_n_steps(self):
        y, _ = scan(lambda e, r: e + r.sum(), [x, m], n_steps=4, name="both")
        with fails(
            errors.ShapeMismatch, r"scan 'both': .*\(m\) has 3 elements for 4 steps", "leave n_steps out"
        ):
            function([x, m], y)(np.ones(5), np.ones((3, 2)))

    def test_known_while_building(self):
        with fails(ValueError, "scan: sequence 0", "long enough for 3 steps, but n_steps is 5"):
            scan(lambda e: e, T.constant(np.zeros(3)), n_steps=5)

    def test_a_negative_number_at_the_call(self):
        n = T.iscalar("n")
        y, _ = scan(lambda s: s * 2, outputs_info=[1.0], n_steps=n)
        with fails(errors.ShapeMismatch, "number of steps is -3", "go_backwards=True"):
            function([n], y)(-3)

    @pytest.mark.parametrize("n", [2.5, "3", True, T.dscalar()])
    def test_no_integer(self, n):
        with fails(TypeError, "scan: n_steps must be an integer"):
            scan(lambda s: s * 2, outputs_info=[1.0], n_steps=n)


class TestTaps:
    def test_of_an_output_in_the_future(self):
        with fails(ValueError, r"outputs_info\[0\] has taps \[-1, 1\]", "must be negative"):
            scan(lambda a, b: a + b, outputs_info=[dict(initial=x, taps=[-1, 1])], n_steps=2)

    def test_no_integers(self):
        with fails(ValueError, "sequence 0: taps must be integers, got 0.5"):
            scan(lambda a: a, dict(input=x, taps=[0.5]))

    def test_twice_the_same(self):
        with fails(ValueError, r"sequence 0: the taps \[1, 1\] name one step twice"):
            scan(lambda a, b: a, dict(input=x, taps=[1, 1]))

    def test_without_initial_values(self):
        with fails(ValueError, r"outputs_info\[0\] has taps \[-2\] but no 'initial'"):
            scan(lambda a: a, outputs_info=[dict(taps=[-2])], n_steps=2)

    def test_an_unknown_entry(self):
        with fails(
            ValueError, "outputs_info.0. has an unknown entry 'initail'", "'initial', 'taps', 'return_steps'"
        ):
            scan(lambda a: a, outputs_info=[dict(initail=x)], n_steps=2)

    def test_a_sequence_without_dimensions(self):
        with fails(TypeError, "sequence 0", "no dimension to run over", "non_sequences"):
            scan(lambda a: a, T.dscalar("s"))


class TestWhatAStepReturns:
    @pytest.mark.parametrize("value, hint", [
        (lambda e: None, "returned None; it must return its outputs"),
        (lambda e: "nonsense", "every output must be a symbolic variable"),
        (lambda e: [[e], [e]], "lists of outputs cannot be nested"),
        (lambda e: (until(e > 1), e), "must come last"),
        (lambda e: (e, e, until(e > 1)), "go into a list of their own"),
        (lambda e: object(), "every output must be a symbolic variable"),
    ])  # fmt: skip
    def test_nonsense(self, value, hint):
        with fails(TypeError, "scan 'mine'", hint):
            scan(value, x, name="mine")

    def test_more_outputs_than_announced(self):
        with fails(
            ValueError,
            "returns 2 outputs, but outputs_info has 1 entries",
            "None for those that are not fed back",
        ):
            scan(lambda e, s: (e, s), x, [0.0])

    def test_a_step_with_other_arguments(self):
        with pytest.raises(TypeError) as caught:
            scan(lambda a: a, [x, x], [0.0], name="mine")
        assert "scan 'mine' calls its step function with 3 arguments" in "".join(caught.value.__notes__)

    def test_no_function(self):
        with fails(TypeError, "the first argument must be a step function, got 3"):
            scan(3, x)

    def test_until_takes_a_scalar(self):
        with fails(TypeError, "until.. takes a scalar condition"):
            until(x > 1)


class TestStrict:
    def test_what_is_not_listed(self):
        w = shared(2.0, "w")
        with fails(errors.MissingInputError, "strict=True", "add w"):
            scan(lambda e: e * w, x, strict=True)

    def test_what_is_computed_from_it(self):
        w = shared(2.0, "w")
        twice = w * 2
        with fails(errors.MissingInputError, "strict=True", "add w"):
            scan(lambda e: e * twice, x, strict=True)

    def test_what_is_computed_from_listed_ones_and_inputs(self):
        w, size = shared(np.ones((2, 3)), "w"), T.dscalar("size")
        columns = w.shape[1]
        y, _ = scan(lambda e, w: (e * w)[0, :columns].sum() * size, x, non_sequences=[w], strict=True)
        assert function([x, size], y)([1.0, 2.0], 2.0).tolist() == [6.0, 12.0]

    def test_what_is_listed(self):
        w = shared(2.0, "w")
        y, _ = scan(lambda e, w: e * w, x, non_sequences=[w], strict=True)
        assert function([x], y)([1.0]).tolist() == [2.0]


class TestCheckpoints:
    def test_taps(self):
        with fails(ValueError, "sequences cannot have taps; use scan"):
            scan_checkpoints(lambda a, b, s: s, dict(input=x, taps=[0, 1]), [0.0])

    def test_outputs_that_are_not_fed_back(self):
        with fails(ValueError, "every output must be fed back"):
            scan_checkpoints(lambda e: e, x, [None])

    def test_a_condition(self):
        with fails(ValueError, "until.. cannot end a loop that runs in chunks"):
            scan_checkpoints(lambda e, s: (s + e, until(s > 1)), x, [0.0])

    def test_no_chunk(self):
        with fails(ValueError, "save_every_N must be a positive number of steps, got 0"):
            scan_checkpoints(lambda e, s: s + e, x, [0.0], save_every_N=0)


def test_an_error_inside_the_loop_names_the_users_line():
    y, _ = scan(lambda row, w: T.dot(row, w), m, non_sequences=T.dmatrix("w"))
    w = y.owner.inputs[-1]
    with fails(errors.ShapeMismatch, "Dot", "test_errors.py"):
        function([m, w], y)(np.ones((2, 3)), np.ones((4, 2)))
