"""What a report says was looked at."""

from dataclasses import replace

from scanner.score.scored import Scored
from scanner.verdict.coverage import _classifier
from tests.scanner.verdict.test_verdict import ALARM


def test_out_of_its_domain_the_classifier_did_not_look() -> None:
    here, elsewhere = (_classifier(Scored(item)) for item in (ALARM, replace(ALARM, foreign=("it is of Mars",))))
    assert here.looked_at and not elsewhere.looked_at
    assert elsewhere.detail == f"{here.detail}; out of its domain, where it raises no alarm"
    assert not _classifier(Scored(missing="switched off")).looked_at
