"""A character-level language model: reads text, learns which character comes next, and writes.

After A. Karpathy's min-char-rnn ("The unreasonable effectiveness of recurrent neural networks", 2015): a plain, gated
(GRU) or LSTM network, truncated backpropagation through time, the state carried on from one piece of the text to the
next. Without --text it reads the Python standard library's own sources.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import tinygraph
import tinygraph.tensor as T
from tinygraph import updates
from tinygraph.arguments import file_to_write, natural, output_directory, positive_float, positive_int, seed
from tinygraph.datasets.text import Corpus, load_text, standard_library
from tinygraph.demos.harness import settings
from tinygraph.demos.harness.arguments import TARGETS
from tinygraph.demos.harness.language import LanguageModel, train_language_model
from tinygraph.errors import DataError
from tinygraph.random import RandomStreams


class Layer:
    """One recurrent layer: ``output(x, states) -> (h, new states)`` for x (steps, batch, n_in).

    Weights are drawn uniformly within 1 / sqrt(n_out). The products with x run for all steps at once; only those with
    the state are in the loop.
    """

    gates = 1  # products of the state that a step needs, side by side in one matrix
    state_names = ("h",)

    def __init__(self, rng, n_in, n_out, name):
        bound = 1 / np.sqrt(n_out)

        def weights(suffix, *shape):
            values = rng.uniform(-bound, bound, size=shape).astype(tinygraph.config.floatX)
            return tinygraph.shared(values, name=f"{name}.{suffix}", borrow=True)

        self.n_out = n_out
        self.W = weights("W", n_in, self.gates * n_out)
        self.U = weights("U", n_out, self.gates * n_out)
        self.b = tinygraph.shared(self.first_bias(n_out).astype(tinygraph.config.floatX), name=f"{name}.b")
        self.params = [self.W, self.U, self.b]

    def first_bias(self, n_out):
        return np.zeros(self.gates * n_out)

    def output(self, x, states):
        def step(x_t, *previous):
            return self.step(T.dot(x_t, self.W) + self.b, *previous)

        new, _ = tinygraph.scan(
            step, sequences=x, outputs_info=states, name=type(self).__name__, return_list=True
        )
        return new[0], [s[-1] for s in new]

    def part(self, a, k):
        """Gate ``k`` of a (batch, gates * n_out)."""
        return a[:, k * self.n_out : (k + 1) * self.n_out]


class RNN(Layer):
    """``h = tanh(x W + h U + b)``."""

    def step(self, xw, h):
        return T.tanh(xw + T.dot(h, self.U))


class GRU(Layer):
    """K. Cho et al., 2014, with the reset gate behind the product, so that one product serves all gates."""

    gates = 3

    def step(self, xw, h):
        hu = T.dot(h, self.U)
        update = T.nnet.sigmoid(self.part(xw, 0) + self.part(hu, 0))
        reset = T.nnet.sigmoid(self.part(xw, 1) + self.part(hu, 1))
        candidate = T.tanh(self.part(xw, 2) + reset * self.part(hu, 2))
        return update * h + (1 - update) * candidate


class LSTM(Layer):
    """S. Hochreiter and J. Schmidhuber, 1997, with forget gates, which are open at first (bias 1)."""

    gates = 4
    state_names = ("h", "c")

    def first_bias(self, n_out):
        return np.repeat([0.0, 1.0, 0.0, 0.0], n_out)

    def step(self, xw, h, c):
        a = xw + T.dot(h, self.U)
        in_gate, forget = T.nnet.sigmoid(self.part(a, 0)), T.nnet.sigmoid(self.part(a, 1))
        out_gate, candidate = T.nnet.sigmoid(self.part(a, 2)), T.tanh(self.part(a, 3))
        c = forget * c + in_gate * candidate
        return out_gate * T.tanh(c), c


CELLS = {"rnn": RNN, "gru": GRU, "lstm": LSTM}


class Network:
    """An embedding of the characters, recurrent layers, and scores for the next character."""

    def __init__(self, rng, cell, vocabulary, hidden, layers):
        floatX = tinygraph.config.floatX
        sizes = [hidden] * (layers + 1)
        values = 0.1 * rng.normal(size=(vocabulary, hidden))
        self.embedding = tinygraph.shared(values.astype(floatX), name="embedding")
        self.layers = [CELLS[cell](rng, sizes[k], sizes[k + 1], f"layer{k}") for k in range(layers)]
        values = rng.uniform(-1, 1, size=(hidden, vocabulary)) / np.sqrt(hidden)
        self.V = tinygraph.shared(values.astype(floatX), name="V")
        self.d = tinygraph.shared(np.zeros(vocabulary, floatX), name="d")
        self.params = [self.embedding, *(p for layer in self.layers for p in layer.params), self.V, self.d]

    def zero_states(self, batch, name):
        """Shared variables for the states of ``batch`` texts read side by side, layer by layer."""
        floatX = tinygraph.config.floatX
        return [
            tinygraph.shared(np.zeros((batch, layer.n_out), floatX), name=f"{name}{k}.{s}")
            for k, layer in enumerate(self.layers)
            for s in layer.state_names
        ]

    def read(self, x, states):
        """Scores of the next character after each of x (steps, batch), and the states at the end."""
        values, left, new = self.embedding[x], list(states), []
        for layer in self.layers:
            own = [left.pop(0) for _ in layer.state_names]
            values, after = layer.output(values, own)
            new += after
        return T.dot(values, self.V) + self.d, new


def cross_entropy(scores, y):
    """Mean negative log-likelihood, in nats, of the characters y (steps, batch)."""
    flat = scores.reshape((y.size, scores.shape[2]))
    log_p = T.nnet.logsoftmax(flat)
    return -log_p[T.arange(y.size), y.flatten()].mean()


def sampler(network, srng):
    """A function (prime, length, temperature) -> codes: reads ``prime``, then writes ``length`` characters after it.

    Writing is a loop whose step scores the next character, draws it, and reads it. A draw with probabilities
    softmax(s) is the position of the largest of s plus Gumbel noise.
    """
    prime, length, temperature = T.ivector("prime"), T.iscalar("length"), T.scalar("temperature")
    scores, states = network.read(prime.dimshuffle(0, "x"), [T.zeros((1, s.get_value(borrow=True).shape[1]))
                                                             for s in network.zero_states(1, "none")])  # fmt: skip

    def write(scores, *states):
        noise = -T.log(-T.log(srng.uniform(scores.shape, low=1e-7, high=1 - 1e-7)))
        code = T.cast(T.argmax(scores / temperature + noise, axis=1), "int32")
        after, states = network.read(code.dimshuffle("x", 0), list(states))
        return [after[0], *states, code[0]]  # type: ignore[index]  # mypy takes T.cast for the scalar one

    written, steps = tinygraph.scan(
        write, outputs_info=[scores[-1], *states, None], n_steps=length, name="write"
    )
    return tinygraph.function([prime, length, temperature], written[-1], updates=steps)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``tinygraph demo char-rnn``."""
    add = parser.add_argument_group("text").add_argument
    add("--text", metavar="FILE", help="UTF-8 text (default: the Python standard library's sources)")
    add = parser.add_argument_group("network").add_argument
    add("--cell", choices=sorted(CELLS), default="lstm", help="(default: %(default)s)")
    add(
        "--hidden",
        type=positive_int,
        default=128,
        metavar="H",
        help="units of a layer (default: %(default)s)",
    )
    add("--layers", type=positive_int, default=1, metavar="L", help="(default: %(default)s)")
    add = parser.add_argument_group("training").add_argument
    add("--seq-length", type=positive_int, default=50, metavar="T",
        help="steps that gradients go back (default: %(default)s)")  # fmt: skip
    add("--batch-size", type=positive_int, default=50, metavar="B",
        help="pieces of the text read side by side (default: %(default)s)")  # fmt: skip
    length = parser.add_mutually_exclusive_group()
    length.add_argument(
        "--epochs", type=positive_int, metavar="N", help="times through the text (default: 5)"
    )
    length.add_argument("--steps", type=positive_int, metavar="N", help="so many batches instead")
    add("--optimizer", choices=("rmsprop", "adagrad"), default="rmsprop", help="(default: %(default)s)")
    add(
        "--learning-rate",
        type=positive_float,
        metavar="R",
        help="(default: 0.01 for rmsprop, 0.05 for adagrad)",
    )
    add("--clip", type=positive_float, default=5.0, metavar="N",
        help="largest norm of all gradients together (default: %(default)s)")  # fmt: skip
    add("--seed", type=seed, default=23455, metavar="S", help="of weights and samples (default: %(default)s)")
    add("--target", choices=TARGETS, help="what to compile for (default: the best there is)")
    add(
        "--floatX", choices=("float32", "float64"), default="float32", help="precision (default: %(default)s)"
    )
    add = parser.add_argument_group("samples").add_argument
    add(
        "--sample",
        type=natural,
        default=200,
        metavar="N",
        help="characters to write at each report (default: %(default)s)",
    )
    add("--temperature", type=positive_float, default=0.8, metavar="t",
        help="below 1 safer, above 1 bolder (default: %(default)s)")  # fmt: skip
    add("--prime", default="", metavar="TEXT", help="what samples begin with (default: a line end)")
    add = parser.add_argument_group("results").add_argument
    add("--out", type=output_directory, default=Path("out") / "char-rnn", metavar="DIR",
        help="where the curve, a sample, parameters and the checkpoint go (default: %(default)s)")  # fmt: skip
    add("--json", type=file_to_write, metavar="FILE", help="write the results there as well")
    add("--resume", action="store_true", help="go on from the checkpoint in --out, as if never stopped")


