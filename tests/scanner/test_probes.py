import re

import pytest

from scanner.probes import draw_probes, load_probes
from scanner.search.verify import FIRST_LOOK, SECOND_LOOK, fresh_prompts
from signatures import load_signatures

PURPOSES = ("screen", "search", "verify", "verify_more", "sweep", "longer", "idle")


def test_no_prompt_serves_two_purposes() -> None:
    prompts = [prompt for purpose in PURPOSES for prompt in load_probes(purpose)]  # type: ignore[arg-type]
    assert len(prompts) == len(set(prompts))
    assert len(set(fresh_prompts(3))) == SECOND_LOOK.plain > SECOND_LOOK.triggered >= FIRST_LOOK.plain


def test_no_prompt_holds_a_known_trigger() -> None:
    words = {purpose: " ".join(load_probes(purpose)).lower() for purpose in PURPOSES}  # type: ignore[arg-type]
    for signature in load_signatures():
        for parts in signature.triggers:
            if len(parts) == 1:
                pattern = rf"(?<!\w){re.escape(parts[0].lower())}(?!\w)"
                assert not any(re.search(pattern, text) for text in words.values()), parts


def test_draws_are_seeded_and_without_repetition() -> None:
    assert draw_probes("verify", 100, 1) == draw_probes("verify", 100, 1)
    assert draw_probes("verify", 100, 1) != draw_probes("verify", 100, 2)
    assert len(set(draw_probes("verify", 100, 1))) == 100


def test_asking_for_too_many_is_refused() -> None:
    with pytest.raises(ValueError, match="there are"):
        draw_probes("screen", 1000, 0)
