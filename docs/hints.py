"""Every hint that the program can print, read from the code: `troubleshooting.md` must explain each.

A hint is what goes to a parameter called `hint`, what is given a name that says so, what a function
with such a name returns, and what stands beside the class of an error in a pair.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import idpbuilder
from idpbuilder import errors

GAP = "…"
"""Stands for a value within a hint."""
_NAMED = ("hint", "hints")
_FIELD = re.compile(r"\{[a-z]+\}")
_Function = ast.FunctionDef | ast.Module


@dataclass(frozen=True, slots=True)
class Hint:
    """As it is printed, and the first line of the code that says it, `file:line`."""

    text: str
    where: str


def hints() -> list[Hint]:
    """Each text once, in the order of the files."""
    source = Path(idpbuilder.__file__).parent
    paths = sorted(source.rglob("*.py"))
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in paths}
    code = _Code(tuple(trees.values()))
    found: dict[str, Hint] = {}
    for path, tree in trees.items():
        for node, scope in _scoped(tree, (tree,)):
            for text in code.hints_at(node, scope):
                where = f"{path.relative_to(source)}:{getattr(node, 'lineno', 0)}"
                found.setdefault(text, Hint(text, where))
    return list(found.values())


@dataclass(frozen=True)
class _Code:
    """All modules, by which a name in one of them is looked up."""

    trees: tuple[ast.Module, ...]

    @cached_property
    def constants(self) -> Mapping[str, ast.expr]:
        """What the names of modules are given; those of two modules differ, or say the same."""
        return {name: value for tree in self.trees for name, value in _assigned(tree.body)}

    @cached_property
    def positions(self) -> Mapping[str, int]:
        """Where functions and classes take a `hint`, not counting `self`."""
        found = dict.fromkeys(_error_names(), 2)
        for node in (node for tree in self.trees for node in ast.walk(tree)):
            if isinstance(node, ast.FunctionDef) and node.name != "__init__":
                place = _position(node)
            elif isinstance(node, ast.ClassDef):
                starts = [one for one in node.body if isinstance(one, ast.FunctionDef)]
                own = [_position(one) for one in starts if one.name == "__init__"]
                place = next(iter(own or [found.get(_name(base)) for base in node.bases]), None)
            else:
                continue
            if place is not None:
                found[node.name] = place
        return found

    def hints_at(self, node: ast.AST, scope: tuple[_Function, ...]) -> Iterator[str]:
        """The hints that a node of the syntax tree within `scope` gives."""
        for given in self._given(node):
            for text in self._texts(given, scope):
                if text.strip(f"{GAP} "):
                    yield _FIELD.sub(GAP, text)

    def _given(self, node: ast.AST) -> Iterator[ast.expr]:
        if isinstance(node, ast.Call):
            yield from (one.value for one in node.keywords if one.arg == "hint")
            position = self.positions.get(_name(node.func))
            if position is not None and len(node.args) > position:
                yield node.args[position]
        elif isinstance(node, ast.FunctionDef):
            if _says_hint(node.name):
                returned = [one for one in ast.walk(node) if isinstance(one, ast.Return)]
                yield from (one.value for one in returned if one.value is not None)
            yield from _beside_hints(node)
            names = [one.arg for one in node.args.args]
            defaults = node.args.defaults
            both = zip(names[len(names) - len(defaults) :], defaults, strict=True)
            yield from (value for name, value in both if name == "hint")
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            yield from (value for name, value in _assigned([node]) if _says_hint(name))
        elif isinstance(node, ast.Tuple) and _is_pair(node):
            yield node.elts[1]

    def _texts(self, value: ast.expr, scope: tuple[_Function, ...]) -> list[str]:
        """What an expression may come to."""
        match value:
            case ast.Constant(value=str(text)):
                return [text]
            case ast.JoinedStr(values=parts):
                return self._joined(parts, scope)
            case ast.FormattedValue(value=inner):
                return self._texts(inner, scope) or [GAP]
            case ast.BinOp(left=left, right=right, op=ast.Add()):
                return self._joined([left, right], scope)
            case ast.IfExp(body=one, orelse=other):
                return [*self._texts(one, scope), *self._texts(other, scope)]
            case ast.BoolOp(values=many) | ast.List(elts=many) | ast.Dict(values=many):
                return [text for one in many for text in self._texts(one, scope)]
            case ast.Call(func=ast.Attribute(attr="format", value=inner)):
                return self._texts(inner, scope)
            case ast.Name(id=name):
                return self._named(name, scope)
        return []

    def _joined(self, parts: Iterable[ast.expr], scope: tuple[_Function, ...]) -> list[str]:
        texts = [""]
        for part in parts:
            ends = self._texts(part, scope) or [GAP]
            texts = [text + end for text in texts for end in ends]
        return texts

    def _named(self, name: str, scope: tuple[_Function, ...]) -> list[str]:
        for depth in range(len(scope) - 1, -1, -1):
            values = [value for found, value in _within(scope[depth]) if found == name]
            if values:
                return [text for value in values for text in self._texts(value, scope[:depth])]
        constant = self.constants.get(name)
        return self._texts(constant, ()) if constant is not None else []


def _scoped(
    node: ast.AST, scope: tuple[_Function, ...]
) -> Iterator[tuple[ast.AST, tuple[_Function, ...]]]:
    """All nodes below `node`, each with the functions that it is in."""
    for child in ast.iter_child_nodes(node):
        inner = (*scope, child) if isinstance(child, ast.FunctionDef) else scope
        yield child, inner
        yield from _scoped(child, inner)


def _within(scope: _Function) -> list[tuple[str, ast.expr]]:
    return list(_assigned(scope.body if isinstance(scope, ast.Module) else ast.walk(scope)))


def _assigned(nodes: Iterable[ast.AST]) -> Iterator[tuple[str, ast.expr]]:
    for node in nodes:
        if isinstance(node, ast.Assign):
            yield from ((_name(target), node.value) for target in node.targets)
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            yield _name(node.target), node.value


def _beside_hints(function: ast.FunctionDef) -> Iterator[ast.expr]:
    """Where one `return` of several gives a `hint` in some place, what all give in that place."""
    values = [one.value for one in ast.walk(function) if isinstance(one, ast.Return)]
    pairs = [value.elts for value in values if isinstance(value, ast.Tuple)]
    places = {at for pair in pairs for at, one in enumerate(pair) if _says_hint(_name(one))}
    return (pair[at] for pair in pairs for at in places if at < len(pair))


def _is_pair(node: ast.Tuple) -> bool:
    return len(node.elts) == 2 and _name(node.elts[0]) in _error_names()


def _position(function: ast.FunctionDef) -> int | None:
    names = [one.arg for one in function.args.args if one.arg not in ("self", "cls")]
    return names.index("hint") if "hint" in names else None


def _error_names() -> frozenset[str]:
    return frozenset(
        name
        for name, found in vars(errors).items()
        if isinstance(found, type) and issubclass(found, errors.PushError)
    )


def _says_hint(name: str) -> bool:
    return name.lower().rpartition("_")[2] in _NAMED


def _name(node: ast.AST) -> str:
    """Of a name, an attribute or a function."""
    return str(
        next((getattr(node, key) for key in ("id", "attr", "name") if hasattr(node, key)), "")
    )


if __name__ == "__main__":
    for hint in hints():
        print(f"{hint.where}: {hint.text}")