def streams(codes: np.ndarray, batch: int) -> tuple[np.ndarray, np.ndarray]:
    """A text cut into ``batch`` pieces side by side: characters, and those after them, (n, batch) each."""
    n = (len(codes) - 1) // batch
    x, y = codes[: n * batch].reshape(batch, n), codes[1 : n * batch + 1].reshape(batch, n)
    return np.ascontiguousarray(x.T), np.ascontiguousarray(y.T)


def read_corpus(args: argparse.Namespace) -> Corpus:
    """The text, long enough for one batch and a held-out tenth."""
    needed = -(-10 * (args.batch_size * args.seq_length + 1) // 9) + 10
    try:
        return load_text(args.text, needed) if args.text else standard_library()
    except DataError as error:
        if "at least" not in str(error):
            raise
        raise DataError(
            f"{error}; for shorter texts choose a smaller --seq-length (now {args.seq_length}) or --batch-size (now "
            f"{args.batch_size})"
        ) from None


def run(args: argparse.Namespace) -> int:
    """Build the network, compile the functions that train, test and write, and train."""
    with settings(args):
        corpus = read_corpus(args)
        prime = corpus.encode(args.prime or ("\n" if "\n" in corpus.vocabulary else corpus.text[0]))
        rng, srng = np.random.RandomState(args.seed), RandomStreams(args.seed)
        network = Network(rng, args.cell, len(corpus.vocabulary), args.hidden, args.layers)
        train, held_out = corpus.split()
        pieces = streams(train, args.batch_size)
        train_function, states, memory = training_step(args, network, pieces)
        write = sampler(network, srng)
        model = LanguageModel(
            corpus=corpus,
            params=network.params,
            state=[*states, *memory, *(v for v, _ in srng.state_updates)],
            per_epoch=len(pieces[0]) // args.seq_length,
            train=train_function,
            forget=lambda: forget(states),
            bits=held_out_bits(args, network, held_out),
            write=write,
            prime=prime,
        )
        return train_language_model(model, args)


def training_step(args, network, data):
    """The function (index) -> cost that trains on a piece of the text, the states it carries, its rule's memory."""
    texts = [tinygraph.shared(part, borrow=True) for part in data]
    index, x, y = T.lscalar("index"), T.imatrix("x"), T.imatrix("y")
    piece = slice(index * args.seq_length, (index + 1) * args.seq_length)
    states = network.zero_states(args.batch_size, "state")
    scores, after = network.read(x, states)
    cost = cross_entropy(scores, y)
    grads = updates.clip_by_total_norm(tinygraph.grad(cost, network.params), args.clip)
    rule = updates.rmsprop if args.optimizer == "rmsprop" else updates.adagrad
    rate = args.learning_rate or (0.01 if args.optimizer == "rmsprop" else 0.05)
    changes = rule(grads, network.params, rate)
    memory = [v for v in changes if v not in network.params]
    changes.update(zip(states, after, strict=True))
    function = tinygraph.function(
        [index], cost, updates=changes, givens={x: texts[0][piece], y: texts[1][piece]}, name="train"
    )
    return function, states, memory


def forget(states):
    """Set ``states`` to zero: the text begins anew."""
    for s in states:
        s.set_value(np.zeros_like(s.get_value(borrow=True)))


def held_out_bits(args, network, codes):
    """A function () -> bits per character of a text that is not trained on, read from its beginning."""
    batch = max(1, min(args.batch_size, (len(codes) - 1) // args.seq_length))
    data = streams(codes, batch)
    texts = [tinygraph.shared(part, borrow=True) for part in data]
    index, x, y = T.lscalar("index"), T.imatrix("x"), T.imatrix("y")
    piece = slice(index * args.seq_length, (index + 1) * args.seq_length)
    states = network.zero_states(batch, "reading")
    scores, after = network.read(x, states)
    function = tinygraph.function(
        [index], [cross_entropy(scores, y), x.shape[0]], updates=list(zip(states, after, strict=True)),
        givens={x: texts[0][piece], y: texts[1][piece]}, name="test",
    )  # fmt: skip

    def bits() -> float:
        forget(states)
        costs = [function(k) for k in range(-(-len(data[0]) // args.seq_length))]
        return float(sum(c * n for c, n in costs) / sum(n for _, n in costs) / np.log(2))

    return bits
