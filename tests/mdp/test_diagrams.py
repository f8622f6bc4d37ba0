"""The diagram of the loop shows what goes where."""

import matplotlib.pyplot as plt

from mdp.diagrams import draw_loop


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
