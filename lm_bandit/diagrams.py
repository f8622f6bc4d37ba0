"""Diagrams of RLHF, drawn by code. `Axes` in, `Axes` out.

    draw_feedback_loop     people judge texts, a model learns from them, and writes more
    draw_three_steps       what each step of RLHF reads, and what it makes
    draw_step_three        PPO and its models: who writes, who scores, who learns

White boxes are data and people; grey ones are models at work, which in the third step
do not change. A thick edge is a model that learns or is the result of a step; a dashed
edge is its copy. Dashed arrows are gradients.

Source: Ouyang et al. (2022), figure 2 and section 3.5.
"""

from itertools import pairwise

from matplotlib.axes import Axes

from mdp.diagrams import COPY, DATA, FIXED, LEARNS, Box, arrow, box, route
from mdp.looks import FAINT, INK


def draw_feedback_loop(axes: Axes) -> Axes:
    """Draw the loop of human feedback: judged texts change what is written next.

    Source: Casper et al. (2023), figure 1.
    """
    axes.set(xlim=(0, 12), ylim=(0, 3.6))
    axes.set_axis_off()
    people = box(axes, 1.7, 1.8, "people\njudge texts", DATA, 2.4)
    scorer = box(axes, 6.0, 1.8, "reward model\nlearns the answers", LEARNS, 2.8)
    policy = box(axes, 10.3, 1.8, "policy\nlearns to write", LEARNS, 2.4)
    arrow(axes, _right(people), _left(scorer))
    arrow(axes, _right(scorer), _left(policy))
    corners = [_bottom(policy), (policy.x, 0.5), (people.x, 0.5), _bottom(people)]
    route(axes, corners, "new texts, which nobody has judged yet", (6.0, 0.75))
    for x, text in ((3.75, "answers"), (8.25, "scores")):
        axes.text(x, 2.05, text, ha="center", va="center", color=INK, fontsize=9)
    return axes


def draw_three_steps(axes: Axes) -> Axes:
    """Draw the three steps of RLHF, one a column, and what each hands to the next.

    Source: Ouyang et al. (2022), figure 2.
    """
    axes.set(xlim=(0.3, 12.6), ylim=(0, 7.4))
    axes.set_axis_off()
    titles = ("Step 1: SFT", "Step 2: reward model", "Step 3: PPO")
    for x, title in zip((2, 6, 10), titles, strict=True):
        axes.text(x, 7.1, title, ha="center", va="center", color=INK, weight="bold")
    axes.vlines((4, 8), 0.6, 7.4, color=FAINT, lw=1.2)

    prompts = [box(axes, x, 6.1, "prompts", DATA) for x in (2, 6, 10)]
    written = box(axes, 2, 4.5, "people write\ndemonstrations", DATA)
    pairs = box(axes, 6, 4.5, "the SFT model writes\npairs of completions", FIXED)
    policy = box(axes, 10, 4.5, "the policy writes\ncompletions", FIXED)
    pretrained = box(axes, 2, 2.9, "the pretrained model\nlearns from them", FIXED)
    compared = box(axes, 6, 2.9, "people say which\none is better", DATA)
    scored = box(axes, 10, 2.9, "the reward model scores\nthem, less β KL", FIXED)
    sft = box(axes, 2, 1.2, "SFT model", LEARNS)
    reward_model = box(axes, 6, 1.2, "reward model", LEARNS)
    tuned = box(axes, 10, 1.2, "tuned model", LEARNS)

    columns = (
        (prompts[0], written, pretrained, sft),
        (prompts[1], pairs, compared, reward_model),
        (prompts[2], policy, scored, tuned),
    )
    for column in columns:
        for above, below in pairwise(column):
            arrow(axes, _bottom(above), _top(below))
    # From one step to the next.
    arrow(axes, _right(sft), _left(pairs), bend=-0.15)
    arrow(axes, _right(reward_model), _left(scored), bend=-0.15)
    arrow(axes, _right(scored, 0.2), _right(policy, -0.2), bend=0.6)
    axes.text(11.95, 3.7, "PPO", ha="left", va="center", color=INK, style="italic")
    start = "The reward model and the policy both start as a copy of the SFT model."
    axes.text(6, 0.2, start, ha="center", va="center", color=INK, style="italic")
    return axes


