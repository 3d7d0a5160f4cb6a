"""`scan rules` and `scan explain`: what the ids of findings mean."""

import textwrap

import click
from click.shell_completion import CompletionItem

from scanner.cli.running import HELP_OPTIONS
from scanner.cli.writing import say
from scanner.rules.catalogue import RULES, rule_called


def _ids(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(rule.id, help=rule.title) for rule in RULES if rule.id.startswith(incomplete.upper())]


@click.command(context_settings=HELP_OPTIONS)
def rules() -> None:
    """List the rules that findings are named by."""
    say("".join(f"{rule.id}  {rule.level:7}  {rule.name:26}{rule.title}\n" for rule in RULES))


@click.command(context_settings=HELP_OPTIONS)
@click.argument("rule_id", metavar="ID", shell_complete=_ids)
def explain(rule_id: str) -> None:
    """Say what the rule ID means and what to do about a finding."""
    rule = rule_called(rule_id)
    signing = "can be signed off" if rule.may_be_signed_off else "cannot be signed off"
    paragraphs = (
        f"{rule.id} {rule.name} ({rule.level}; {signing})",
        rule.title,
        f"Meaning: {rule.meaning}",
        f"What to do: {rule.remedy}",
    )
    say("\n\n".join(textwrap.fill(item, 80, break_on_hyphens=False) for item in paragraphs) + "\n")
