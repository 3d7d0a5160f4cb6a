"""No hostile case may reach the network or run anything."""

import shutil
import socket
from pathlib import Path
from typing import NoReturn

import pytest

from tests.hostile.cases.pickles import CANARY


@pytest.fixture(autouse=True)
def sealed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Any connection fails the test, and so does a program that ran or a file that was left behind."""

    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a hostile adapter reached for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    yield
    assert list(here.iterdir()) == []
    assert not list(tmp_path.rglob(CANARY))


@pytest.fixture
def folder(tmp_path: Path, random_adapter: Path) -> Path:
    return Path(shutil.copytree(random_adapter, tmp_path / "suspect"))
