"""Every case is refused, or named in a warning or a note, and nothing in it runs."""

from pathlib import Path

import pytest

from scanner.errors import BadAdapter
from scanner.intake import read_adapter
from tests.hostile.cases import CASES
from tests.hostile.cases.case import Case
from tests.hostile.count import table
from tests.hostile.hangs import that_ends

SECURITY = Path(__file__).parents[2] / "docs" / "security.md"


def label(case: Case) -> str:
    return f"{case.kind}: {case.name}"


def names_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_the_corpus_is_there() -> None:
    assert len(CASES) >= 60 and len({label(case) for case in CASES}) == len(CASES)
    assert {case.severity for case in CASES} == {"block", "warning", "note"}
    assert sum(bool(case.source) for case in CASES) >= 20, "evasions are named after their advisories"


def test_the_documents_count_these_cases() -> None:
    assert table() in SECURITY.read_text(encoding="utf-8")


def test_the_honest_adapter_has_nothing_to_warn_of(folder: Path) -> None:
    adapter = read_adapter(str(folder))
    assert (adapter.warnings, adapter.unread) == ((), ())


@pytest.mark.parametrize("case", CASES, ids=label)
def test_a_hostile_folder(case: Case, folder: Path) -> None:
    case.spoil(folder)
    before = names_in(folder)
    if case.severity == "block":
        with that_ends(), pytest.raises(BadAdapter) as caught:
            read_adapter(str(folder))
        said = [str(caught.value)]
        assert str(folder) in said[0]
    else:
        with that_ends():
            adapter = read_adapter(str(folder))
        said = list(adapter.warnings if case.severity == "warning" else adapter.identity.notes)
    assert any(case.line in line for line in said), said
    assert all(line.isprintable() for line in said), "one line, without control codes"
    assert names_in(folder) == before
