"""Submissions are programs of strangers: none passes, stays, or touches another's mark.

They are judged with a time limit of a few seconds, as `check` and `grade` judge them.
"""

import ast
import os
import pickle
import textwrap
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from policy_gradient.trajectory import Trajectory
from tests.exercises import reaching, sources
from tests.exercises.check import Worker, check, judge
from tests.exercises.isolation import masked, sandbox
from tests.exercises.isolation.channel import Channel, Ended
from tests.exercises.manifest import ROOT, book, exercises, find
from tests.exercises.words import NO_MARK, verdict
from tests.test_exercises import RETURNS, RIGHT

WORKER = Worker()
SECONDS = 4.0
MAP = str(ROOT / "notebooks" / "README.md")
can_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs POSIX")
needs_bwrap = pytest.mark.skipif(
    sandbox.means() != "bwrap", reason="needs bwrap and user namespaces"
)
pytestmark = can_fork


def judged(body, seconds=SECONDS):
    """The verdict of the judge alone, without a look at the text."""
    body = textwrap.indent(textwrap.dedent(body).strip("\n"), "    ")
    source = f"import numpy as np\n\ndef {RETURNS.name}(rewards, discounts):\n{body}\n"
    candidate = sources.Candidate(source, RETURNS.name, "mine.py")
    found = judge(RETURNS, candidate, time_limit=seconds, worker=WORKER)
    return verdict(RETURNS, candidate, found)


