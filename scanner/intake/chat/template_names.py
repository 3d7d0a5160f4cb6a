"""What is known of a chat template's names while it is read: levels, macros, namespaces, and what a loop may count."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum

from jinja2 import nodes

from scanner.errors import one_line
from scanner.intake.chat.template_levels import LAZY_FILTERS, LIST, NOTHING, TEXT, Level, join

# What the reader relies on by name, so that a template may not give these another meaning.
_RESERVED = {
    "raise_exception", "strftime_now", "namespace", "dict", "range", "loop", "caller", "varargs", "kwargs", "self",
    "super", "cycler", "joiner", "lipsum",
}  # fmt: skip
# They count how often they were asked.
_REFUSED = {"cycler", "joiner", "self", "super"}

# By this a macro's parameter is known, and under this name what may reach each of them and the rest.
PARAMETER, ANY = "{}:{}", "*"


class UnreadableTemplate(ValueError):
    """Why a template cannot be read, in a few words."""


class Lazy(IntEnum):
    """Whether reading a value uses it up: not, as an iterator over plain values, or as something that holds such."""

    NO = 0
    ITERATOR = 1
    HOLDER = 2


@dataclass
class Names:
    """Everything learnt so far; `news` says whether something was, since it was last set to False.

    Attributes:
        levels: by variable, by `namespace.attribute`, and by `macro()` for what a macro prints.
        parameters: of macros, by their name.
        namespaces: the variables that are one.
        in_loops: macros that are called in a loop over words.
        counting: attributes of namespaces that such a loop assigns, by the one constant it assigns if any.
    """

    levels: dict[str, Level] = field(default_factory=lambda: {"messages": LIST})
    parameters: dict[str, tuple[str, ...]] = field(default_factory=dict)
    namespaces: set[str] = field(default_factory=set)
    in_loops: set[str] = field(default_factory=set)
    counting: dict[str, object] = field(default_factory=dict)
    laziness: dict[str, Lazy] = field(default_factory=dict)
    news: bool = False
    _lazy_nodes: dict[int, Lazy] = field(default_factory=dict)

    def start_round(self) -> None:
        """Forgets what depends on the names of the last round."""
        self.news = False
        self._lazy_nodes.clear()

    def level(self, name: str) -> Level:
        """How near a name's value is to the words."""
        return self.levels.get(name, NOTHING)

    def raise_to(self, name: str, level: Level) -> None:
        """Adds that a name's value may be at this level."""
        raised = join(level, self.level(name))
        if raised != self.level(name):
            self.levels[name] = raised
            self.news = True

    def call_in_loop(self, macro: str) -> None:
        """Adds that a macro runs in a loop over words."""
        self.news |= macro not in self.in_loops
        self.in_loops.add(macro)

    def count(self, key: str, constant: object) -> Level:
        """Adds that a loop over words assigns a constant; a second one would let it count."""
        if key not in self.counting:
            self.counting[key] = constant
            self.news = True
        return NOTHING if self.counting[key] == constant else TEXT

    def make_lazy(self, name: str, lazy: Lazy) -> None:
        """Adds that reading a name's value uses it up."""
        if lazy > self.laziness.get(name, Lazy.NO):
            self.laziness[name] = lazy
            self.news = True

    def lazy(self, node: nodes.Node, key_of: Callable[[str], str]) -> Lazy:
        """Whether an expression's value is used up by reading it."""
        known = self._lazy_nodes.get(id(node))
        if known is None:
            known = self._lazy_nodes[id(node)] = self._look_for_lazy(node, key_of)
        return known

    def _look_for_lazy(self, node: nodes.Node, key_of: Callable[[str], str]) -> Lazy:
        if isinstance(node, nodes.Name):
            return self.laziness.get(key_of(node.name), Lazy.NO)
        inner = max([self.lazy(child, key_of) for child in node.iter_child_nodes()], default=Lazy.NO)
        if isinstance(node, nodes.Getattr) and isinstance(node.node, nodes.Name):
            return max(inner, self.laziness.get(f"{node.node.name}.{node.attr}", Lazy.NO))
        if isinstance(node, nodes.Filter):
            by_filters = node.name == "map" and bool(node.args)
            return Lazy.HOLDER if inner == Lazy.HOLDER or by_filters else max(inner, Lazy(node.name in LAZY_FILTERS))
        return Lazy.HOLDER if inner else Lazy.NO


def names_of(tree: nodes.Template) -> Names:
    """The macros and namespaces of a template.

    Raises:
        UnreadableTemplate: one of its names could mislead a reader.
    """
    names = Names(parameters={"caller": ()})
    for macro in tree.find_all(nodes.Macro):
        parameters = tuple(item.name for item in macro.args)
        if names.parameters.setdefault(macro.name, parameters) != parameters:
            raise UnreadableTemplate("it defines a macro twice")
    for name in tree.find_all(nodes.Name):
        if name.name in (_RESERVED if name.ctx != "load" else _REFUSED):
            raise UnreadableTemplate(f"it uses the name {one_line(name.name, 20)} in its own way")
    taken = _RESERVED.intersection(macro.name for macro in tree.find_all(nodes.Macro))
    if taken:
        raise UnreadableTemplate(f"it uses the name {min(taken)} in its own way")
    for assigned in tree.find_all(nodes.Assign):
        if isinstance(assigned.target, nodes.Name) and makes_namespace(assigned.node):
            names.namespaces.add(assigned.target.name)
    return names


def makes_namespace(node: nodes.Node) -> bool:
    """Whether an expression is a new namespace."""
    return isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name == "namespace"
