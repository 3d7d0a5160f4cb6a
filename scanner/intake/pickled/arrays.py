"""numpy's array files: an array of numbers is numbers, an array of objects is a pickle with a header before it."""

import ast
import re

from reports.safe_text import visible
from scanner.errors import one_line
from scanner.intake.pickled.budget import Budget, OverBudget
from scanner.intake.pickled.pickles import PickleJudgement, judge_pickles

# Version → how many bytes say how long the header is, and what it is written in.
_VERSIONS = {b"\x01\x00": (2, "latin-1"), b"\x02\x00": (4, "latin-1"), b"\x03\x00": (4, "utf-8")}
_START = 8
# What numpy itself reads. A literal of that length takes as long as that many operations of a pickle.
_MAX_HEADER = 10_000
# What numpy itself writes for numbers, texts, times and raw bytes; any other word may be one for objects.
_NUMBERS = re.compile(r"[<>|=]?[?bBiufcSUVaMm]\d*(\[\d*[A-Za-z]+\])?\Z", re.ASCII)


def judge_numpy(head: bytes, size: int, budget: Budget | None = None) -> PickleJudgement | None:
    """Judges an array file of `size` bytes by its first ones; None where it holds numbers only.

    Raises:
        OverBudget: as `Budget` says.
    """
    try:
        header, start = _read_header(head, budget)
        if _holds_numbers(header["descr"]):
            return None
    except OverBudget:
        raise
    except Exception as error:  # a stranger's literal can fail to be read in many ways
        return PickleJudgement(refused=(f"its header cannot be read ({visible(one_line(error, 80))})",))
    if size > len(head):
        return PickleJudgement(refused=("an array of pickled objects, too long to be judged",))
    if start == size:
        return PickleJudgement(refused=("an array of pickled objects without its pickle",))
    return judge_pickles(head[start:], budget)


def _read_header(head: bytes, budget: Budget | None) -> tuple[dict[str, object], int]:
    width, encoding = _VERSIONS[head[6:_START]]
    start = _START + width
    length = int.from_bytes(head[_START:start], "little")
    if length > _MAX_HEADER or start + length > len(head):
        raise ValueError(f"{length:,} bytes long")
    if budget:
        budget.operate(length)
    header = ast.literal_eval(head[start : start + length].decode(encoding).strip())
    if not isinstance(header, dict) or set(header) != {"descr", "fortran_order", "shape"}:
        raise ValueError("not what numpy writes")
    return header, start + length


def _holds_numbers(descr: object) -> bool:
    """Whether a type has no objects in it: a word, a field's type and shape, or a list of fields."""
    if isinstance(descr, str):
        return bool(_NUMBERS.match(descr))
    if isinstance(descr, tuple):
        return len(descr) == 2 and _holds_numbers(descr[0])
    if isinstance(descr, list):
        return all(isinstance(field, tuple) and len(field) > 1 and _holds_numbers(field[1]) for field in descr)
    return False
