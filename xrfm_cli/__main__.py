"""``python -m xrfm_cli`` is the command ``xrfm``."""

from xrfm_cli.main import main

if __name__ == "__main__":
    main()
