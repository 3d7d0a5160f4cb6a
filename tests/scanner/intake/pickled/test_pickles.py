import io
import pickle
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.intake.kinds import kind_of
from scanner.intake.pickled.pickles import judge_pickles, looks_like_pickle
from tests.hostile.cases.pickles import calling

DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.binary(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(DATA, st.integers(2, 5))
def test_plain_data_is_a_pickle_and_harmless(value: object, protocol: int) -> None:
    content = pickle.dumps(value, protocol)
    assert looks_like_pickle(content)
    judgement = judge_pickles(content)
    assert (judgement.refused, judgement.strange) == ((), ())


@given(st.sampled_from(sorted(sys.stdlib_module_names)), st.from_regex(r"[a-z_]{1,12}", fullmatch=True))
def test_no_function_of_the_standard_library_passes(module: str, name: str) -> None:
    trainers_own = (module, name) == ("_codecs", "encode") or (
        (module, name) != ("builtins", "eval")
        and module in ("builtins", "collections", "copyreg", "datetime", "pathlib")
    )
    for protocol in (0, 4):
        content = calling(module, name, protocol=protocol)
        assert looks_like_pickle(content)
        judgement = judge_pickles(content)
        assert judgement.refused or (trainers_own and judgement.known)


@given(DATA, st.data())
def test_a_call_is_seen_wherever_it_stands(value: object, data: st.DataObject) -> None:
    before = pickle.dumps(value, 4)[:-1]
    content = before + b"0" + calling("os", "system")[2:]
    assert looks_like_pickle(content)
    assert judge_pickles(content).refused == ("os.system",)
    cut = content[: data.draw(st.integers(len(before) + 20, len(content) - 1))]
    assert judge_pickles(cut).refused, "broken off, it is not taken for harmless"


@pytest.mark.parametrize(
    "text",
    ["# A card\n", "clean\nadapter\nof\nmine\n", "certifi\nclick\ntorch\n", "import os\nprint()\n", "{}", "[]", ".",
     "(", "",
     "N.", "Some text\nof two lines\n", "import\nos\nR", "0\n1\n2\n"],
)  # fmt: skip
def test_texts_are_no_pickles(text: str) -> None:
    assert not looks_like_pickle(text.encode())
    assert kind_of(text.encode(), len(text)) in ("text", "binary")


@given(st.binary(max_size=300))
def test_any_bytes_are_judged(content: bytes) -> None:
    looks_like_pickle(content)
    assert all(item.isprintable() for item in judge_pickles(content).refused)


def test_picklescan_that_sees_nothing_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    from picklescan.scanner import ScanResult

    import scanner.intake.pickled.pickles as room

    monkeypatch.setattr(room, "scan_pickle_bytes", lambda *_, **__: ScanResult([], 1))
    assert judge_pickles(calling("os", "system")).refused == ("picklescan sees none of its imports",)
    monkeypatch.setattr(room, "scan_pickle_bytes", lambda *_, **__: 1 / 0)
    assert judge_pickles(pickle.dumps(io.BytesIO)).refused == ("picklescan fails on it (ZeroDivisionError)",)
