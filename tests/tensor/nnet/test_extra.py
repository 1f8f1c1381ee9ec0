"""Patches, CTC, upsampling, hierarchical softmax, confusion matrix."""

import itertools

import numpy as np
import pytest
from scipy import special

import tinygraph.tensor as T
from tinygraph import function, grad
from tinygraph.errors import InvalidValue, ShapeMismatch, TypeMismatch
from tinygraph.gradient import verify_grad
from tinygraph.tensor.nnet import ctc, neighbours

RNG = np.random.RandomState(19)


def run(build, *values):
    inputs = [T.tensor(np.asarray(v).dtype.name, shape=(None,) * np.ndim(v)) for v in values]
    return function(inputs, build(*inputs))(*values)


class TestPatches:
    x = RNG.randn(2, 3, 6, 8)

    def rows(self, x, size, step):
        """Patches one by one."""
        found = [
            x[n, c, i : i + size[0], j : j + size[1]].ravel()
            for n, c in np.ndindex(*x.shape[:2])
            for i in range(0, x.shape[2] - size[0] + 1, step[0])
            for j in range(0, x.shape[3] - size[1] + 1, step[1])
        ]
        return np.array(found)

    @pytest.mark.parametrize(
        ("size", "step", "mode"),
        [((2, 4), None, "valid"), ((3, 2), (3, 3), "valid"), ((4, 5), (2, 1), "valid"), ((4, 3), None, "ignore_borders"),
         ((3, 3), (2, 2), "ignore_borders")],
    )  # fmt: skip
    def test_patches_are_slices(self, size, step, mode):
        out = run(lambda x: neighbours.images2neibs(x, size, step, mode), self.x)
        np.testing.assert_array_equal(out, self.rows(self.x, size, step or size))

    @pytest.mark.parametrize(("mode", "pad"), [("half", (1, 2)), ("full", (2, 3))])
    def test_patches_over_zeros(self, mode, pad):
        out = run(lambda x: neighbours.images2neibs(x, (3, 4), (1, 2), mode), self.x)
        padded = np.pad(self.x, [(0, 0), (0, 0), (pad[0],) * 2, (pad[1],) * 2])
        np.testing.assert_array_equal(out, self.rows(padded, (3, 4), (1, 2)))

    def test_patches_that_wrap(self):
        out = run(lambda x: neighbours.images2neibs(x, (3, 5), (2, 3), "wrap_centered"), self.x)
        wrapped = np.pad(self.x, [(0, 0), (0, 0), (1, 1), (2, 2)], mode="wrap")
        np.testing.assert_array_equal(out, self.rows(wrapped, (3, 5), (2, 3)))
        assert len(out) == 2 * 3 * 3 * 3

    def test_there_and_back(self):
        def both(x):
            return neighbours.neibs2images(neighbours.images2neibs(x, (3, 2)), (3, 2), x.shape)

        np.testing.assert_array_equal(run(both, self.x), self.x)

        def bordered(x):
            patches = neighbours.images2neibs(x, (4, 3), mode="ignore_borders")
            return neighbours.neibs2images(patches, (4, 3), x.shape, mode="ignore_borders")

        expected = self.x.copy()
        expected[:, :, 4:], expected[:, :, :, 6:] = 0, 0
        np.testing.assert_array_equal(run(bordered, self.x), expected)

    @pytest.mark.parametrize(
        ("size", "step", "mode"),
        [((2, 4), None, "valid"), ((3, 4), (1, 2), "ignore_borders"), ((3, 3), (2, 1), "half"), ((3, 5), (2, 3), "wrap_centered")],
    )  # fmt: skip
    def test_gradients(self, size, step, mode):
        verify_grad(lambda x: neighbours.images2neibs(x, size, step, mode), [self.x[:1]], n_tests=1)
        verify_grad(
            lambda x: grad(T.sum(T.sqr(neighbours.images2neibs(x, size, step, mode)) ** 2), x), [self.x[:1, :1] / 2],
            n_tests=1,
        )  # fmt: skip

    def test_oracles(self):
        op = neighbours.Unfold((3, 2), (2, 1), (1, 1))
        patches = op.forward(self.x)
        np.testing.assert_array_equal(run(op, self.x), patches)
        g = RNG.randn(*patches.shape)
        folded = op.sibling(neighbours.Fold).forward(g, np.array([6, 8]))
        np.testing.assert_allclose((folded * self.x).sum(), (g * patches).sum())
        np.testing.assert_allclose(run(lambda g: op.sibling(neighbours.Fold)(g, np.array([6, 8])), g), folded)

    def test_errors(self):
        x = T.dtensor4()
        with pytest.raises(InvalidValue, match="mode must be one of"):
            neighbours.images2neibs(x, (2, 2), mode="same")
        with pytest.raises(InvalidValue, match="odd size"):
            neighbours.images2neibs(x, (2, 3), mode="wrap_centered")
        with pytest.raises(InvalidValue, match="4 dimensions"):
            neighbours.images2neibs(T.dmatrix(), (2, 2))
        with pytest.raises(ShapeMismatch, match="cover exactly"):
            neighbours.images2neibs(self.x, (4, 3))
        with pytest.raises(InvalidValue, match="'valid' or 'ignore_borders'"):
            neighbours.neibs2images(T.dmatrix(), (2, 2), (1, 1, 2, 2), mode="half")


