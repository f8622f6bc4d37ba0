"""A chapter in JupyterLab, as a learner uses it: open, run, answer, and move a slider.

JupyterLab runs on a copy of one chapter, with settings of its own, and a headless
Chromium clicks and types: `pip install -e '.[notebooks,site,test]'`, and the package
`chromium` of the system.
"""

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.exercises import sources
from tests.exercises.manifest import find

ROOT = Path(__file__).parent.parent
# It needs numpy and no jax, and has exercises and sliders.
CHAPTER = "03_values_and_bellman_equations.ipynb"
EXERCISE = "optimality-backup"
TRAP = 1  # takes the maximum over all actions, also those that are not available
FUNCTION = "my_optimality_backup"
SLIDERS = "slide(draw_slippery"
NEEDED = ("jupyterlab", "ipywidgets", "playwright", "psutil")
MISSING = ", ".join(name for name in NEEDED if find_spec(name) is None)
if not MISSING:
    from notebooks.site.browser import find_chromium, open_chromium

    MISSING = "" if find_chromium() else "Chromium"
MOST_SECONDS = 90  # of waiting for anything
ERRORS = "[data-mime-type='application/vnd.jupyter.error']"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(MISSING),
        reason=f"{MISSING} is missing: pip install -e '.[notebooks,site,test]'",
    ),
]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A page of the browser with the chapter, which has run to its sliders."""
    home, token = tmp_path_factory.mktemp("jupyter"), secrets.token_hex()
    (home / "book").mkdir()
    shutil.copyfile(ROOT / "notebooks" / CHAPTER, home / "book" / CHAPTER)
    with open_chromium() as browser, running_server(home, token) as address:
        tab = browser.new_page(viewport={"width": 1200, "height": 1000})
        tab.set_default_timeout(MOST_SECONDS * 1000)
        tab.wrong = []
        tab.on("pageerror", lambda error: tab.wrong.append(str(error)))
        tab.on("console", lambda said: note(tab, said.type == "error", said.text))
        local = (address, "data:", "blob:")
        tab.on("request", lambda r: note(tab, not r.url.startswith(local), r.url))
        tab.goto(f"{address}lab/tree/{CHAPTER}?token={token}")
        cell_with(tab, SLIDERS).wait_for()
        tab.get_by_text("| Idle").wait_for()  # the kernel, in the bar at the bottom
        choose(tab, "Edit", "Clear Outputs of All Cells")
        cell_with(tab, SLIDERS).locator(".jp-InputPrompt").click()
        tab.keyboard.press("ArrowDown")
        choose(tab, "Run", "Run All Above Selected Cell")
        # The sliders come last, or an error ends the run.
        done = cell_with(tab, SLIDERS).get_by_role("slider").first
        done.or_(tab.locator(ERRORS)).first.wait_for()
        yield tab


def note(tab, is_wrong, what):
    """Add an error to those of a page."""
    if is_wrong:
        tab.wrong.append(what)


def choose(tab, menu, item):
    """Choose an item of a menu."""
    tab.get_by_role("menuitem", name=menu, exact=True).click()
    tab.get_by_role("menuitem", name=item, exact=True).click()


def cell_with(tab, text):
    """The code cell that has a piece of text in it."""
    return tab.locator(".jp-CodeCell").filter(
        has=tab.locator(".cm-content", has_text=text)
    )


@contextmanager
def running_server(home, token):
    """Start JupyterLab on the folder home/book; in the end nothing of it is left."""
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
        *("--ServerApp.ip=127.0.0.1", "--ServerApp.port=0"),
        *(f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={home / 'book'}"),
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        # It ends by itself if this process is killed.
        f"--MappingKernelManager.cull_idle_timeout={2 * MOST_SECONDS}",
        f"--ServerApp.shutdown_no_activity_timeout={2 * MOST_SECONDS}",
    ]
    with (home / "log").open("w") as log:
        server = subprocess.Popen(
            command, env=environment(home), stdout=log, stderr=subprocess.STDOUT
        )
    try:
        yield address_of(server, home)
    finally:
        end_with_children(server)


def environment(home):
    """The environment of a JupyterLab that neither reads nor changes the user's own."""
    folders = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "IPYTHONDIR": "ipython",
        "EXERCISE_WORKBOOK": "workbook",
    }
    own = {name: str(home / folder) for name, folder in folders.items()}
    # The tests run with still pictures, and a learner with sliders.
    return {**os.environ, **own, "PYTHONPATH": str(ROOT), "STILL_PICTURES": ""}


def address_of(server, home):
    """Wait until the server says where it listens."""
    end = time.monotonic() + MOST_SECONDS
    while time.monotonic() < end and server.poll() is None:
        for file in (home / "runtime").glob("jpserver-*.json"):
            text = file.read_text(encoding="utf-8")
            if text.endswith("}"):
                return json.loads(text)["url"]
        time.sleep(0.05)
    raise AssertionError((home / "log").read_text(encoding="utf-8"))


def end_with_children(server):
    """End the server, its kernels, and the judges that those have started."""
    import psutil

    if server.poll() is not None:
        return
    whole = [psutil.Process(server.pid)]
    whole += whole[0].children(recursive=True)
    server.terminate()
    _, left = psutil.wait_procs(whole, timeout=15)
    for process in left:
        process.kill()
    server.wait()


def test_a_chapter_opens_and_runs_without_an_error(lab):
    assert lab.locator(ERRORS).all_inner_texts() == []
    assert cell_with(lab, SLIDERS).get_by_role("slider").count() == 2
    prompts = lab.locator(".jp-CodeCell .jp-InputPrompt").all_text_contents()
    ran = [prompt for prompt in prompts if prompt != "[ ]:"]
    assert len(ran) > 5
    assert prompts[: len(ran)] == [f"[{i + 1}]:" for i in range(len(ran))]
    assert lab.wrong == []


def test_a_wrong_answer_meets_its_sentence_and_a_right_one_passes(lab):
    exercise = find(EXERCISE)
    trap = exercise.traps[TRAP]
    answer(lab, sources.edited(exercise, trap), trap.says)
    answer(lab, sources.reference(exercise), f"Passed: {exercise.title}.")
    assert lab.wrong == []


def answer(tab, candidate, said):
    """Type the last line of a function into the exercise's cell, run it, and read."""
    from playwright.sync_api import expect

    last = candidate.source.rstrip().splitlines()[-1]
    lines = (
        *("from mdp.bellman import action_values", ""),
        *(f"def {FUNCTION}(mdp, values):", last, ""),
        f'check({FUNCTION}, "{EXERCISE}")',
    )
    cell = cell_with(tab, f"def {FUNCTION}")
    cell.locator(".cm-content").click()
    tab.keyboard.press("ControlOrMeta+A")
    tab.keyboard.insert_text("\n".join(lines))
    tab.keyboard.press("ControlOrMeta+Enter")
    output = cell.locator(".jp-OutputArea-output").first
    expect(output).to_contain_text(said, timeout=MOST_SECONDS * 1000)


def test_a_slider_that_moves_changes_the_one_picture(lab):
    from playwright.sync_api import expect

    cell = cell_with(lab, SLIDERS)
    picture = cell.locator(".jp-OutputArea-output img")
    for slider in cell.get_by_role("slider").all():
        before = picture.get_attribute("src")
        slider.focus()
        lab.keyboard.press("ArrowRight")
        changed = expect(picture)
        changed.not_to_have_attribute("src", before, timeout=MOST_SECONDS * 1000)
    expect(picture).to_have_count(1)
    assert lab.wrong == []
