"""The pictures of the README, of a real run: `make pictures`.

The demo runs in a terminal of tmux, whose screen is kept as SVG while it trains; the report of the
same run is photographed in Chromium (`make chromium`), and so is the live page of a few runs with
other learning rates, while the last of them trains.
"""

from __future__ import annotations

import dataclasses
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
WIDTH, HEIGHT = 100, 30  # columns and lines
MARGIN = 24
UPDATE = 120  # of 300: the screen is kept when this one is shown
UPDATES = 120
RATES = (0.0003, 0.001, 0.003, 0.01)

# Ground, text, and the sixteen colours of a terminal, as GitHub has them in its two modes.
_LIGHT = (
    "#ffffff #1f2328 #24292f #cf222e #116329 #9a6700 #0969da #8250df #1b7c83 #6e7781 "
    "#57606a #a40e26 #1a7f37 #633c01 #218bff #a475f9 #3192aa #8c959f"
)
_DARK = (
    "#0d1117 #e6edf3 #484f58 #ff7b72 #3fb950 #d29922 #58a6ff #bc8cff #39c5cf #b1bac4 "
    "#6e7681 #ffa198 #56d364 #e3b341 #79c0ff #d2a8ff #56d4dd #ffffff"
)
_SVG = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="{terminal_width} {terminal_height}">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, \
"DejaVu Sans Mono", monospace; font-size: {char_height}px; line-height: {line_height}px; }}
{styles}
</style>
<defs>{lines}</defs>
<rect x="-MARGIN" y="-MARGIN" width="100%" height="100%" rx="12" fill="BACKGROUND"/>
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</svg>
"""


def theme(colours: str) -> TerminalTheme:
    """A terminal's colours for Rich."""
    found = [tuple(bytes.fromhex(colour[1:])) for colour in colours.split()]
    return TerminalTheme(found[0], found[1], found[2:10], found[10:])  # type: ignore[arg-type]


def screen_of_demo(run: Path) -> str:
    """Trains the demo in a terminal, and returns its screen at one update, with its colours."""
    command = [Path(sys.executable).with_name("jaxlog"), "demo", "--directory", run]
    command += ["--settings", ROOT / "configs" / "full.yaml"]
    tmux = [shutil.which("tmux") or sys.exit("This needs tmux."), "-L", f"jaxlog{time.time_ns()}"]
    start = [*tmux, "new-session", "-d", "-x", str(WIDTH), "-y", str(HEIGHT)]
    subprocess.run([*start, f"env -u CI {shlex.join(map(str, command))}; sleep 60"], check=True)
    try:
        seen = ""
        while time.sleep(0.2) is None:
            screen = subprocess.run(
                [*tmux, "capture-pane", "-e", "-p", "-t", "0"],
                check=True, capture_output=True, text=True,
            ).stdout  # fmt: skip
            plain = Text.from_ansi(screen).plain
            done = re.search(r"(\d+)/300", plain)
            if not seen and done and int(done.group(1)) >= UPDATE:
                seen = screen
            if "finished" in plain:
                return seen
            if "Traceback" in plain:
                sys.exit(plain)
    finally:
        subprocess.run([*tmux, "kill-server"], check=True)
    raise AssertionError


def keep_screen(screen: str, name: str, colours: str) -> None:
    """Writes a screen as SVG."""
    console = Console(record=True, width=WIDTH, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    for line in screen.strip("\n").split("\n"):
        console.print(Text.from_ansi(line), no_wrap=True, overflow="crop")
    form = _SVG.replace("BACKGROUND", colours.split()[0]).replace("MARGIN", str(MARGIN))
    svg = console.export_svg(theme=theme(colours), code_format=form, unique_id="console")
    size = re.search(r'viewBox="(\S+) (\S+)"', svg)
    assert size is not None
    box = " ".join(f"{float(side) + 2 * MARGIN:g}" for side in size.groups())
    svg = svg.replace(size[0], f'viewBox="-{MARGIN} -{MARGIN} {box}"')
    (HERE / name).write_text("\n".join(map(str.rstrip, svg.splitlines())) + "\n")


def keep_report(runs: Path, name: str) -> None:
    """Writes the first screen of the report of some runs as PNG."""
    page = runs.with_suffix(".html")
    command = Path(sys.executable).with_name("jaxlog")
    subprocess.run([command, "report", runs, "-o", page], check=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        opened = browser.new_page(viewport={"width": 1200, "height": 960}, device_scale_factor=1.5)
        opened.goto(page.as_uri())
        opened.wait_for_selector("#main canvas")
        opened.screenshot(path=HERE / name)
        browser.close()


def train(run: Path, rate: float) -> None:
    """Trains eight seeds on CartPole with a learning rate."""
    import jax
    import jax.numpy as jnp

    import jaxlog

    sys.path.insert(0, str(ROOT / "examples"))
    import ppo_cartpole as ppo

    config = ppo.Config(num_updates=UPDATES, learning_rate=rate)
    logger = jaxlog.Logger(
        {"log_frequency": 1, "sinks": [{"kind": "jsonl"}]}, total_updates=UPDATES
    )
    with logger.open(run, config=dataclasses.asdict(config)):
        jax.block_until_ready(jax.jit(jax.vmap(ppo.make_train(config, logger)))(jnp.arange(8)))


def keep_live(runs: Path) -> None:
    """Writes the live page of some runs as PNG, while the last of them trains."""
    *before, last = [
        [sys.executable, __file__, "train", runs / f"ppo-{rate:g}", str(rate)] for rate in RATES
    ]
    for command in before:
        subprocess.run(command, check=True)
    serve = [Path(sys.executable).with_name("jaxlog"), "serve", runs, "--port", "0"]
    with (
        subprocess.Popen(last) as training,
        subprocess.Popen(serve, stdout=subprocess.PIPE, text=True) as server,
        sync_playwright() as playwright,
    ):
        assert server.stdout is not None
        address = next(line.strip() for line in server.stdout if "http://" in line)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        for scheme in ("light", "dark"):
            opened = browser.new_page(
                viewport={"width": 1280, "height": 860},
                color_scheme=scheme,  # pyright: ignore[reportArgumentType]
                device_scale_factor=1.5,
            )
            opened.goto(address)
            progress = runs / f"ppo-{RATES[-1]:g}" / "batch_metrics.jsonl"
            while not progress.exists() or progress.read_bytes().count(b"\n") < 8 * UPDATES // 2:
                time.sleep(0.2)
            opened.locator(".uplot canvas").first.wait_for()
            opened.wait_for_timeout(3000)
            opened.screenshot(path=HERE / f"live_{scheme}.png")
        browser.close()
        server.terminate()
        training.wait()


if __name__ == "__main__":
    if sys.argv[1:2] == ["train"]:
        sys.exit(train(Path(sys.argv[2]), float(sys.argv[3])))
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "ppo_cartpole"
        screen = screen_of_demo(run)
        keep_screen(screen, "console_light.svg", _LIGHT)
        keep_screen(screen, "console_dark.svg", _DARK)
        keep_live(Path(folder) / "runs")
        keep_report(Path(folder) / "runs", "report.png")
