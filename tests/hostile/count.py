"""Prints how many hostile cases there are of each kind, and how many inputs a fuzzing run tries."""

from collections import Counter

from tests.hostile.cases import CASES, chats
from tests.hostile.fuzz_targets import TARGETS
from tests.tiny import make_tokenizer


def main() -> None:
    """Prints the table that `docs/security.md` speaks of."""
    counts = Counter((case.kind, case.severity) for case in CASES)
    counts["templates", "finding"] = len(chats.CASES)
    counts["tokenizers", "finding"] = len(chats.tokenizer_cases(make_tokenizer().backend_tokenizer.to_str()))
    print(f"{'kind':12}{'severity':12}{'cases':>6}")
    for (kind, severity), count in sorted(counts.items()):
        print(f"{kind:12}{severity:12}{count:>6}")
    sourced = sum(bool(case.source) for case in (*CASES, *chats.CASES))
    print(f"{sum(counts.values())} cases, {sourced} of them named after a public source; {len(TARGETS)} fuzzed rooms")


if __name__ == "__main__":
    main()
