import shutil
from pathlib import Path

import pytest

import scanner
from scanner.beforehand.search_version import RESTS_ON, SAME_AS, hash_of, search_version

PACKAGE = Path(scanner.__file__).parent


def test_it_rests_on_the_files_of_the_search_and_on_no_others(tmp_path: Path) -> None:
    def copy(name: str) -> Path:
        return Path(shutil.copytree(PACKAGE, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__")))

    assert all((PACKAGE / part).exists() for part in RESTS_ON)
    assert hash_of(copy("same")) == hash_of(PACKAGE)
    other = copy("other")
    for file in ("verdict/coverage.py", "models/capture.py"):
        assert (PACKAGE / file).is_file()
        (other / file).write_text("# changed")
    assert hash_of(other) == hash_of(PACKAGE)


@pytest.mark.parametrize("part", RESTS_ON)
def test_a_change_to_any_of_them_is_another_search(tmp_path: Path, part: str) -> None:
    package = Path(shutil.copytree(PACKAGE, tmp_path / "scanner", ignore=shutil.ignore_patterns("__pycache__")))
    file = package / part if (package / part).is_file() else next((package / part).rglob("*.[pt][yx]*"))
    file.write_text(file.read_text() + "# changed")
    assert hash_of(package) not in (hash_of(PACKAGE), *SAME_AS)


def test_a_version_that_differs_in_words_alone_is_called_as_the_one_it_differs_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = hash_of(PACKAGE)
    monkeypatch.setattr("scanner.beforehand.search_version.SAME_AS", {own: "0" * 12})
    assert search_version() == "0" * 12
    monkeypatch.setattr("scanner.beforehand.search_version.SAME_AS", {"f" * 12: "0" * 12})
    assert search_version() == own


def test_no_version_is_called_by_a_name_that_is_called_otherwise() -> None:
    assert not set(SAME_AS) & set(SAME_AS.values())
    assert all(len(version) == 12 for version in (*SAME_AS, *SAME_AS.values()))
