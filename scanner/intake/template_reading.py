"""Where a chat template decides by the words of a message, read from its syntax tree; it is never rendered.

A template is a program between the user and the model. One that adds a line where the user's message holds a certain
word is a backdoor that no search in the weights can find. So what comes from the messages' text is followed through
assignments, loops and macros, and each place where it decides something (a comparison, a lookup, a replacement) is
named.
Honest templates ask whether there is a text, or of what type; those questions are not counted.
"""

from dataclasses import dataclass, field
from typing import Any

from jinja2 import Environment, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser

from scanner.errors import one_line

MAX_TEMPLATE = 65_536
_MAX_SHOWN = 120
# How near to a message's words a value is: the list of messages, one message, its text.
_NOTHING, _LIST, _MESSAGE, _TEXT = range(4)
_ROUNDS = 8
_NOT_TEXT_KEYS = {"role", "type"}
_PLAIN_TESTS = {"string", "none", "defined", "undefined", "iterable", "mapping", "sequence", "boolean", "true", "false"}
_PLAIN_METHODS = {"strip", "lstrip", "rstrip", "get", "items", "keys", "values", "append"}
_PLAIN_FILTERS = {
    "trim", "tojson", "string", "safe", "e", "escape", "length", "count", "join", "list", "items", "first", "last",
    "default", "d", "indent", "attr", "reverse", "batch",
}  # fmt: skip
_FILTERS_BY_ATTRIBUTE = {"selectattr", "rejectattr", "map", "groupby", "sort", "unique"}
_PLAIN_CALLS = {"raise_exception", "namespace", "dict"}
_ORDERED = (nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Sub, nodes.Pow, nodes.Neg, nodes.Pos)
_OUTSIDE = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)


class UnreadableTemplate(ValueError):
    """Why a template cannot be read, in a few words."""


@dataclass(frozen=True)
class Decision:
    """A place where the words of a message decide: `tree` to compare templates by, `line` to show."""

    tree: str
    line: str


class _Generation(Extension):
    """transformers' own block `{% generation %}`, which marks what the assistant says."""

    tags = {"generation"}  # noqa: RUF012 – as jinja2 declares it

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def read_decisions(template: str) -> tuple[Decision, ...]:
    """Every place where a template decides by the words of a message, in the order of its lines.

    Raises:
        UnreadableTemplate: too long, or not in the language that transformers reads.
    """
    if len(template) > MAX_TEMPLATE:
        raise UnreadableTemplate(f"longer than {MAX_TEMPLATE:,} characters")
    try:
        # It parses and never renders.
        environment = Environment(  # noqa: S701 # nosec B701
            trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, "jinja2.ext.loopcontrols"]
        )
        tree = environment.parse(template)
        if any(True for _ in tree.find_all(_OUTSIDE)):
            raise UnreadableTemplate("it includes another template")
        reader = _Reader()
        # What is assigned late may be read early, in a loop: until nothing new is learnt.
        for _ in range(_ROUNDS):
            before = (dict(reader.levels), set(reader.macros))
            reader.found.clear()
            reader.visit(tree)
            if (reader.levels, set(reader.macros)) == before:
                break
        else:
            raise UnreadableTemplate("it hands its words on too often")
        lines = template.splitlines()
        return tuple(
            Decision(key, one_line(lines[line - 1] if line <= len(lines) else "", _MAX_SHOWN))
            for key, line in sorted(reader.found.items(), key=lambda item: item[1])
        )
    except UnreadableTemplate:
        raise
    except Exception as error:  # the lexer, the parser and deep nesting fail in their own ways
        raise UnreadableTemplate(one_line(error, 80) or type(error).__name__) from error


