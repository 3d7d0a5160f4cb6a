"""Which replies the suspect leans to without a trigger, and which of them strings are sought for."""
