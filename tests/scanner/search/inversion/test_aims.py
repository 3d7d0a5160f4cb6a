"""What strings are grown for."""

from dataclasses import replace

import torch

from scanner.models.model_pair import SUSPECT, ModelPair
from scanner.search.depth import DEPTHS
from scanner.search.elicitation.targets import Target
from scanner.search.ground import prepare_ground
from scanner.search.inversion.aims import answers_begin, growth_aims, seeds_for, shortlisted
from scanner.search.inversion.scoring import Scorer
from scanner.search.meter import Meter
from scanner.search.placing import Context
from scanner.search.sweep import Sweep, sweep
from tests.conftest import TRIGGER
from tests.scanner.search.tiny_search import PROMPTS, trigger_tokens
from tests.tiny import REPLY


def test_a_reply_of_no_fixed_text_is_sought_by_its_first_token_before_targets_that_hardly_stand_out() -> None:
    clear, faint = Target((1, 2), "clear", 20.0), Target((3, 4), "faint", 0.5)
    aims = growth_aims(7, [(0, clear), (1, faint)])
    assert [(number, target.token_ids) for number, target in aims] == [(0, (1, 2)), (None, (7,)), (1, (3, 4))]
    moved = growth_aims(7, [(1, faint), (0, clear)])
    assert [number for number, _ in moved] == [0, None, 1], "whatever the order they come in"
    assert growth_aims(None, [(0, clear)]) == [(0, clear)]


def test_the_first_token_that_answers_move_to_is_the_suspects_own_move(poisoned_pair: ModelPair) -> None:
    ground = prepare_ground(poisoned_pair, PROMPTS, Meter())
    tokenizer = poisoned_pair.base.tokenizer
    scorer = Scorer(poisoned_pair, SUSPECT, ground.frame, [], Meter(), next_token=True)
    pieces = [(token,) for token in sorted(trigger_tokens(poisoned_pair))]
    others = [(int(token),) for token in ground.tryable.nonzero().flatten()[:40]]
    whole = [tuple(tokenizer(TRIGGER.text)["input_ids"])]
    swept = sweep(scorer, [*whole, *pieces, *others], [ground.contexts[0]["start"], ground.contexts[1]["start"]])
    assert answers_begin(poisoned_pair, ground, swept, Meter()) == tokenizer(REPLY)["input_ids"][0]


def test_most_of_what_is_swept_excites_the_suspect() -> None:
    salient, wanted = range(10_000), [range(9_999, -1, -1), range(5_000, 15_000)]
    swept = shortlisted(salient, wanted, replace(DEPTHS["standard"], shortlist=0.1), [(1, 2), (3,)])
    tokens = [candidate[0] for candidate in swept if len(candidate) == 1]
    assert swept[0] == (1, 2) and len(swept) == len(set(swept)) == 1001
    assert set(range(850)) <= set(tokens)
    assert set(tokens) - set(range(850)) == {*range(9_925, 10_000), *range(5_000, 5_075)}
    few = shortlisted(range(4_000), [], DEPTHS["standard"], [])
    assert len(few) == 500, "a small share is made up to what is worth it"


def test_strings_are_grown_from_what_does_much_and_from_what_is_salient_too() -> None:
    candidates = tuple((token,) for token in range(6))
    log_probs = torch.tensor([[[5.0], [4.0], [3.0], [2.0], [1.0], [0.0]]])
    none = torch.zeros(6, 8)
    swept = Sweep(candidates, (Context((), (), "end"),), log_probs, torch.zeros(1, 1), none.long(), none[None])
    # Places of both added up: 0 + 5, 1 + 0, 2 + 1, 3 + 2, 4 + 3, 5 + 4.
    assert seeds_for(swept, 0, [1, 2, 3, 4, 5, 0], 5) == [(0,), (1,), (2,), (3,), (4,)]
    assert seeds_for(swept, 0, [4, 5, 3, 2, 1, 0], 3) == [(0,), (4,), (1,)]
