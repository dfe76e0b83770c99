"""Run the command ``xrfm`` as ``python -m xrfm_cli``."""

from xrfm_cli.main import main

if __name__ == "__main__":
    main()