def enumerated(x, label):
    """The loss by summing over every path of classes that collapses to the labels."""
    p = special.softmax(x, axis=1)
    total = 0.0
    for path in itertools.product(range(x.shape[1]), repeat=x.shape[0]):
        merged = [k for i, k in enumerate(path) if i == 0 or k != path[i - 1]]
        if [k for k in merged if k] == list(label):
            total += np.prod([p[t, k] for t, k in enumerate(path)])
    return -np.log(total)


class TestCTC:
    x = RNG.randn(5, 4, 3)
    labels = np.array([[1, 2], [2, 2], [1, -1], [-1, -1]], "int32")
    lengths = np.array([5, 4, 3, 2], "int32")

    def test_the_loss_sums_over_all_paths(self):
        found = run(ctc.ctc, self.x, self.labels, self.lengths)
        expected = [
            enumerated(self.x[:n, i], [k for k in row if k >= 0])
            for i, (row, n) in enumerate(zip(self.labels, self.lengths, strict=True))
        ]
        np.testing.assert_allclose(found, expected, rtol=1e-10)

    def test_float32(self):
        found = run(ctc.ctc, self.x.astype("float32"), self.labels, self.lengths)
        assert found.dtype == "float32"
        np.testing.assert_allclose(found, run(ctc.ctc, self.x, self.labels, self.lengths), rtol=1e-5)

    def test_gradients(self):
        verify_grad(lambda x: ctc.ctc(x, self.labels, self.lengths), [self.x], n_tests=2)

    def test_steps_past_the_end_have_no_gradient(self):
        x = T.dtensor3()
        slope = function([x], grad(ctc.ctc(x, self.labels, self.lengths).sum(), x))(self.x)
        for i, n in enumerate(self.lengths):
            assert (slope[n:, i] == 0).all() and (slope[:n, i] != 0).any()

    def test_a_sequence_too_short_for_its_labels(self):
        x = T.dtensor3()
        loss = ctc.ctc(x, np.array([[1, 1]], "int32"), np.array([2], "int32"))
        value, slope = function([x], [loss, grad(loss.sum(), x)])(self.x[:2, :1])
        assert value[0] == np.inf and (slope == 0).all()

    def test_large_activations(self):
        found = run(ctc.ctc, self.x * 1e4, self.labels, self.lengths)
        assert np.isfinite(found).all()

    def test_errors(self):
        with pytest.raises(TypeMismatch, match="activations must be floats"):
            ctc.ctc(T.dmatrix(), T.imatrix(), T.ivector())
        with pytest.raises(TypeMismatch, match="labels must be integers"):
            ctc.ctc(T.dtensor3(), T.dmatrix(), T.ivector())
        with pytest.raises(TypeMismatch, match="input_lengths must be integers"):
            ctc.ctc(T.dtensor3(), T.imatrix(), T.imatrix())
        with pytest.raises(InvalidValue, match="length 9, but there are 5 steps"):
            run(ctc.ctc, self.x, self.labels, np.array([9, 1, 1, 1], "int32"))
        with pytest.raises(InvalidValue, match="must lie in 1 .. 2"):
            run(ctc.ctc, self.x, self.labels + 1, self.lengths)


