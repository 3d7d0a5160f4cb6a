"""Follows the words of messages through the statements of a chat template: assignments, loops, conditions, macros."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from jinja2 import nodes

from scanner.intake.chat.template_expressions import ExpressionReader
from scanner.intake.chat.template_levels import CONTENT, COUNT, NOTHING, TEXT, WORDS, Level, each, join, printed
from scanner.intake.chat.template_names import ANY, PARAMETER, Lazy, UnreadableTemplate, makes_namespace

_PICKING = {"selectattr", "rejectattr", "list"}


class TemplateReader(ExpressionReader):
    """Reads a whole template; the level of a statement is that of what it prints."""

    def _body(self, body: Sequence[nodes.Node]) -> Level:
        return printed(*self.visit_all(body))

    @contextmanager
    def _counted(self, in_words: bool) -> Iterator[None]:
        before, self.in_words = self.in_words, in_words
        yield
        self.in_words = before

    @contextmanager
    def _in_scope(self, names: dict[str, str]) -> Iterator[None]:
        self.scopes.append(names)
        yield
        self.scopes.pop()

    def _on_template(self, node: nodes.Template) -> Level:
        return self._body(node.body)

    def _on_output(self, node: nodes.Output) -> Level:
        return self._body(node.nodes)

    def _on_break(self, node: nodes.Break | nodes.Continue) -> Level:
        return NOTHING

    _on_continue = _on_break

    def _on_if(self, node: nodes.If) -> Level:
        before = self.muted
        # A question whose answer can only be an exception switches nothing on.
        self.muted = before or _only_raises(node.body)
        self.ask(node.test)
        self.muted = before
        return printed(self._body(node.body), self._body(node.elif_), self._body(node.else_))

    def _on_for(self, node: nodes.For) -> Level:
        if node.recursive:
            raise UnreadableTemplate("a loop of it calls itself")
        over, lazy = self.visit(node.iter), self._laziness_of_each(node.iter)
        if over in (TEXT, COUNT):
            self._decide(node)
        words = over in WORDS
        self.loops.append(over)
        with self._in_scope({name: f"{name}@{id(node)}" for name in _names_in(node.target)}):
            self._bind(node.target, each(over, isinstance(node.target, nodes.Tuple)), lazy)
            with self._counted(self.in_words or words):
                if node.test is not None:
                    self.ask(node.test)
                inner = self._body(node.body)
        self.loops.pop()
        # Even the same text for each letter tells how many there are.
        return printed(inner, CONTENT if words else NOTHING, self._body(node.else_))

    def _laziness_of_each(self, node: nodes.Node) -> Lazy:
        while isinstance(node, nodes.Filter) and node.name in _PICKING and node.node is not None:
            node = node.node
        return Lazy.HOLDER if self.names.lazy(node, self.key_of) == Lazy.HOLDER else Lazy.NO

    def _on_assign(self, node: nodes.Assign) -> Level:
        target, value = node.target, node.node
        if isinstance(target, nodes.Name) and isinstance(value, nodes.Call) and makes_namespace(value):
            self._make_namespace(target.name, value)
        elif isinstance(target, nodes.NSRef):
            self._keep(f"{target.name}.{target.attr}", value)
        elif (
            isinstance(target, nodes.Tuple) and isinstance(value, nodes.Tuple) and len(target.items) == len(value.items)
        ):
            for one, its_value in zip(target.items, value.items, strict=True):
                self._bind(one, self.visit(its_value), self.names.lazy(its_value, self.key_of))
        else:
            self._bind(target, self.visit(value), self.names.lazy(value, self.key_of))
        return NOTHING

    def _make_namespace(self, name: str, call: nodes.Call) -> None:
        if any(self.visit_all([*call.args, *(item for item in (call.dyn_args, call.dyn_kwargs) if item is not None)])):
            self.names.raise_to(self.key_of(name), TEXT)
        for item in call.kwargs:
            self.names.raise_to(f"{name}.{item.key}", self.visit(item.value))
            self.names.make_lazy(f"{name}.{item.key}", self.names.lazy(item.value, self.key_of))

    def _keep(self, key: str, value: nodes.Node) -> None:
        level = self._gather(key, value) if self.in_words else self.visit(value)
        self.names.raise_to(key, level)
        self.names.make_lazy(key, self.names.lazy(value, self.key_of))

    def _gather(self, key: str, value: nodes.Node) -> Level:
        """The level of what a loop over words keeps: a mark, a growing text, or something that could count letters."""
        if isinstance(value, nodes.Const):
            return self.names.count(key, (type(value.value), value.value))
        self.names.count(key, None)
        first, *rest = _summands(value)
        if rest and _is_attribute(first, key):
            level = join(*self.visit_all(rest))
            return CONTENT if level == CONTENT else TEXT
        level = self.visit(value)
        if level in (TEXT, COUNT):  # what the loop kept before is moved on, which counts
            self._decide(value)
        return level or TEXT

    def _on_assignblock(self, node: nodes.AssignBlock) -> Level:
        level = self._body(node.body)
        if node.filter is not None:
            level = self._filter_block(node.filter, level)
        if isinstance(node.target, nodes.NSRef):
            key = f"{node.target.name}.{node.target.attr}"
            if self.in_words:
                self.names.count(key, None)
                level = self._decide(node) if level == TEXT else level or TEXT
            self.names.raise_to(key, level)
        else:
            self._bind(node.target, level, Lazy.NO)
        return NOTHING

    def _on_filterblock(self, node: nodes.FilterBlock) -> Level:
        return printed(self._filter_block(node.filter, self._body(node.body)))

    def _filter_block(self, node: nodes.Filter, level: Level) -> Level:
        before, self.block = self.block, level
        found = self.visit(node)
        self.block = before
        return found

    def _bind(self, target: nodes.Node, level: Level, lazy: Lazy) -> None:
        if isinstance(target, nodes.Name):
            self.names.raise_to(self.key_of(target.name), level)
            self.names.make_lazy(self.key_of(target.name), lazy)
        for item in getattr(target, "items", ()):
            # A text in two letters, or a list's values: only a loop over a mapping says which is which.
            self._bind(item, level if level == CONTENT else TEXT if level else NOTHING, lazy)

    def _on_with(self, node: nodes.With) -> Level:
        for target, value in zip(node.targets, node.values, strict=True):
            self._bind(target, self.visit(value), self.names.lazy(value, self.key_of))
        return self._body(node.body)

    def _on_macro(self, node: nodes.Macro) -> Level:
        level = self._run(node, node.name, node.name in self.names.in_loops)
        self.names.raise_to(f"{node.name}()", level)
        return NOTHING

    def _on_callblock(self, node: nodes.CallBlock) -> Level:
        level = self._run(node, "caller", self.in_words or "caller" in self.names.in_loops)
        self.names.raise_to("caller()", level)
        return printed(self.visit(node.call))

    def _run(self, node: nodes.Macro | nodes.CallBlock, macro: str, in_words: bool) -> Level:
        """The body of a macro, whatever it may be given; what it prints."""
        scope = {
            name: PARAMETER.format(macro, name) for name in (*(item.name for item in node.args), "varargs", "kwargs")
        }
        anything = PARAMETER.format(macro, ANY)
        with self._in_scope(scope), self._counted(in_words):
            for parameter in scope.values():
                self.names.raise_to(parameter, self.names.level(anything))
                self.names.make_lazy(parameter, self.names.laziness.get(anything, Lazy.NO))
            for item, default in zip(reversed(node.args), reversed(node.defaults), strict=False):
                self._bind(item, self.visit(default), self.names.lazy(default, self.key_of))
            return self._body(node.body)


def _names_in(target: nodes.Node) -> list[str]:
    return [name.name for name in (target, *target.find_all(nodes.Name)) if isinstance(name, nodes.Name)]


def _only_raises(body: Sequence[nodes.Node]) -> bool:
    """Whether a body does nothing but raise an exception."""
    parts = [part for node in body for part in (node.nodes if isinstance(node, nodes.Output) else [node])]
    calls = [part for part in parts if not isinstance(part, nodes.TemplateData)]
    return bool(calls) and all(
        isinstance(call, nodes.Call) and isinstance(call.node, nodes.Name) and call.node.name == "raise_exception"
        for call in calls
    )


def _is_attribute(node: nodes.Node, key: str) -> bool:
    if not isinstance(node, nodes.Getattr) or not isinstance(node.node, nodes.Name):
        return False
    return f"{node.node.name}.{node.attr}" == key


def _summands(node: nodes.Node) -> list[nodes.Node]:
    rest: list[nodes.Node] = []
    while isinstance(node, nodes.Add):
        rest.append(node.right)
        node = node.left
    if isinstance(node, nodes.Concat):
        return [*node.nodes, *reversed(rest)]
    return [node, *reversed(rest)]
