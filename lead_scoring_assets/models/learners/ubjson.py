"""Reads universal binary JSON (ubjson.org, draft 12) as XGBoost writes it, without importing XGBoost."""

import struct
from typing import Any

import numpy as np

# All numbers are big-endian. A typed array becomes a NumPy array; a model holds thousands of single numbers, which would cost
# more as such than all else.
_FORMATS = {"i": ">b", "U": ">B", "I": ">h", "l": ">i", "L": ">q", "d": ">f", "D": ">d"}
_NUMBERS = {ord(marker): struct.Struct(told) for marker, told in _FORMATS.items()}
_ARRAYS = {ord(marker): np.dtype(told) for marker, told in _FORMATS.items()}
_COUNTS = {ord(marker): _NUMBERS[ord(marker)] for marker in "iUIlL"}
_WORDS = {ord("Z"): None, ord("T"): True, ord("F"): False}
_TEXT, _ARRAY, _END_OF_ARRAY, _OBJECT, _TYPE, _COUNT = b"S[]{$#"


def read(content: bytes) -> Any:
    """The value that `content` holds. Arrays of numbers are views of it, big-endian as they are.

    Raises:
        ValueError: it is cut off, or is no universal binary JSON.
    """
    try:
        reader = _Reader(content)
        value = reader.value(reader.marker())
    except (IndexError, struct.error, RecursionError) as problem:
        raise ValueError(f"it is no whole universal binary JSON: {problem}") from None
    if reader.place != len(content):
        raise ValueError(f"it ends at byte {reader.place:,} of {len(content):,}")
    return value


class _Reader:
    def __init__(self, content: bytes) -> None:
        self._content = content
        self.place = 0

    def marker(self) -> int:
        self.place += 1
        return self._content[self.place - 1]

    def value(self, marker: int) -> Any:
        if marker == _ARRAY:
            return self._array()
        if marker == _TEXT:
            return self._text()
        if marker == _OBJECT:
            return self._object()
        if (number := _NUMBERS.get(marker)) is not None:
            return self._number(number)
        if marker in _WORDS:
            return _WORDS[marker]
        raise ValueError(f"it is no universal binary JSON: {chr(marker)!r} before byte {self.place:,}")

    def _array(self) -> Any:
        marker = self.marker()
        kind = None
        if marker == _TYPE:
            kind, marker = self.marker(), self.marker()
        if marker == _COUNT:
            count = self._count()
            return [self.value(self.marker()) for _ in range(count)] if kind is None else self._numbers(kind, count)
        found = []
        while marker != _END_OF_ARRAY:
            found.append(self.value(marker))
            marker = self.marker()
        return found

    def _object(self) -> dict[str, Any]:
        found = {}
        while self._content[self.place : self.place + 1] != b"}":
            name = self._text()
            found[name] = self.value(self.marker())
        self.place += 1
        return found

    def _text(self) -> str:
        return self._bytes(self._count()).decode()

    def _count(self) -> int:
        form = _COUNTS.get(self._content[self.place])
        count = -1
        if form is not None:  # most of the time is spent here: a call less counts
            (count,) = form.unpack_from(self._content, self.place + 1)
            self.place += 1 + form.size
        if count < 0:
            raise ValueError(f"it is no universal binary JSON: no length before byte {self.place:,}")
        return count

    def _number(self, form: struct.Struct) -> Any:
        (found,) = form.unpack_from(self._content, self.place)
        self.place += form.size
        return found

    def _numbers(self, kind: int, count: int) -> Any:
        if kind not in _ARRAYS:
            raise ValueError(f"it is no universal binary JSON: an array of {chr(kind)!r} before byte {self.place:,}")
        found = _ARRAYS[kind]
        return np.frombuffer(self._bytes(count * found.itemsize), found)

    def _bytes(self, count: int) -> bytes:
        found = self._content[self.place : self.place + count]
        if len(found) < count:
            raise ValueError(f"it ends after {len(self._content):,} bytes, within a value")
        self.place += count
        return found
