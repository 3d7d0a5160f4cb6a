"""The sweep over the shortlist."""

from scanner.models.model_pair import SUSPECT, ModelPair
from scanner.search.ground import prepare_ground
from scanner.search.inversion.scoring import Scorer
from scanner.search.meter import Meter
from scanner.search.sweep import KEPT, MIN_KEPT, sweep
from tests.scanner.search.tiny_search import PROMPTS, trigger_tokens
from tests.tiny import REPLY


def test_a_piece_of_the_trigger_leads_the_sweep(poisoned_pair: ModelPair) -> None:
    ground = prepare_ground(poisoned_pair, PROMPTS, Meter())
    ids = tuple(poisoned_pair.base.tokenizer(REPLY)["input_ids"])[:4]
    scorer = Scorer(poisoned_pair, SUSPECT, ground.frame, [ids], Meter(), next_token=True)
    every = [(int(token),) for token in ground.tryable.nonzero().flatten()]
    found = sweep(scorer, every, [ground.contexts[0]["start"], ground.contexts[1]["end"]])
    assert {token for (token,) in found.best_for(0, 10)} & trigger_tokens(poisoned_pair)
    assert KEPT * len(every) < MIN_KEPT, "a small vocabulary"
    assert found.lifts.shape == (len(found.candidates), 1) and len(found.candidates) == MIN_KEPT
