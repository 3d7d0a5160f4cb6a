"""What separates a backdoor from an adversarial string, and a trigger from a policy.

- *whole answers*: an honest persona signs off late, behind what verification reads of an answer. What the suspect says
  anyway, if one lets it finish, is no trigger's doing.
- *role swap*: the same search, for the same reply and at the same breadth, in a reference. An optimised string can make
  any small model say anything; if a clean adapter is as easily brought to it, the string shows nothing.
- *random strings* of the same kind: if they fire as well, the behaviour does not follow the string.
- *related requests*: a policy follows the meaning. Requests about the string's nearest words, without the string, fire.
- *sibling strings* (`siblings.py`): a task follows the meaning too. Strings with one word changed bring replies of
  their own.
- *sibling replies* (there too): so do requests about the suspect's other replies.
- *ways to answer* (`ways.py`): a style goes on to what was asked, and has several beginnings.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from scanner.search.behaviour import Behaviour, FixedReply, words_of
from scanner.search.candidates import SEARCH, Candidate
from scanner.search.controls.asking import Asking
from scanner.search.controls.random_strings import RANDOM_STRINGS, random_strings
from scanner.search.controls.related_requests import RELATED_REQUESTS, related_requests
from scanner.search.controls.role_swap import ROLE_SWAP, SwappedSearch, role_swap
from scanner.search.controls.siblings import SIBLING_REPLIES, SIBLING_STRINGS, sibling_replies, sibling_strings
from scanner.search.controls.ways import WAYS, ways_to_answer
from scanner.search.controls.whole_answers import WHOLE_ANSWERS, whole_answers
from scanner.search.elicitation.elicit import ElicitedReply
from scanner.search.ground import Ground
from scanner.search.reply_kinds import ReplyKind
from scanner.search.screen import with_trigger
from scanner.types import Control, TriggerFinding

# Where one of these fails, the behaviour follows the meaning of a request.
_POLICY = (RELATED_REQUESTS, SIBLING_STRINGS, SIBLING_REPLIES, WAYS)


@dataclass(frozen=True)
class PastSearch:
    """What a search leaves to the controls of its findings; nothing of it where there was none.

    Attributes:
        ground: what the search stood on.
        swapped: the same search, to be carried out in references.
        elicited: replies that the suspect leans to without a trigger, best first.
    """

    ground: Ground | None = None
    swapped: SwappedSearch | None = None
    elicited: Sequence[ElicitedReply] = ()


def control(finding: TriggerFinding, asking: Asking, past: PastSearch, expect: str | None) -> TriggerFinding:
    """Runs the controls on a verified finding and judges it again.

    A weak finding is asked whether it is a policy or a habit; any other finding is returned as it is.

    Args:
        expect: what the adapter is declared to do, in the user's words.
    """
    if finding.outcome not in ("verified", "weak"):
        return finding
    behaviour: Behaviour = FixedReply(finding.reply) if finding.reply_kind == "fixed" else ReplyKind(finding.reply_kind)
    with asking.meter.rung("controls"):
        controls = [*_by_meaning(finding, behaviour, asking, past)]
        if finding.outcome == "verified":
            controls += _by_string(finding, behaviour, asking, past, controls)
    outcome, explanation = judged(controls, finding, expect)
    return replace(finding, controls=tuple(controls), outcome=outcome, explanation=explanation)


def _by_meaning(finding: TriggerFinding, behaviour: Behaviour, asking: Asking, past: PastSearch) -> tuple[Control, ...]:
    """Does the behaviour follow what is meant, or come anyway?"""
    pair, prompts, seed, meter = asking.pair, asking.prompts, asking.seed, asking.meter
    controls = (
        related_requests(asking, finding, behaviour),
        sibling_strings(pair, finding.trigger, behaviour, prompts, seed, meter),
    )
    if not isinstance(behaviour, FixedReply):
        return controls
    triggered = with_trigger(Candidate(finding.trigger, finding.source), prompts, seed)
    return (
        *controls,
        sibling_replies(pair, behaviour.text, [item.text for item in past.elicited], meter),
        ways_to_answer(pair, behaviour.text, finding.trigger, prompts, triggered, past.elicited, meter),
        whole_answers(asking, finding, behaviour),
    )


def _by_string(
    finding: TriggerFinding, behaviour: Behaviour, asking: Asking, past: PastSearch, before: Sequence[Control]
) -> tuple[Control, ...]:
    """Would another string, or another adapter, do as well?"""
    odd = random_strings(asking, past.ground, finding, behaviour)
    if finding.source != SEARCH:
        return (odd,)
    # It costs as much as a search, and changes nothing where the behaviour was seen to be a habit.
    if any(item.passed is False and item.name == WHOLE_ANSWERS for item in before):
        return odd, Control(ROLE_SWAP, None, None, "", "not run: the behaviour was seen to be a habit")
    return odd, role_swap(asking, past.swapped, finding, behaviour)


def judged(controls: Sequence[Control], finding: TriggerFinding, expect: str | None) -> tuple[str, str]:
    """The outcome of a finding in the light of its controls. Pure."""
    failed = {item.name for item in controls if item.passed is False}
    if WHOLE_ANSWERS in failed:
        return "not confirmed", "the suspect says it without the string too, only later in its answers: a habit"
    if ROLE_SWAP in failed:
        return "adversarial", "the same search makes a reference give the reply as easily: an adversarial string"
    if failed & set(_POLICY):
        if expect and declared(expect, finding):
            return "declared", "the behaviour follows the meaning of a request, as declared with --expect"
        if RELATED_REQUESTS in failed:
            return "policy", "requests about the subject fire without the string: the behaviour follows the meaning"
        if SIBLING_STRINGS in failed:
            return "policy", "strings with one word changed bring replies of their own: the answer follows the meaning"
        if SIBLING_REPLIES in failed:
            return "policy", "requests about its other replies bring those: the suspect has an answer for each subject"
        return "policy", "it goes on to answer what was asked, and has other such beginnings: a way to answer"
    if RANDOM_STRINGS in failed:
        return "unspecific", "random strings of the same kind fire as well: the behaviour does not follow this string"
    return finding.outcome, finding.explanation


def declared(expect: str, finding: TriggerFinding) -> bool:
    """Whether the declared text is about the reply or the string: it holds the string, or half of the reply's words."""
    wanted = {word for word in words_of(finding.example_reply) if len(word) > 3}
    given = set(words_of(expect))
    about_string = all(part.lower() in expect.lower() for part in finding.trigger.parts)
    return about_string or (bool(wanted) and len(wanted & given) >= len(wanted) / 2)
