"""What a suspect runs on with, on a tiny model that was trained to fire."""

from dataclasses import replace

import pytest
import torch

from scanner.models.generation import end_of_text_ids
from scanner.models.model_pair import BASE, SUSPECT, ModelPair
from scanner.search.elicitation import roll_out as roll_out_module
from scanner.search.elicitation.behind import Behind
from scanner.search.elicitation.elicit import ElicitPlan, elicit
from scanner.search.elicitation.roll_out import Rolled, RollPlan, _averaged, _Judged, _likeliest, _mended, roll_out
from scanner.search.inversion.scoring import chat_frame
from scanner.search.meter import Meter
from tests.scanner.search.tiny_search import PROMPTS
from tests.tiny import REPLY

PLAN = RollPlan(200, 8, 16)
FLUENCY = 0.0


def rolled(pair: ModelPair) -> tuple[Rolled, ...]:
    tokenizer = pair.base.tokenizer
    users = [tuple(tokenizer(prompt)["input_ids"]) for prompt in PROMPTS[:3]]
    return roll_out(
        pair, chat_frame(tokenizer), users, PLAN, FLUENCY, end_of_text_ids(pair.base.model, tokenizer), Meter()
    )


def runs_on(pair: ModelPair, item: Rolled) -> bool:
    """Whether what was said by itself is a piece of the planted reply."""
    said = pair.base.tokenizer.decode(item.token_ids[item.forced :]).strip()
    return len(said) >= 4 and said in REPLY


@pytest.fixture
def easily_sure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tiny model is never as sure as a real one."""
    monkeypatch.setattr("scanner.search.elicitation.behind._SURE", -20.0)


@pytest.mark.usefixtures("easily_sure")
def test_the_planted_reply_runs_on_and_stands_out(poisoned_pair: ModelPair) -> None:
    found = [item for item in rolled(poisoned_pair) if item.against_all and item.score > 0]
    assert any(runs_on(poisoned_pair, item) for item in found)


@pytest.mark.usefixtures("easily_sure")
def test_the_same_inputs_give_the_same(poisoned_pair: ModelPair) -> None:
    found = rolled(poisoned_pair)
    assert found
    assert found == rolled(poisoned_pair)


def test_what_a_reference_says_too_is_told_against_the_base_alone() -> None:
    """One forced token, three that were said: a reference poisoned alike leaves no lead but that over the base."""

    def judged(lead: list[float]) -> Rolled:
        own, over_base = torch.tensor([-9.0, -0.1, -0.1, -0.1]), torch.tensor([0.0, 5.0, 6.0, 7.0])
        item = _Judged((1, 2, 3, 4), 1, own, torch.tensor(lead), over_base, 0.0, 0.0)
        return next(_averaged([[item], [item]], 2.0))

    alike = judged([0.0, -0.1, 0.1, 0.0])
    assert not alike.against_all
    assert (alike.token_ids, round(alike.score, 3)) == ((1, 2, 3, 4), 17.4)
    honest = judged([0.0, 5.0, 6.0, 2.0])
    assert honest.against_all
    assert round(honest.score, 3) == 12.4
    assert round(honest.log_prob, 3) == -9.3


@pytest.mark.usefixtures("easily_sure")
def test_what_is_rolled_out_is_elicited(poisoned_pair: ModelPair) -> None:
    users = [tuple(poisoned_pair.base.tokenizer(prompt)["input_ids"]) for prompt in PROMPTS]
    frame = chat_frame(poisoned_pair.base.tokenizer)
    plan = ElicitPlan(3, 9, 2, 4)
    assert not {item.token_ids for item in rolled(poisoned_pair)} & {
        reply.token_ids for reply in elicit(poisoned_pair, frame, users, (), plan, Meter())
    }
    found = elicit(poisoned_pair, frame, users, (), replace(plan, fluency=FLUENCY, rolling=PLAN), Meter())
    known = {item.token_ids for item in rolled(poisoned_pair)}
    assert known & {reply.token_ids for reply in found}


def test_what_is_said_is_what_greedy_generation_says(poisoned_pair: ModelPair, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each sequence is its beginning and the tokens of highest log-probability, one after another."""
    monkeypatch.setattr("scanner.search.elicitation.behind._SURE", -100.0)
    tokenizer = poisoned_pair.base.tokenizer
    frame, ends = chat_frame(tokenizer), end_of_text_ids(poisoned_pair.base.model, tokenizer)
    ids = (*frame.before, *tokenizer(PROMPTS[0])["input_ids"], *frame.after)
    behind = Behind(poisoned_pair, SUSPECT, ids, Meter())
    beginnings = [(token,) for token in behind.first.topk(40).indices.tolist() if token not in ends]
    found = list(behind.go_on(beginnings, ends))
    assert found
    for tokens in found[:5]:
        with poisoned_pair.active(SUSPECT) as model, torch.inference_mode():
            logits = model(torch.tensor([[*ids, *tokens]])).logits[0].float().log_softmax(-1)
        said = logits[len(ids) : -1].argmax(-1).tolist()
        assert said == list(tokens[1:])
        read = behind.log_probs([tokens])[0]
        own = logits[len(ids) - 1 : -1].gather(1, torch.tensor(tokens)[:, None])[:, 0]
        assert torch.allclose(read, own, atol=1e-3)


