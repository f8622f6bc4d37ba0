"""The exercise book as a learner meets it: each mistake costs one clear message."""

import subprocess
import sys
import textwrap
from importlib import import_module

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.exercises import check, kept, oracle, same, show, sources
from tests.exercises.cases import policy_gradient as cases
from tests.exercises.check import Worker
from tests.exercises.manifest import FLOORS, ROOT, exercises, find

WORKER = Worker()
RETURNS = find("discounted-returns")
RIGHT = """
    total = rewards * 0.0
    following = 0.0
    for t in reversed(range(len(rewards))):
        following = rewards[t] + discounts[t] * following
        total[t] = following
    return total
"""


def judged(source, exercise=RETURNS, worker=WORKER):
    candidate = sources.Candidate(source, exercise.name, "workbook/mine.py")
    return check.check(exercise, candidate, exercise.name, worker)


def said_of(body, exercise=RETURNS, above="import numpy as np", name=None):
    """The verdict on a function with this body."""
    arguments = ", ".join(a.arg for a in sources.reference_arguments(exercise).args)
    body = textwrap.indent(textwrap.dedent(body).strip("\n"), "    ")
    name = name or exercise.name
    return judged(f"{above}\n\ndef {name}({arguments}):\n{body}\n", exercise)


def said_in_new_file(name, body):
    """The text on a body below the imports that a new file begins with, in one line."""
    exercise = find(name)
    body = textwrap.indent(textwrap.dedent(body).strip("\n"), "    ")
    source = sources.new_file(exercise).replace(f"    {sources.TODO}\n", body + "\n")
    return " ".join(judged(source, exercise).text.split())


def test_a_right_answer_passes_with_helpers_and_imports_of_its_own():
    helper = """
import numpy as np
from mdp.bellman import TIE_TOLERANCE, discounted_returns
from mdp import state_values


def add(reward, discount, following):
    return reward + discount * following
"""
    body = RIGHT.replace(
        "rewards[t] + discounts[t] * following",
        "add(rewards[t], discounts[t], following) + 0 * TIE_TOLERANCE",
    )
    verdict = said_of(body, above=helper)
    assert verdict.state == "passed", verdict.text


@pytest.mark.slow
def test_a_new_file_shows_the_fields_of_every_type_of_its_function():
    """They are compared with the types themselves, as Python sees them."""
    num_fields = 0
    for exercise in exercises().values():
        if not exercise.is_method:
            shown = sources.new_file(exercise)
            function = getattr(import_module(exercise.module), exercise.name)
            for kind in function.__annotations__.values():
                ours = getattr(kind, "__module__", "").startswith(FLOORS)
                for field in getattr(kind, "_fields", ()) if ours else ():
                    assert f"\n#   {field}: " in shown, (exercise.id, field)
                    num_fields += 1
    assert num_fields > 100


def test_a_new_file_explains_what_it_imports_and_tells_no_secret():
    shown = sources.new_file(find("reward-to-go"))
    assert 'values: Float[Array, "time"]  # v(O_t), by the critic' in shown
    assert "GAE" not in shown
    shown = sources.new_file(find("exact-evaluation"))
    assert "sparse" not in shown
    assert "DENSE_STATES" not in shown
    assert "#   Return v(s) = sum_a pi(a | s) q(s, a)" in shown, "state_values"
    shown = sources.new_file(find("transitions-from-outcomes"))
    assert "#   num_states: int  # Number of states S" in shown
    assert "#   transitions: " not in shown, "it is the one to be written"
    shown = sources.new_file(find("completion-mask"))
    assert "# END = 0  # the end-of-text token" in shown
    shown = sources.new_file(find("q-learning"))
    assert "#   choose(state: int, exploration: float) -> int" in shown
    assert "#   discount: float  # gamma, or 0 where this step ended" in shown, "Step"


