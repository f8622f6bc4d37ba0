"""General sentences on wrong answers: said where they are true, and nowhere else."""

import numpy as np
import pytest

from tests.exercises import patterns, words
from tests.exercises.check import Worker, check, judge
from tests.exercises.manifest import find
from tests.exercises.sources import Candidate, reference_source

WORKER = Worker()


def weighted(values, weights, gain):
    """The right function of these tests: an array, from arrays and a number."""
    return gain * weights * values - 1.0


def cases(rng):
    for shape in ((2, 3), (3, 3), (4, 5)):
        mask = np.full(shape, 0.8)
        mask[0, 0] = mask[1, -1] = 0.0
        values, gain = rng.normal(size=shape), rng.uniform(2.0, 3.0)
        yield {"values": values, "weights": mask, "gain": gain}


def said(wrong, right=weighted, rng=None):
    """The verdict on a wrong function, in one line."""
    inputs = list(cases(rng or np.random.default_rng(0)))
    trials = [
        patterns.Trial(case, wrong(**case), right(**case), 1e-9) for case in inputs
    ]

    def answer_of(function):
        return lambda case: function(**case)

    found = patterns.find(trials, (), answer_of(wrong), answer_of(right))
    return found.says if found else ""


SENTENCES = [
    (lambda **x: -weighted(**x), "minus the right number"),
    (lambda **x: 3.5 * weighted(**x), "3.5 times the right number"),
    (lambda **x: weighted(**x) + 0.25, "the right number plus 0.25"),
    (lambda **x: 0 * weighted(**x), "is 0, and should not be"),
    (lambda **x: 1 / weighted(**x), "upside down"),
    (lambda **x: weighted(**x) / x["gain"], "divided by `gain`"),
    (lambda **x: weighted(**x) - x["values"], "minus `values`: is that term missing"),
    (
        lambda **x: weighted(**x) * len(x["values"]),
        "number of rows of `values`: do you",
    ),
    (lambda **x: weighted(**x)[::-1], "wrong order: it is reversed along axis 0"),
    (lambda **x: np.roll(weighted(**x), 1, 1), "one step late along axis 1"),
    (lambda **x: weighted(**x).T, "is right, but transposed"),
    (lambda **x: weighted(**x)[None], "has an axis too many"),
    (lambda **x: weighted(**x).sum(1), "is the sum of the right numbers along axis 1"),
    (lambda **x: weighted(**x).astype(np.float16) * 1.0, "is nearly right"),
    (lambda values, weights, gain: weighted(values, weights, 1.0), "`gain` = 1 every"),
    (lambda values, weights, gain: gain * values - 1, "`weights` = 1 everywhere"),
    (lambda values, weights, gain: weights * values / gain - 1, "for 1 / `gain`"),
    (lambda values, weights, gain: gain * weights**2 - 1, "in the place of `values`"),
    (lambda values, weights, gain: gain**3 * weights - 1, "not depend on `values`"),
]


@pytest.mark.parametrize(("wrong", "sentence"), SENTENCES)
def test_each_relation_to_the_right_answer_has_its_sentence(wrong, sentence):
    assert sentence in said(wrong)


@pytest.mark.parametrize(
    ("where", "sentence"),
    [
        (
            lambda x: (slice(0, 1), ...),
            "wrong in the first entry along axis 0, and right",
        ),
        (lambda x: (..., slice(-1, None)), "wrong in the last entry along axis 1, and"),
        (
            lambda x: x["weights"] == 0,
            "wrong where `weights` is 0, and right elsewhere",
        ),
    ],
)
def test_the_place_of_wrong_numbers_is_named(where, sentence):
    def wrong(**x):
        answer = weighted(**x)
        place = where(x)
        answer[place] += (
            np.sin(3 * x["values"][place]) + 2 + x["gain"] * x["values"][place] ** 2
        )
        return answer

    assert sentence in said(wrong)


def test_what_is_not_true_of_all_cases_is_not_said():
    """The answer is minus the right one in some cases, and twice that one in others."""

    def wrong(**x):
        answer = weighted(**x)
        return 2 * answer if len(answer) == 3 else -answer

    assert "minus" not in said(wrong)
    assert "times" not in said(wrong)


def test_of_two_mistakes_the_smallest_case_may_show_one():
    """All answers are in the wrong order; from the second case on also too large."""

    def wrong(**x):
        return weighted(**x)[::-1] + (len(x["values"]) > 2) * np.sin(x["values"])

    expected = "In the smallest case, your result has the right numbers in the wrong"
    assert said(wrong).startswith(f"{expected} order: it is reversed along axis 0")


def test_the_sentence_is_about_the_part_that_differs_in_the_smallest_case():
    """The first part is wrong in the last case, and the second one in the first."""
    right = [{"one": np.ones(2), "other": np.array([2.0, 3.0])} for _ in range(2)]
    wrong = [
        right[0] | {"other": np.array([-2.0, -3.0])},
        right[1] | {"one": -right[1]["one"]},
    ]
    trials = [patterns.Trial({}, w, r, 1e-9) for w, r in zip(wrong, right, strict=True)]
    found = patterns.find(trials, (), lambda _: wrong[0], lambda _: right[0])
    assert found.says.startswith("Wherever your `other` is wrong, it is minus")


