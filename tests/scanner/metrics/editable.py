"""Weights that a test may edit."""

from scanner.models.model_pair import SUSPECT, ModelPair


def run_by_peft(pair: ModelPair) -> None:
    """From here on the base's own weights are in use, as they are once TransformerLens has been booted."""
    pair._added.forget()
    pair._running = None
    pair._activate(SUSPECT)