def test_a_trap_is_named_before_the_equation_and_the_smallest_case():
    text = said_of(RIGHT.replace("discounts[t] * following", "following")).text
    order = "discounts", "G_t  =", "rewards = [ 1., -4.]", "Expected", "Got"
    places = [text.find(piece) for piece in order]
    assert places == sorted(places)
    assert 0 <= places[0] < 70, "in the first sentence"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return [float(r) for r in rewards]", "returns a list, and should return a n"),
        ("rewards + discounts", "It returns nothing. Is the `return` missing?"),
        ("return rewards[:, None]", "1), and should have ("),
        ("return rewards.astype(int)", "holds integers, and should hold real numbers"),
        ("return rewards / 0 * 0", "not a number (nan)"),
        ("return rewards + 17.5", "Your result does not depend on `discounts`"),
        ("return rewards.sum() / 0 + undefined", "raises NameError: name 'undefined'"),
        ("rewards[:] = 0.0\n" + textwrap.dedent(RIGHT), "is 0, and should not be"),
        ("rewards[:] = 9.0\nreturn rewards", "changes its argument `rewards`"),
    ],
)
def test_a_wrong_result_costs_one_clear_message(body, message):
    verdict = said_of(body)
    assert verdict.state == "failed"
    assert message in verdict.text
    assert "Traceback" not in verdict.text
    assert "tests/exercises" not in verdict.text


def test_a_changed_argument_is_named_although_the_result_is_right():
    verdict = said_of(RIGHT.replace("    return", "    rewards[:] = 9.0\n    return"))
    assert verdict.text.startswith("Your function changes its argument `rewards`.")


def test_a_unit_test_that_fails_although_all_cases_agree_is_named():
    text = said_of(
        "if len(rewards) > 20:\n    return rewards\n" + textwrap.dedent(RIGHT)
    ).text
    assert text.startswith("Not yet. This unit test fails: the return is the discount")
    assert "The test reports:" in text


def test_an_exception_shows_the_learners_own_lines():
    text = said_of("first = rewards * 2\nreturn first[17]").text
    assert "raises IndexError" in text
    assert "line 5:  return first[17]" in text
    assert "rewards = [" in text
    assert "judge" not in text


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("return input()", "Nobody can answer `input` here"),
        ("import friend", "A file is judged alone"),
    ],
)
@pytest.mark.parametrize("is_own", [True, False])
def test_what_is_not_there_in_a_check_is_named(line, cause, is_own):
    source = f"def {RETURNS.name}(rewards, discounts):\n    {line}\n"
    candidate = sources.Candidate(source, RETURNS.name, "mine.py")
    found = check.check(RETURNS, candidate, worker=WORKER, is_own=is_own)
    assert cause in found.reason


@pytest.mark.slow
def test_an_endless_loop_is_ended_and_its_line_is_shown():
    exercise = RETURNS._replace(time_limit=2.0)
    text = said_of("while True:\n    rewards = rewards + 1", exercise).text
    assert text.startswith("Your function does not return in time.")
    assert "The time was over in line" in text
    assert "rewards = [" in text


def test_what_cannot_be_read_is_shown_with_its_line():
    text = said_of("return (rewards").text
    assert "Python cannot read workbook/mine.py, line 4" in text
    assert "return (rewards" in text


def test_a_wrong_name_and_a_wrong_signature():
    text = said_of("return rewards", name="discounted_return").text
    assert "no function discounted_returns in workbook/mine.py" in text
    assert "there is discounted_return." in " ".join(text.split())
    source = (
        "if True:\n    def discounted_returns(rewards, discounts):\n        return 0"
    )
    assert "yours stands inside an `if`" in " ".join(judged(source).text.split())
    text = judged("def discounted_returns(rewards):\n    return rewards\n").text
    assert "takes (rewards), and should take (rewards, discounts)" in text


@pytest.mark.parametrize("body", ["...", "pass", "raise NotImplementedError"])
def test_an_empty_function_is_open_and_not_wrong(body):
    assert said_of(body).state == "open"


