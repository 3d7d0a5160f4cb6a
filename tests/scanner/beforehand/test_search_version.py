import shutil
from pathlib import Path

import pytest

import scanner
from scanner.beforehand.search_version import RESTS_ON, hash_of, search_version

PACKAGE = Path(scanner.__file__).parent


def test_it_rests_on_the_files_of_the_search_and_on_no_others(tmp_path: Path) -> None:
    def copy(name: str) -> Path:
        return Path(shutil.copytree(PACKAGE, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__")))

    assert all((PACKAGE / part).exists() for part in RESTS_ON)
    assert hash_of(copy("same")) == search_version()
    other = copy("other")
    for file in ("verdict/coverage.py", "models/capture.py"):
        assert (PACKAGE / file).is_file()
        (other / file).write_text("# changed")
    assert hash_of(other) == search_version()


@pytest.mark.parametrize("part", RESTS_ON)
def test_a_change_to_any_of_them_is_another_search(tmp_path: Path, part: str) -> None:
    package = Path(shutil.copytree(PACKAGE, tmp_path / "scanner", ignore=shutil.ignore_patterns("__pycache__")))
    file = package / part if (package / part).is_file() else next((package / part).rglob("*.[pt][yx]*"))
    file.write_text(file.read_text() + "# changed")
    assert hash_of(package) != search_version()