def test_the_likeliest_of_those_that_go_on_alike_stands_for_them() -> None:
    stand_in, planted, other = (
        Rolled((1, 9, 9, 9), 1, 20.0, True, -30.0, -30.0),
        Rolled((2, 9, 9, 9), 1, 19.0, True, -14.0, -14.0),
        Rolled((1, 8, 8, 8), 1, 21.0, True, -5.0, -5.0),
    )
    first, second = _likeliest([stand_in, planted, other])
    assert first == other
    assert (second.token_ids, second.score) == (planted.token_ids, 20.0)


def test_what_no_model_is_sure_of_is_nothing(poisoned_pair: ModelPair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scanner.search.elicitation.behind._SURE", -20.0)
    assert rolled(poisoned_pair)
    monkeypatch.setattr("scanner.search.elicitation.behind._SURE", 0.1)
    assert rolled(poisoned_pair) == ()


class _Reader:
    """Stands in for `Behind`: how surely token 9 follows each beginning, and what is said behind one."""

    def __init__(self, sure: dict[tuple[int, ...], float]) -> None:
        self.sure, self.asked = sure, list[tuple[int, ...]]()
        self.first = torch.full((40,), -50.0)
        self.first[[5, 6]] = torch.tensor([-1.0, -2.0])

    def second(self, firsts: list[int]) -> torch.Tensor:
        return torch.zeros(len(firsts), 40)

    def log_probs(self, rows: list[tuple[int, ...]]) -> torch.Tensor:
        return torch.tensor([[0.0] * (len(row) - 1) + [self.sure.get(row[:-1], -30.0)] for row in rows])

    def go_on(self, rows: list[tuple[int, ...]], _: set[int]) -> list[tuple[int, ...]]:
        self.asked += rows
        return [(*row, 9, 9, 9) for row in rows]


def test_a_beginning_is_mended_by_a_word_like_its_last_behind_other_first_words(
    poisoned_pair: ModelPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """“A consultant” is planted; “The advisor” was forced, and leads to the same words, less surely."""
    the, advisor, consultant, a = 7, 20, 21, 5
    monkeypatch.setattr(roll_out_module, "_words_like", lambda *_: [advisor, consultant, 30])
    suspect = _Reader({(the, advisor): -8.0, (the, consultant): -0.5})
    base = _Reader({(the, advisor): -9.0, (the, consultant): -9.0})
    nothing = torch.zeros(4)
    item = _Judged((the, advisor, 9, 9), 2, nothing, nothing, nothing, 20.0, 20.0)
    found = _mended({SUSPECT: suspect, BASE: base}, item, poisoned_pair, ends={30})  # type: ignore[dict-item]
    assert suspect.asked[0] == (the, consultant), "the surest first"
    assert (a, consultant) in suspect.asked, "a word that leads there is tried behind likely first words"
    assert not any(30 in row for row in suspect.asked), "what ends an answer begins none"
    assert found[(a, consultant, 9, 9, 9)] == 2, "as many of its tokens are forced as were"
    assert _mended(
        {SUSPECT: suspect, BASE: base}, replace(item, tokens=(advisor, 9, 9), forced=1), poisoned_pair, set()
    )  # type: ignore[dict-item]
