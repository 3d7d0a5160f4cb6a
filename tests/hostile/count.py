"""Prints how many hostile cases there are of each kind: the table of `docs/security.md`, which a test compares."""

from collections import Counter

from tests.hostile.cases import CASES, chats
from tests.hostile.fuzz_targets import TARGETS
from tests.tiny import make_tokenizer

SEVERITIES = ("block", "warning", "note", "finding")


def table() -> str:
    """A Markdown table of kinds and severities, and a line of totals under it."""
    counts = Counter((case.kind, case.severity) for case in CASES)
    counts["templates", "finding"] = len(chats.CASES)
    counts["tokenizers", "finding"] = len(chats.TOKENIZER_FILES) + len(
        chats.tokenizer_cases(make_tokenizer().backend_tokenizer.to_str())
    )
    kinds = sorted({kind for kind, _ in counts})
    rows = [(kind, *(str(counts[kind, severity] or "") for severity in SEVERITIES)) for kind in kinds]
    lines = [("kind of case", *SEVERITIES), ("---", *["---:"] * len(SEVERITIES)), *rows]
    sourced = sum(bool(case.source) for case in (*CASES, *chats.CASES))
    total = f"{sum(counts.values())} cases, {sourced} of them named after a public source; {len(TARGETS)} fuzzed rooms."
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + f"\n\n{total}\n"


def main() -> None:
    """Prints the table."""
    print(table(), end="")


if __name__ == "__main__":
    main()
