"""`python -m trainers.cli`."""

from trainers.cli import main

if __name__ == "__main__":
    main()
