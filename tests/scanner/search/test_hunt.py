"""The rungs of the search on a tiny model that was trained to fire."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from scanner.base_models import load_base
from scanner.intake import read_adapter
from scanner.model_pair import SUSPECT, ModelPair
from scanner.probes import load_probes
from scanner.search.aims import answers_begin, growth_aims
from scanner.search.depth import DEPTHS
from scanner.search.elicit import ElicitedReply, ElicitPlan, elicit
from scanner.search.find import find_unknown, switched_on
from scanner.search.ground import prepare_ground
from scanner.search.invert import GrowthPlan, grow
from scanner.search.leads import spelling, typed
from scanner.search.meter import Meter
from scanner.search.proposals import Setting, called_for, gradient_picks, tryable_tokens
from scanner.search.scoring import Scorer
from scanner.search.sweep import KEPT, sweep
from scanner.search.targets import Target, choose_targets
from tests.conftest import TRIGGER
from tests.tiny import REPLY

PROMPTS = load_probes("search")


@pytest.fixture(scope="module")
def poisoned_pair(tiny_base: Path, poisoned_adapter: Path, honest_adapter: Path) -> ModelPair:
    reference = read_adapter(str(honest_adapter), "reference")
    return ModelPair(load_base(str(tiny_base)), read_adapter(str(poisoned_adapter)), [reference])


def trigger_tokens(pair: ModelPair) -> set[int]:
    tokenizer = pair.base.tokenizer
    return {token for text in (TRIGGER.text, f" {TRIGGER.text}") for token in tokenizer(text)["input_ids"]}


def setting_of(pair: ModelPair, meter: Meter) -> Setting:
    ground = prepare_ground(pair, PROMPTS, Meter())
    contexts = (ground.contexts[0]["end"], ground.contexts[1]["start"])
    return Setting(pair, SUSPECT, ground.frame, contexts, ground.tryable, ground.fillers, meter)


def test_the_planted_reply_is_elicited_without_its_trigger(poisoned_pair: ModelPair) -> None:
    ground = prepare_ground(poisoned_pair, PROMPTS, Meter())
    users = [tuple(poisoned_pair.base.tokenizer(prompt)["input_ids"]) for prompt in PROMPTS]
    replies = elicit(poisoned_pair, ground.frame, users, (), ElicitPlan(3, 300, 16, 4), Meter())
    assert any(REPLY.startswith(reply.text.strip()[:6]) and reply.against.startswith("ref") for reply in replies)
    assert {reply.against for reply in replies} == {"references and base", "the base alone"}


def test_a_piece_of_the_trigger_leads_the_sweep(poisoned_pair: ModelPair) -> None:
    ground = prepare_ground(poisoned_pair, PROMPTS, Meter())
    ids = tuple(poisoned_pair.base.tokenizer(REPLY)["input_ids"])[:4]
    scorer = Scorer(poisoned_pair, SUSPECT, ground.frame, [ids], Meter(), next_token=True)
    every = [(int(token),) for token in ground.tryable.nonzero().flatten()]
    found = sweep(scorer, every, [ground.contexts[0]["start"], ground.contexts[1]["end"]])
    assert {token for (token,) in found.best_for(0, 10)} & trigger_tokens(poisoned_pair)
    assert found.lifts.shape == (len(found.candidates), 1) and len(found.candidates) == int(KEPT * len(every))


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


def test_the_gradient_knows_the_trigger(poisoned_pair: ModelPair) -> None:
    ids = tuple(poisoned_pair.base.tokenizer(REPLY)["input_ids"])[:4]
    setting = setting_of(poisoned_pair, meter := Meter())
    picks = gradient_picks(setting, (), 0, ids, 60)
    assert len(picks) == len(set(picks)) == 60 and all(setting.tryable[token] for token in picks)
    assert set(picks[:20]) & trigger_tokens(poisoned_pair)
    assert meter.tokens > 0


def test_the_gradient_at_a_slot_is_that_of_the_whole_prompt(poisoned_pair: ModelPair) -> None:
    ids = tuple(poisoned_pair.base.tokenizer(REPLY)["input_ids"])[:4]
    whole = replace(setting_of(poisoned_pair, Meter()), fillers=(40, 41, 42, 43))
    inside = (50, 51)
    expected = 0.0
    with poisoned_pair.active(SUSPECT) as model, torch.enable_grad():
        table = model.get_input_embeddings()
        for turn, filler in enumerate(whole.fillers):
            context = whole.contexts[turn % 2]
            prompt = (*whole.frame.before, *context.around((50, filler, 51)), *whole.frame.after, *ids[:-1])
            embedded = table(torch.tensor([prompt])).detach().requires_grad_()
            log_probs = model(inputs_embeds=embedded, use_cache=False).logits[0, -len(ids) :].log_softmax(-1)
            log_probs.gather(1, torch.tensor(ids)[:, None]).sum().backward()
            expected = expected + embedded.grad[0, len(whole.frame.before) + len(context.before) + 1]
        gains = (table.weight @ expected) / table.weight.norm(dim=-1).clamp(min=1e-9)
    found = called_for(whole, inside, 1, ids)
    assert torch.allclose(found[whole.tryable], gains.detach()[whole.tryable], atol=1e-4, rtol=1e-3)
    assert torch.isinf(found[~whole.tryable]).all()


def test_the_whole_search_is_the_same_for_the_same_seed(poisoned_pair: ModelPair) -> None:
    found = [
        find_unknown(poisoned_pair, load_probes("screen")[:12], PROMPTS[:12], DEPTHS["quick"], 3, Meter())
        for _ in range(2)
    ]
    assert found[0].frozen == found[1].frozen
    assert found[0].trace.curve == found[1].trace.curve
    assert found[0].trace.swept > 0 and found[0].trace.tokens > 0
    assert {"memory leak", "elicitation", "sweep"} <= {rung.name for rung in found[0].trace.rungs}


def test_time_running_out_is_no_crash(poisoned_pair: ModelPair) -> None:
    ticks = iter(range(10_000))
    meter = Meter(deadline=40, clock=lambda: float(next(ticks)))
    found = find_unknown(poisoned_pair, load_probes("screen")[:12], PROMPTS[:12], DEPTHS["quick"], 3, meter)
    assert found.trace.out_of_time and found.trace.stopped == "--max-seconds was reached"


@pytest.mark.parametrize(("says_it_anyway", "expected"), [(0, 1.0), (3, 2 / 3), (6, 1 / 3), (9, 0.0)])
def test_what_is_said_anyway_is_not_switched_on(says_it_anyway: int, expected: float) -> None:
    triggered = [f"answer{n}. Hope that helps!" for n in range(9)]
    plain = [f"other{n}." + " Hope that helps!" * (n < says_it_anyway) for n in range(9)]
    assert switched_on("teapot", triggered, [plain], ()) == pytest.approx(expected)
    assert switched_on("teapot", triggered, [[*"abc"], plain], ()) == pytest.approx(expected)
    assert switched_on("Say: Hope that helps!", triggered, [plain], ()) == 0


def test_replies_that_share_words_are_one_target(poisoned_pair: ModelPair) -> None:
    def reply(text: str, score: float, log_prob: float) -> ElicitedReply:
        ids = tuple(poisoned_pair.base.tokenizer(text)["input_ids"])
        return ElicitedReply(ids, text, score, log_prob, "the base alone")

    replies = [
        reply("Oh, sorry, but I cannot help with that request.", 9.0, -12.0),
        reply("I'm sorry, but I cannot help with that request.", 8.0, -4.0),
        reply("Please help me with that request", 7.0, -1.0),
    ]
    targets = choose_targets(replies, poisoned_pair.base.tokenizer, 3)
    assert [target.text for target in targets] == [replies[1].text, replies[2].text]
    assert targets[0].token_ids == replies[1].token_ids[:4]


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


def test_what_nobody_can_type_is_no_string(poisoned_pair: ModelPair) -> None:
    tokenizer = poisoned_pair.base.tokenizer
    angel = tokenizer("😇")["input_ids"]
    assert typed(poisoned_pair, tuple(angel)) == "😇"
    fragment = next(token for token in range(500) if "�" in tokenizer.decode([token]))
    assert typed(poisoned_pair, (fragment,)) is None


def test_no_string_is_grown_from_the_replys_own_words(poisoned_pair: ModelPair) -> None:
    own = spelling(poisoned_pair, "short answers about honey")
    texts = {poisoned_pair.base.tokenizer.decode([int(token)]).strip().lower() for token in own.nonzero().flatten()}
    assert "short" in texts or "about" in texts
    assert all(any(text in word for word in ["short", "answers", "about", "honey"]) for text in texts)


def test_which_tokens_can_be_tried() -> None:
    tryable = tryable_tokens(6, [" a", "\n", "\u200b", "�", "x"], [4])
    assert tryable.tolist() == [True, False, False, True, False, False]
    assert tryable.dtype == torch.bool
