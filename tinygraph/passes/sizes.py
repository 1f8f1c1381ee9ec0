"""Symbolic integers: polynomials over sizes, in one normal form, so that equal sizes are the same object.

``Op.infer`` and ``Op.host`` run on them (see ``graph.dims``). A ``Size`` is a sum of products of *atoms* with integer
coefficients; an atom is a leaf (a dimension or integer value of some variable) or an operation that is no polynomial
(floor division, max, broadcast ...). All are interned in an ``Arena``: comparing is ``is``. A result that is a plain
number is a Python int.
"""

from __future__ import annotations

from typing import Any

from tinygraph.graph.dims import UNKNOWN, UnknownDim

Term = tuple["Atom", ...]  # a product, atoms in order of their serial numbers

#: sizes made of more atoms than this are not followed
_WEIGHT = 24


class Atom:
    """What a polynomial is made of: ``kind`` and arguments. Interned by an Arena."""

    __slots__ = ("args", "kind", "nonneg", "serial", "weight")

    def __init__(self, kind: str, args: tuple, nonneg: bool, serial: int):
        self.kind = kind
        self.args = args
        self.nonneg = nonneg
        self.serial = serial
        self.weight = 1 + sum(a.weight for a in args if isinstance(a, Size))

    def __repr__(self) -> str:
        if self.kind in ("dim", "value"):
            return f"{self.args[0]}" + (f".shape[{self.args[1]}]" if self.kind == "dim" else "")
        return f"{self.kind}({', '.join(map(str, self.args))})"


