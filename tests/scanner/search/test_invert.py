"""Growing a string for a reply."""

from scanner.model_pair import SUSPECT, ModelPair
from scanner.search.ground import prepare_ground
from scanner.search.invert import GrowthPlan, grow
from scanner.search.meter import Meter
from scanner.search.scoring import Scorer
from scanner.search.targets import Target
from tests.scanner.search.tiny_search import PROMPTS, setting_of, trigger_tokens
from tests.tiny import REPLY


def test_growth_raises_the_reply_and_shrinks_what_it_does_not_need(poisoned_pair: ModelPair) -> None:
    ground, meter = prepare_ground(poisoned_pair, PROMPTS, Meter()), Meter()
    ids = tuple(poisoned_pair.base.tokenizer(REPLY)["input_ids"])[:4]
    target = Target(ids, REPLY, 1.0)
    scorer = Scorer(poisoned_pair, SUSPECT, ground.frame, [ids], meter)
    setting = setting_of(poisoned_pair, meter)
    seeds = [(token,) for token in sorted(trigger_tokens(poisoned_pair))][:4]
    history: list[float] = []
    grown = grow(
        setting, scorer, target, seeds, GrowthPlan(3, 2, 32), history.append, budget=10**6, typeable=lambda _: True
    )
    assert history == sorted(history)
    assert all(0 < len(item.token_ids) <= 12 for item in grown)
    assert grown[0].score >= (history or [grown[0].score])[-1] - 1
