"""Base models, adapters on them, and running both: the one room that loads weights and reads tokens."""
