"""``theano.Mode``: tinygraph's, made by Theano's arguments, with settings that can be assigned."""

from __future__ import annotations

from typing import Any

from tinygraph.compat.theano.parts.absent import NotInTinygraph
from tinygraph.compat.theano.parts.configuration import optimizer_named
from tinygraph.compile import mode as native

__all__ = ["FAST_COMPILE", "FAST_RUN", "Mode", "get_default_mode", "get_mode", "predefined_modes", "register_mode"]


class Mode(native.Mode):
    """``Mode(linker, optimizer)``. The linker is kept and has no effect: ``config.target`` says how functions run.

    ``optimizer``: one of tinygraph's or Theano's names; "default" and None are the configured one.
    """

    def __init__(self, linker: Any = None, optimizer: Any = "default", target: str = "", include: tuple = (),
                 exclude: tuple = (), require: tuple = ()):  # fmt: skip
        if linker in native.OPTIMIZERS and optimizer == "default":
            linker, optimizer = None, linker
        if optimizer is not None and not isinstance(optimizer, str):
            raise NotInTinygraph(
                f"theano's Mode takes no optimizer object, got {optimizer!r}; name one, and register rewrites of "
                "your own with theano.tensor.opt.register_specialize and its kin"
            )
        super().__init__(optimizer_named(optimizer), target, tuple(include), tuple(exclude), tuple(require))
        self.linker = linker

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    @property
    def provided_optimizer(self) -> str:
        """The optimizer's name."""
        return self.optimizer

    def clone(self, link_kwargs: Any = None, optimizer: Any = "", **kwargs: Any) -> Mode:
        """A copy, with another optimizer if one is named."""
        return Mode(self.linker, optimizer or self.optimizer, self.target, self.include, self.exclude, self.require)


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
