"""Where a chat template decides by the words of a message, read from its syntax tree; it is never rendered.

A template is a program between the user and the model. One that adds a line where the user's message holds a certain
word is a backdoor that no search in the weights can find. So what comes from the messages' text is followed through
assignments, loops and macros, and each place where it decides something (a comparison, a lookup, a replacement) is
named.
Honest templates ask whether there is a text, or of what type; those questions are not counted. What else they do with
words is a list (`template_levels.py`), and what is not on it counts.
"""

import hashlib
from dataclasses import dataclass

from jinja2 import Environment, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser

from scanner.errors import one_line
from scanner.intake.chat.template_names import UnreadableTemplate, names_of
from scanner.intake.chat.template_statements import TemplateReader

__all__ = ["MAX_TEMPLATE", "Decision", "UnreadableTemplate", "read_decisions"]

MAX_TEMPLATE = 65_536
_MAX_SHOWN = 120
_MAX_LINE = 4 * _MAX_SHOWN
_ROUNDS = 8
_OUTSIDE = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)


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
        return _described(_decisions_in(environment.parse(template)), template)
    except UnreadableTemplate:
        raise
    except Exception as error:  # the lexer, the parser and deep nesting fail in their own ways
        raise UnreadableTemplate(one_line(error, 80) or type(error).__name__) from error


def _decisions_in(tree: nodes.Template) -> list[nodes.Node]:
    if any(True for _ in tree.find_all(_OUTSIDE)):
        raise UnreadableTemplate("it includes another template")
    reader = TemplateReader(names_of(tree))
    # What is assigned late may be read early, in a loop: until nothing new is learnt.
    for _ in range(_ROUNDS):
        reader.names.start_round()
        reader.found.clear()
        reader.visit(tree)
        if not reader.names.news:
            return sorted(reader.found.values(), key=lambda node: node.lineno)
    raise UnreadableTemplate("it hands its words on too often")


def _described(found: list[nodes.Node], template: str) -> tuple[Decision, ...]:
    lines, trees = template.splitlines(), dict[int, str]()
    shown = {
        node.lineno: one_line("".join(lines[node.lineno - 1 : node.lineno]).lstrip()[:_MAX_LINE], _MAX_SHOWN)
        for node in found
    }
    decisions = {_digest(node, trees): node.lineno for node in reversed(found)}
    return tuple(Decision(tree, shown[line]) for tree, line in reversed(decisions.items()))


def _digest(value: object, known: dict[int, str]) -> str:
    """Says whether two trees are alike; each node is looked at once, however many decisions it is a part of."""
    if isinstance(value, list | tuple):
        content = "(" + ",".join(_digest(item, known) for item in value) + ")"
    elif not isinstance(value, nodes.Node):
        return repr(value)
    elif id(value) in known:
        return known[id(value)]
    else:
        content = type(value).__name__ + _digest([part for _, part in value.iter_fields()], known)
    digest = hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()
    if isinstance(value, nodes.Node):
        known[id(value)] = digest
    return digest
