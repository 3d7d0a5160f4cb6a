"""Reads a suppression file and says which sign-offs hold in a scan. Matching is pure; the day is given."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

from scanner.errors import BadSuppression, UnknownRule
from scanner.own_files import parse_toml, read_bounded
from scanner.rules.catalogue import rule_called
from scanner.rules.records import Finding, SignOff, Status, Suppression

_REQUIRED = ("rule", "weights_sha256", "reason", "signed_by", "expires")
_OPTIONAL = ("fingerprint",)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FINGERPRINT = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Settled:
    """Findings with the sign-offs that hold, and what became of every sign-off for these weights."""

    findings: tuple[Finding, ...]
    suppressions: tuple[Suppression, ...]

    @property
    def signed_off(self) -> frozenset[int]:
        """The places of the triggers whose findings are suppressed."""
        return frozenset(
            item.trigger for item in self.findings if item.signed_off is not None and item.trigger is not None
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """What did not hold, one sentence each."""
        return tuple(item.note for item in self.suppressions if item.status in ("expired", "refused"))


def read_sign_offs(file: Path) -> tuple[SignOff, ...]:
    """Reads a suppression file, strictly.

    Raises:
        BadSuppression: naming the file, the entry and what is wrong with it.
    """
    content = read_bounded(file, "a suppression file", BadSuppression)
    table = parse_toml(content, file, BadSuppression)
    entries = table.get("suppression", [])
    if set(table) - {"suppression"} or not isinstance(entries, list):
        raise BadSuppression(f"{file}: may hold [[suppression]] tables only; see docs/suppressions.md")
    digest = hashlib.sha256(content).hexdigest()
    return tuple(_sign_off(file, number, entry, digest) for number, entry in enumerate(entries, 1))


def settle(findings: Sequence[Finding], sign_offs: Sequence[SignOff], weights_sha256: str, today: date) -> Settled:
    """Suppresses the findings that were signed off. A verified trigger never is.

    Sign-offs for other weights are left out: they have nothing to do with this scan.
    """
    settled = list(findings)
    suppressions = []
    for sign_off in sign_offs:
        if sign_off.weights_sha256 != weights_sha256:
            continue
        hits = [place for place, finding in enumerate(findings) if _is_about(sign_off, finding)]
        status, note = _judge(sign_off, bool(hits), today)
        suppressions.append(Suppression(sign_off, status, note))
        for place in hits if status == "applied" else ():
            settled[place] = replace(settled[place], signed_off=settled[place].signed_off or sign_off)
    return Settled(tuple(settled), tuple(suppressions))


def _is_about(sign_off: SignOff, finding: Finding) -> bool:
    return finding.rule == sign_off.rule and sign_off.fingerprint in ("", finding.fingerprint)


def _judge(sign_off: SignOff, found: bool, today: date) -> tuple[Status, str]:
    rule = rule_called(sign_off.rule)
    entry = f"the suppression of {rule.id} by {sign_off.signed_by} in {sign_off.file}"
    if rule.level == "error":
        return "refused", f"{entry} is refused: a verified trigger is never suppressed"
    if not rule.may_be_signed_off:
        return "refused", f"{entry} is refused: only what its weights make SUSPICIOUS can be signed off"
    if today > sign_off.expires:
        return "expired", f"{entry} expired on {sign_off.expires.isoformat()} and is ignored"
    if not found:
        return "unused", f"{entry} matches nothing that this scan found"
    return "applied", f"{entry} holds until {sign_off.expires.isoformat()}"


def _sign_off(file: Path, number: int, entry: Any, digest: str) -> SignOff:
    where = f"{file}: suppression {number}"
    if not isinstance(entry, dict):
        raise BadSuppression(f"{where}: must be a table")
    unknown = sorted(set(entry) - {*_REQUIRED, *_OPTIONAL})
    missing = [key for key in _REQUIRED if key not in entry]
    if unknown or missing:
        fault = f"has the unknown key {unknown[0]!r}" if unknown else f"has no {missing[0]!r}"
        raise BadSuppression(f"{where}: {fault}; see docs/suppressions.md")
    expires = entry["expires"]
    if not isinstance(expires, date) or isinstance(expires, datetime):
        raise BadSuppression(f"{where}: expires must be a date, unquoted, such as 2027-01-31")
    texts = {key: _text(where, key, entry[key]) for key in ("rule", "weights_sha256", "reason", "signed_by")}
    fingerprint = _text(where, "fingerprint", entry["fingerprint"]) if "fingerprint" in entry else ""
    if not _SHA256.fullmatch(texts["weights_sha256"]):
        raise BadSuppression(f"{where}: weights_sha256 must be 64 hexadecimal digits, as the report says them")
    if fingerprint and not _FINGERPRINT.fullmatch(fingerprint):
        raise BadSuppression(f"{where}: fingerprint must be 32 hexadecimal digits, as the report says them")
    try:
        texts["rule"] = rule_called(texts["rule"]).id
    except UnknownRule as error:
        raise BadSuppression(f"{where}: rule {error}") from error
    return SignOff(**texts, expires=expires, fingerprint=fingerprint, file=str(file), file_sha256=digest)


def _text(where: str, key: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise BadSuppression(f"{where}: {key} must be a text")
    return value
