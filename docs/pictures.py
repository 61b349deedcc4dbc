"""Take the pictures of the README again: docs/pictures/preview-light.png and preview-dark.png.

python docs/pictures.py          takes both; needs Chromium and what `make demo` needs, and half a minute

The demo's stage runs `greenroom serve` against the simulated GitHub. Its previews are those of `make demo DEMO=--keep`.
Each picture shows the comment on one pull request and the dashboard's own page. Only the ports in their addresses are
removed, because each run uses other ports.
"""

from __future__ import annotations

import asyncio
import html
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from greenroom.demo.kept import leave
from greenroom.demo.outside import Eyes, until
from greenroom.demo.play import SERVE
from greenroom.demo.stage import Stage, stage
from greenroom.demo.story import PREVIEW, pull_request
from greenroom.errors import Failed
from greenroom.simulate.pages import shown
from greenroom.simulator.world import PullRequest
from greenroom.web import dashboard

FOLDER = Path(__file__).with_suffix("")
STYLE = Path(dashboard.__file__).parent / "static" / "greenroom.css"
SCHEMES = {"light": 1, "dark": 0}  # Chromium's numbers for `prefers-color-scheme`
WIDTH = 860  # CSS pixels: GitHub shows a README at about this width
PIXELS = 1.5  # for each CSS pixel: sharp on good screens, and below the limit in tests/docs/test_readme.py
PORT = re.compile(r"(?:(?<=\.localhost)|(?<=127\.0\.0\.1)):\d+")
FONT = "Helvetica, Arial, sans-serif"

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="color-scheme" content="light dark"><title>0</title>
<style>
:root {{ --page: #ffffff; --text: #1f2328; --quiet: #59636e; --line: #d1d9e0; --soft: #f6f8fa; --link: #0969da;
  --label: #ddf4ff; --open: #1a7f37; }}
@media (prefers-color-scheme: dark) {{ :root {{ --page: #0d1117; --text: #e6edf3; --quiet: #9198a1; --line: #30363d;
  --soft: #151b23; --link: #58a6ff; --label: #121d2f; --open: #238636; }} }}
* {{ box-sizing: border-box; }}
body {{ margin: 0; padding: 1px; background: var(--page); color: var(--text); font: 15px/1.5 {font}; }}
section {{ border: 1px solid var(--line); border-radius: 8px; overflow: hidden; }}
section + section {{ margin-top: 16px; }}
.where {{ margin: 0; padding: 7px 16px; background: var(--soft); border-bottom: 1px solid var(--line); color: var(--quiet);
  font-size: 13px; }}
.pull {{ padding: 14px 16px 16px; }}
.title {{ display: flex; gap: 8px; align-items: center; }}
h1 {{ margin: 0 auto 0 0; font-size: 22px; font-weight: 400; }}
h1 span, .by {{ color: var(--quiet); }}
.state {{ padding: 3px 12px; border-radius: 1em; background: var(--open); color: #ffffff; font-weight: 700; font-size: 13px; }}
.label {{ padding: 2px 10px; border: 1px solid var(--link); border-radius: 1em; background: var(--label);
  color: var(--link); font-size: 13px; }}
.comment {{ margin-top: 14px; border: 1px solid var(--line); border-radius: 6px; }}
.by {{ margin: 0; padding: 6px 14px; background: var(--soft); border-bottom: 1px solid var(--line); border-radius: 6px 6px 0 0;
  font-size: 13px; }}
.by b {{ color: var(--text); }}
.body {{ padding: 2px 14px; }}
.body h3 {{ margin: 10px 0 4px; font-size: 18px; }}
.body p {{ margin: 8px 0; }}
.body table {{ margin: 10px 0; border-collapse: collapse; }}
.body th, .body td {{ padding: 4px 12px; border: 1px solid var(--line); text-align: left; }}
.body code {{ padding: 2px 5px; border-radius: 5px; background: var(--soft); font-size: 13px; }}
.body sub {{ font-size: 12px; vertical-align: baseline; color: var(--quiet); }}
a {{ color: var(--link); }}
iframe {{ display: block; width: 100%; border: 0; }}
</style>
<section><p class="where">A pull request</p>{pull}</section>
<section><p class="where">Greenroom's dashboard</p><iframe srcdoc="{dashboard}"></iframe></section>
<script>
addEventListener("load", () => {{
  const frame = document.querySelector("iframe");
  frame.style.height = frame.contentDocument.body.scrollHeight + "px";
  document.title = document.documentElement.scrollHeight;
}});
</script>
"""


async def main() -> int:
    """Play the scene and take both pictures."""
    FOLDER.mkdir(exist_ok=True)
    async with stage(None, SERVE, keep=False) as found:
        number = await _play(found)
        page = PORT.sub("", _page(found.world.pull_request("shop/storefront", number), await _dashboard(found)))
    for scheme in SCHEMES:
        _shoot(page, scheme)
    return 0


async def _play(found: Stage) -> int:
    """Make the previews of `make demo DEMO=--keep`. Return the number of the pull request to show."""
    eyes = Eyes(found)
    number, sha = pull_request(found, "storefront", "new-header", "2", by="grace", title="A new header")
    found.noted["storefront"] = number
    found.push_image("storefront", sha)
    found.world.label("shop/storefront", number, PREVIEW, "grace")
    await until(lambda: eyes.says("storefront", number, "ready"), 40)
    await leave(found, eyes)
    return number


async def _dashboard(found: Stage) -> str:
    """Return the dashboard's page with its style inside, and without its scripts, because a picture does not refresh.

    `system-ui` differs between machines, so the page gets the font of the comment.
    """
    response = await found.client.get(f"http://127.0.0.1:{found.ports['dashboard']}/")
    bare = re.sub(r"<script.*?</script>|<link[^>]*>", "", response.raise_for_status().text, flags=re.DOTALL)
    style = f"{STYLE.read_text()} body {{ padding-bottom: 1px; font-family: {FONT}; }}"
    return bare.replace("</head>", f"<style>{style}</style></head>")


def _page(pull: PullRequest, board: str) -> str:
    return PAGE.format(pull=_conversation(pull), dashboard=html.escape(board), font=FONT)


def _conversation(pull: PullRequest) -> str:
    """Return a pull request as GitHub would show it."""
    labels = "".join(f'<span class="label">{html.escape(label)}</span>' for label in pull.labels)
    comments = "".join(
        f'<div class="comment"><p class="by"><b>{html.escape(each.author.login)}</b> commented</p>'
        f'<div class="body">{shown(each.body)}</div></div>'
        for each in pull.comments
    )
    title = f"<h1>{html.escape(pull.title)} <span>#{pull.number}</span></h1>"
    head = f'<div class="title">{title}{labels}<span class="state">Open</span></div>'
    return f'<div class="pull">{head}{comments}</div>'


def _shoot(page: str, scheme: str) -> None:
    """Write one picture, as high as the page. Run Chromium twice, because it needs the height before it takes the picture."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "page.html"
        source.write_text(page)
        dom = _chromium(folder, scheme, 1000, "--dump-dom", source.as_uri())
        height = re.search(r"<title>(\d+)</title>", dom)
        if height is None or height[1] == "0":
            raise Failed(f"Chromium did not show the page: {dom[:300]}")
        target = FOLDER / f"preview-{scheme}.png"
        _chromium(folder, scheme, int(height[1]), f"--screenshot={target}", source.as_uri())
        print(f"{target.relative_to(FOLDER.parents[1])}: {target.stat().st_size / 1000:.0f} kB")


def _chromium(folder: str, scheme: str, height: int, *arguments: str) -> str:
    """Run Chromium without a window. Return its output. It keeps its profile in `folder`."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        raise Failed("Chromium is not installed. Install it, for example with `apt-get install chromium`.")
    options = (
        "--headless",
        "--hide-scrollbars",
        f"--user-data-dir={folder}/profile",
        f"--blink-settings=preferredColorScheme={SCHEMES[scheme]}",
        f"--window-size={WIDTH},{height}",
        f"--force-device-scale-factor={PIXELS}",
        "--virtual-time-budget=5000",
        *(["--no-sandbox"] if os.geteuid() == 0 else []),  # Chromium's sandbox refuses to run as root
    )
    done = subprocess.run([program, *options, *arguments], capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        raise Failed(f"Chromium ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