class TestUpsampling:
    @pytest.mark.parametrize("ratio", [2, 3, 4, 5])
    def test_linear_between_points_and_constant_beyond(self, ratio):
        x = RNG.randn(2, 3, 4, 5)
        out = run(lambda x: T.nnet.bilinear_upsampling(x, ratio=ratio), x)
        assert out.shape == (2, 3, 4 * ratio, 5 * ratio)

        def stretched(v, axis):
            # point i of the result lies at (i - shift) / ratio of the source, the pattern of Theano's padding
            n = v.shape[axis]
            shift = (ratio - 1) // 2 if ratio % 2 else ratio // 2 - 1
            at = np.clip((np.arange(n * ratio) - shift) / ratio, 0, n - 1)
            low = np.floor(at).astype(int)
            high = np.minimum(low + 1, n - 1)
            part = (at - low).reshape([-1 if d == axis else 1 for d in range(v.ndim)])
            return np.take(v, low, axis) * (1 - part) + np.take(v, high, axis) * part

        np.testing.assert_allclose(out, stretched(stretched(x, 2), 3), atol=1e-12)

    def test_a_constant_image_stays_constant(self):
        out = run(lambda x: T.nnet.bilinear_upsampling(x, ratio=3), np.ones((1, 1, 2, 3)))
        np.testing.assert_allclose(out, 1)

    def test_gradients(self):
        verify_grad(lambda x: T.nnet.bilinear_upsampling(x, ratio=2), [RNG.randn(1, 2, 3, 2)], n_tests=1)

    def test_kernels(self):
        np.testing.assert_allclose(T.nnet.bilinear_kernel_1D(3).eval(), np.array([1, 2, 3, 2, 1]) / 3)
        np.testing.assert_allclose(T.nnet.bilinear_kernel_2D(2, normalize=False).eval(), np.outer([1, 2, 1], [1, 2, 1]))

    def test_errors(self):
        with pytest.raises(InvalidValue, match="ratio must be"):
            T.nnet.bilinear_upsampling(T.dtensor4(), ratio=1.5)
        with pytest.raises(InvalidValue, match="frac_ratio"):
            T.nnet.bilinear_upsampling(T.dtensor4(), frac_ratio=(3, 2))
        with pytest.raises(InvalidValue, match="4 dimensions"):
            T.nnet.bilinear_upsampling(T.dmatrix(), ratio=2)


class TestHierarchicalSoftmax:
    n_in, classes, per_class, outputs = 4, 3, 2, 5
    x, w1, b1 = RNG.randn(6, 4), RNG.randn(4, 3), RNG.randn(3)
    w2, b2 = RNG.randn(3, 4, 2), RNG.randn(3, 2)

    def build(self, x, w1, b1, w2, b2, target=None):
        return T.nnet.h_softmax(x, 6, self.outputs, self.classes, self.per_class, w1, b1, w2, b2, target)

    def expected(self):
        group = special.softmax(self.x @ self.w1 + self.b1, axis=1)
        inside = special.softmax(np.einsum("bi,cio->bco", self.x, self.w2) + self.b2, axis=2)
        return (group[:, :, None] * inside).reshape(6, -1)

    def test_all_outputs(self):
        out = run(self.build, self.x, self.w1, self.b1, self.w2, self.b2)
        np.testing.assert_allclose(out, self.expected()[:, : self.outputs])
        np.testing.assert_allclose(self.expected().sum(1), 1)

    def test_chosen_outputs(self):
        target = np.array([0, 4, 2, 1, 3, 3])
        out = run(self.build, self.x, self.w1, self.b1, self.w2, self.b2, target)
        np.testing.assert_allclose(out, self.expected()[np.arange(6), target])

    def test_gradients(self):
        target = np.array([0, 4, 2, 1, 3, 3])
        verify_grad(lambda *p: self.build(*p, target), [self.x, self.w1, self.b1, self.w2, self.b2], n_tests=1)


def test_confusion_matrix():
    actual, predicted = np.array([2, 0, 2, 2, 5, 0]), np.array([0, 0, 2, 5, 5, 2])
    counts, labels = run(T.nnet.confusion_matrix, actual, predicted)
    np.testing.assert_array_equal(labels, [0, 2, 5])
    np.testing.assert_array_equal(counts, [[1, 1, 0], [1, 1, 1], [0, 0, 1]])


def test_rows_with_a_number_in_front():
    x = RNG.randn(3, 2)
    np.testing.assert_array_equal(run(T.nnet.prepend_1_to_each_row, x), np.c_[np.ones(3), x])
    np.testing.assert_array_equal(run(T.nnet.prepend_0_to_each_row, x), np.c_[np.zeros(3), x])
    np.testing.assert_array_equal(run(lambda x: T.nnet.prepend_scalar_to_each_row(7.5, x), x), np.c_[np.full(3, 7.5), x])
