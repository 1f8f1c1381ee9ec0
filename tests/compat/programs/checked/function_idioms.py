"""What functions, shared variables and their copies can be asked, as programs ask it."""

import copy, io, pickle
import numpy as np
import theano
import theano.tensor as T
from theano import In, Out, function, shared
from theano.compile.pfunc import rebuild_collect_shared

x, y, z = T.scalars("xyz")


def check_in_update_implicit_container():
    s = T.dscalar("state")
    inc = T.iscalar("inc")
    f = function([In(inc), In(s, value=1.0, update=s + inc, name="state")], [s])
    assert f(2) == [1.0]
    assert f["state"] == 3
    assert f(3) == [3.0]
    f["state"] = 10.0
    assert f.value["state"] == 10
    assert f.container["state"].value == 10, f.container["state"]
    assert f.container["state"].storage[0] == 10
    f[s] = 7.0
    assert f[s] == 7
    assert s in f.container


def check_defaults():
    f = function([x, In(y, value=1), In(z, value=2, name="w_by_name")], (x + y) * z)
    assert (
        f(33) == 68
        and f(33, 2) == 70
        and f(33, 0, 1) == 33
        and f(33, w_by_name=1) == 34
        and f(33, w_by_name=1, y=0) == 33
    )


def check_shared_as_in_value():
    s = shared(5.0, "s")
    f = function([x, In(y, value=s)], x + y)
    assert f(1) == 6


def check_copy_share_memory_delete_updates():
    state = shared(0)
    inc = T.iscalar("inc")
    acc = function([inc], state, updates=[(state, state + inc)])
    acc(10)
    new_state = shared(0)
    acc2 = acc.copy(swap={state: new_state})
    assert acc2(100)[()] == 0
    assert state.get_value() == 10 and new_state.get_value() == 100
    null = acc.copy(delete_updates=True)
    assert null(9000) == 10 and state.get_value() == 10
    acc3 = acc.copy(share_memory=True, name="third")
    acc3(1)
    assert state.get_value() == 11 and acc3.name == "third"
    c = copy.copy(acc)
    c(1)
    assert state.get_value() == 12
    d = copy.deepcopy(acc)
    d(1)
    assert state.get_value() == 12


def check_get_shared():
    a = shared(np.ones(2), "a")
    b = shared(1.0, "b")
    f = function([x], x * a.sum(), updates={b: b + 1})
    assert set(v.name for v in f.get_shared()) == {"a", "b"}, f.get_shared()


def check_rebuild_collect_shared():
    a = shared(np.ones(2), "a")
    r = rebuild_collect_shared([x * a.sum()], [x], replace={a: a * 2}, updates={a: a + 1})
    inputs, outs, (clone_d, update_d, update_expr, shared_inputs) = r[0], r[1], r[2]
    assert len(shared_inputs) == 1 and shared_inputs[0] is a


def check_no_default_updates():
    c = shared(0, "c")
    c.default_update = c + 1
    f = function([], c)
    g = function([], c, no_default_updates=True)
    h = function([], c, no_default_updates=[c])
    f()
    f()
    assert c.get_value() == 2
    g()
    h()
    assert c.get_value() == 2
    k = function([], c, updates=[(c, c * 10)])
    k()
    assert c.get_value() == 20


def check_trust_input_name_maker():
    f = function([x], [x * 2], name="double")
    f.trust_input = True
    assert f(np.asarray(2.0, theano.config.floatX)) == [4.0]
    assert f.name == "double"
    assert f.maker.fgraph.inputs and f.maker.fgraph.outputs and f.maker.fgraph.toposort()
    assert f.maker.inputs[0].variable.name == "x"
    f.free()
    assert f(np.asarray(3.0)) == [6.0]
    str(f.maker.mode), f.maker.profile, f.maker.outputs[0].variable


def check_outputs_dict():
    f = function([x], {"a": x, "b": x * 2})
    r = f(1)
    assert r["b"] == 2
    f = function([x, y], [x, y, x + y, x * y])
    assert f(1, 2, output_subset=[2]) == [3.0]


def check_none_outputs_updates_pairs():
    a = shared(1.0, "a")
    f = function([], updates=((a, a + 1),))
    assert f() == []
    f = function([], None, updates=[[a, a + 1]])
    assert f() is None or f() == []
    from theano.updates import OrderedUpdates

    u = OrderedUpdates()
    u[a] = a * 2
    u += {}
    function([], [], updates=u)()


def check_givens_forms():
    d = shared(np.arange(10.0))
    i = T.lscalar()
    v = T.vector()
    for g in ({v: d[i : i + 2]}, [(v, d[i : i + 2])], ((v, d[i : i + 2]),)):
        assert function([i], v.sum(), givens=g)(2) == 5
    f = function(
        [i],
        v.sum(),
        givens={
            v: d[i * 2 : (i + 1) * 2],
        },
    )
    w = T.vector()
    function([], v + w, givens=[(v, d), (w, np.ones(10))])