def draw_step_three(axes: Axes) -> Axes:
    """Draw the third step of RLHF in detail: its five models, and what they exchange.

    Source: Ziegler et al. (2019), section 2.2; Ouyang et al. (2022), section 3.5.
    """
    axes.set(xlim=(0, 12.6), ylim=(0, 7.4))
    axes.set_axis_off()
    box(axes, 3.2, 6.6, "policy $\\pi$\nlearns", LEARNS, 2.5)
    box(axes, 3.2, 3.9, "old policy $\\pi_{old}$\nwrites the batch", COPY, 2.5)
    box(axes, 7.1, 5.0, "reference $\\pi_{ref}$\nfrozen", FIXED, 2.5)
    box(axes, 7.1, 2.8, "reward model $r_\\theta$\nfrozen", FIXED, 2.5)
    box(axes, 7.1, 0.8, "critic $\\hat q$\nlearns", LEARNS, 2.5)
    ratio = r"$\rho = \pi\, /\, \pi_{old}$"
    box(axes, 10.9, 6.6, f"clipped loss\n{ratio}", DATA, 2.8)
    reward = r"$R = r_\theta - \beta\, \log(\pi_{old} / \pi_{ref})$"
    box(axes, 10.9, 3.9, f"reward\n{reward}", DATA, 2.8)
    box(axes, 10.9, 1.2, "advantage\n$A = R - \\hat q$", DATA, 2.8)

    route(axes, [(0.2, 3.9), (1.95, 3.9)], "prompts $x$", (1.05, 4.15))
    route(axes, [(3.2, 6.12), (3.2, 4.38)], "copied for\neach batch", (2.3, 5.25))
    for y in (5.0, 2.8, 0.8):
        route(axes, [(4.45, 3.7), (5.2, 3.7), (5.2, y), (5.85, y)])
    axes.text(5.55, 3.4, "$x, y$", ha="center", va="center", color=INK, fontsize=9)
    route(axes, [(4.45, 4.1), (9.5, 4.1)], r"$\log\,\pi_{old}$", (7.1, 4.3))
    route(axes, [(4.8, 4.1), (4.8, 6.3), (9.5, 6.3)], r"$\log\,\pi_{old}$", (6.0, 6.1))
    reference = [(8.35, 5.0), (8.9, 5.0), (8.9, 4.3), (9.5, 4.3)]
    route(axes, reference, r"$\log\,\pi_{ref}$", (8.85, 5.2))
    score = [(8.35, 2.8), (8.9, 2.8), (8.9, 3.7), (9.5, 3.7)]
    route(axes, score, "score", (8.75, 2.6))
    route(axes, [(8.35, 1.2), (9.5, 1.2)], "values", (8.9, 1.4))
    route(axes, [(10.9, 3.42), (10.9, 1.68)], "$R$", (11.1, 2.55))
    up = [(12.3, 1.2), (12.5, 1.2), (12.5, 6.4), (12.3, 6.4)]
    route(axes, up, "$A$", (12.3, 5.4))
    route(axes, [(4.45, 6.9), (9.5, 6.9)], r"$\log\,\pi$", (7.0, 7.1))
    gradient = "gradient of the loss"
    route(axes, [(9.5, 6.6), (4.45, 6.6)], gradient, (7.3, 6.74), dashed=True)
    error = "gradient of $(\\hat q - R)^2 / 2$"
    back = [(10.9, 0.72), (10.9, 0.5), (8.35, 0.5)]
    route(axes, back, error, (9.7, 0.25), dashed=True)
    return axes


def _top(box: Box) -> tuple[float, float]:
    return box.x, box.y + box.height / 2


def _bottom(box: Box) -> tuple[float, float]:
    return box.x, box.y - box.height / 2


def _left(box: Box, up: float = 0.0) -> tuple[float, float]:
    return box.x - box.width / 2, box.y + up


def _right(box: Box, up: float = 0.0) -> tuple[float, float]:
    return box.x + box.width / 2, box.y + up
