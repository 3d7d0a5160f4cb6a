"""One pass of all tokens through the base, and which of them excite an adapter."""
