"""Parameters out of pickles that Theano wrote; whatever could run code is refused."""

import io
import pickle
import sys
import types
from collections import OrderedDict

import numpy as np
import pytest

from tinygraph.compat.theano.parts.foreign import ForeignObject, load_foreign
from tinygraph.errors import DataError


@pytest.fixture
def old(monkeypatch):
    """Modules with classes that pickle as Theano's do."""

    class Container:
        def __init__(self, value):
            self.storage = [value]
            self.type = "TensorType"

    class TensorSharedVariable:
        def __init__(self, value, name):
            self.container = Container(value)
            self.name = name

    class CudaNdarray:
        def __init__(self, value):
            self.value = value

        def __reduce__(self):
            return unpickler, (self.value,)

    def unpickler(value):
        raise AssertionError("code of the pickle's modules must not run")

    link = types.ModuleType("theano.gof.link")
    sharedvar = types.ModuleType("theano.tensor.sharedvar")
    cuda = types.ModuleType("theano.sandbox.cuda.type")
    for module, member, name in ((link, Container, "Container"), (cuda, unpickler, "CudaNdarray_unpickler"),
                                 (sharedvar, TensorSharedVariable, "TensorSharedVariable")):  # fmt: skip
        member.__module__, member.__qualname__, member.__name__ = module.__name__, name, name
        setattr(module, name, member)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return TensorSharedVariable, CudaNdarray


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_data_comes_as_it_was_and_shared_variables_as_their_values(old, protocol, tmp_path):
    shared, on_gpu = old
    w, b = np.arange(6.0).reshape(2, 3), np.float32(2.5)
    given = {"params": [shared(w, "w"), (shared(on_gpu(w[0]), "v"), b)], "epoch": 3, "order": OrderedDict(a="x")}
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(given, protocol))
    found = load_foreign(path)
    first, (second, scalar) = found["params"]
    assert np.array_equal(first, w) and np.array_equal(second, w[0]) and scalar == b
    assert found["epoch"] == 3 and found["order"] == OrderedDict(a="x")


def test_other_objects_of_theanos_keep_what_stood_in_the_file(old):
    found = load_foreign(io.BytesIO(pickle.dumps(old[0](1.0, "w").container)))
    assert isinstance(found, ForeignObject) and found.state["type"] == "TensorType"
    assert "theano.gof.link.Container" in repr(found)


def test_a_pickle_of_python_2():
    # written by Python 2.7: cPickle.dump([numpy.arange(2.0)], f, 2)
    text = (b"\x80\x02]q\x01cnumpy.core.multiarray\n_reconstruct\nq\x02cnumpy\nndarray\nq\x03K\x00\x85U\x01b\x87Rq\x04"
            b"(K\x01K\x02\x85cnumpy\ndtype\nq\x05U\x02f8K\x00K\x01\x87Rq\x06(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff"
            b"\xffK\x00tb\x89U\x10\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xf0?tba.")  # fmt: skip
    (found,) = load_foreign(io.BytesIO(text))
    assert found.tolist() == [0, 1]


class Runs:
    def __reduce__(self):
        return print, ("ran",)


@pytest.mark.parametrize(
    "text",
    [
        pickle.dumps(Runs()),
        b"cos\nsystem\n(S'true'\ntR.",
        b"cnumpy.testing\nrundocs\n(tR.",
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"not a pickle",
        b"",
    ],
)
def test_everything_else_is_refused(text, capsys):
    with pytest.raises(DataError):
        load_foreign(io.BytesIO(text))
    assert capsys.readouterr().out == ""


def test_it_stands_beside_theanos_loader(installed):
    from theano.misc import pkl_utils

    assert pkl_utils.load_foreign is load_foreign