def check_modes():
    for m in (
        "FAST_RUN",
        "FAST_COMPILE",
        "DebugMode",
        "DEBUG_MODE",
        None,
        theano.Mode(linker="py"),
        theano.Mode("cvm", "fast_run"),
        theano.compile.get_default_mode(),
        theano.compile.mode.Mode("vm", "fast_compile"),
        theano.compile.FAST_RUN,
        theano.compile.mode.get_mode("FAST_RUN").excluding("fusion"),
        theano.compile.get_mode("FAST_COMPILE").including("canonicalize"),
        theano.compile.mode.get_default_mode().excluding("local_elemwise_fusion"),
    ):
        assert function([x], x * 2, mode=m)(2) == 4
    from theano.compile.nanguardmode import NanGuardMode

    function([x], T.log(x), mode=NanGuardMode(nan_is_error=True, inf_is_error=True, big_is_error=False))
    from theano.compile.debugmode import DebugMode

    function([x], x + 1, mode=DebugMode(check_py_code=False, require_matching_strides=False))(1)
    f = function([x], x * 2, profile=True)
    f(1)
    assert f.profile.fct_callcount == 1 and f.profile.fct_call_time > 0
    f = function([x], x * 2, profile="named")
    f(1)
    stats = theano.compile.ProfileStats(flag_time_thunks=True)
    f = function([x], x * 2, profile=stats)
    assert f(1) == 2 and f(2) == 4 and stats.fct_callcount == 2
    m = theano.compile.mode.Mode(optimizer=None, linker="c")
    function([x], x + 1, mode=m)
    from theano.compile.monitormode import MonitorMode

    seen = []
    f = function(
        [x],
        [5 * x],
        mode=MonitorMode(
            pre_func=lambda i, node, fn: seen.append(node),
            post_func=lambda i, node, fn: seen.append([o[0] for o in fn.outputs]),
        ),
    )
    f(3)
    assert len(seen) >= 2


def check_pickle_fn_protocol():
    a = shared(np.ones(2), "a")
    f = function([x], x * a.sum(), updates=[(a, a + 1)])
    g = pickle.loads(pickle.dumps(f, protocol=pickle.HIGHEST_PROTOCOL))
    assert g(1) == 2 and g(1) == 4 and a.get_value()[0] == 1
    v = pickle.loads(pickle.dumps([a, x * a]))
    assert v[1].owner.inputs[1] is not None
    buf = io.BytesIO()
    pickle.Pickler(buf, 2).dump({"p": [a], "e": T.tanh(a), "t": T.dmatrix, "g": T.grad(T.tanh(a).sum(), a)})
    buf.seek(0)
    pickle.load(buf)


def check_get_value_borrow():
    a = shared(np.ones((2, 2), "float32"), borrow=True)
    v = a.get_value(borrow=True, return_internal_type=True)
    a.set_value(v * 2, borrow=True)
    assert a.get_value().sum() == 8
    assert (
        a.type.broadcastable == (False, False)
        and a.broadcastable == (False, False)
        and a.ndim == 2
        and a.dtype == "float32"
    )
    b = shared(np.zeros((1, 3)), broadcastable=(True, False))
    assert (T.dmatrix() + b).broadcastable == (False, False)
    c = shared(value=3)
    assert c.dtype == "int64"
    assert shared(np.float32(1)).ndim == 0
    shared(True)
    assert a.container.data is a.container.value
    a.zero()
    assert a.get_value().sum() == 0
    a.clone()
    s = theano.tensor._shared(np.ones(3))
    s2 = theano.compile.sharedvalue.shared(np.ones(1))
    assert isinstance(a, theano.compile.SharedVariable) and s.ndim == s2.ndim == 1


def raises(kind, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except kind:
        return
    raise AssertionError(kind)


def check_errors():
    f = function([T.fmatrix("m")], 1, on_unused_input="ignore")
    for a in (np.ones(3, "float32"), np.ones((2, 2)), "a", None):
        raises((TypeError, ValueError), f, a)
    f = function([T.fmatrix("m")], T.constant(1), allow_input_downcast=True, on_unused_input="ignore")
    f(np.ones((2, 2)))
    f([[1.0, 2]])
    raises(theano.gof.fg.MissingInputError, function, [x], y)
    raises(TypeError, function, [x], x, updates=[(y, x)])
    raises(theano.gradient.DisconnectedInputError, T.grad, T.vector().sum(), T.vector())
    assert T.grad(x**2, y, disconnected_inputs="ignore").eval() == 0
    r = T.grad(x**2, [x, y], disconnected_inputs="ignore", return_disconnected="none")
    assert r[1] is None
    raises(TypeError, T.grad, T.vector("v"), T.vector())
    raises(ValueError, function, [x, x], x)


def check_function_from_str_input_names_eval():
    assert (x + 1).eval({x: 2}) == 3
    assert T.arange(3).eval().tolist() == [0, 1, 2]
    a = T.matrix("a")
    f = function(inputs=[a], outputs=a.sum(axis=0))
    assert f(a=[[1.0, 2.0], [3, 4]]).tolist() == [4, 6]
    f = theano.function([a], [a, a.T], allow_input_downcast=True, rebuild_strict=True, accept_inplace=True)
    f([[1, 2]])
    f = function([In(a, borrow=True, mutable=True)], Out(a + 1, borrow=True))
    f(np.ones((1, 1)))
    f = function([theano.Param(a, default=np.ones((1, 1)), borrow=True)], a * 2)
    assert f() == 2


check_in_update_implicit_container()
check_defaults()
check_shared_as_in_value()
check_copy_share_memory_delete_updates()
check_get_shared()
check_rebuild_collect_shared()
check_no_default_updates()
check_trust_input_name_maker()
check_outputs_dict()
check_none_outputs_updates_pairs()
check_givens_forms()
check_modes()
check_pickle_fn_protocol()
check_get_value_borrow()
check_errors()
check_function_from_str_input_names_eval()
