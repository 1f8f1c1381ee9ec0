"""LLVM modules to machine code in memory: optimise with a short pass list, emit an object, link it, hand out addresses.

    engine = host_engine()
    library = engine.load(module, exports=["kernel"])
    library.address("kernel")

Every module becomes a :class:`Library` of its own, which owns its machine code: when the last reference to it goes,
the code goes. Names that a module only declares are taken from ``symbols`` first, then from the process (libm, libc).
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

import llvmlite
import llvmlite.binding as llvm
from llvmlite import ir

from tinygraph.errors import InvalidValue, TinygraphError
from tinygraph.targets.llvm.cache import ObjectCache, content_key

__all__ = ["CodeError", "Engine", "Library", "Target", "host_engine", "host_target"]

Source: TypeAlias = "ir.Module | str"

# What generated loops gain from. LLVM's own O1 to O3 take 5 to 20 times as long on them and gain nothing: unrolling,
# vectors and fused operations are printed as they are wanted.
PASSES = (
    "add_sroa_pass",
    "add_instruction_combine_pass",
    "add_simplify_cfg_pass",
    "add_loop_simplify_pass",
    "add_new_gvn_pass",
    "add_instruction_combine_pass",
    "add_dead_code_elimination_pass",
)


class CodeError(TinygraphError, RuntimeError):
    """LLVM refused a module, or a symbol is missing while linking."""


@dataclass(frozen=True)
class Target:
    """The processor that code is made for."""

    triple: str
    cpu: str
    features: str

    @property
    def vector_bits(self) -> int:
        """Width of the widest vector registers worth using."""
        have = set(self.features.split(","))
        if self.triple.startswith(("x86_64", "i686", "amd64")):
            return 512 if "+avx512f" in have else 256 if "+avx" in have else 128
        return 128

    def machine(self) -> Any:
        """A new LLVM target machine for it."""
        _initialize()
        try:
            target = llvm.Target.from_triple(self.triple)
        except RuntimeError as error:
            raise CodeError(f"llvm: no code generator for {self.triple}: {error}") from None
        return target.create_target_machine(cpu=self.cpu, features=self.features, opt=2, jit=True)


@cache
def _initialize() -> None:
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    llvm.initialize_native_asmparser()


@cache
def host_target() -> Target:
    """The processor this runs on."""
    return Target(llvm.get_process_triple(), llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten())


class Library:
    """The machine code of one module. Addresses are good only as long as this object lives."""

    def __init__(self, engine: Engine, tracker: Any, exports: Sequence[str], ir: Callable[[], str], cached: bool):
        self._engine = engine
        self._tracker = tracker
        self._addresses = {name: tracker[name] for name in exports}
        self._ir = ir
        self.from_cache = cached

    def address(self, name: str) -> int:
        """The address of an exported function or global. Raises InvalidValue for a name that was not exported."""
        try:
            return self._addresses[name]
        except KeyError:
            raise InvalidValue(f"llvm: expected one of {sorted(self._addresses)}, got {name!r}") from None

    def ir_text(self, optimized: bool = False) -> str:
        """The module as LLVM IR, as it was printed or as the passes left it."""
        text = self._ir()
        return str(self._engine.optimize(text)) if optimized else text

    def asm_text(self) -> str:
        """The machine code as assembly."""
        return self._engine.assembly(self._ir())


class Engine:
    """Compiles for one target and links into this process.

    ``cache`` keeps object code between processes; ``symbols`` are addresses of functions and globals, by the name a
    module declares them under.
    """

    def __init__(
        self, target: Target | None = None, cache: ObjectCache | None = None, symbols: Mapping[str, int] | None = None
    ) -> None:
        self.target = target or host_target()
        self.cache = cache
        self.symbols = dict(symbols or {})
        self._machine = self.target.machine()
        self._jit: Any = None
        self._jit_lock = threading.Lock()
        self._names = itertools.count()

    # ------------------------------------------------------------------ from source to object

    def parse(self, source: Source) -> Any:
        """A verified LLVM module. Raises CodeError with LLVM's message."""
        try:
            module = llvm.parse_assembly(str(source))
            module.verify()
        except RuntimeError as error:
            raise CodeError(f"llvm: the module is not valid: {error}") from None
        module.triple = self.target.triple
        module.data_layout = str(self._machine.target_data)
        return module

    def optimize(self, source: Source) -> Any:
        """The parsed module after the pass list."""
        module = self.parse(source)
        tuning = llvm.create_pipeline_tuning_options(speed_level=2)
        builder = llvm.create_pass_builder(self._machine, tuning)
        passes = llvm.create_new_module_pass_manager()
        for name in PASSES:
            getattr(passes, name)()
        passes.run(module, builder)
        return module

    def compile(self, source: Source) -> bytes:
        """Object code."""
        return self._machine.emit_object(self.optimize(source))

    def assembly(self, source: Source) -> str:
        return self._machine.emit_assembly(self.optimize(source))

    # ------------------------------------------------------------------ from object to addresses

    def load(
        self, source: Source | Callable[[], Source], exports: Sequence[str], key: object = None
    ) -> Library:
        """Compile, or take from the cache, and link.

        ``key`` names the code's content and lets a hit skip even printing the module, if ``source`` is a function;
        without it the module's text is the key. The key must tell apart all that would be compiled differently; the
        target and the versions of LLVM and of the pass list are added to it here.
        Raises CodeError if the module is invalid or needs a symbol that nothing provides.
        """
        build = source if callable(source) else (lambda: source)
        text: str | None = None

        def ir_text() -> str:
            nonlocal text
            if text is None:
                text = str(build())
            return text

        if self.cache is None:
            return Library(self, self._link(self.compile(ir_text()), exports), exports, ir_text, cached=False)
        name = self._cache_key(ir_text() if key is None else key)
        stored = self.cache.get(name)
        if stored is not None:
            return Library(self, self._link(stored, exports), exports, ir_text, cached=True)
        begin = time.perf_counter()
        code = self.compile(ir_text())
        self.cache.put(name, code, time.perf_counter() - begin)
        return Library(self, self._link(code, exports), exports, ir_text, cached=False)

    def _cache_key(self, key: object) -> str:
        versions = (llvm.llvm_version_info, llvmlite.__version__, PASSES)
        return content_key(self.target, versions, key)

    def _link(self, code: bytes, exports: Sequence[str]) -> Any:
        with self._jit_lock:
            if self._jit is None:
                self._jit = llvm.create_lljit_compiler(self.target.machine(), suppress_errors=True)
        builder = llvm.JITLibraryBuilder().add_object_img(code).add_current_process()
        for name, address in self.symbols.items():
            builder.import_symbol(name, address)
        for name in exports:
            builder.export_symbol(name)
        try:
            return builder.link(self._jit, f"tinygraph.{next(self._names)}")
        except RuntimeError as error:
            raise CodeError(f"llvm: cannot link {', '.join(exports)}: {error}") from None


@cache
def host_engine() -> Engine:
    """The engine of this process, without a cache and without symbols."""
    return Engine()
