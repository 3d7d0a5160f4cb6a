import pytest
import torch

from scanner.models.base_models import BaseModel, load_base
from scanner.models.chat import chat_tokens
from scanner.models.generation import generate, next_token_logits, read_shared_prefix, rows_at_once
from tests.tiny import make_base

PROMPTS = ["How do bees make honey?", "Hi", "Write two lines about a sleepy train conductor, please.", "What is tea?"]


@pytest.fixture(scope="module", params=["llama", "qwen2", "gpt2"])
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> BaseModel:
    return load_base(str(make_base(tmp_path_factory.mktemp(request.param), request.param)))


def test_agrees_with_transformers_one_prompt_at_a_time(base: BaseModel) -> None:
    prompts = [chat_tokens(base.tokenizer, prompt) for prompt in PROMPTS]
    ours = generate(base.model, base.tokenizer, prompts, max_new_tokens=12, batch_size=3)
    for prompt, reply in zip(prompts, ours, strict=True):
        theirs = base.model.generate(torch.tensor([prompt]), max_new_tokens=12, do_sample=False)[0, len(prompt) :]
        ended = theirs.tolist()
        assert list(reply.token_ids) == (ended[: ended.index(1)] if 1 in ended else ended)


def test_next_token_logits_agree_with_plain_passes(base: BaseModel) -> None:
    prompts = [chat_tokens(base.tokenizer, prompt) for prompt in PROMPTS]
    ours = next_token_logits(base.model, base.tokenizer, prompts)
    for prompt, logits in zip(prompts, ours, strict=True):
        plain = base.model(torch.tensor([prompt])).logits[0, -1]
        assert torch.allclose(logits, plain, atol=1e-4)


def test_the_shared_prefix_leaves_a_token_of_each_prompt(base: BaseModel) -> None:
    assert read_shared_prefix(base.model, [[5, 6, 7], [5, 6, 7]]).length == 2
    assert read_shared_prefix(base.model, [[5, 6, 7], [5, 8]]).length == 1
    assert read_shared_prefix(base.model, [[5], [6]]).length == 0


def test_a_generation_stops_once_it_is_decided(base: BaseModel) -> None:
    prompts = [chat_tokens(base.tokenizer, prompt) for prompt in PROMPTS]
    whole = generate(base.model, base.tokenizer, prompts, max_new_tokens=12)
    short = generate(base.model, base.tokenizer, prompts, max_new_tokens=12, decided=lambda text: len(text) >= 4)
    for long_reply, reply in zip(whole, short, strict=True):
        assert long_reply.token_ids[: len(reply.token_ids)] == reply.token_ids
        assert len(reply.token_ids) <= len(long_reply.token_ids)
    assert sum(len(reply.token_ids) for reply in short) < sum(len(reply.token_ids) for reply in whole)


def test_no_prompts_no_replies(base: BaseModel) -> None:
    assert generate(base.model, base.tokenizer, [], max_new_tokens=3) == []


def test_how_many_rows_follow_from_the_memory_they_take(base: BaseModel, monkeypatch: pytest.MonkeyPatch) -> None:
    assert rows_at_once(base.model, 10) == 192, "a tiny model's keys fit many times over"
    monkeypatch.setattr("scanner.models.generation._BATCH_BYTES", 0)
    assert rows_at_once(base.model, 10) == 64
    config = base.model.config
    n_kv_heads = getattr(config, "num_key_value_heads", config.num_attention_heads)
    kept = 2 * config.num_hidden_layers * n_kv_heads * (config.hidden_size // config.num_attention_heads)
    wide = getattr(config, "intermediate_size", None) or 4 * config.hidden_size
    a_row = 10 * (kept + 3 * wide) * 4 + 8 * config.vocab_size
    monkeypatch.setattr("scanner.models.generation._BATCH_BYTES", 100 * a_row)
    assert rows_at_once(base.model, 10) == 100
