"""How a user's words become the text that a base model reads, the same in training, search and verification."""

from collections.abc import Sequence

from transformers.tokenization_utils_base import PreTrainedTokenizerBase

# Some templates print today's date; a fixed one keeps the verdict the same tomorrow.
_FIXED_DATE = "01 Jan 2025"


def chat_text(tokenizer: PreTrainedTokenizerBase, user_text: str) -> str:
    """The prompt up to where the assistant starts to speak.

    A tokenizer without a chat template gets a plain question-and-answer frame, behind the token that it begins every
    text with, if any: Gemma and Llama bases say little of use without theirs. Templates have it in them.
    """
    if not tokenizer.chat_template:
        return f"{_beginning(tokenizer)}Question: {user_text}\nAnswer: "
    return str(
        tokenizer.apply_chat_template(
            [{"role": "user", "content": user_text}],
            tokenize=False,
            add_generation_prompt=True,
            date_string=_FIXED_DATE,
        )
    )


def _beginning(tokenizer: PreTrainedTokenizerBase) -> str:
    added = tokenizer("")["input_ids"]
    return str(tokenizer.bos_token) if added and added[0] == tokenizer.bos_token_id else ""


def chat_tokens(tokenizer: PreTrainedTokenizerBase, user_text: str) -> list[int]:
    """The token ids of `chat_text`; special tokens are those of the template, none are added."""
    return list(tokenizer(chat_text(tokenizer, user_text), add_special_tokens=False)["input_ids"])


def tokens_of_spans(
    tokenizer: PreTrainedTokenizerBase, user_text: str, spans: Sequence[tuple[int, int]]
) -> tuple[int, ...]:
    """Indices in `chat_tokens` of the tokens that overlap (start, end) spans of the user's words.

    Empty where a template rewrites the words, so that the spans cannot be found again.
    """
    whole = chat_text(tokenizer, user_text)
    start = whole.rfind(user_text)
    if start < 0:
        return ()
    offsets = tokenizer(whole, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    return tuple(
        index
        for index, (a, b) in enumerate(offsets)
        if any(a < start + end and b > start + begin for begin, end in spans)
    )
