"""The book on functions of jax: gradients count, and what jax says is explained."""

import textwrap

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdp import exercises as bridge
from tests.exercises import check, same, show, sources
from tests.exercises.cases import policy_gradient as cases
from tests.exercises.manifest import exercises, find
from tests.exercises.worker import Worker

WORKER = Worker()


def said_of(name, body):
    """The verdict on a body, below the imports that the book's own file begins with."""
    exercise = find(name)
    body = textwrap.indent(textwrap.dedent(body).strip("\n"), "    ")
    source = sources.new_file(exercise).replace(f"    {sources.TODO}\n", body + "\n")
    candidate = sources.Candidate(source, exercise.name, "workbook/mine.py")
    return check.check(exercise, candidate, exercise.name, WORKER)


@pytest.mark.parametrize("exercise", exercises().values(), ids=exercises())
def test_a_new_file_has_the_imports_that_its_first_lines_need(exercise):
    """Annotations are evaluated when Python reads them; the body is not there yet."""
    names = {"__name__": "mine"}
    exec(sources.new_file(exercise), names)
    with pytest.raises(NotImplementedError):
        names[exercise.name](*[None] * names[exercise.name].__code__.co_argcount)


def test_a_right_answer_with_a_wrong_gradient_is_named_and_shown():
    verdict = said_of("value-loss", "return 0.5 * (value - target) ** 2")
    assert verdict.text.startswith("The loss is right, its gradient is not")
    assert "gradient by target = 0" in verdict.text
    assert "gradient by target = -3" in verdict.text


def test_where_the_answer_is_wrong_the_gradient_by_what_is_data_does_not_hide_it():
    """Two mistakes at once: the greater one is named, the other one after it."""
    body = """
        log_prob = jnp.sum(weights * log_probs, axis=1)
        return -jnp.mean(log_prob * jnp.sum(weights * advantages, axis=1))
    """
    verdict = said_of("score-function-loss", body)
    assert verdict.text.startswith("You multiply the sums")


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (
            "return advantage * (1.0 if log_prob > 0 else jnp.exp(log_prob))",
            "jnp.where, jnp.maximum",
        ),
        ("return float(log_prob) * advantage", "leave it the jax array that it is"),
        ("return np.minimum(log_prob, advantage)", "use `jnp` in the place"),
    ],
)
def test_what_jax_says_of_unknown_numbers_is_explained(body, sentence):
    exercise = find("clipped-surrogate")
    source = f"""
import jax.numpy as jnp
import numpy as np

def clipped_surrogate(log_prob, old_log_prob, advantage, clip):
    right = jnp.exp(log_prob - old_log_prob)
    right = jnp.minimum(
        right * advantage, jnp.clip(right, 1 - clip, 1 + clip) * advantage
    )
    {body.replace("return", "wrong =")}
    return right + 0 * wrong
"""
    candidate = sources.Candidate(source, exercise.name, "workbook/mine.py")
    said = check.check(exercise, candidate, worker=WORKER).text
    assert said.startswith(
        "Inside `jax.jit`, `jax.vmap` and `jax.grad` an array has no"
    )
    assert sentence in " ".join(said.split())
    assert "wrong =" in said, "the learner's own line"
    assert "https://" not in said


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
    said = said_of("reward-to-go", body).text
    assert "the arrays of numpy cannot hold it" in " ".join(said.split())
    assert "returns[t] = following" in said


def test_a_numpy_array_is_no_jax_array():
    body = "import numpy as np\nreturn np.asarray(trajectory.rewards)"
    said = said_of("td-errors", body).text
    assert "It returns a numpy array, and should return a jax array." in said


def test_float32_is_compared_as_finely_as_it_is():
    """Rounding passes, and the smallest mistakes do not."""
    third = jnp.float32(1.0) / 3
    assert same.difference(third * (1 + 1e-6), third, 1e-9) is None
    assert same.difference(third * (1 + 1e-3), third, 1e-9)
    assert same.difference(np.array([1.0]), jnp.array([1.0]), 1e-9)


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


@jax.jit
def my_errors(trajectory):
    following = trajectory.discounts * trajectory.next_values
    return jnp.subtract(trajectory.rewards + following, trajectory.values)


def test_a_cell_may_compile_its_function(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("EXERCISE_WORKBOOK", str(tmp_path))
    assert bridge.check(my_errors, "td-errors"), capsys.readouterr().out
