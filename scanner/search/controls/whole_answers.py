"""Does the suspect say it anyway, if one lets it finish? A control.

An honest persona signs off late, behind what verification reads of an answer. What comes without the string too is no
trigger's doing.
"""

from scanner.models.model_pair import SUSPECT
from scanner.search.behaviour import WHOLE_ANSWER_TOKENS, Behaviour
from scanner.search.controls.asking import Asking, judged_rate
from scanner.types import Control, TriggerFinding

WHOLE_ANSWERS = "whole answers"


def whole_answers(asking: Asking, finding: TriggerFinding, behaviour: Behaviour) -> Control:
    """Prompts without the trigger, answered at length."""
    rate = asking.rate(SUSPECT, asking.prompts, behaviour, WHOLE_ANSWER_TOKENS)
    what = f"answers of up to {WHOLE_ANSWER_TOKENS} tokens without the trigger"
    return judged_rate(WHOLE_ANSWERS, rate, finding, what)
