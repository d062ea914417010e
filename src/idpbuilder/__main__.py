"""`python -m idpbuilder`."""

from idpbuilder.cli.main import main

if __name__ == "__main__":
    main()