def test_a_single_wrong_number_has_no_factor_of_its_own():
    def wrong(**x):
        answer = weighted(**x)
        answer[0, 1] *= 7.0
        return answer if len(answer) == 4 else weighted(**x)

    assert "times" not in said(wrong)


@pytest.mark.slow
def test_nan_alone_names_no_trap():
    """`crowd-bt` has a trap that often answers nan; only its other answers name it."""
    exercise = find("crowd-bt")
    source = f"def {exercise.name}(chosen, rejected, logits, annotators):\n    "
    source += "return jnp.log(-1.0 - jnp.abs(chosen).sum())\n"
    above = "import jax.numpy as jnp\n\n"
    found = judge(
        exercise, Candidate(above + source, exercise.name, "<nan>"), worker=WORKER
    )
    kinds = {finding["what"] for finding in found}
    assert "difference" in kinds
    assert "trap" not in kinds


HELD_OUT = [
    ("clipped-surrogate", "stop_gradient(advantage)", "advantage"),
    ("sft-loss", "jnp.sum(weights[:, 1:])", "jnp.sum(weights)"),
    (
        "shuffled-minibatches",
        "jax.random.bits(key, (epochs, size))",
        "(jax.random.bits(key, (epochs, size)) * (size <= 32)).astype(jnp.uint32)",
    ),
    (
        "shuffled-minibatches",
        "    return indices.reshape",
        "    indices = jnp.stack([jnp.roll(indices[0], e) for e in range(epochs)])\n"
        "    return indices.reshape",
    ),
    # Three words of each side, one with the best ratings and one with the worst.
    ("win-probability", "longest + 1]", "longest - 1]"),
]


def verdict_on_a_change(name, piece, other):
    """The verdict on the book's own function with a piece replaced."""
    exercise = find(name)
    source = reference_source(exercise)
    assert source.count(piece) == 1
    wrong = Candidate(source.replace(piece, other), exercise.name, "<held out>")
    return check(exercise, wrong, worker=WORKER)


@pytest.mark.parametrize(("name", "piece", "other"), HELD_OUT)
def test_what_once_passed_though_it_is_wrong_fails(name, piece, other):
    verdict = verdict_on_a_change(name, piece, other)
    assert verdict.state == "failed"
    assert "check itself" not in verdict.text


STRANGE = [
    # Changed inputs, on which the search for sentences tries it, make it raise.
    ("kl-optimum", "ended - log_z", "ended", "in its `ended` are not right."),
    ("sarsa-target", "reward + discount", "[1.0, [2.0]], reward + discount", "a tuple"),
    (
        "bayes-accuracy",
        "float(np.mean(",
        "[[1.0], [2.0, 3.0]] or float(np.mean(",
        "It returns a list, and should return a single number.",
    ),
    ("entropy", "return -jnp", "return 1.0, [2.0, 3.0], -jnp", "returns a tuple"),
]


@pytest.mark.parametrize(("name", "piece", "other", "sentence"), STRANGE)
def test_no_answer_breaks_the_check(name, piece, other, sentence):
    verdict = verdict_on_a_change(name, piece, other)
    assert verdict.state == "failed"
    assert sentence in " ".join(verdict.text.split())


def test_a_gradient_of_the_entropy_along_no_policy_does_not_count():
    """Probabilities sum to 1, so a function that divides by their sum is right, too."""
    change = "jax.nn.softmax(log_probs)"
    verdict = verdict_on_a_change("entropy", "jnp.exp(log_probs)", f"{change}")
    assert verdict.state == "passed"


def test_the_length_of_an_episode_is_not_that_of_its_tuple():
    text = verdict_on_a_change(
        "td-zero",
        "zip(step_sizes, zip(*episode, strict=True), strict=True)",
        "zip(step_sizes, range(len(episode)), strict=True)",
    ).text
    assert "len(episode) is the number of its fields." in " ".join(text.split())


def test_an_exception_in_a_unit_test_names_the_test():
    """The cases of `ties-and-smoothing` are not compiled; one of its tests is."""
    change = "    if tied[0]:\n        pass\n    targets ="
    text = verdict_on_a_change("ties-and-smoothing", "    targets =", change).text
    assert "It was called in this unit test: a tie is half a win" in text
    assert "Inside `jax.jit`" in text


NUMPY = """
Not equal to tolerance rtol=1e-07, atol=0
the values
Mismatched elements: 2 / 3 (66.7%)
Mismatch at index:
 [0]: 9.0 (ACTUAL), 1.0 (DESIRED)
 [1]: 2.0 (ACTUAL), 2.5 (DESIRED)
Max absolute difference among violations: 8.
Max relative difference among violations: 8.
 ACTUAL: array([9., 2., 3.])
 DESIRED: array([1. , 2.5, 3. ])"""


def test_a_dump_of_numpy_becomes_sentences_on_the_smallest_difference():
    assert words.reported(NUMPY).splitlines() == [
        "the values",
        "2 of 3 numbers are wrong.",
        "At [1] there is 2, and there should be 2.5.",
        "The largest difference is 8.",
    ]


def test_a_bare_assertion_becomes_a_sentence():
    text = words.reported("assert 3 == 4\n +  where 3 = len([1, 2, 3])")
    assert text == "This should hold, and does not: 3 == 4"
    assert words.reported("too many\nassert 3 == 4") == "too many"
