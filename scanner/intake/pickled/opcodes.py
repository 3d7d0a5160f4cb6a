"""The operations of a pickle as far as a loader would come, read no more strictly than loaders read them.

`pickletools` is stricter than the unpickler in C: it takes no number with a base, no text beyond ASCII, no line with a
NUL in it. Where it breaks off a loader may go on, so the arguments of lines are read here.
"""

import codecs
import io
import pickletools
from collections.abc import Callable, Iterator
from typing import IO

CODES = frozenset(operation.code for operation in pickletools.opcodes)
_BY_CODE = {operation.code.encode("latin-1"): operation for operation in pickletools.opcodes}


def loadable(content: bytes) -> Iterator[tuple[pickletools.OpcodeInfo, object]]:
    """The operations up to the first that does not find on the stack what it needs.

    Raises:
        ValueError: where a loader would break off.
    """
    stack: list[object] = []
    for operation, argument in _operations(content):
        needed = operation.stack_before
        if pickletools.markobject in needed:
            while stack and stack[-1] is not pickletools.markobject:
                stack.pop()
            needed = [pickletools.markobject, *needed[: needed.index(pickletools.markobject)]]
        if len(stack) < len(needed):
            raise ValueError("the stack holds too little")
        del stack[len(stack) - len(needed) :]
        stack.extend(operation.stack_after)
        yield operation, argument


def _operations(content: bytes) -> Iterator[tuple[pickletools.OpcodeInfo, object]]:
    stream = io.BytesIO(content)
    code = b""
    while code != b".":
        code = stream.read(1)
        operation = _BY_CODE.get(code)
        if operation is None:
            raise ValueError("no operation")
        reader = _LENIENT.get(code) or (operation.arg.reader if operation.arg else None)
        yield operation, reader(stream) if reader else None


def _line(stream: IO[bytes]) -> bytes:
    line = stream.readline()
    if not line.endswith(b"\n"):
        raise ValueError("a line without an end")
    return line[:-1]


def _whole_number(stream: IO[bytes]) -> int:
    """As C reads it: up to a NUL, of any base that its first letters name."""
    digits = _line(stream).partition(b"\0")[0].strip().removesuffix(b"L")
    try:
        return int(digits or b"0", 0)
    except ValueError:
        return int(digits)


def _fraction(stream: IO[bytes]) -> float:
    return float(_line(stream).partition(b"\0")[0])


def _quoted(stream: IO[bytes]) -> str:
    line = _line(stream)
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
        raise ValueError("a text without quotes")
    text, _ = codecs.escape_decode(line[1:-1])
    return bytes(text).decode("latin-1")


def _one_name(stream: IO[bytes]) -> str:
    return _line(stream).decode("latin-1")


def _name_from_outside(stream: IO[bytes]) -> str:
    name = _line(stream).decode("ascii")
    if "\0" in name:
        raise ValueError("the first bytes of a zip, which begin with this operation too")
    return name


def _two_names(stream: IO[bytes]) -> str:
    return f"{_one_name(stream)} {_one_name(stream)}"


_LENIENT: dict[bytes, Callable[[IO[bytes]], object]] = {
    b"I": _whole_number,
    b"L": _whole_number,
    b"g": _whole_number,
    b"p": _whole_number,
    b"F": _fraction,
    b"S": _quoted,
    b"P": _name_from_outside,
    b"c": _two_names,
    b"i": _two_names,
}
