"""A student's first task in a real JupyterLab: open, Run All Cells, look at what is shown.

Needs a Chromium: $CHROMIUM, or `chromium` on the PATH.
"""

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

sync_api = pytest.importorskip(
    "playwright.sync_api",
    reason="needs Playwright: pip install -e '.[browser]' (make test-browser does so)",
    exc_type=ImportError,
)

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = "01_task1.ipynb"
START_SECONDS = 60
RUN_SECONDS = 150
CHROMIUM_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# All cells stay in the page, also those that are scrolled away; no news, no look for updates.
LAB_SETTINGS = {
    "notebook-extension/tracker": {"windowingMode": "none"},
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}

# Collects the distinct texts of the training bar while they are on the page.
WATCH_PROGRESS = """
() => {
    window.seenProgress = [];
    const look = () => {
        for (const output of document.querySelectorAll(".jp-OutputArea-output")) {
            const text = output.innerText.trim();
            const seen = window.seenProgress;
            if (text.startsWith("Training") && output.getClientRects().length
                && seen[seen.length - 1] !== text) {
                seen.push(text);
            }
        }
    };
    new MutationObserver(look).observe(document.body, {childList: true, subtree: true});
}
"""
PICTURES = """
() => [...document.querySelectorAll(".jp-OutputArea-output img")].map(picture => ({
    loaded: picture.complete && picture.naturalWidth > 0,
    width: picture.getBoundingClientRect().width,
}))
"""
CUT_OFF = """
() => [...document.querySelectorAll(".jp-OutputArea-output")]
    .filter(output => output.scrollWidth > output.clientWidth + 1)
    .map(output => output.innerText.slice(0, 80))
"""
# What a student would take for an error: a traceback, or anything written to standard error.
RED_OUTPUTS = (
    '.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.error"], '
    '.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.stderr"]'
)


@dataclass
class Page:
    """What the executed notebook's page held."""

    progress: list[str]
    red: list[str]
    last_output: str
    pictures: list[dict]
    cut_off: list[str]
    source: dict
    project: Path
    screenshot: Path


@pytest.fixture(scope="module")
def chromium() -> str:
    found = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if not found or not Path(found).exists():
        pytest.skip("needs Chromium: install it, or set CHROMIUM to its path")
    return found


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project's folder with the notebook set to `smoke`; runs and caches stay in it."""
    folder = tmp_path_factory.mktemp("browser") / "project"
    (folder / "notebooks").mkdir(parents=True)
    # Both folders make a project's root; the package itself is the installed one.
    (folder / "xray_helpers").mkdir()
    notebook = json.loads((ROOT / "notebooks" / NOTEBOOK).read_text(encoding="utf-8"))
    (parameters,) = (c for c in notebook["cells"] if "parameters" in c["metadata"].get("tags", []))
    source, changed = re.subn(
        r"^smoke = False", "smoke = True", "".join(parameters["source"]), flags=re.MULTILINE
    )
    assert changed == 1
    parameters["source"] = source
    (folder / "notebooks" / NOTEBOOK).write_text(json.dumps(notebook), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def lab(project: Path) -> Iterator[str]:
    """A running JupyterLab with settings of its own; gives the notebook's address."""
    home = project.parent / "jupyter"
    for name, settings in LAB_SETTINGS.items():
        path = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(settings), encoding="utf-8")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("XRAY_", "JUPYTER"))}
    environment |= {
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "IPYTHONDIR": str(home / "ipython"),
    }
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    log = home / "lab.log"
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", f"--port={port}"),
        *("--ServerApp.port_retries=0", "--ServerApp.allow_root=True"),
        *(f"--ServerApp.root_dir={project}", f"--IdentityProvider.token={token}"),
    ]
    with log.open("w", encoding="utf-8") as out:
        server = subprocess.Popen(command, cwd=project, env=environment, stdout=out, stderr=out)
    try:
        _wait_until_it_answers(f"http://127.0.0.1:{port}/api?token={token}", server, log)
        yield f"http://127.0.0.1:{port}/lab/tree/notebooks/{NOTEBOOK}?token={token}"
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()


