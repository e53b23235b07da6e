"""`python -m hetsim` is the command line."""

from hetsim.cli import main

if __name__ == "__main__":
    main()
