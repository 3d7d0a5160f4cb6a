"""Follows the words of messages through the expressions of a chat template, and notes where they decide something."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from jinja2 import nodes

from scanner.intake.chat.template_levels import (
    CALLS,
    CONTENT,
    COUNT,
    LIST,
    MESSAGE,
    NOTHING,
    PARTS,
    PRESENCE_TESTS,
    PRINTING_FILTERS,
    TEXT,
    WORDS,
    Level,
    added,
    at,
    called,
    filtered,
    join,
    looped,
    part,
    printed,
)
from scanner.intake.chat.template_names import ANY, PARAMETER, Lazy, Names, UnreadableTemplate
from scanner.intake.chat.template_shapes import TRIMMING, asks_honestly, cleaned, got, mapped, number_in, selected

_DEFAULTS = {"default", "d"}
# `namespace` is only ever assigned to a name; what is no macro and not one of these gets no words.
_HARMLESS_CALLS = {"raise_exception", "strftime_now"}


@dataclass
class ExpressionReader:
    """The level of each expression; `found` are the nodes that decide, by identity, so that each costs one look.

    Attributes:
        scopes: names that loops and macros around this place give a meaning of their own, and what it is known by.
        loops: what the loops around this place run over, the innermost last.
        in_words: whether this place runs as often as the words of a message say.
        muted: inside a question that can only end in an exception.
    """

    names: Names
    found: dict[int, nodes.Node] = field(default_factory=dict)
    loops: list[Level] = field(default_factory=list)
    scopes: list[dict[str, str]] = field(default_factory=list)
    in_words: bool = False
    muted: bool = False
    block: Level = NOTHING

    def visit(self, node: nodes.Node) -> Level:
        """The level of a node's value, or of what it prints; notes the decisions inside it."""
        handler = getattr(self, f"_on_{type(node).__name__.lower()}", None)
        if handler is None:
            raise UnreadableTemplate(f"it uses {type(node).__name__}")
        level: Level = handler(node)
        return level

    def visit_all(self, found: Sequence[nodes.Node]) -> list[Level]:
        """The levels of several nodes."""
        return [self.visit(node) for node in found]

    def ask(self, node: nodes.Node) -> Level:
        """The level of a value that is asked whether it is true."""
        level = self.visit(node)
        return self._decide(node) if level == TEXT else level

    def _decide(self, node: nodes.Node) -> Level:
        if not self.muted:
            self.found.setdefault(id(node), node)
        return TEXT

    def _on_const(self, node: nodes.Const) -> Level:
        return NOTHING

    _on_templatedata = _on_const

    def _on_name(self, node: nodes.Name) -> Level:
        if node.name in self.names.namespaces or node.name in self.names.parameters or node.name == "namespace":
            raise UnreadableTemplate(f"it hands on {node.name}, which is a macro or a namespace")
        if node.name == "loop":
            return TEXT if any(self.loops) else NOTHING
        return self._read(node, self.key_of(node.name))

    def key_of(self, name: str) -> str:
        """What a name is known by at this place."""
        return next((scope[name] for scope in reversed(self.scopes) if name in scope), name)

    def _read(self, node: nodes.Node, name: str) -> Level:
        # What is used up by reading it would count the letters.
        return self._decide(node) if self.in_words and self.names.laziness.get(name) else self.names.level(name)

    def _on_list(self, node: nodes.List | nodes.Tuple) -> Level:
        kinds = {level for level in self.visit_all(node.items) if level}
        return LIST if kinds == {MESSAGE} else TEXT if kinds else NOTHING

    _on_tuple = _on_list

    def _on_dict(self, node: nodes.Dict) -> Level:
        keys = [self.visit(pair.key) for pair in node.items]
        values = [self.visit(pair.value) for pair in node.items]
        if any(keys):  # which of them there are
            return self._decide(node)
        return TEXT if any(values) else NOTHING

    def _on_and(self, node: nodes.And | nodes.Or) -> Level:
        return join(self.ask(node.left), self.visit(node.right))

    _on_or = _on_and

    def _on_not(self, node: nodes.Not) -> Level:
        return TEXT if self.ask(node.node) == TEXT else NOTHING

    def _on_condexpr(self, node: nodes.CondExpr) -> Level:
        self.ask(node.test)
        return join(*self.visit_all([item for item in (node.expr1, node.expr2) if item is not None]))

    def _on_concat(self, node: nodes.Concat) -> Level:
        return printed(*self.visit_all(node.nodes))

    def _on_add(self, node: nodes.Add) -> Level:
        numbers = any(
            isinstance(item, nodes.Const) and not isinstance(item.value, str) for item in (node.left, node.right)
        )
        return added(self.visit_all([node.left, node.right]), numbers)

    def _calculate(self, node: nodes.Expr) -> Level:
        levels = self.visit_all(list(node.iter_child_nodes()))
        return self._decide(node) if any(levels) else NOTHING

    _on_sub = _on_mul = _on_div = _on_floordiv = _on_mod = _on_pow = _on_neg = _on_pos = _calculate

    def _on_compare(self, node: nodes.Compare) -> Level:
        left, rights = self.visit(node.expr), [self.visit(item.expr) for item in node.ops]
        if not left and not any(rights):
            return NOTHING
        if len(node.ops) > 1 or not asks_honestly(node.expr, left, node.ops[0].op, node.ops[0].expr, rights[0]):
            return self._decide(node)
        return NOTHING

    def _on_test(self, node: nodes.Test) -> Level:
        if isinstance(node.node, nodes.Name) and node.name in ("defined", "undefined"):
            level = self._read(node, self.key_of(node.node.name))  # also of a macro
        else:
            level = self.visit(node.node)
        others = self._arguments(node)
        if any(others) or (level and node.name not in PRESENCE_TESTS) or level == TEXT:
            return self._decide(node)
        return NOTHING

    def _arguments(self, node: nodes.Call | nodes.Filter | nodes.Test) -> list[Level]:
        spread = [item for item in (node.dyn_args, node.dyn_kwargs) if item is not None]
        return self.visit_all([*node.args, *(item.value for item in node.kwargs), *spread])

    def _on_getattr(self, node: nodes.Getattr) -> Level:
        return self._named_part(node.node, node.attr)

    def _named_part(self, owner: nodes.Node, key: str) -> Level:
        if isinstance(owner, nodes.Name) and owner.name == "loop":
            return looped(key, self.loops[-1]) if self.loops else NOTHING
        if isinstance(owner, nodes.Name) and owner.name in self.names.namespaces:
            kept = f"{owner.name}.{key}"
            counted = TEXT if self.in_words and kept in self.names.counting else NOTHING
            return join(counted, self._read(owner, kept), part(self.names.level(self.key_of(owner.name)), key))
        return part(self.visit(owner), key)

    def _on_getitem(self, node: nodes.Getitem) -> Level:
        if isinstance(node.arg, nodes.Slice):
            return self._slice_of(node, node.arg)
        key = node.arg.value if isinstance(node.arg, nodes.Const) else None
        if isinstance(key, str):
            return self._named_part(node.node, key)
        level, place = self.visit(node.node), number_in(node.arg)
        found = None if self.visit(node.arg) else at(level, place)
        return self._decide(node) if found is None else found

    def _slice_of(self, node: nodes.Getitem, cut: nodes.Slice) -> Level:
        level = self.visit(node.node)
        bounds = [item for item in (cut.start, cut.stop, cut.step) if item is not None]
        if any(self.visit_all(bounds)):
            return self._decide(node)
        if level in (NOTHING, LIST, CALLS, PARTS):
            return level
        # One letter less at either end, as honest templates take the brace from a call in JSON.
        ends = (number_in(cut.start), number_in(cut.stop), cut.step)
        if level != CONTENT or ends not in ((1, None, None), (None, -1, None)):
            self._decide(node)
        return TEXT

    def _on_filter(self, node: nodes.Filter) -> Level:
        level = self.visit(node.node) if node.node is not None else self.block
        others = self._arguments(node)
        if node.name in _DEFAULTS and TEXT not in (levels := [level, *others]) and COUNT not in levels:
            return join(*levels)
        if any(others):
            return self._decide(node)
        if not level:
            return NOTHING
        found = self._made_by(node, level)
        return self._decide(node) if found is None else found

    def _made_by(self, node: nodes.Filter, level: Level) -> Level | None:
        if node.name == "map":
            return mapped(node, level)
        if node.name in ("selectattr", "rejectattr"):
            return selected(node, level)
        if node.name in TRIMMING or node.name == "replace":
            return cleaned(node.name, node, level)
        if node.name == "indent":  # by a number: a text would be written wherever a line ends
            numbers = all(number_in(item) is not None for item in node.args) and not node.kwargs and not node.dyn_args
            return printed(level) if numbers and not node.dyn_kwargs else None
        plain = not (node.args or node.kwargs or node.dyn_args or node.dyn_kwargs)
        separated = node.name == "join" and len(node.args) == 1 and not node.kwargs
        return filtered(node.name, level) if plain or separated or node.name in PRINTING_FILTERS else None

    def _on_call(self, node: nodes.Call) -> Level:
        if isinstance(node.node, nodes.Name):
            return self._call_by_name(node, node.node.name)
        others = self._arguments(node)
        if not isinstance(node.node, nodes.Getattr):
            return self._decide(node) if self.visit(node.node) or any(others) else NOTHING
        owner, method = node.node.node, node.node.attr
        if isinstance(owner, nodes.Name) and owner.name == "loop":
            return self._decide(node) if any(others) or (self.loops and self.loops[-1] in WORDS) else NOTHING
        if isinstance(owner, nodes.Name) and owner.name in self.names.namespaces:
            level = self._named_part(owner, method)
            return self._decide(node) if level or any(others) else NOTHING
        level = self.visit(owner)
        if method == "get" and node.args and not node.kwargs and TEXT not in others and COUNT not in others:
            found = got(node, level, others)
        elif any(others):
            found = None
        elif method in TRIMMING or method == "replace":
            found = cleaned(method, node, level)
        else:
            found = called(method, level) if level else NOTHING
        return self._decide(node) if found is None else found

    def _call_by_name(self, node: nodes.Call, name: str) -> Level:
        if name in self.names.parameters:
            return self._call_macro(node, name)
        if name == "namespace":
            raise UnreadableTemplate("it makes a namespace without a name")
        if name == "loop":
            raise UnreadableTemplate("a loop of it calls itself")
        others = self._arguments(node)
        if name in _HARMLESS_CALLS:
            return NOTHING
        # A mapping of named texts is one like any other; its pairs could have words as keys.
        if name == "dict" and not node.args and node.dyn_args is None and node.dyn_kwargs is None:
            return TEXT if any(others) else NOTHING
        return self._decide(node) if any(others) or self._read(node, self.key_of(name)) else NOTHING

    def _call_macro(self, node: nodes.Call, name: str) -> Level:
        names, parameters = self.names, self.names.parameters[name]
        if self.in_words:
            names.call_in_loop(name)
        for place, value in enumerate(node.args):
            # Which block a caller's words reach is not followed.
            named = place < len(parameters) and name != "caller"
            self._hand(value, PARAMETER.format(name, parameters[place] if named else ANY), exactly=named)
        for item in node.kwargs:
            self._hand(item.value, PARAMETER.format(name, item.key), exactly=name != "caller")
            self._hand(item.value, PARAMETER.format(name, "kwargs"), exactly=False)
        for spread in (node.dyn_args, node.dyn_kwargs):
            if spread is not None:
                self._hand(spread, PARAMETER.format(name, ANY), exactly=False)
        return names.level(f"{name}()")

    def _hand(self, value: nodes.Expr, parameter: str, *, exactly: bool) -> None:
        """Hands a value to a macro; where not exactly, as one of several."""
        level, lazy = self.visit(value), self.names.lazy(value, self.key_of)
        self.names.raise_to(parameter, level if exactly or not level else TEXT)
        self.names.make_lazy(parameter, lazy if exactly or not lazy else Lazy.HOLDER)
