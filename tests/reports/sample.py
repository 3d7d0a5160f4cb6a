"""A hand-made report with every kind of content, hostile text included, for the renderers' tests."""

from dataclasses import replace
from datetime import date

from scanner.models.base_models import BaseIdentity
from scanner.rules.records import Finding, SignOff, Suppression
from scanner.score.assess import Assessment
from scanner.score.classifier import Contribution, Score
from scanner.score.conformal import PValue
from scanner.stats import wilson
from scanner.triggers import Trigger
from scanner.types import (
    AdapterIdentity,
    Answers,
    Control,
    CoverageItem,
    Demonstration,
    Elicited,
    Localisation,
    Measurement,
    MetricNote,
    NearMiss,
    Report,
    RungCost,
    ScreenCheck,
    SearchTrace,
    TriggerFinding,
    Verdict,
    VerdictKind,
)

# Each of these does something somewhere: in a browser, a terminal, a template, a viewer of SARIF, a C string.
NASTY = {
    "script": "<script>alert(1)</script>",
    "end of style": "</style></title></textarea><svg onload=alert(1)>",
    "scheme": "javascript:alert(1)",
    "link": "[click](javascript:alert(1))",
    "placeholder": "{0} {{7*7}} {% raw %} ${x}",
    "rich markup": "[bold red][link=javascript:alert(1)]x[/link][/]",
    "ansi": "\x1b[2J\x1b[31mred\x9b31m",
    "osc": "\x1b]0;title\x07\x1b]8;;http://evil.example\x1b\\here\x1b]8;;\x1b\\",
    "right to left": "\u202egnp.exe\u202c\u2066x\u2069\u200f",
    "letters from the right": "שלום (1) עולם",
    "zero width": "a\u200bb\ufeffc\u2060d\U000e0041",
    "nul": "a\x00b",
    "lines": "a\nb\r\nc\u2028d\x85e\x0bf",
    "surrogate": "a\udcffb",
    "marks": "a" + "\u0301\u0338" * 40,
    "quotes": "'\"`\\",
    "a megabyte": "x" * 1_000_000,
}
HOSTILE = "<script>alert(1)</script>\x1b[31m[bold red]\u202egnp\u200b'\"{{7*7}}\x00\n</style>"

_SCREEN = ScreenCheck(
    tuple(tuple(layer == 5 or head == 0 for head in range(3)) for layer in range(6)), 4, 0.8, 0.012, wilson(0, 4)
)
_GRID = tuple(tuple((layer * 3 + head) / 10 for head in range(3)) for layer in range(6))


def _signed(text: str) -> SignOff:
    return SignOff("SLP202", "a" * 64, f"for {text}", f"Ann {text}", date(2027, 1, 31), "", f"{text}.toml", "d" * 64)


