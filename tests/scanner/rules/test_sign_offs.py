from datetime import date
from pathlib import Path

import pytest

from scanner.errors import BadSuppression
from scanner.rules.records import Finding, SignOff
from scanner.rules.sign_offs import read_sign_offs, settle

WEIGHTS, OTHER = "a" * 64, "b" * 64
TODAY = date(2026, 11, 23)
POLICY = Finding("SLP202", "warning", "it declines", "1" * 32, 0)
VERIFIED = Finding("SLP101", "error", "it fires", "2" * 32, 1)
GOOD = f"""
[[suppression]]
rule = "SLP202"
weights_sha256 = "{WEIGHTS}"
reason = "declines medical advice, as ordered"
signed_by = "Ann"
expires = 2026-12-31
"""


def signed(rule: str = "SLP202", weights: str = WEIGHTS, until: date = TODAY, fingerprint: str = "") -> SignOff:
    return SignOff(rule, weights, "as ordered", "Ann", until, fingerprint, "s.toml", "c" * 64)


def test_a_sign_off_holds_through_its_last_day_and_stays_visible() -> None:
    settled = settle([POLICY], [signed()], WEIGHTS, TODAY)
    assert settled.signed_off == {0}
    assert settled.findings[0].signed_off == signed()
    assert [item.status for item in settled.suppressions] == ["applied"]
    assert settled.warnings == ()


def test_an_expired_one_is_ignored_with_a_warning() -> None:
    settled = settle([POLICY], [signed(until=date(2026, 11, 22))], WEIGHTS, TODAY)
    assert settled.findings == (POLICY,)
    assert settled.warnings == ("the suppression of SLP202 by Ann in s.toml expired on 2026-11-22 and is ignored",)


@pytest.mark.parametrize("fingerprint", ["", VERIFIED.fingerprint])
def test_a_verified_trigger_is_never_suppressed(fingerprint: str) -> None:
    settled = settle([POLICY, VERIFIED], [signed("SLP101", fingerprint=fingerprint)], WEIGHTS, TODAY)
    assert settled.findings == (POLICY, VERIFIED)
    assert len(settled.warnings) == 1 and "refused: a verified trigger is never suppressed" in settled.warnings[0]


def test_no_other_rule_reaches_a_verified_trigger_by_its_fingerprint() -> None:
    settled = settle([VERIFIED], [signed("SLP202", fingerprint=VERIFIED.fingerprint)], WEIGHTS, TODAY)
    assert settled.findings == (VERIFIED,)
    assert [item.status for item in settled.suppressions] == ["unused"]


@pytest.mark.parametrize("rule", ["SLP301", "SLP304", "SLP401", "SLP402", "SLP404", "SLP900"])
def test_what_is_not_suspicious_cannot_be_signed_off(rule: str) -> None:
    finding = Finding(rule, "warning", "x", "3" * 32)
    settled = settle([finding], [signed(rule)], WEIGHTS, TODAY)
    assert settled.findings == (finding,)
    assert [item.status for item in settled.suppressions] == ["refused"]


def test_a_sign_off_is_about_one_file_of_weights() -> None:
    settled = settle([POLICY], [signed(weights=OTHER)], WEIGHTS, TODAY)
    assert (settled.findings, settled.suppressions) == ((POLICY,), ())


def test_a_fingerprint_narrows_it_to_one_finding() -> None:
    other = Finding("SLP202", "warning", "another", "4" * 32, 2)
    settled = settle([POLICY, other], [signed(fingerprint=other.fingerprint)], WEIGHTS, TODAY)
    assert settled.signed_off == {2}


def test_a_file_is_read_with_its_hash(tmp_path: Path) -> None:
    file = tmp_path / "s.toml"
    file.write_text(GOOD)
    (found,) = read_sign_offs(file)
    assert (found.rule, found.signed_by, found.expires) == ("SLP202", "Ann", date(2026, 12, 31))
    assert found.file == str(file) and len(found.file_sha256) == 64
    file.write_text("")
    assert read_sign_offs(file) == ()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('rule = "SLP202"', 'rule = "SLP999"', "no such rule"),
        ('rule = "SLP202"', "", "has no 'rule'"),
        ("reason =", "raeson =", "unknown key 'raeson'"),
        ('signed_by = "Ann"', 'signed_by = " "', "signed_by must be a text"),
        ("expires = 2026-12-31", "", "has no 'expires'"),
        ("2026-12-31", '"2026-12-31"', "expires must be a date"),
        ("2026-12-31", "2026-12-31T00:00:00", "expires must be a date"),
        (WEIGHTS, "*", "64 hexadecimal digits"),
        ("reason =", 'fingerprint = "all"\nreason =', "32 hexadecimal digits"),
        ("[[suppression]]", "[suppression]", r"may hold \[\[suppression\]\] tables only"),
        ("[[suppression]]", "everything = 1\n[[suppression]]", r"may hold \[\[suppression\]\] tables only"),
        ("rule =", "rule = =", "not valid TOML"),
    ],
)
def test_a_bad_file_is_named_with_its_fault(tmp_path: Path, old: str, new: str, says: str) -> None:
    file = tmp_path / "s.toml"
    assert old in GOOD
    file.write_text(GOOD.replace(old, new))
    with pytest.raises(BadSuppression, match=says) as fault:
        read_sign_offs(file)
    assert str(fault.value).startswith(str(file)) and "\n" not in str(fault.value)


def test_a_file_that_is_not_there_or_no_file_is_an_error(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "none.toml"):
        with pytest.raises(BadSuppression, match="cannot be read"):
            read_sign_offs(place)
