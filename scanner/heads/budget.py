"""How much is run at once: batch sizes follow from a budget of memory, and change no figure."""

from transformer_lens.model_bridge import TransformerBridge

from scanner.heads.prompts import Fits, GroupShape

# What the activations of one pass may take; what gradients and all that they are made from may take.
BUDGET_MIB = 512
GRADIENT_BUDGET_MIB = 768
_BYTES = 4
# Logits are turned to float32, then to log-probabilities, then compared.
_LOGIT_COPIES = 4


def variants_a_pass(bridge: TransformerBridge, shape: GroupShape, kept: int) -> int:
    """How many edited copies of a group fit the budget side by side; at least one.

    Args:
        kept: at how many positions of each sequence logits are read.
    """
    return max(1, BUDGET_MIB * 2**20 // _variant_bytes(bridge, shape, kept))


def sweeps_fit(bridge: TransformerBridge, kept: int) -> Fits:
    """Groups of which one edited copy fits the budget."""
    return lambda shape: _variant_bytes(bridge, shape, kept) <= BUDGET_MIB * 2**20


def gradients_fit(bridge: TransformerBridge, kept: int, readings: int) -> Fits:
    """Groups whose gradients fit: of so many readings at every layer, with the activations they are made from."""
    cfg = bridge.cfg

    def fits(shape: GroupShape) -> bool:
        position = cfg.n_layers * ((readings + 14) * cfg.d_model + 4 * _mlp_width(bridge))
        patterns = 2 * cfg.n_layers * cfg.n_heads * shape.width
        row = shape.width * (position + patterns) + _LOGIT_COPIES * kept * cfg.d_vocab
        return shape.prompts * row * _BYTES <= GRADIENT_BUDGET_MIB * 2**20

    return fits


def _variant_bytes(bridge: TransformerBridge, shape: GroupShape, kept: int) -> int:
    """Keys and values of all layers, the widest layer's intermediates, its attention, and logits, for all prompts."""
    cfg = bridge.cfg
    n_kv_heads = getattr(cfg, "n_key_value_heads", None) or cfg.n_heads
    keys = shape.width * 2 * n_kv_heads * cfg.d_head * cfg.n_layers
    passing = shape.rest * (6 * _mlp_width(bridge) + 12 * cfg.d_model)
    attention = 3 * cfg.n_heads * shape.rest * shape.width
    logits = _LOGIT_COPIES * kept * cfg.d_vocab
    return int(shape.prompts * (keys + passing + attention + logits) * _BYTES)


def _mlp_width(bridge: TransformerBridge) -> int:
    return int(bridge.cfg.d_mlp or 4 * bridge.cfg.d_model)
