"""Growing a string for a reply."""

from types import SimpleNamespace

from scanner.models.model_pair import SUSPECT, ModelPair
from scanner.search.ground import prepare_ground
from scanner.search.inversion.invert import Grown, GrowthPlan, Soil, _unlike, _worth_keeping, grow
from scanner.search.inversion.scoring import Scorer
from scanner.search.meter import Meter
from tests.scanner.search.tiny_search import PROMPTS, trigger_tokens
from tests.tiny import REPLY


def test_growth_raises_the_reply_and_shrinks_what_it_does_not_need(poisoned_pair: ModelPair) -> None:
    ground, meter = prepare_ground(poisoned_pair, PROMPTS, Meter()), Meter()
    ids = tuple(poisoned_pair.base.tokenizer(REPLY)["input_ids"])[:4]
    scorer = Scorer(poisoned_pair, SUSPECT, ground.frame, [ids], meter)
    contexts = (ground.contexts[0]["end"], ground.contexts[1]["start"])
    excitement = ground.excitement(SUSPECT, meter)
    soil = Soil(contexts, ground.tryable, ground.language, ground.words, excitement, meter)
    seeds = [(token,) for token in sorted(trigger_tokens(poisoned_pair))][:4]
    history: list[float] = []
    plan = GrowthPlan((4, 3, 2, 2), 64)
    grown = grow(soil, scorer, seeds, plan, history.append, budget=10**6, typeable=lambda _: True)
    assert history == sorted(history)
    assert all(0 < len(item.token_ids) <= 12 for item in grown)
    assert grown[0].score >= (history or [grown[0].score])[-1] - 1


def test_a_plan_is_cut_to_fewer_rounds_or_to_its_narrow_end() -> None:
    plan = GrowthPlan((40, 20, 6, 4), 64)
    assert plan.rounds == 3
    assert plan.of_rounds(1).widths == (40, 20) and plan.of_rounds(9) == plan
    assert plan.going_on().widths == (6, 4)


def test_a_beam_is_not_filled_with_kin() -> None:
    kin = [Grown((1, 2, last), -0.1 * last) for last in range(1, 9)]
    other = Grown((7, 8), -5.0)
    kept = _unlike([*kin, other], 6)
    assert kept == [*kin[:3], other]
    assert _unlike([*kin, other], 2) == kin[:2]


def test_every_second_place_is_of_what_excites_the_suspect_too() -> None:
    items = [Grown((number, number + 1), -1.0 - number) for number in range(0, 20, 2)]

    def kept(excitements: dict[Grown, float], count: int) -> list[Grown]:
        known = {item.token_ids: value for item, value in excitements.items()}
        excitement = SimpleNamespace(of=lambda strings: [known.get(string, 0.0) for string in strings])
        return _worth_keeping(SimpleNamespace(excitement=excitement), items, count)  # type: ignore[arg-type]

    assert kept({}, 4) == items[:4], "where nothing excites, the score alone decides"
    # The two best by their score excite least: of the rest, the best by both takes the second place.
    assert kept({items[0]: -1.0, items[1]: -1.0, items[3]: 1.0}, 2) == [items[0], items[2]]
    assert kept({items[0]: -1.0, items[1]: -1.0, items[3]: 1.0}, 4) == [items[0], items[2], items[1], items[3]]
