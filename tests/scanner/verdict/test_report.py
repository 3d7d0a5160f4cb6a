"""Which scans are like those whose verdicts were counted."""

from types import SimpleNamespace
from typing import cast

import pytest

from scanner.verdict.report import Gathered, _like_those_counted
from scanner.verdict.verdict import SearchSummary


@pytest.mark.parametrize(
    ("sources", "references", "out_of_time", "alike"),
    [
        (["search"], ["reference"], False, True),
        (["search", "given"], ["reference"], False, False),
        (["signature rare"], ["reference"], False, False),
        (["search"], [], False, False),
        (["search"], ["reference"], True, False),
    ],
)
def test_only_whole_scans_beside_a_reference_that_were_told_nothing_are(
    sources: list[str], references: list[str], out_of_time: bool, alike: bool
) -> None:
    findings = [SimpleNamespace(source=source) for source in sources]
    gathered = SimpleNamespace(
        verification=SimpleNamespace(findings=findings), pair=SimpleNamespace(reference_names=references)
    )
    summary = SearchSummary(0, 0, "", None, depth="standard", out_of_time=out_of_time)
    assert _like_those_counted(cast(Gathered, gathered), summary) is alike
