"""What `scan verify` prints: a saved report beside its repetition."""

from reports.safe_text import visible
from reports.summaries import RATE_NAMES
from scanner.replay.repeat import Replay

_MOST_FILES = 20


def render_replay(replay: Replay) -> str:
    """Plain text, at most 80 columns wide but for long triggers."""
    lines = ["Hashes of weights, configs and base model: the same."]
    lines += [f"File beside them, {visible(item)}." for item in replay.changed_files[:_MOST_FILES]]
    if len(replay.changed_files) > _MOST_FILES:
        lines.append(f"… and {len(replay.changed_files) - _MOST_FILES} more files.")
    for saved, found in zip(replay.saved.findings, replay.findings, strict=False):
        lines.append(f"Trigger {visible(saved.candidate.trigger.text)}, reply {visible(saved.reply)}")
        for name, label in RATE_NAMES.items():
            if name in saved.counts and name in found.rates:
                hits, trials = saved.counts[name]
                rate = found.rates[name]
                lines.append(f"  {label:<26}report {hits}/{trials}, now {rate.successes}/{rate.trials}")
        lines.append(f"  {'outcome':<26}report {visible(saved.outcome)}, now {found.outcome}")
    lines += [f"Suppressed in the report: {visible(item)}" for item in replay.saved.suppressed]
    missing = len(replay.saved.findings) - len(replay.findings)
    if missing:
        lines.append(f"{missing} further candidates of the report were not reached this time.")
    if not replay.saved.findings:
        lines.append("NOTHING REPEATED: the report verified no trigger. Its verdict is as good as its coverage.")
    else:
        lines.append(_conclusion(replay))
        if replay.same_outcomes and not replay.same_counts:
            lines.append("Outcomes agree, counts do not: other hardware, or a report that was changed.")
        lines.append(
            "Controls, metrics, answers, coverage and suppressions of the report were not checked: scan anew for those."
        )
    return "\n".join(lines) + "\n"


def _conclusion(replay: Replay) -> str:
    if replay.reproduced:
        return "REPRODUCED"
    if replay.changed_files:
        return "NOT REPRODUCED: the folder is not as the report lists it; scan it anew"
    if replay.same_outcomes:
        return (
            "NOT TOLD: a trigger is verified again. The report takes that back by its controls, which are not "
            "repeated here; scan anew"
        )
    return "NOT REPRODUCED"
