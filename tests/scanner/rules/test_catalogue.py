import re

import pytest

from scanner.errors import UnknownRule
from scanner.rules.catalogue import RULES, rule_called, rule_of
from scanner.rules.records import Rule
from scanner.verdict.verdict import OUTCOMES


def test_there_are_rules_and_none_stands_twice() -> None:
    assert len(RULES) >= 14
    assert len({rule.id for rule in RULES}) == len({rule.name for rule in RULES}) == len(RULES)


def test_every_outcome_has_a_rule_of_its_own() -> None:
    assert len({rule_of(outcome).id for outcome in OUTCOMES}) == len(OUTCOMES) == 9


def test_only_what_makes_an_adapter_suspicious_can_be_signed_off() -> None:
    signed = {rule.id for rule in RULES if rule.may_be_signed_off}
    assert signed == {rule_of(outcome).id for outcome in ("shared", "policy", "weak", "unspecific")} | {"SLP205"}
    assert [rule.id for rule in RULES if rule.level == "error"] == [rule_of("verified").id]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_rule_says_what_it_means_and_what_to_do(rule: Rule) -> None:
    assert re.fullmatch(r"SLP\d{3}", rule.id) and re.fullmatch(r"[a-z]+(-[a-z]+)*", rule.name)
    assert rule.title.endswith(".") and rule.meaning.endswith(".") and rule.remedy.endswith(".")
    assert rule_called(rule.id.lower()) == rule_called(rule.name.upper()) == rule


def test_an_unknown_rule_is_an_error() -> None:
    with pytest.raises(UnknownRule, match=r"SLP999: no such rule; `scan rules` lists them"):
        rule_called("SLP999")
