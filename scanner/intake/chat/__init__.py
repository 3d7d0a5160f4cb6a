"""The adapter's own chat template and tokenizer: plain data, beside the base's, and where a template decides."""
