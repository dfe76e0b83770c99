"""Make the pictures of README.md from real runs: ``python docs/make_images.py``.

``docs/images/terminal.svg`` is a recorded session, ``docs/images/report.png`` the top of a report as a
browser shows it. The second needs Chromium on the path: ``apt-get install chromium-headless-shell``.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from os import environ
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.terminal_theme import DEFAULT_TERMINAL_THEME
from rich.text import Text

FOLDER = Path(__file__).parent / "images"
COLUMNS = 80
SESSION = (
    "xrfm sample autos",
    "xrfm fit autos.csv --target price --trials 5 --quiet",
    "xrfm explain autos.csv --row 3 --top 8 --quiet",
)
BROWSERS = ("chromium-headless-shell", "chromium", "google-chrome")
WINDOW = (1280, 1160)  # pixels: the contents, the head of a report and its first figures
COLOURS = 96  # enough for flat colours and text, and a third of the bytes


def record_terminal(folder: Path) -> None:
    """Run the session and draw what it prints."""
    console = Console(width=COLUMNS, record=True, file=(folder / "ignored").open("w", encoding="utf-8"))
    for command in SESSION:
        console.print(Text.assemble(("$ ", "dim"), (command, "bold")))
        console.print(Text.from_ansi(run(command, folder).rstrip()))
        console.print()
    svg = console.export_svg(title="xrfm", theme=DEFAULT_TERMINAL_THEME, unique_id="session")
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)  # pictures fetch nothing
    (FOLDER / "terminal.svg").write_text(svg, encoding="utf-8")


def photograph_report(folder: Path) -> None:
    """Fit the demo and save the top of its report as a browser shows it."""
    run("xrfm demo --no-open", folder)
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        sys.exit(f"none of {', '.join(BROWSERS)} is installed")
    picture = folder / "report.png"
    options = ["--headless", "--no-sandbox", "--hide-scrollbars", f"--window-size={WINDOW[0]},{WINDOW[1]}"]
    page = (folder / "demo.report.html").as_uri()
    subprocess.run([browser, *options, f"--screenshot={picture}", page], check=True, capture_output=True)
    Image.open(picture).quantize(COLOURS).save(FOLDER / "report.png", optimize=True)


def run(command: str, folder: Path) -> str:
    """Run a command of this package; returns its standard output with colours."""
    own = f'xrfm() {{ "{sys.executable}" -m xrfm_cli "$@"; }}; '
    look = {"FORCE_COLOR": "1", "COLUMNS": str(COLUMNS), "TERM": "xterm-256color"}
    done = subprocess.run(
        ["bash", "-c", own + command],
        cwd=folder,
        env=environ | look,
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
    )
    return done.stdout


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        record_terminal(Path(scratch))
        photograph_report(Path(scratch))
