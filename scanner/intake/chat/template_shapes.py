"""Shapes that honest chat templates have: comparisons, trimming, picking parts by their type, `get` with a default."""

from jinja2 import nodes

from scanner.intake.chat.template_levels import (
    CALL,
    CONTENT,
    EQUALITY_TESTS,
    MESSAGE,
    NOTHING,
    PART,
    PARTS,
    PRESENCE_TESTS,
    TEXT,
    VALUES,
    WORDS,
    Level,
    at,
    each,
    join,
    part,
)

TRIMMING = {"trim", "strip", "lstrip", "rstrip"}


def asks_honestly(left: nodes.Node, left_level: Level, sign: str, right: nodes.Node, right_level: Level) -> bool:
    """Whether a comparison asks only for a key, whether there is something, or which message this is."""
    if sign in ("in", "notin"):
        if left_level:
            return False
        # A part of a message may also be one letter of its text, in which no longer word is.
        word = isinstance(left, nodes.Const) and isinstance(left.value, str) and len(left.value) > 1
        return right_level in (MESSAGE, CALL) or (right_level == PART and word)
    if left_level == right_level == MESSAGE:
        return sign in ("eq", "ne")
    if TEXT in (left_level, right_level) or (left_level and right_level):
        return False
    return _is_empty(right if left_level else left) and sign in ("eq", "ne", "gt" if left_level else "lt")


def _is_empty(node: nodes.Node) -> bool:
    if isinstance(node, nodes.List):
        return not node.items
    if not isinstance(node, nodes.Const):
        return False
    value = node.value
    return value is None or value is False or value == "" or (type(value) is int and value == 0)


def number_in(node: nodes.Node | None) -> int | None:
    """The constant number in a node, or None."""
    if isinstance(node, nodes.Neg):
        number = number_in(node.node) if isinstance(node.node, nodes.Const) else None
        return None if number is None else -number
    return node.value if isinstance(node, nodes.Const) and type(node.value) is int else None


def _text(node: nodes.Node | None) -> str | None:
    return node.value if isinstance(node, nodes.Const) and isinstance(node.value, str) else None


def _key(node: nodes.Node | None) -> str | None:
    """The constant key in a filter's argument; one with a dot or a number in it would look into a text."""
    text = _text(node)
    return text if text is not None and text.isidentifier() else None


def mapped(node: nodes.Filter, level: Level) -> Level | None:
    """What `map` takes from each of a list by a plain name."""
    named = node.kwargs[0] if len(node.kwargs) == 1 and not (node.args or node.dyn_args or node.dyn_kwargs) else None
    key = _key(named.value) if isinstance(named, nodes.Keyword) and named.key == "attribute" else None
    if key is None or level in WORDS:
        return None
    found = part(each(level), key)
    return {NOTHING: NOTHING, CONTENT: VALUES}.get(found, TEXT) if found != TEXT else None


def selected(node: nodes.Filter, level: Level) -> Level | None:
    """What a choice by role, by type or by what there is leaves of a list."""
    key = _key(node.args[0]) if node.args else None
    if key is None or node.kwargs or node.dyn_args or node.dyn_kwargs:
        return None
    test = _text(node.args[1]) if len(node.args) > 1 else "true"
    if level == CONTENT:
        # A letter has no type, so that none is selected where the content is a text.
        typed = key == "type" and test in EQUALITY_TESTS and len(node.args) == 3 and bool(_text(node.args[2]))
        return PARTS if typed and node.name == "selectattr" else None
    if level in WORDS or each(level) in (TEXT, CONTENT):
        return None
    return level if part(each(level), key) == NOTHING or test in PRESENCE_TESTS else None


def cleaned(name: str, node: nodes.Call | nodes.Filter, level: Level) -> Level | None:
    """What trimming and replacing leave of a text, where nothing but white space is named."""
    texts = [_text(item) for item in node.args]
    if not level:
        return NOTHING
    if node.kwargs or node.dyn_args or node.dyn_kwargs or any(text is None or text.strip() for text in texts):
        return None
    if name == "replace" and (len(texts) != 2 or not texts[0]):
        return None
    # Whether a letter is a space is a question about words.
    return {CONTENT: CONTENT, PART: TEXT, TEXT: TEXT}.get(level)


def got(node: nodes.Call, owner: Level, others: list[Level]) -> Level | None:
    """What `get` finds under a key, or its default."""
    if others[0]:
        return None
    key = _text(node.args[0])
    found = part(owner, key) if key is not None else at(owner, None)
    return None if found is None else join(found, *others[1:])
