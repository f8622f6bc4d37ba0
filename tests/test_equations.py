"""Equations of docstrings as formulas of the site: read rightly, or left alone."""

import pytest

from notebooks.site.equations import block, symbols

KNOWN = {
    "G_t = R_{t+1} + gamma G_{t+1},   0 after the last step": (
        r"G_{t} = R_{t+1}+\gamma \,G_{t+1}, \qquad 0\ \text{after the last step}"
    ),
    "v*(s)  <-  max_a sum_{s', r} p(s', r | s, a) [ r + gamma v*(s') ]": (
        r"v^{*}(s) \gets \underset{a}{\max} \sum\limits_{s', r} "
        r"p(s', r \mid s, a)\,[r+\gamma \,v^{*}(s')]"
    ),
    "e = clip((KL - target) / target, -1/5, 1/5),     beta <- beta (1 + K e)": (
        r"e = \text{clip}\bigg(\frac{\text{KL}-\text{target}}{\text{target}}, "
        "\\text{\u2212}" + r"\tfrac{1}{5}, \tfrac{1}{5}\bigg), "
        r"\qquad \beta  \gets \beta \,(1+K\,e)"
    ),
    "h = beta log(pi(y|x) / pi_ref(y|x))": (
        r"h = \beta \,\text{log}\bigg(\frac{\pi (y \mid x)}"
        r"{\pi _{\text{ref}}(y \mid x)}\bigg)"
    ),
}
# A slash between more than two things may be read in two ways, and stays a slash.
SLASHES = ("x^2 / 2 (1 + x)", "log x / y", "prod_i p_i / q", "a / b / c")
# Words in a docstring that a hasty reader would take for formulas.
OTHERS = (
    # Tables.
    "S, A                 num_states, num_actions     states and actions",
    "none             0\nconstant         one number that never changes",
    "tabular    h(s, a) is a parameter, and so is v(s)\nmlp        two networks",
    " 0   A   2   B   4        A: every action earns +10",
    # Commands and programs.
    "python -m lm_bandit [--seed 1] [--world wide]",
    "known = know_start(problem, configs)",
    "jobs = [Job(name, 1, measure) for i in range(8)]",
    "x = wte[tokens] + wpe[positions]",
    # Arguments, errors and prose.
    "gamma: of J = E[r] - beta KL(pi || pi_ref), with which it is compared.",
    "ValueError: gamma = 1, and from some state no policy ends the episode.",
    "prompt = state,   completion = action,   no episodic structure",
    "the best arm, from a Q that begins too high",
    # Signs that are no whole.
    "v(s) = ",
    "p(s | a",
    "G_t = R_{t+1} + `rest`",
    "p = (x |y| z)",
)


@pytest.mark.parametrize("line", KNOWN)
def test_an_equation_becomes_its_latex_below_its_source(line):
    assert block([line]) == [f"% {line}\n{KNOWN[line]}"]


@pytest.mark.parametrize("text", OTHERS)
def test_what_is_no_equation_is_left_alone(text):
    assert block(text.split("\n")) is None


@pytest.mark.parametrize("text", SLASHES)
def test_a_fraction_that_could_be_misread_stays_a_slash(text):
    made = block([f"z = {text}"])
    assert made is None or (r"\frac" not in made[0] and "/" in made[0])


def test_one_line_that_is_not_understood_keeps_its_block():
    lines = ["v  <-  v + d", "pi <- greedy(values[t]) for v"]
    assert block(lines[:1]) is not None
    assert block(lines) is None


def test_lines_are_aligned_where_the_docstring_aligns_them():
    lines = ["v(s)  <-  max_a q(s, a)     the best", "       =  q(s, b)"]
    (made,) = block(lines)
    rows = made.split("\n")[3:-1]
    assert rows == [
        r"v(s) & \gets \underset{a}{\max} q(s, a) \qquad \text{the best} \\",
        "{} & = q(s, b)",
    ]


def test_a_symbol_among_words_is_drawn():
    made = symbols("In S_t it earns R_{t+1}. Return v_pi for the policy.")
    assert made[1::2] == ["S_{t}", "R_{t+1}", r"v_{\pi }"]
    assert made[::2] == ["In ", " it earns ", ". Return ", " for the policy."]


@pytest.mark.parametrize(
    "text",
    [
        "The step_size and next_values of q_learning and ln_1 in num_steps are names.",
        "The file is in h.0.ln_1.weight, and A_b_c and f_x.py are others.",
        "Return v(s) = sum_a pi(a | s) q(s, a), the mean.",
        "The call f(next_states) and the noise N(mean, 1) have words.",
    ],
)
def test_names_of_programs_and_parts_of_equations_are_no_symbols(text):
    assert symbols(text) == [text]
