from pathlib import Path

import pytest

from scanner.errors import BadConfig
from scanner.own_files import lies_inside, refuse_inside


def test_a_file_below_an_adapters_folder_lies_inside_however_it_is_spelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = tmp_path / "suspect" / "deep"
    inner.mkdir(parents=True)
    (inner / "s.toml").touch()
    (tmp_path / "link").symlink_to(inner / "s.toml")
    monkeypatch.chdir(tmp_path)
    for spelled in ("suspect/deep/s.toml", "suspect/../suspect/deep/s.toml", "link", str(inner / "s.toml")):
        assert lies_inside(spelled, ["user/adapter", "suspect"]) == "suspect"
        with pytest.raises(BadConfig, match="lies in the folder of the adapter suspect"):
            refuse_inside(spelled, ["suspect"])


def test_a_file_elsewhere_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "suspect").mkdir()
    (tmp_path / "suspect-2").mkdir()
    monkeypatch.chdir(tmp_path)
    for spelled in ("s.toml", "suspect-2/s.toml", "suspect/../s.toml"):
        assert lies_inside(spelled, ["suspect", "user/adapter@main"]) is None
