"""What chose the constants, each on development adapters: a file prints the figures of the choices that were open."""
