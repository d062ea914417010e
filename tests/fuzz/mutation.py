"""Inputs made of good ones: bytes that are bent, JSON in which anything may stand anywhere."""

from __future__ import annotations

import copy
import json
import random
import re
from collections.abc import Callable, Sequence
from typing import Any

_LENGTHS = (1, 1, 1, 2, 3, 8, 40, 300)
_NUMBERS = (b"0", b"-1", b"1", b"255", b"65536", b"4294967296", b"9223372036854775807", b"1e999")
_NUMBERS += (b"9" * 30, b"9" * 5000, b"0x1f", b"00000000001", b" 7", "٣".encode(), b"NaN")
_WORDS = (b"\0", b"\xff\xfe", b"\r\n", b"%00", b"../", b"//", b"\\", b'"', b"'", b"{}", b"[]")
_WORDS += ("é".encode(), "\u202e".encode(), "\U0001f600".encode(), b"\xed\xa0\x80", b"\x1b[2J")
_DIGITS = re.compile(rb"\d+")
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, 10**400, 0.5, -0.0, 1e308),
    *(float("nan"), float("inf"), "", "x", "0", " ", "\0", "\ud800", "é", "../../etc/passwd"),
    *("a" * 5000, "sha256:", "sha256:" + "0" * 64, "sha512:" + "f" * 128, "SHA256:" + "A" * 64),
    *([], {}, [[]], {"": ""}, [None], [0] * 300),
)


class Mutator:
    """Bends `seeds` by chance; the same `number` gives the same inputs."""

    def __init__(
        self, seeds: Sequence[bytes], words: Sequence[bytes] = (), number: int = 0
    ) -> None:
        self.chance = random.Random(number)
        self._seeds = seeds
        self._words = (*_WORDS, *words)

    def __call__(self) -> bytes:
        """The next input."""
        chance = self.chance
        data = bytearray(chance.choice(self._seeds))
        for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 6))):
            chance.choice(self._WAYS)(self, data)
        return bytes(data)

    def _flip(self, data: bytearray) -> None:
        if data:
            data[self._place(data)] ^= 1 << self.chance.randrange(8)

    def _replace(self, data: bytearray) -> None:
        if data:
            data[self._place(data)] = self.chance.randrange(256)

    def _delete(self, data: bytearray) -> None:
        begin = self._place(data)
        del data[begin : begin + self.chance.choice(_LENGTHS)]

    def _repeat(self, data: bytearray) -> None:
        begin = self._place(data)
        piece = data[begin : begin + self.chance.choice(_LENGTHS)]
        data[begin:begin] = piece * self.chance.choice((1, 2, 50))

    def _insert(self, data: bytearray) -> None:
        begin = self._place(data)
        data[begin:begin] = self.chance.choice(self._words)

    def _cut(self, data: bytearray) -> None:
        del data[self._place(data) :]

    def _number(self, data: bytearray) -> None:
        found = list(_DIGITS.finditer(data))
        if found:
            begin, end = self.chance.choice(found).span()
            data[begin:end] = self.chance.choice(_NUMBERS)

    def _splice(self, data: bytearray) -> None:
        other = self.chance.choice(self._seeds)
        begin = self._place(data)
        data[begin:] = other[self._place(other) :]

    def _place(self, data: bytes | bytearray) -> int:
        return self.chance.randrange(len(data)) if data else 0

    _WAYS: Sequence[Callable[[Mutator, bytearray], None]] = (
        *(_flip, _replace, _delete, _repeat, _insert, _insert, _cut, _number, _splice),
    )


class JsonMutator:
    """Bends documents: what stands somewhere is another thing, is missing, is there twice."""

    def __init__(self, seeds: Sequence[Any], number: int = 0) -> None:
        self.chance = random.Random(number)
        self._seeds = seeds
        self._bytes = Mutator([json.dumps(seed).encode() for seed in seeds], number=number)

    def __call__(self) -> bytes:
        """The next document; now and then one whose bytes are bent as well."""
        if self.chance.random() < 0.2:
            return self._bytes()
        return encoded(self.value())

    def value(self) -> Any:
        """The next document, not encoded."""
        chance = self.chance
        document = copy.deepcopy(chance.choice(self._seeds))
        for _ in range(chance.choice((1, 1, 2, 4))):
            document = self.bent(document)
        return document

    def bent(self, document: Any) -> Any:
        """`document` with one thing changed, in place where that is possible."""
        holders = [one for one in _nodes(document) if isinstance(one, dict | list) and one]
        if not holders or self.chance.random() < 0.02:
            return self._odd()
        self._change(self.chance.choice(holders), document)
        return document

    def _change(self, holder: dict[str, Any] | list[Any], document: Any) -> None:
        chance = self.chance
        key: Any
        if isinstance(holder, dict):
            key = chance.choice(list(holder))
        else:
            key = chance.randrange(len(holder))
        way = chance.randrange(6)
        if way == 0:
            del holder[key]
        elif way == 1 and isinstance(holder, list):
            holder.extend([holder[key]] * chance.choice((1, 2, 40)))
        elif way == 1 and isinstance(holder, dict):
            holder[chance.choice(("", "mediaType", "digest", "size", "errors"))] = holder[key]
        elif way == 2:
            holder[key] = copy.deepcopy(chance.choice(list(_nodes(document))))
        elif way == 3 and isinstance(holder[key], str):
            text = holder[key].encode("utf-8", "surrogatepass")
            bent = Mutator([text], number=chance.randrange(2**32))()
            holder[key] = bent.decode("utf-8", "surrogateescape")
        else:
            holder[key] = self._odd()

    def _odd(self) -> Any:
        chance = self.chance
        if chance.random() < 0.05:
            deep: Any = []
            for _ in range(chance.choice((10, 100))):
                deep = [deep] if chance.random() < 0.5 else {"x": deep}
            return deep
        return copy.deepcopy(chance.choice(VALUES))


def encoded(value: Any) -> bytes:
    """JSON, also of what is none."""
    return json.dumps(value, ensure_ascii=True).encode()


def _nodes(document: Any) -> list[Any]:
    found, waiting = [], [document]
    while waiting and len(found) < 2000:
        node = waiting.pop()
        found.append(node)
        if isinstance(node, dict):
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node
    return found
