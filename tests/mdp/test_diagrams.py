"""The diagrams of the loop and of one step show what goes where."""

import matplotlib.pyplot as plt

from mdp.diagrams import ActorCriticStep, draw_actor_critic, draw_loop


def test_the_loop_has_three_arrows_from_box_to_box():
    figure, axes = plt.subplots()
    draw_loop(axes)
    texts = " ".join(text.get_text() for text in axes.texts)
    for name in ("agent", "environment", "A_t", "R_{t+1}", "S_{t+1}"):
        assert name in texts
    arrows = [text for text in axes.texts if getattr(text, "arrow_patch", None)]
    action, reward, state = (text.xy for text in arrows)
    assert action[1] < 1, "the action reaches the environment, below"
    assert min(reward[1], state[1]) > 3, "reward and state reach the agent, above"
    plt.close(figure)


def test_the_step_shows_its_td_error_and_both_updates():
    figure, axes = plt.subplots()
    step = ActorCriticStep(
        state="here",
        action="go",
        next_state="there",
        reward=-1.0,
        discount=0.5,
        value=2.0,
        new_value=1.8,
        next_value=3.0,
        probability=0.5,
        new_probability=0.4,
    )
    draw_actor_critic(axes, step)
    texts = " ".join(text.get_text() for text in axes.texts)
    assert "-1 + 0.5 · 3.00 - 2.00 = -1.50" in texts
    for update in ("2.00 becomes 1.80", "0.50 becomes 0.40"):
        assert update in texts
    arrows = [text for text in axes.texts if getattr(text, "arrow_patch", None)]
    assert len(arrows) == 3 + 3 + 2, "the step, what the error reads, whom it teaches"
    plt.close(figure)
