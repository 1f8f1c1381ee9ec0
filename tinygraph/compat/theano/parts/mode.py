"""``theano.Mode``: tinygraph's, made by Theano's arguments, with settings that can be assigned."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygraph.compat.theano.parts.configuration import optimizer_named
from tinygraph.compat.theano.parts.optdb import Query, native_tags, rewriter_of
from tinygraph.compile import mode as native
from tinygraph.graph import FunctionGraph
from tinygraph.passes.rewrite import Query as NativeQuery

__all__ = ["FAST_COMPILE", "FAST_RUN", "Mode", "get_default_mode", "get_mode", "predefined_modes", "register_mode"]


class Mode(native.Mode):
    """``Mode(linker, optimizer)``. The linker is kept and has no effect: ``config.target`` says how functions run.

    ``optimizer``: one of tinygraph's or Theano's names ("default" and None are the configured one); a ``Query``, which
    chooses among registered rewrites; or an object with ``optimize(fgraph)``, which runs in place of them.
    """

    #: what rewrites graphs in place of the registered rewrites
    rewriter: Callable[[FunctionGraph], Any] | None

    def __init__(self, linker: Any = None, optimizer: Any = "default", target: str = "", include: tuple = (),
                 exclude: tuple = (), require: tuple = ()):  # fmt: skip
        if isinstance(linker, str) and linker in native.OPTIMIZERS and optimizer == "default":
            linker, optimizer = None, linker
        own = None
        if isinstance(optimizer, Query):
            optimizer = optimizer.native()
        elif optimizer is not None and not isinstance(optimizer, (str, NativeQuery)):
            own, optimizer = optimizer, "none"
        named = "fast_run" if isinstance(optimizer, NativeQuery) else optimizer_named(optimizer)
        super().__init__(named, target, *(native_tags(t) for t in (include, exclude, require)))
        if isinstance(optimizer, NativeQuery):
            self.optimizer: Any = optimizer
        self.linker, self.provided_optimizer = linker, own if own is not None else self.optimizer
        self.rewriter = None if own is None else rewriter_of(own)

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def _with(self, part: str, tags: tuple[str, ...]) -> Mode:
        """A copy with ``tags`` added to ``include``, ``exclude`` or ``require``."""
        made = self.clone()
        if isinstance(made.optimizer, NativeQuery):
            chosen = {k: getattr(made.optimizer, k) for k in ("include", "exclude", "require")}
            chosen[part] = (*chosen[part], *native_tags(tags))
            made.optimizer = NativeQuery(**chosen)
        else:
            setattr(made, part, (*getattr(made, part), *native_tags(tags)))
        return made

    def including(self, *tags: str) -> Mode:
        return self._with("include", tags)

    def excluding(self, *tags: str) -> Mode:
        return self._with("exclude", tags)

    def requiring(self, *tags: str) -> Mode:
        return self._with("require", tags)

    def clone(self, link_kwargs: Any = None, optimizer: Any = "", **kwargs: Any) -> Mode:
        """A copy, with another optimizer if one is given."""
        return Mode(self.linker, optimizer or self.provided_optimizer, self.target, self.include, self.exclude,
                    self.require)  # fmt: skip


def _ours(mode: Any) -> Any:
    """A plain native mode as one of this module's; others (DebugMode and its like) as they are."""
    if type(mode) is not native.Mode:
        return mode
    return Mode(None, mode.optimizer, mode.target, mode.include, mode.exclude, mode.require)


def get_mode(mode: Any = None) -> Any:
    """The mode that ``mode`` names."""
    return _ours(native.get_mode(mode))


def get_default_mode() -> Any:
    """The configured mode."""
    return get_mode(None)


register_mode = native.register_mode
FAST_RUN, FAST_COMPILE = Mode(None, "fast_run"), Mode(None, "fast_compile")
predefined_modes = {"FAST_RUN": FAST_RUN, "FAST_COMPILE": FAST_COMPILE, "NONE": Mode(None, "none")}
OPT_FAST_RUN, OPT_FAST_COMPILE = Query(include=["fast_run"]), Query(include=["fast_compile"])
predefined_optimizers = {"fast_run": OPT_FAST_RUN, "fast_compile": OPT_FAST_COMPILE}
predefined_linkers = dict.fromkeys(("py", "c", "c|py", "c&py", "vm", "cvm", "vm_nogc", "cvm_nogc"))