HOSTILE = {
    "a child that stays": (
        "import os\nif os.fork() == 0:\n    while True: pass",
        "os.fork",
    ),
    "a fork below Python": (
        "import ctypes, time\nif ctypes.pythonapi.fork() == 0:\n    time.sleep(99)\n",
        "returns nothing",
    ),
    "a fork bomb below Python": (
        "import ctypes\nwhile True: ctypes.pythonapi.fork()",
        "crash|not return in time|ends Python",
    ),
    "another program": ("import os\nos.system('sleep 99')", "os.system"),
    "an end": ("import os\nos._exit(0)", "ends Python itself"),
    "a polite end": ("raise SystemExit(0)", "raises SystemExit"),
    "an interrupt": ("raise KeyboardInterrupt", "raises KeyboardInterrupt"),
    "a skipped test": ("import pytest\npytest.skip('no')", "raises Skipped: no"),
    "a flood": (
        "import os\nos.write(2, b'x' * 50_000_000)\nreturn 1",
        "File too|an int",
    ),
    "a chatterbox": ("while True: print('x' * 10**6)", "not return in time"),
    "much memory": ("return np.ones(10**11)", "raises MemoryError"),
    "a crash": ("import ctypes\nctypes.string_at(0)", "crash"),
    "an array that lies": (
        """
        class Liar(np.ndarray):
            def __array_ufunc__(self, *arguments, **options):
                raise KeyboardInterrupt
            __eq__ = lambda self, other: True
        return rewards.view(Liar)
        """,
        "returns a Liar",
    ),
    "an object that acts when it is read": (
        """
        class Bomb:
            def __reduce__(self):
                return eval, ("__import__('os').abort()",)
        return Bomb()
        """,
        "returns a Bomb",
    ),
    "a result of its own": (
        """
        import gc, os
        for one in gc.get_objects():
            if type(one).__name__ == "Channel":
                one.send(("found", {"what": "done"}))
                one.send(("answer", (rewards * 0.0, None, None, "")))
                one.send(("tests", None))
        os._exit(0)
        """,
        NO_MARK,
    ),
    "bytes on every pipe": (
        """
        import os
        for number in range(3, 60):
            try:
                os.write(number, b'{"what": "done"}' * 100)
            except OSError:
                pass
        os._exit(0)
        """,
        NO_MARK,
    ),
    "no parent": ("import os\nos.kill(os.getppid(), 9)", "os.kill"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("body", "says"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_submission_fails_in_time_and_the_next_one_is_judged_fairly(
    body, says
):
    start = time.monotonic()
    said = judged(body)
    assert said.state == "failed"
    assert any(part in said.text for part in says.split("|")), said.text
    assert time.monotonic() - start < 60, "also on a busy machine"
    assert judged(RIGHT, seconds=60).state == "passed"


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs Linux")
def test_nothing_of_a_submission_outlives_it():
    """A child with a session of its own, which Python's own rules do not catch."""
    stays = f"sleep-{os.getpid()}"
    judged(
        f"""
        import ctypes, time
        libc = ctypes.pythonapi
        if libc.fork() == 0:
            libc.setsid()
            if libc.fork() == 0:
                libc.prctl(15, b"{stays}"[:15])
                time.sleep(99)
        return rewards
        """
    )
    names = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            names.append((folder / "comm").read_text().strip())
        except OSError:
            continue
    assert names
    assert stays[:15] not in names


@needs_bwrap
@pytest.mark.parametrize(
    "body",
    [
        f"import os\nreturn 0.0 if os.path.exists({MAP!r}) else rewards[99]",
        "import os\nreturn 0.0 if os.listdir('/home') else rewards[99]",
        "import _socket\nnames = [n for _, n in _socket.if_nameindex()]\n"
        "return 0.0 if names != ['lo'] else rewards[99]",
        "import os\nall_ = [n for n in os.listdir('/proc') if n.isdigit()]\n"
        "return 0.0 if len(all_) > 4 else rewards[99]",
        "import os\nreturn 0.0 if os.access('/book/mdp', os.W_OK) else rewards[99]",
    ],
)
def test_a_submission_sees_no_files_network_or_processes(body):
    """What it sees shows in the answer: an IndexError says that it sees nothing."""
    text = judged(body).text
    assert "IndexError" in text or "FileNotFoundError" in text, text


def test_what_one_submission_writes_the_next_does_not_find():
    judged(
        "import pathlib, tempfile\nplace = tempfile.gettempdir()\n"
        "pathlib.Path(place, 'for_a_friend').write_text('x')\nreturn rewards"
    )
    text = judged(
        "import os, tempfile\nfound = os.listdir(tempfile.gettempdir())\n"
        "return 0.0 if 'for_a_friend' in found else rewards[99]"
    ).text
    assert "IndexError" in text


LOOKS = {
    "import mdp\nreturn mdp.discounted_returns(rewards, discounts)": "`mdp.discounted",
    "from mdp.bellman import discounted_returns as other\n"
    "return other(rewards, discounts)": "`mdp.bellman.discounted_returns`",
    "import importlib\nreturn importlib.import_module('mdp')": "`importlib`",
    "import inspect\nreturn inspect.stack()": "`inspect`",
    "import sys\nreturn sys.modules['mdp']": "`sys.modules`",
    "import sys\nreturn sys._getframe(1)": "`_getframe`",
    "return open('mdp/bellman.py').read()": "`open`",
    "return (lambda: 0).__globals__": "`__globals__`",
    "return getattr(rewards, '__subclasses__')": "`__subclasses__`",
}


@pytest.mark.parametrize(("body", "names"), LOOKS.items())
def test_who_reaches_for_the_books_own_is_told_so(body, names):
    body = textwrap.indent(body, "    ")
    source = f"def discounted_returns(rewards, discounts):\n{body}\n"
    said = check(RETURNS, sources.Candidate(source, RETURNS.name, "mine.py"))
    assert said.state == "failed"
    assert said.text.startswith(NO_MARK)
    assert names in said.text


@pytest.mark.parametrize(
    "body",
    [
        """
        import mdp
        name = "open"
        source = getattr(mdp.bellman.__builtins__, "get")(name)(mdp.bellman.__file__)
        names = {}
        exec(source.read(), names)
        return names["discounted_returns"](rewards, discounts)
        """,
        """
        import importlib.util, mdp.bellman
        spec = importlib.util.spec_from_file_location("other", mdp.bellman.__file__)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.discounted_returns(rewards, discounts)
        """,
        """
        import gc
        for one in gc.get_objects():
            if getattr(one, "__name__", "") == "discounted_returns":
                answer = one(rewards, discounts)
        return answer
        """,
    ],
)
def test_where_a_submission_runs_the_books_own_is_not_there(body):
    """A submission that gets past the look at its text finds an empty function.

    Or it finds its own function, in the place of the book's own.
    """
    assert judged(body).state in ("open", "failed")


def test_no_right_answer_is_taken_for_one_that_reaches():
    for exercise in exercises().values():
        right = [sources.edited(exercise, variant) for variant in exercise.variants]
        for candidate in [sources.reference(exercise), *right]:
            source = sources.new_file(exercise) + candidate.source
            assert not reaching.complaint(exercise, ast.parse(source)), exercise.id


def test_a_copy_of_the_packages_lacks_the_body_and_nothing_else():
    """The lines after the body keep their numbers; every exercise is looked at."""
    for exercise in book().values():
        whole = sources.module_file(exercise).read_text(encoding="utf-8")
        without = masked.without_body(whole, exercise.qualname)
        body, place = sources.find_definition(ast.parse(without), exercise.qualname)
        assert sources.is_empty(body[place]), exercise.id
        rest, _ = sources.find_definition(ast.parse(whole), exercise.qualname)
        assert len(body) == len(rest)
        for mine, theirs in zip(body, rest, strict=True):
            if mine is not body[place]:
                assert ast.dump(mine, include_attributes=True) == ast.dump(
                    theirs, include_attributes=True
                )


def test_a_message_keeps_numbers_and_records_and_nothing_that_acts():
    one, other = (Channel(*ends, is_trusted=False) for ends in pipes())
    arrays = {"a": np.arange(3.0), "b": jnp.float32(2.5), "key": jax.random.key(3)}
    record = Trajectory(*range(len(Trajectory._fields)))
    for sent in (arrays, record, (1, 2.0, None, True, "text", np.float32(0.1))):
        Channel(one.reader, one.writer, is_trusted=True).send(sent, 5.0)
        got = other.receive(5.0)
        assert type(got) is type(sent)
        assert str(got) == str(sent)
    evil = pickle.dumps(Evil())
    os.write(one.writer, len(evil).to_bytes(8) + evil)
    assert type(other.receive(5.0)).__name__ == "system", "an empty object of that name"
    os.write(one.writer, (2**60).to_bytes(8))
    with pytest.raises(Ended):
        other.receive(5.0)


def pipes():
    """The ends of two pipes, crossed."""
    (a, b), (c, d) = os.pipe(), os.pipe()
    return (a, d), (c, b)


class Evil:
    """An object that runs a program if it is unpickled without care."""

    def __reduce__(self):
        return os.system, ("exit 1",)


def test_a_recursion_costs_one_sentence():
    own = judged("return discounted_returns(rewards, discounts)").text
    assert own.startswith("Your function calls itself without end: discounted_returns")
    assert len(own.splitlines()) < 8
    hidden = "import mdp\nreturn getattr(mdp, 'discounted' + '_returns')(rewards, 1)"
    assert "in a check it stands in" in judged(hidden).text


def test_what_cannot_be_isolated_is_said(monkeypatch):
    sandbox.means.cache_clear()
    monkeypatch.setattr(sandbox.shutil, "which", lambda _: None)
    assert "the network" in sandbox.warning()
    assert sandbox.warning().count("\n") == 0
    sandbox.means.cache_clear()
    assert find("discounted-returns") == RETURNS
