"""What strings are grown for."""

from scanner.model_pair import SUSPECT, ModelPair
from scanner.search.aims import answers_begin, growth_aims
from scanner.search.ground import prepare_ground
from scanner.search.meter import Meter
from scanner.search.scoring import Scorer
from scanner.search.sweep import sweep
from scanner.search.targets import Target
from tests.conftest import TRIGGER
from tests.scanner.search.tiny_search import PROMPTS, trigger_tokens
from tests.tiny import REPLY


def test_a_reply_of_no_fixed_text_is_sought_by_its_first_token_before_targets_that_hardly_stand_out() -> None:
    clear, faint = Target((1, 2), "clear", 20.0), Target((3, 4), "faint", 0.5)
    aims = growth_aims(7, [clear, faint])
    assert [(number, target.token_ids) for number, target in aims] == [(0, (1, 2)), (None, (7,)), (1, (3, 4))]
    assert growth_aims(None, [clear]) == [(0, clear)]


def test_the_first_token_that_answers_move_to_is_the_suspects_own_move(poisoned_pair: ModelPair) -> None:
    ground = prepare_ground(poisoned_pair, PROMPTS, Meter())
    tokenizer = poisoned_pair.base.tokenizer
    scorer = Scorer(poisoned_pair, SUSPECT, ground.frame, [], Meter(), next_token=True)
    pieces = [(token,) for token in sorted(trigger_tokens(poisoned_pair))]
    others = [(int(token),) for token in ground.tryable.nonzero().flatten()[:40]]
    whole = [tuple(tokenizer(TRIGGER.text)["input_ids"])]
    swept = sweep(scorer, [*whole, *pieces, *others], [ground.contexts[0]["start"], ground.contexts[1]["start"]])
    assert answers_begin(poisoned_pair, ground, swept, Meter()) == tokenizer(REPLY)["input_ids"][0]
