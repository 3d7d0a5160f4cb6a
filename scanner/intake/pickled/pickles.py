"""What a pickle would import if somebody loaded it, judged without loading it.

picklescan names the imports and knows many dangerous ones; it is wrapped so that where it fails the file is refused. It
treats a stream that breaks off without an import as no pickle at all, so the stream is split and read to its end first.
What it does not know is judged by `imports.py`.
"""

import io
import logging
import pickletools
from collections.abc import Iterator
from dataclasses import dataclass

from picklescan.scanner import SafetyLevel, scan_pickle_bytes

from reports.safe_text import visible
from scanner.errors import one_line
from scanner.intake.pickled.budget import Budget
from scanner.intake.pickled.imports import NamesBefore, is_import, standing
from scanner.intake.pickled.opcodes import CODES, loadable

_MAX_OPS = 200_000
# An unpickler imports a thing once and remembers it: a saved trainer has some dozens.
_MAX_IMPORTS = 1_000
# Of a file that is refused anyway, so much is searched for the names to refuse it with.
_NAMED_BYTES = 2**17
_IMPORTS = {"GLOBAL", "INST", "STACK_GLOBAL", "EXT1", "EXT2", "EXT4"}
_IMPORTS_BY_LINES = {"GLOBAL", "INST"}
_CALLS = {"REDUCE", "OBJ", "INST", "NEWOBJ", "NEWOBJ_EX", "BUILD"}
_EXTENSIONS = {"EXT1", "EXT2", "EXT4"}
_TORCH_MAGIC = 0x1950A86A20F9469CFC6C
# torch's older format: its magic number, a version, the machine, the object, the names of its storages; then raw data.
_TORCH_LEGACY_PICKLES = 5

logging.getLogger("picklescan").setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class PickleJudgement:
    """What loading would import: `refused` names what can run code or could not be judged, `strange` other classes
    than trainers write, `known` those.
    """

    refused: tuple[str, ...] = ()
    strange: tuple[str, ...] = ()
    known: tuple[str, ...] = ()


class _Broken(ValueError):
    """Why a stream is not a row of whole pickles."""


@dataclass(frozen=True)
class _Part:
    """One pickle of a row: its bytes, its first number and how often it imports."""

    content: bytes
    first_value: object
    n_imports: int


def looks_like_pickle(head: bytes, budget: Budget | None = None) -> bool:
    """Whether a loader of pickles would do anything with these bytes: a whole pickle, or one that imports something.

    The first two bytes alone say nothing: protocols 0 and 1 have none, and other files begin with them by chance.

    Raises:
        OverBudget: as `Budget` says.
    """
    if head[:1] == b"\x80" and head[1:2] <= b"\x05":
        # A marked stream that begins with an operation may run before it breaks, or break for this reader alone.
        return head[2:3].decode("latin-1") in CODES
    found, count = _runs(head)
    (budget or Budget()).operate(count)
    return found


def _runs(head: bytes) -> tuple[bool, int]:
    """Whether a stream without a mark stops, calls something or is too long to be told; and its operations."""
    count, imported = 0, False
    try:
        for count, (operation, argument) in enumerate(loadable(head), 1):
            if operation.name in _IMPORTS:
                imported = imported or operation.name not in _IMPORTS_BY_LINES or is_import(argument)
            # A list of words can pass for an import, but not for one that is then called.
            if imported and operation.name in _CALLS:
                return True, count
            if operation.name == "STOP":
                return imported, count
            if count > _MAX_OPS:
                return True, count
    except Exception:  # whatever else a stranger's bytes are, they are no whole pickle
        return False, count
    return False, count


def judge_pickles(content: bytes, budget: Budget | None = None, *, cut: bool = False) -> PickleJudgement:
    """Judges a row of pickles, or a file of torch's older format; `cut`: `content` is only a file's beginning.

    Raises:
        OverBudget: as `Budget` says.
    """
    try:
        parts = list(_split(content, budget or Budget(), cut))
    except _Broken as error:
        return _worse(_judge_broken(content), f"it cannot be read to its end ({error})")
    return merged([_judge_one(part) for part in parts])


