"""Updates: simultaneous, atomic, and in fresh memory."""

import signal
import threading
import time

import numpy as np
import pytest

import tinygraph as tg
from tinygraph import tensor as T
from tinygraph.graph.op import Op


def test_all_updates_read_the_old_values():
    a, b = tg.shared(1.0), tg.shared(2.0)
    f = tg.function([], [a, b], updates=[(a, b), (b, a)])
    assert f() == [1, 2]
    assert (a.get_value(), b.get_value()) == (2, 1)


def test_outputs_are_computed_before_updates():
    a = tg.shared(np.zeros(2))
    f = tg.function([], [a, a + 1], updates={a: a + 5})
    assert [x.tolist() for x in f()] == [[0, 0], [1, 1]]
    assert a.get_value().tolist() == [5, 5]


def test_an_update_may_change_the_shape():
    a = tg.shared(np.zeros(1))
    f = tg.function([], a.shape[0], updates={a: T.concatenate([a, a + 1])})
    assert [int(f()) for _ in range(4)] == [1, 2, 4, 8]
    assert a.get_value().shape == (16,)


def test_an_update_by_a_view_of_itself():
    a = tg.shared(np.arange(6.0).reshape(2, 3))
    f = tg.function([], [], updates={a: a.T})
    f()
    assert a.get_value().tolist() == [[0, 3], [1, 4], [2, 5]]
    f()
    assert a.get_value().tolist() == [[0, 1, 2], [3, 4, 5]]


def test_two_variables_updated_to_one_value_do_not_share_memory():
    a, b = tg.shared(np.zeros(2)), tg.shared(np.zeros(2))
    new = a + 1
    f = tg.function([], new, updates=[(a, new), (b, new)])
    out = f()
    out[:] = 99
    a.get_value(borrow=True)[:] = 50
    assert b.get_value().tolist() == [1, 1]


def test_an_update_to_an_argument_copies_it():
    a, x = tg.shared(np.zeros(2)), T.dvector("x")
    f = tg.function([x], [], updates={a: x})
    given = np.ones(2)
    f(given)
    given[:] = 7
    assert a.get_value().tolist() == [1, 1]


def test_many_calls_reuse_memory_without_mixing_values_up():
    a = tg.shared(np.zeros(1000))
    f = tg.function([], a, updates={a: a + 1})
    seen = [f() for _ in range(5)]
    held = a.get_value(borrow=True)
    kept = held.copy()
    f(), f(), f()
    assert [x[0] for x in seen] == [0, 1, 2, 3, 4]
    assert np.array_equal(held, kept)  # nobody writes over what someone still holds


class Fail(Op):
    """The identity, which raises if told to."""

    __props__ = ()
    error: BaseException | None = None

    def infer(self, x):
        return [(x.dtype, x.shape)]

    def forward(self, x):
        if Fail.error is not None:
            raise Fail.error
        return x.copy()


@pytest.fixture
def failing():
    Fail.error = RuntimeError("planned")
    yield Fail()
    Fail.error = None


def test_a_call_that_raises_changes_nothing(failing):
    a, b, x = tg.shared(np.zeros(3)), tg.shared(np.ones(3)), T.dvector("x")
    f = tg.function([x], a.sum(), updates=[(a, a + 1), (b, failing(b + x))])
    with pytest.raises(RuntimeError, match="planned"):
        f(np.ones(3))
    assert a.get_value().tolist() == [0, 0, 0] and b.get_value().tolist() == [1, 1, 1]
    Fail.error = None
    f(np.ones(3))
    assert a.get_value().tolist() == [1, 1, 1] and b.get_value().tolist() == [2, 2, 2]


def test_shapes_that_do_not_fit_change_nothing():
    a, x = tg.shared(np.zeros(3)), T.dvector("x")
    b = tg.shared(0.0)
    f = tg.function([x], [], updates=[(b, b + 1), (a, a + x)])
    with pytest.raises(ValueError):
        f(np.ones(4))
    assert a.get_value().tolist() == [0, 0, 0] and b.get_value() == 0


def test_an_interrupt_inside_a_call_changes_nothing():
    Fail.error = KeyboardInterrupt()
    try:
        a = tg.shared(0.0)
        f = tg.function([], [], updates=[(a, Fail()(a + 1))])
        with pytest.raises(KeyboardInterrupt):
            f()
        assert a.get_value() == 0
    finally:
        Fail.error = None


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timers here")
def test_interrupts_at_any_moment_leave_all_variables_at_the_same_step():
    """Alarms arrive at random moments of a thousand calls; every variable must have taken equally many steps."""
    variables = [tg.shared(0.0) for _ in range(20)]
    f = tg.function([], variables[0], updates=[(v, v + 1) for v in variables])

    class Alarm(Exception):
        pass

    def ring(*_):
        raise Alarm

    previous = signal.signal(signal.SIGALRM, ring)
    rng = np.random.RandomState(0)
    done = interrupted = 0
    try:
        for _ in range(1000):
            try:
                signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-6, 8e-5))
                f()
                done += 1
                time.sleep(1e-4)
            except Alarm:
                interrupted += 1
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            steps = {float(v.get_value(borrow=True)) for v in variables}
            assert len(steps) == 1
    except Alarm:
        pass
    finally:
        signal.signal(signal.SIGALRM, previous)
    assert interrupted > 50


def test_threads_that_update_one_variable_lose_nothing():
    count, other = tg.shared(np.zeros(10)), tg.shared(0.0)
    up = tg.function([], [], updates=[(count, count + 1)])
    both = tg.function([], [], updates=[(count, count + 1), (other, other + 1)])

    def work(f):
        for _ in range(300):
            f()

    threads = [threading.Thread(target=work, args=(f,)) for f in (up, both, up, both)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert count.get_value().tolist() == [1200] * 10
    assert other.get_value() == 600


def test_an_update_inside_an_op_that_calls_a_function():
    a = tg.shared(0.0)
    inner = tg.function([], [], updates=[(a, a + 1)])

    class Call(Fail):
        def forward(self, x):
            inner()
            return x.copy()

    b = tg.shared(0.0)
    outer = tg.function([], [], updates=[(b, Call()(b + 1))])
    joint = tg.function([], [], updates=[(a, a), (b, b)])  # both variables share a lock from here on
    outer()
    joint()
    assert (a.get_value(), b.get_value()) == (1, 1)
