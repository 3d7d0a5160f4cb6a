"""The study's questions are asked of whole reports alone; others end in one line."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks.study_questions import main
from reports.json import render_json
from tests.reports.sample import sample_report


@pytest.mark.parametrize(
    "content", [None, "", "[]", "{}", '{"triggers": [], "measurements": [1], "localisation": [1]}']
)
def test_what_is_no_whole_report_is_refused(content: str | None, tmp_path: Path) -> None:
    whole, other = tmp_path / "whole.json", tmp_path / "other.json"
    document = json.loads(render_json(sample_report()))
    assert document["triggers"] and document["measurements"] and document["localisation"]
    whole.write_text(json.dumps(document))
    if content is not None:
        other.write_text(content)
    done = CliRunner().invoke(main, [str(whole), str(other)])
    assert done.exit_code == 2 and "other.json: " in done.output and "Traceback" not in done.output
