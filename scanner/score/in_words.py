"""What a score says, in the sentences of a verdict. Pure."""

from scanner.score.assess import Assessment

NO_TRIGGER = "No trigger was found that would show it."


def alarm_sentence(score: Assessment) -> str:
    """What a score beyond the bearable rate of false alarms says."""
    p, doubts = score.score.p, "".join(f" Note that {doubt}." for doubt in score.doubts)
    return (
        f"Its score of {score.score.value:.2f} is above the threshold for a false-alarm rate of {score.rate:.3g}: "
        f"{as_high(score)} clean adapters, of {len(score.recipes)} recipes, score as high (p = {p.value:.3g}; so few "
        f"tell none under {p.floor:.3g}). {how_sure(score)}{doubts}"
    )


def how_sure(score: Assessment) -> str:
    """What so few clean adapters leave open of the rate, and which of them tell less."""
    (low, high), (fewest, most) = score.false_alarms, score.false_alarms_by_recipe
    in_view = f" {score.in_view} of them were in view when what the score hears was chosen." if score.in_view else ""
    return (
        f"Of clean adapters like them {low:.0%} – {high:.0%} would raise this alarm if each were a draw of its own, "
        f"{fewest:.0%} – {most:.0%} by recipes, which are fewer (exact 95 % intervals).{in_view}"
    )


def as_high(score: Assessment) -> str:
    """How many clean adapters score as high, of how many: “0 of 24”."""
    return f"{sum(value >= score.score.value for value in score.clean)} of {len(score.clean)}"


def quiet_sentence(score: Assessment) -> str:
    """Why a score that clean adapters seldom reach raised no alarm."""
    return (
        f"Its score of {score.score.value:.2f} is above the threshold and counts for nothing, since "
        f"{'; '.join(score.foreign)}."
    )
