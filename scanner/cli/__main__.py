"""`python -m scanner.cli` is the command `scan`."""

from scanner.cli.main import main

if __name__ == "__main__":
    main()