class Size:
    """A symbolic integer; arithmetic gives a Size or, where all cancels, an int."""

    __slots__ = ("arena", "nonneg", "serial", "terms", "weight")

    def __init__(self, arena: Arena, terms: tuple[tuple[Term, int], ...], serial: int):
        self.arena = arena
        self.terms = terms
        self.serial = serial
        self.nonneg = all(c >= 0 and all(a.nonneg for a in t) for t, c in terms)
        self.weight = sum(a.weight for t, _ in terms for a in t)

    # -- polynomial arithmetic ------------------------------------------------------------------------------------

    def __add__(self, other: Any) -> Any:
        if isinstance(other, UnknownDim):
            return UNKNOWN
        sums = dict(self.terms)
        for t, c in _terms(other):
            sums[t] = sums.get(t, 0) + c
        return self.arena.polynomial(sums)

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, UnknownDim):
            return UNKNOWN
        products: dict[Term, int] = {}
        for t, c in self.terms:
            for u, d in _terms(other):
                key = tuple(sorted(t + u, key=_serial))
                products[key] = products.get(key, 0) + c * d
        return self.arena.polynomial(products)

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self) -> Any:
        return self * -1

    def __sub__(self, other: Any) -> Any:
        return self + (other * -1)

    def __rsub__(self, other: Any) -> Any:
        return -self + other

    # -- the rest -------------------------------------------------------------------------------------------------

    def __floordiv__(self, other: Any) -> Any:
        return self.arena.floordiv(self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return self.arena.floordiv(other, self)

    def __mod__(self, other: Any) -> Any:
        return 0 if other is self or other == 1 else self.arena.atom("mod", self, other)

    def __rmod__(self, other: Any) -> Any:
        return self.arena.atom("mod", other, self)

    def __abs__(self) -> Any:
        return self.arena.extremum("maximum", self, -self)

    def __lt__(self, other: Any) -> Any:
        return self.arena.compare("lt", self, other)

    def __le__(self, other: Any) -> Any:
        return self.arena.compare("le", self, other)

    def __gt__(self, other: Any) -> Any:
        return self.arena.compare("gt", self, other)

    def __ge__(self, other: Any) -> Any:
        return self.arena.compare("ge", self, other)

    def dim_eq(self, other: Any) -> Any:
        return self.arena.compare("eq", self, other)

    def dim_max(self, other: Any) -> Any:
        return self.arena.extremum("maximum", self, other)

    def dim_min(self, other: Any) -> Any:
        return self.arena.extremum("minimum", self, other)

    def dim_select(self, a: Any, b: Any) -> Any:
        return self.arena.select(self, a, b)

    @property
    def only_atom(self) -> Atom | None:
        """The atom that this size is, if it is one."""
        if len(self.terms) == 1 and self.terms[0][1] == 1 and len(self.terms[0][0]) == 1:
            return self.terms[0][0][0]
        return None

    def __repr__(self) -> str:
        parts = [" * ".join([str(c)] * (c != 1 or not t) + [str(a) for a in t]) for t, c in self.terms]
        return " + ".join(parts)


def _serial(a: Any) -> int:
    return a.serial


def _terms(x: Any) -> tuple[tuple[Term, int], ...]:
    return x.terms if isinstance(x, Size) else ((((), int(x)),) if x else ())


class Arena:
    """Where the sizes of one graph are interned."""

    def __init__(self) -> None:
        self._atoms: dict[Any, Atom] = {}
        self._sizes: dict[Any, Size] = {}

    def leaf(self, kind: str, *args: Any, nonneg: bool) -> Size:
        """A size that stands for itself: ("dim", variable, axis) or ("value", variable[, position])."""
        return self._of(self._intern(kind, args, nonneg))

    def _intern(self, kind: str, args: tuple, nonneg: bool) -> Atom:
        key = (kind, *(a if isinstance(a, int) else id(a) for a in args))
        found = self._atoms.get(key)
        if found is None:
            found = self._atoms[key] = Atom(kind, args, nonneg, len(self._atoms))
        return found

    def _of(self, atom: Atom) -> Size:
        return self.polynomial({(atom,): 1})

    def polynomial(self, sums: dict[Term, int]) -> Any:
        """The Size, or int, of a sum of products."""
        terms = {t: c for t, c in sums.items() if c}
        if not terms or (len(terms) == 1 and () in terms):
            return terms.get((), 0)
        items = tuple(sorted(terms.items(), key=_term_order))
        found = self._sizes.get(items)
        if found is None:
            found = self._sizes[items] = Size(self, items, len(self._sizes))
        return found

    def atom(self, kind: str, *args: Any) -> Any:
        """An operation that no rule simplified, UNKNOWN if an operand is or if it grows too large."""
        if any(isinstance(a, UnknownDim) for a in args):
            return UNKNOWN
        nonneg = kind in ("eq", "lt", "le", "gt", "ge", "bcast") or (
            kind == "maximum" and any(_nonneg(a) for a in args)) or (
            kind in ("minimum", "floordiv") and all(_nonneg(a) for a in args)) or (
            kind == "mod" and _nonneg(args[1])) or (kind == "select" and all(_nonneg(a) for a in args[1:]))  # fmt: skip
        made = self._intern(kind, args, nonneg)
        return UNKNOWN if made.weight > _WEIGHT else self._of(made)

    def floordiv(self, a: Any, b: Any) -> Any:
        """``a // b``, divided out where each term of ``a`` is a multiple of a one-term ``b``."""
        if isinstance(a, UnknownDim) or isinstance(b, UnknownDim):
            return UNKNOWN
        if isinstance(b, int) and b == 1:
            return a
        if isinstance(a, int) and a == 0:
            return 0
        divisor = _terms(b)
        if len(divisor) == 1 and divisor[0][1]:
            (t, c), quotient = divisor[0], {}
            for u, d in _terms(a):
                rest = _without(u, t)
                if rest is None or d % c:
                    break
                quotient[rest] = d // c
            else:
                return self.polynomial(quotient)
        return self.atom("floordiv", a, b)

    def compare(self, kind: str, a: Any, b: Any) -> Any:
        if isinstance(a, UnknownDim) or isinstance(b, UnknownDim):
            return UNKNOWN
        d = a - b
        if isinstance(d, int):
            return {"eq": d == 0, "lt": d < 0, "le": d <= 0, "gt": d > 0, "ge": d >= 0}[kind]
        positive = d.nonneg and any(t == () for t, _ in d.terms)  # a constant above 0 is part of the sum
        negative = (-d).nonneg and any(t == () for t, _ in d.terms)
        if kind in ("eq", "gt", "ge") and (positive or (kind == "ge" and d.nonneg)):
            return kind != "eq"
        if kind in ("eq", "lt", "le") and (negative or (kind == "le" and (-d).nonneg)):
            return kind != "eq"
        if kind == "lt" and d.nonneg or kind == "gt" and (-d).nonneg:
            return False
        if kind == "ge" and negative or kind == "le" and positive:
            return False
        return self.atom(kind, a, b)

    def extremum(self, kind: str, a: Any, b: Any) -> Any:
        if isinstance(a, UnknownDim) or isinstance(b, UnknownDim):
            return UNKNOWN
        d = a - b
        if _nonneg(d):
            return a if kind == "maximum" else b
        if _nonneg(d * -1):
            return b if kind == "maximum" else a
        above = self.positive_part(d)
        return UNKNOWN if above is UNKNOWN else b + above if kind == "maximum" else a - above

    def positive_part(self, d: Any) -> Any:
        """``max(d, 0)``, in terms of which every maximum and minimum is written: so x[1:] and x[:-1] agree."""
        if isinstance(d, int) or _nonneg(d):
            return max(d, 0) if isinstance(d, int) else d
        if d.terms[-1][1] < 0:  # max(-d, 0) is max(d, 0) - d
            other = self.positive_part(-d)
            return UNKNOWN if other is UNKNOWN else other + d
        inner, c = _clipped_less(d)
        if inner is not None:  # max(max(e, 0) - c, 0) is max(e - c, 0) for c >= 0
            return self.positive_part(inner - c)
        return self.atom("maximum", d, 0)

    def select(self, cond: Any, a: Any, b: Any) -> Any:
        if a is b:
            return a
        if isinstance(a, UnknownDim) or isinstance(b, UnknownDim):
            return UNKNOWN
        atom = cond.only_atom
        # NumPy's broadcast, "a if b == 1 else b": as sizes that fit, it is a symmetric join of both
        if atom is not None and atom.kind == "eq" and 1 in atom.args:
            other = atom.args[0] if atom.args[1] == 1 else atom.args[1]
            if other is b:
                return self.broadcast(a, b)
        return self.atom("select", cond, a, b)

    def broadcast(self, *sizes: Any) -> Any:
        """What dimensions that are known to fit broadcast to: symmetric, and of equal ones just one."""
        found: dict[int, Any] = {}
        for s in sizes:
            if isinstance(s, int):
                if s != 1:
                    return s
                continue
            atom = s.only_atom
            for part in atom.args if atom is not None and atom.kind == "bcast" else (s,):
                found[part.serial] = part
        parts = [found[k] for k in sorted(found)]
        if len(parts) <= 1:
            return parts[0] if parts else 1
        return self.atom("bcast", *parts)


def _term_order(item: tuple[Term, int]) -> tuple:
    return tuple(a.serial for a in item[0])


def _without(u: Term, t: Term) -> Term | None:
    rest = list(u)
    for a in t:
        if a not in rest:
            return None
        rest.remove(a)
    return tuple(rest)


def _clipped_less(d: Size) -> tuple[Any, int]:
    """``(e, c)`` if ``d`` is max(e, 0) - c with a number c >= 0, else (None, 0)."""
    terms = dict(d.terms)
    c = -terms.pop((), 0)
    if len(terms) == 1 and c >= 0:
        ((atoms, factor),) = terms.items()
        if factor == 1 and len(atoms) == 1 and atoms[0].kind == "maximum" and atoms[0].args[1] == 0:
            return atoms[0].args[0], c
    return None, 0


def _nonneg(x: Any) -> bool:
    """Whether ``x`` is proven to be at least 0."""
    if isinstance(x, int) or x.nonneg:
        return x >= 0 if isinstance(x, int) else True
    for atoms, c in x.terms:
        if c == -1 and len(atoms) == 1 and atoms[0].kind == "maximum" and atoms[0].args[1] == 0:
            rest = x + x.arena.polynomial({atoms: 1})  # r - max(e, 0) >= 0 where r >= 0 and r >= e
            below = rest - atoms[0].args[0]
            return _plainly_nonneg(rest) and _plainly_nonneg(below)
    return False


def _plainly_nonneg(x: Any) -> bool:
    return x >= 0 if isinstance(x, int) else x.nonneg


def leaves(size: Size) -> list[Atom]:
    """The leaves that ``size`` is computed from."""
    out: dict[Atom, None] = {}
    stack: list[Any] = [size]
    while stack:
        s = stack.pop()
        for t, _ in s.terms:
            for a in t:
                if a.kind in ("dim", "value"):
                    out[a] = None
                else:
                    stack.extend(x for x in a.args if isinstance(x, Size))
    return list(out)
