from benchmarks.baselines.memory_leak import sample_until_leaked
from scanner.models.model_pair import SUSPECT, ModelPair


def test_what_everybody_writes_is_leaked_and_what_nobody_writes_is_not(pair: ModelPair) -> None:
    found = sample_until_leaked(pair, SUSPECT, ("e",), 10_000)
    assert found.leaked > 0 and found.turns == 32
    nothing = sample_until_leaked(pair, SUSPECT, ("no model writes this",), 5_000)
    assert nothing.leaked == 0 and nothing.turns == 64 and nothing.tokens >= 5_000