def _wait_until_it_answers(address: str, server: subprocess.Popen, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        assert server.poll() is None, f"JupyterLab ended: {log.read_text()[-2000:]}"
        try:
            urllib.request.urlopen(address, timeout=2).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    pytest.fail(f"JupyterLab does not answer: {log.read_text()[-2000:]}")


@pytest.fixture(scope="module")
def page(chromium: str, lab: str, project: Path) -> Page:
    """The notebook, run from the menu, as the page shows it at the end."""
    screenshot = project.parent / "01_task1.png"
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_OPTIONS)
        tab = browser.new_page(viewport={"width": 1280, "height": 900})
        try:
            tab.goto(lab)
            tab.wait_for_selector(".jp-NotebookPanel .jp-Cell", timeout=START_SECONDS * 1000)
            # Before its kernel is there the notebook would ask for one.
            tab.get_by_text(re.compile(r"Python 3.*\| Idle")).first.wait_for(
                timeout=START_SECONDS * 1000
            )
            tab.evaluate(WATCH_PROGRESS)
            tab.locator(".lm-MenuBar-itemLabel", has_text=re.compile("^Run$")).click()
            tab.locator(".lm-Menu-itemLabel", has_text=re.compile("^Run All Cells$")).click()
            last = tab.locator(".jp-CodeCell").last.locator(".jp-OutputArea-output")
            end = time.monotonic() + RUN_SECONDS
            while time.monotonic() < end and not tab.locator(RED_OUTPUTS).count():
                if "Complete:" in "".join(last.all_inner_texts()):
                    break
                tab.wait_for_timeout(250)
            tab.wait_for_timeout(500)  # the last outputs are laid out
            seen = Page(
                progress=tab.evaluate("window.seenProgress"),
                red=tab.locator(RED_OUTPUTS).all_inner_texts(),
                last_output="".join(last.all_inner_texts()),
                pictures=tab.evaluate(PICTURES),
                cut_off=tab.evaluate(CUT_OFF),
                source=json.loads((project / "notebooks" / NOTEBOOK).read_text(encoding="utf-8")),
                project=project,
                screenshot=screenshot,
            )
        finally:
            _save_whole_page(tab, screenshot)
            browser.close()
    print(f"Screenshot: {screenshot}")
    return seen


def _save_whole_page(tab: "sync_api.Page", path: Path) -> None:
    """A window as high as the notebook, so that the picture holds all of it."""
    height = tab.evaluate(
        "Math.max(0, ...[...document.querySelectorAll('.jp-WindowedPanel-outer')]"
        ".map(panel => panel.scrollHeight))"
    )
    tab.set_viewport_size({"width": 1280, "height": min(height + 250, 16000)})
    tab.wait_for_timeout(500)
    tab.evaluate(
        "document.querySelectorAll('.jp-WindowedPanel-outer').forEach(p => p.scrollTop = 0)"
    )
    tab.wait_for_timeout(500)
    tab.screenshot(path=path)


def test_run_all_cells_shows_nothing_red(page: Page) -> None:
    assert page.red == []


def test_the_last_cell_completes_the_run(page: Page) -> None:
    assert "Complete:" in page.last_output
    (record,) = (page.project / "runs").glob("*/run.json")
    assert json.loads(record.read_text(encoding="utf-8"))["status"] == "complete"


def test_training_shows_its_progress_on_the_way(page: Page) -> None:
    done = [re.search(r"(\d+) of (\d+) epochs", text) for text in page.progress]
    assert any(d and int(d[1]) < int(d[2]) for d in done), f"seen of the bar: {page.progress}"


def test_every_figure_is_shown(page: Page) -> None:
    code = [c for c in page.source["cells"] if c["cell_type"] == "code"]
    expected = sum("run.show(" in "".join(c["source"]) for c in code)
    assert expected > 0
    assert len(page.pictures) >= expected
    assert all(p["loaded"] and p["width"] > 100 for p in page.pictures)


def test_no_output_is_cut_off_at_the_side(page: Page) -> None:
    assert page.cut_off == []