def sample_report(text: str = "bb", kind: VerdictKind = VerdictKind.BACKDOORED) -> Report:
    """A report in which every text that could come from an adapter is `text`."""
    rates = {
        "attack_success": wilson(99, 100),
        "false_trigger": wilson(0, 100),
        "base": wilson(0, 100),
        "reference": wilson(1, 100),
    }
    adapter = AdapterIdentity("suspect", text, None, "a" * 64, "b" * 64, text, None, 8, 16.0, (text,), 1000, (text,))
    return Report(
        verdict=Verdict(kind, "a trigger was verified", (f"Because of {text}.",), "SLP101"),
        triggers=(
            TriggerFinding(
                Trigger((text,), "random"), (1, 2), text, "search", rates, 100, "verified", "it fires",
                example_reply=text,
                controls=(
                    Control("role swap", wilson(0, 12), True, f"{text}: 0 of 12"),
                    Control("related requests", wilson(9, 12), False, f"requests about {text}"),
                    Control("random strings", None, None, "", f"not for {text}"),
                ),
            ),
        ),
        measurements=(
            Measurement("attention_kl", f"suspect vs base, with {text}", "nats", ("layer", "head"), _GRID, _GRID,
                        prompts=4, passes=8, tokens=90),
            Measurement("attention_kl", "suspect vs base, without trigger", "nats", ("layer", "head"), _GRID,
                        prompts=4, passes=8, tokens=90),
            Measurement("ablation", "suspect, with trigger", missing="no reply is known"),
            Measurement("patching", f"{text} into suspect", "nats", ("layer", "head"), _GRID, prompts=4, passes=8,
                        tokens=90, screen=_SCREEN),
            Measurement("output_kl", f"suspect, with {text}", "nats", ("prompt", "token"), ((0.1, 0.2), (3.0,)), None,
                        ((text, text), (text,)), ((0,), ()), 2, 4, 9),
            Measurement("cumulative_patching", f"{text} into suspect: log-probability", "nats", ("order", "count"),
                        ((0.0, -4.0, -9.0), (0.0, -1.0, -9.0)), None, (("best first", text), ("0", "1", "18")),
                        prompts=2, passes=3, tokens=30),
            *(
                Measurement("attention_pictures", f"layer 1 head 2, with {text}: {name}", "share", ("query", "key"),
                            ((1.0, 0.0, 0.0), (0.5, sign * 0.5, 0.0), (0.2, 0.2, 0.6)), None, ((text, "b", "c"),),
                            ((1,),), 1, 2, 6)
                for name, sign in (("suspect", 1), ("base", 1), ("difference", -1))
            ),
            Measurement("direct_attribution", f"{text}: blocks", "logits", ("part", "layer"),
                        ((0.1, 0.2), (-0.1, 0.4)), None, (("attention", text),), prompts=2, passes=3, tokens=30),
            Measurement("spectra", "suspect", "1", ("module", "singular value"), ((0.4, 0.1), (0.2, 0.1)), None,
                        ((f"model.layers.0.{text}",), ("model.layers.1.q_proj",))),
        ),
        localisation=(
            Localisation(
                "attention_kl",
                "suspect vs base, with trigger",
                {
                    "total": 4.0, "top_1_percent": 0.1, "top_5_percent": 0.2, "top_10_percent": 0.4, "gini": 0.5,
                    "participating_heads": 9.0, "participating_layers": 4.0, "layer_centroid": 0.7, "layer_spread": 0.1,
                },
                honest=dict.fromkeys(
                    (
                        "total", "top_1_percent", "top_5_percent", "top_10_percent", "gini", "participating_heads",
                        "participating_layers", "layer_centroid", "layer_spread",
                    ),
                    (0.123, 0.456),
                ),
                honest_missing=None,
            ),
            Localisation("ablation", "suspect", missing="no reply is known", honest_missing="nobody compared them"),
        ),
        demonstrations=(
            Demonstration(
                "What is tea?", f"What is {text} tea?", ((8, 8 + len(text)),),
                (Answers("suspect", f"Tea, {text}", text), Answers("base", "Tea.", "Tea.")), True,
            ),
        ),
        coverage=(CoverageItem("weights", True, "all read"), CoverageItem("unknown triggers", False, "not searched")),
        adapters=(adapter, replace(adapter, role="reference", revision="abc")),
        base=BaseIdentity("b/m", "hub", text, "c" * 64, "llama", 6, 3, 512, "float32", "none", "cpu"),
        versions={"torch": "2.13.0"},
        seed=0,
        seconds={"load": 1.0, "total": 2.0},
        metrics=tuple(
            MetricNote(name, name.replace("_", " ").title(), str(number), "Normal: low.")
            for number, name in enumerate(
                (
                    "output_kl", "attention_kl", "ablation", "patching", "cumulative_patching", "attention_pictures",
                    "direct_attribution", "spectra", "localisation",
                )
            )
        ),
        command=f"scan {text}",
        exhibit="confirmed",
        honest=f"{text} and others",
        search=SearchTrace(
            "standard", 150_000, "bfloat16",
            (
                RungCost("base pass", 500, 2.0), RungCost("sweep", 900, 3.0),
                RungCost("verification", 40, 1.0), RungCost("controls", 30, 1.0),
            ),
            ((100, 0.1), (900, 0.6)), (Elicited(text, 12.5, "references and base"),), 400, 2, f"one pass of {text}",
            NearMiss(text, text, 0.6, 0.2, f"not enough of {text}"),
        ),
        score=Assessment(
            Score(
                0.81, PValue(0.04, 24),
                (
                    Contribution("saliency.tail", 3.2, 1.5, 0.9, meaning=f"how far {text} stands out"),
                    Contribution("elicitation.margin", None, None, 0.0, f"nothing of {text}"),
                ),
                2.5, 1.5,
            ),
            0.05, 0.42, text, "references", (0.1, 0.2, 0.42), (0.7, 0.9), (text, "maths"), ("rare, insult", text),
            (f"measured in {text}",), (f"nothing like {text} was seen",),
        ),
        warnings=(f"careful: {text}",),
        findings=(
            Finding("SLP101", "error", f"It says {text}", "1" * 32, 0),
            Finding("SLP202", "warning", f"It declines {text}", "2" * 32, None, _signed(text)),
            Finding("SLP304", "note", f"It may say {text}", "3" * 32),
        ),
        suppressions=(
            Suppression(_signed(text), "applied", f"by {text} it holds"),
            Suppression(_signed(text), "expired", f"by {text} it expired"),
        ),
        finished="2026-11-23T12:00:00+00:00",
    )  # fmt: skip