def test_the_splice_is_seen_by_every_import_and_needs_no_jax():
    """Re-exports and `from module import name` see it; numpy's answers need no jax."""
    program = """
import sys
from tests.exercises import sources, splice
from tests.exercises.manifest import find

exercise = find("epsilon-greedy")
spliced = splice.Splice(exercise, sources.reference(exercise))
spliced.install()
import mdp

for module in (mdp, mdp.sampling, mdp.control, mdp.bandits):
    assert module.epsilon_greedy is spliced.watched, module
own = spliced.watched.function
assert own.__code__.co_filename == "<epsilon-greedy: reference>"
assert "jax" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


def test_an_oracle_may_not_ask_the_candidate():
    @oracle.oracle
    def circular():
        return answer()

    answer = oracle.watched(lambda: 42)
    assert answer() == 42
    with pytest.raises(RuntimeError, match="an oracle called"):
        circular()


@pytest.mark.parametrize("exercise", exercises().values(), ids=exercises())
def test_a_new_file_has_the_imports_that_its_first_lines_need(exercise):
    """Annotations are evaluated when Python reads them; the body is not there yet."""
    names = {"__name__": "mine"}
    exec(sources.new_file(exercise), names)
    with pytest.raises(NotImplementedError):
        names[exercise.name](*[None] * names[exercise.name].__code__.co_argcount)


def test_a_right_answer_with_a_wrong_gradient_is_named_and_shown():
    text = said_in_new_file("value-loss", "return 0.5 * (value - target) ** 2")
    assert text.startswith("The loss is right, its gradient is not")
    assert "gradient by target = 0" in text
    assert "gradient by target = -3" in text


def test_where_the_answer_is_wrong_the_gradient_by_what_is_data_does_not_hide_it():
    """Of two mistakes the greater one is named first, and the other one after it."""
    body = """
        log_prob = jnp.sum(weights * log_probs, axis=1)
        return -jnp.mean(log_prob * jnp.sum(weights * advantages, axis=1))
    """
    text = said_in_new_file("score-function-loss", body)
    assert text.startswith("You multiply the sums")


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ("1.0 if log_prob > 0 else jnp.exp(log_prob)", "jnp.where, jnp.maximum"),
        ("float(log_prob) * advantage", "keep it as a jax array"),
        ("np.minimum(log_prob, advantage)", "use `jnp` instead"),
    ],
)
def test_what_jax_says_of_unknown_numbers_is_explained(wrong, sentence):
    body = f"""
        advantage = jax.lax.stop_gradient(advantage)
        right = jnp.exp(log_prob - old_log_prob)
        right = jnp.minimum(
            right * advantage, jnp.clip(right, 1 - clip, 1 + clip) * advantage
        )
        wrong = {wrong}
        return right + 0 * wrong
    """
    above = "import jax\nimport jax.numpy as jnp\nimport numpy as np"
    text = said_of(body, find("clipped-surrogate"), above).text
    assert text.startswith(
        "Inside `jax.jit`, `jax.vmap` and `jax.grad` an array has no"
    )
    assert sentence in " ".join(text.split())
    assert "wrong =" in text, "the learner's own line"
    assert "https://" not in text


def test_a_loop_that_fills_an_array_of_numpy_is_explained():
    body = """
        import numpy as np
        returns, following = np.zeros(len(trajectory.rewards)), 0.0
        for t in reversed(range(len(returns))):
            goes_on = trajectory.discounts[t] * trajectory.continues[t]
            following = trajectory.rewards[t] + goes_on * following
            returns[t] = following
        return jnp.array(returns)
    """
    text = said_in_new_file("reward-to-go", body)
    assert "numpy arrays cannot hold it" in text
    assert "returns[t] = following" in text


def test_a_numpy_array_is_no_jax_array():
    body = "import numpy as np\nreturn np.asarray(trajectory.rewards)"
    text = said_in_new_file("td-errors", body)
    assert "It returns a numpy array, and should return a jax array." in text


def test_float32_is_compared_as_finely_as_it_is():
    """Rounding passes, and a mistake of a thousandth does not."""
    third = jnp.float32(1.0) / 3
    assert same.difference(third * (1 + 1e-6), third, 1e-9) is None
    assert same.difference(third * (1 + 1e-3), third, 1e-9)
    assert same.difference(np.array([1.0]), jnp.array([1.0]), 1e-9)


def test_odd_results_are_compared_and_not_followed():
    """Parts of unequal lengths, and a list that holds itself a billion times."""
    assert "single number" in same.difference((np.zeros(2), np.zeros(3)), 1.0, 1e-9)
    deep = [0.0]
    for _ in range(29):
        deep = [deep, deep]
    assert not same.is_small(deep)
    assert same.is_small({"answer": (np.zeros(10**7), [1.0] * 100)})


def test_inputs_of_jax_are_shown_as_plainly_as_those_of_numpy():
    inputs = {"x": jnp.array([1.0, -2.5]), "n": jnp.array(3), "key": jax.random.key(7)}
    shown = show.show_inputs(inputs)
    assert shown == "x = [ 1. , -2.5]\nn = 3\nkey = jax.random.key(7)"
    _, ended, cut_off, *_ = cases.trajectories(0)
    assert show.show_inputs(ended).splitlines()[-1].strip() == (
        "t = 1: reward -4, discount 0, value 6, next value 8, continues 0: "
        "the episode ended"
    )
    assert ", continues 0: cut off" in show.show_inputs(cut_off)


def test_a_view_gives_the_gradient_by_what_learns_and_by_what_is_data():
    def loss(new, old_one, data, scale):
        return scale * new * old_one * jax.lax.stop_gradient(data)

    inputs = {"new": 2.0, "old_one": 3.0, "data": 5.0}
    inputs = {name: jnp.array(x) for name, x in inputs.items()} | {"scale": 7.0}
    parts = cases.answer_and_gradients(loss, inputs)
    assert list(parts) == ["answer", "gradient by new", "gradient by data"]
    assert [float(part) for part in parts.values()] == [210.0, 105.0, 0.0]


def test_answers_of_the_book_are_kept_until_something_they_depend_on_changes(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    answers = {("def f(): ...", 0, 1): {"answer": np.arange(3.0)}}
    gae = find("gae")
    assert kept.read(gae) == {}
    kept.write(gae, answers)
    assert kept.read(gae).keys() == answers.keys()
    monkeypatch.setenv("XLA_FLAGS", "--other")
    assert kept.read(gae) == {}
    kept.write(gae, {})
    (file,) = tmp_path.rglob("*.pickle")
    file.write_bytes(b"damaged")
    assert kept.read(gae) == {}


@pytest.mark.parametrize(
    ("body", "is_own", "asked"),
    [
        ("import math\n    return rewards", True, ["fully"]),
        ("import math\n    return rewards", False, [""]),
        ("import os\n    return rewards", True, [""]),
        ("raise SystemExit", True, ["fully", ""]),  # it ends the first judge
    ],
)
def test_only_a_learners_own_arithmetic_runs_in_the_process_of_the_judge(
    monkeypatch, body, is_own, asked
):
    seen = []

    def judged(*_, trusted="", **__):
        seen.append(trusted)
        return [] if "SystemExit" in body and trusted else [{"what": "done"}]

    monkeypatch.setattr(check, "judge", judged)
    source = f"def {RETURNS.name}(rewards, discounts):\n    {body}\n"
    candidate = sources.Candidate(source, RETURNS.name, "mine.py")
    assert check.check(RETURNS, candidate, is_own=is_own).state == "passed"
    assert seen == asked


def test_a_masked_array_without_a_mask_is_an_array():
    lines = RIGHT.replace("return total", "return np.ma.masked_array(total)")
    source = f"import numpy as np\ndef {RETURNS.name}(rewards, discounts):{lines}"
    candidate = sources.Candidate(source, RETURNS.name, "mine.py")
    for is_own in (True, False):
        assert check.check(RETURNS, candidate, is_own=is_own).state == "passed"