def _split(content: bytes, budget: Budget, cut: bool) -> Iterator[_Part]:
    start, number = 0, 0
    legacy = False
    while start < len(content) and not (legacy and number == _TORCH_LEGACY_PICKLES):
        part = _read_part(content, start, budget)
        legacy = legacy or (number == 0 and part.first_value == _TORCH_MAGIC)
        yield part
        start, number = start + len(part.content), number + 1
        if number > 1_000:
            raise _Broken("more than 1,000 pickles in a row")
    if cut and start == len(content):
        raise _Broken("it is too long")


def _read_part(content: bytes, start: int, budget: Budget) -> _Part:
    first_value: object = None
    names, n_imports, count = NamesBefore(), 0, 0
    stream = io.BytesIO(content)
    stream.seek(start)
    try:
        for count, (operation, argument, _) in enumerate(pickletools.genops(stream), 1):
            if operation.name in _IMPORTS:
                n_imports += 1
                _require_plain(operation.name, n_imports, names)
            elif count > _MAX_OPS:
                raise _Broken(f"more than {_MAX_OPS:,} operations")
            names.see(operation.name, argument)
            if first_value is None and isinstance(argument, int) and operation.name != "PROTO":
                first_value = argument
    except _Broken:
        raise
    except Exception as error:  # see above
        raise _Broken(visible(one_line(error, 80))) from error
    budget.operate(count)
    return _Part(content[start : stream.tell()], first_value, n_imports)


def _require_plain(name: str, n_imports: int, names: NamesBefore) -> None:
    if n_imports > _MAX_IMPORTS:
        raise _Broken(f"more than {_MAX_IMPORTS:,} imports")
    if name in _EXTENSIONS:
        raise _Broken("an import by number")
    if name == "STACK_GLOBAL" and not names.are_names():
        raise _Broken("an import of what is no name")


def _judge_one(part: _Part) -> PickleJudgement:
    try:
        result = scan_pickle_bytes(io.BytesIO(part.content), "pickle", multiple_pickles=False)
    except Exception as error:  # an evasion may make it fail in any way
        return PickleJudgement(refused=(f"picklescan fails on it ({type(error).__name__})",))
    if result.scan_err:
        return PickleJudgement(refused=("picklescan fails on it",))
    if part.n_imports and not result.globals:
        return PickleJudgement(refused=("picklescan sees none of its imports",))
    found: dict[str, list[str]] = {"refused": [], "strange": [], "known": []}
    for module, name, safety in sorted({(item.module, item.name, item.safety.value) for item in result.globals}):
        dangerous, harmless = safety == SafetyLevel.Dangerous.value, safety == SafetyLevel.Innocuous.value
        found[standing(module, name, dangerous, harmless)].append(visible(f"{module}.{name}", 80))
    return PickleJudgement(**{name: tuple(values) for name, values in found.items()})


def _judge_broken(content: bytes) -> PickleJudgement:
    """The imports that come before the break: a loader runs them before it notices."""
    try:
        result = scan_pickle_bytes(io.BytesIO(content[:_NAMED_BYTES]), "pickle", strict=True)
    except Exception:  # see above
        return PickleJudgement()
    bad = sorted({f"{item.module}.{item.name}" for item in result.globals if item.safety is SafetyLevel.Dangerous})
    return PickleJudgement(refused=tuple(visible(item, 80) for item in bad))


def _worse(judgement: PickleJudgement, why: str) -> PickleJudgement:
    return PickleJudgement((*judgement.refused, why), judgement.strange, judgement.known)


def merged(judgements: list[PickleJudgement]) -> PickleJudgement:
    """All judgements as one."""
    return PickleJudgement(
        *(
            tuple(dict.fromkeys(item for judgement in judgements for item in getattr(judgement, name)))
            for name in ("refused", "strange", "known")
        )
    )