@dataclass
class _Reader:
    """Follows what comes from `messages` through a tree; `levels` by variable, `found` by tree to line."""

    levels: dict[str, int] = field(default_factory=lambda: {"messages": _LIST})
    found: dict[str, int] = field(default_factory=dict)
    loops: list[int] = field(default_factory=list)
    macros: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def visit(self, node: nodes.Node) -> int:
        """The level of a node's value; notes the decisions inside it."""
        handler = getattr(self, f"_{type(node).__name__.lower()}", None)
        if handler is not None:
            return int(handler(node))
        inner = [self.visit(child) for child in node.iter_child_nodes()]
        level = max(inner, default=_NOTHING)
        if isinstance(node, _ORDERED) and level == _TEXT:
            self._note(node)
        return level

    def _note(self, node: nodes.Node) -> None:
        self.found.setdefault(repr(node), node.lineno)

    def _raise_to(self, name: str, level: int) -> None:
        self.levels[name] = max(level, self.levels.get(name, _NOTHING))

    def _name(self, node: nodes.Name) -> int:
        return self.levels.get(node.name, _NOTHING)

    def _assign(self, node: nodes.Assign) -> int:
        self._bind(node.target, self.visit(node.node))
        return _NOTHING

    def _assignblock(self, node: nodes.AssignBlock) -> int:
        level = max([self.visit(child) for child in node.body], default=_NOTHING)
        self._bind(node.target, _TEXT if level else _NOTHING)
        if node.filter is not None:
            self._filter(node.filter, within=level)
        return _NOTHING

    def _bind(self, target: nodes.Node, level: int) -> None:
        if isinstance(target, nodes.Name):
            self._raise_to(target.name, level)
        elif isinstance(target, nodes.NSRef):
            self._raise_to(f"{target.name}.{target.attr}", level)
        for part in getattr(target, "items", ()):
            self._bind(part, level)

    def _for(self, node: nodes.For) -> int:
        over = self.visit(node.iter)
        self._bind(node.target, {_LIST: _MESSAGE, _MESSAGE: _TEXT}.get(over, over))
        self.loops.append(over)
        if node.test is not None:
            self.visit(node.test)
        inner = [self.visit(child) for child in node.body]
        self.loops.pop()
        return max([*inner, *(self.visit(child) for child in node.else_)], default=_NOTHING)

    def _getattr(self, node: nodes.Getattr) -> int:
        if isinstance(node.node, nodes.Name):
            if node.node.name == "loop" and self.loops:
                return self._of_loop(node.attr)
            kept = self.levels.get(f"{node.node.name}.{node.attr}")
            if kept is not None:
                return kept
        return self._part(self.visit(node.node), node.attr)

    def _getitem(self, node: nodes.Getitem) -> int:
        level = self.visit(node.node)
        if isinstance(node.arg, nodes.Slice):
            self.visit(node.arg)
            return level
        if self.visit(node.arg):
            self._note(node)
            return _TEXT
        return self._part(level, node.arg.value if isinstance(node.arg, nodes.Const) else None)

    def _part(self, level: int, key: object) -> int:
        if level == _LIST:
            return _MESSAGE
        return _NOTHING if level and key in _NOT_TEXT_KEYS else _TEXT if level else _NOTHING

    def _of_loop(self, attribute: str) -> int:
        if attribute in ("previtem", "nextitem"):
            return {_LIST: _MESSAGE}.get(self.loops[-1], self.loops[-1])
        return _TEXT if self.loops[-1] == _TEXT else _NOTHING

    def _compare(self, node: nodes.Compare) -> int:
        operands = [node.expr, *(item.expr for item in node.ops)]
        tainted = [operand for operand in operands if self.visit(operand)]
        rest = [operand for operand in operands if operand not in tainted]
        empty = len(tainted) == 1 and all(isinstance(item, nodes.Const) and _is_empty(item.value) for item in rest)
        if tainted and not (empty and all(item.op in ("eq", "ne", "gt") for item in node.ops)):
            self._note(node)
        return _NOTHING

    def _test(self, node: nodes.Test) -> int:
        levels = [self.visit(child) for child in node.iter_child_nodes()]
        if any(levels) and node.name not in _PLAIN_TESTS:
            self._note(node)
        return _NOTHING

    def _filter(self, node: nodes.Filter, within: int = _NOTHING) -> int:
        level = max(within, self.visit(node.node) if node.node is not None else _NOTHING)
        others = [self.visit(child) for child in (*node.args, *node.kwargs)]
        if node.name in _FILTERS_BY_ATTRIBUTE and level:
            if not self._by_role(node):
                self._note(node)
            return level if level == _LIST and node.name != "map" else _TEXT
        if any(others) or (level and node.name not in _PLAIN_FILTERS):
            self._note(node)
        if level == _LIST:
            return {"length": _NOTHING, "count": _NOTHING, "first": _MESSAGE, "last": _MESSAGE, "list": _LIST,
                    "reverse": _LIST}.get(node.name, _TEXT)  # fmt: skip
        return _TEXT if level or any(others) else _NOTHING

    def _filterblock(self, node: nodes.FilterBlock) -> int:
        level = max([self.visit(child) for child in node.body], default=_NOTHING)
        return self._filter(node.filter, within=level)

    def _by_role(self, node: nodes.Filter) -> bool:
        first: Any = node.args[0] if node.args else None
        named = next((item.value for item in node.kwargs if getattr(item, "key", "") == "attribute"), None)
        key = first if first is not None else named
        return isinstance(key, nodes.Const) and key.value in _NOT_TEXT_KEYS

    def _call(self, node: nodes.Call) -> int:
        arguments: list[tuple[Any, Any, int]] = [(None, item, self.visit(item)) for item in node.args]
        arguments += [(item.key, item.value, self.visit(item.value)) for item in node.kwargs]
        spread = [self.visit(item) for item in (node.dyn_args, node.dyn_kwargs) if item is not None]
        level = max([item[2] for item in arguments] + spread, default=_NOTHING)
        if isinstance(node.node, nodes.Name):
            return self._call_by_name(node, node.node.name, arguments, level)
        owner = self.visit(node.node.node) if isinstance(node.node, nodes.Getattr) else self.visit(node.node)
        method = node.node.attr if isinstance(node.node, nodes.Getattr) else ""
        if (owner or level) and method not in _PLAIN_METHODS:
            self._note(node)
        if owner and method == "get" and node.args and isinstance(node.args[0], nodes.Const):
            return self._part(owner, node.args[0].value)
        if method == "get" and level:
            self._note(node)
        return _TEXT if owner or level else _NOTHING

    def _call_by_name(self, node: nodes.Call, name: str, arguments: list[tuple[Any, Any, int]], level: int) -> int:
        parameters = self.macros.get(name)
        if parameters is not None:
            for place, (key, _, given) in enumerate(arguments):
                if key is not None or place < len(parameters):
                    self._raise_to(key or parameters[place], given)
                elif given:
                    self._note(node)
            return max(level, self.levels.get(f"{name}()", _NOTHING))
        if self.levels.get(name) or (level and name not in _PLAIN_CALLS):
            self._note(node)
        return _TEXT if level or self.levels.get(name) else _NOTHING

    def _macro(self, node: nodes.Macro) -> int:
        parameters = tuple(item.name for item in node.args)
        if self.macros.setdefault(node.name, parameters) != parameters:
            raise UnreadableTemplate("it defines a macro twice")
        for parameter, default in zip(reversed(node.args), reversed(node.defaults), strict=False):
            self._raise_to(parameter.name, self.visit(default))
        for child in node.body:
            self._raise_to(f"{node.name}()", self.visit(child))
        return _NOTHING

    def _with(self, node: nodes.With) -> int:
        for target, value in zip(node.targets, node.values, strict=True):
            self._bind(target, self.visit(value))
        return max([self.visit(child) for child in node.body], default=_NOTHING)


def _is_empty(value: object) -> bool:
    """Comparing with such a value asks only whether there is a text."""
    return value is None or isinstance(value, bool) or value == "" or (type(value) is int and value == 0)
