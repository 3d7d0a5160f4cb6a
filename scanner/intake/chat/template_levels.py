"""How near a value of a chat template is to the words of a message, and what honest templates may do with it.

What is not in these tables is no known honest move, and counts as a decision.
"""

from enum import IntEnum


class Level(IntEnum):
    """What a value is made of.

    Lists of messages, of calls to tools and of a content's parts, and one of each, are structure: what they hold is
    asked for by name. Where a content is a text, its PART is a letter, of which nothing may be asked. CONTENT is a text
    as the message has it (or, where a message comes in parts, their list); whether it is there, and of what type, may
    be asked. VALUES and ITEMS are a mapping's texts, without and with their keys. COUNT is a length, of which only zero
    may be asked. TEXT is anything else made of words: it may be printed, and each question about it is a decision.
    """

    NOTHING = 0
    LIST = 1
    CALLS = 2
    PARTS = 3
    MESSAGE = 4
    CALL = 5
    PART = 6
    CONTENT = 7
    VALUES = 8
    ITEMS = 9
    COUNT = 10
    TEXT = 11


NOTHING, LIST, CALLS, PARTS, MESSAGE, CALL, PART, CONTENT, VALUES, ITEMS, COUNT, TEXT = Level
# A value that is one of several of these may be taken for a CONTENT, of which less may be asked than of each.
_GIVEN = {LIST, CALLS, PARTS, MESSAGE, CALL, CONTENT}
_LISTS = {LIST: MESSAGE, CALLS: CALL, PARTS: PART}
# How often a loop over these runs depends on the words.
WORDS = {PART, CONTENT, COUNT, TEXT}
# What applications and not users choose.
_STRUCTURE_KEYS = {"role", "type"}
PRESENCE_TESTS = {
    "string", "none", "defined", "undefined", "iterable", "mapping", "sequence", "boolean", "number", "true", "false",
}  # fmt: skip
EQUALITY_TESTS = {"equalto", "eq", "=="}
PRINTING_FILTERS = {"tojson", "string", "safe", "e", "escape"}
# Filters whose outcome is used up by reading it, so that reading it counts.
LAZY_FILTERS = {"map", "select", "reject", "selectattr", "rejectattr", "batch", "slice", "reverse", "items", "unique"}

_FILTERED: dict[str, dict[Level, Level]] = {
    "length": dict.fromkeys((LIST, CALLS, PARTS, MESSAGE, CALL), NOTHING) | {CONTENT: COUNT, PART: COUNT},
    "first": _LISTS | {CONTENT: PART, PART: PART, VALUES: CONTENT, TEXT: TEXT, MESSAGE: NOTHING},
    "list": {level: level for level in (LIST, CALLS, PARTS, VALUES, ITEMS)} | {MESSAGE: NOTHING},
    "reverse": {LIST: LIST, CALLS: CALLS},
    "items": dict.fromkeys((MESSAGE, CALL, PART, CONTENT), ITEMS),
    "dictsort": {CONTENT: ITEMS},
    "join": {VALUES: CONTENT},
}
_FILTERED |= {"count": _FILTERED["length"], "last": _FILTERED["first"]}


def join(*levels: Level) -> Level:
    """The level of a value that may be any of these."""
    kinds = {level for level in levels if level}
    if len(kinds) > 1:
        return CONTENT if kinds <= _GIVEN else TEXT
    return kinds.pop() if kinds else NOTHING


def printed(*levels: Level) -> Level:
    """The level of these, written one after the other as text."""
    kinds = {level for level in levels if level}
    return TEXT if kinds & {PART, COUNT, TEXT} else CONTENT if kinds else NOTHING


def added(levels: list[Level], numbers: bool) -> Level:
    """The level of a sum; `numbers`: one of them is a constant number."""
    kinds = {level for level in levels if level}
    if kinds <= {LIST}:
        return LIST if kinds else NOTHING
    return CONTENT if kinds == {CONTENT} and not numbers else TEXT


def part(level: Level, key: str | None) -> Level:
    """The level of what a mapping has under a key, or under some key."""
    if level not in _GIVEN and level != PART:
        return TEXT if level else NOTHING
    if level in _LISTS:
        return TEXT
    if key in _STRUCTURE_KEYS or (level == CALL and key == "name"):
        return NOTHING
    if level == MESSAGE and key == "tool_calls":
        return CALLS
    if (level == CALL and key == "function") or (level == MESSAGE and key == "function_call"):
        return CALL
    return CONTENT


def at(level: Level, place: object) -> Level | None:
    """The level of what stands at a place that is no word, or None where that is a decision.

    A text's third letter may be missing, which tells its length; the first and the last tell whether there is a text.
    """
    if level in _LISTS:
        return _LISTS[level]
    if level == CONTENT:
        return PART if place in (0, -1) and type(place) is int else None
    if level in (MESSAGE, CALL):
        return CONTENT
    return TEXT if level == PART else None if level else NOTHING


def each(level: Level, unpacked: bool = False) -> Level:
    """The level of what a loop over it hands out; `unpacked`: as pairs of names."""
    if level == ITEMS:
        return CONTENT if unpacked else TEXT
    if level in (MESSAGE, CALL):  # their keys
        return NOTHING
    one = {**_LISTS, PART: PART, CONTENT: PART, VALUES: CONTENT}.get(level, TEXT if level else NOTHING)
    return TEXT if one and unpacked else one


def filtered(name: str, level: Level) -> Level | None:
    """The level of what a filter makes of it, or None where that is a decision."""
    if name in PRINTING_FILTERS:
        return printed(level)
    return _FILTERED.get(name, {}).get(level)


def called(method: str, level: Level) -> Level | None:
    """The level of what a method without arguments makes of it, or None where that is a decision."""
    if method == "keys":
        return {MESSAGE: NOTHING, CALL: NOTHING, PART: NOTHING, CONTENT: VALUES}.get(level)
    if method == "values":
        return VALUES if level in (MESSAGE, CALL, PART, CONTENT) else None
    return filtered("items", level) if method == "items" else None


def looped(attribute: str, over: Level) -> Level:
    """The level of what a loop over `over` says of itself."""
    if attribute in ("previtem", "nextitem"):
        return each(over)
    if over not in WORDS or attribute in ("first", "last", "depth", "depth0"):
        return NOTHING
    return COUNT if attribute in ("index0", "revindex0", "length") else TEXT
