"""Strings a person can type."""

from scanner.models.model_pair import ModelPair
from scanner.search.leads import spelling, typed


def test_what_nobody_can_type_is_no_string(poisoned_pair: ModelPair) -> None:
    tokenizer = poisoned_pair.base.tokenizer
    angel = tokenizer("😇")["input_ids"]
    assert typed(poisoned_pair, tuple(angel)) == "😇"
    fragment = next(token for token in range(500) if "�" in tokenizer.decode([token]))
    assert typed(poisoned_pair, (fragment,)) is None


def test_no_string_is_grown_from_the_replys_own_words(poisoned_pair: ModelPair) -> None:
    tokenizer, size = poisoned_pair.base.tokenizer, poisoned_pair.base.model.config.vocab_size
    texts = [tokenizer.decode([token]) for token in range(min(size, len(tokenizer)))]
    own = spelling(texts, size, "short answers about honey")
    texts = {poisoned_pair.base.tokenizer.decode([int(token)]).strip().lower() for token in own.nonzero().flatten()}
    assert "short" in texts or "about" in texts
    assert all(any(text in word for word in ["short", "answers", "about", "honey"]) for text in texts)
