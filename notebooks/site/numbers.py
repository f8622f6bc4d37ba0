"""The numbers of the pages to play with, by the library, kept in the user's cache.

A page has sliders and traces. A trace names the sliders that it depends on, and has one
entry for each combination of their positions; the last slider moves fastest. The script
of the page only looks the entries up.

    value_iteration   sweeps on a grid, for every gamma and slip
    clip              PPO's objective over the ratio, for every advantage and eps
    beta              the exact frontier, and the ten likeliest completions of each beta
    arrows            the expected update of losses on the triangle of policies
    pass_at_k         tries against problems that are solved
"""

import hashlib
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import plotly

from lm_bandit.lab import tabular
from lm_bandit.lab.overoptimisation import learned_variants
from lm_bandit.losses.command import formula
from lm_bandit.losses.known import KNOWN
from lm_bandit.losses.plots import CORNERS, REFERENCE, REWARDS, field
from lm_bandit.losses.tiny import THREE
from mdp import bellman
from mdp.interface.compilation import cache_folder
from mdp.interface.files import versions_and_sources
from mdp.model import MDP
from mdp.worlds.grids import FOUR_BY_THREE
from mdp.worlds.world import Cell, cells, from_drawing, slips
from policy_gradient.objectives import clipped_surrogate

Page = dict[str, Any]  # or a part of one
# Names of colours in the style sheet, which has them for light and for dark pages.
BLUE, GREEN, ORANGE, GREY = "--blue", "--green", "--orange", "--grey"
RISING = [[0.0, "#c8621b"], [0.5, "#efece4"], [1.0, "#1f5673"]]
GAMMAS = [0.5, 0.8, 0.9, 0.95, 1.0]
SLIPS = [0.0, 0.1, 0.2, 0.3, 0.4, 0.6]
SWEEPS = 25
RATIOS = np.linspace(0.0, 2.0, 81)
ADVANTAGES = [-2.0, -1.0, 1.0, 2.0]
CLIPS = [0.1, 0.2, 0.3]
BETAS = np.geomspace(10.0, 0.02, 28)
LIKELIEST = 10
# The losses of the arrows: with and without a leash, and some that lead elsewhere.
LOSSES = (
    *("sum", "k1-in-reward", "k1-in-loss", "k2-in-loss", "k3-in-reward", "k3-in-loss"),
    *("deviation", "grpo"),
)
PROBLEMS = np.array([0.9, 0.85, 0.8, 0.75, 0.7, 0.6, 0.3, 0.15, 0.06, 0.02])
POWERS = [1.0, 1.25, 1.5, 2.0, 3.0]
TRIES = np.unique(np.geomspace(1, 1000, 40).round().astype(int))


def write_numbers(folder: Path) -> None:
    """Write the data of every page as a script, and plotly's own bundle beside them."""
    for name, make in PAGES.items():
        text = _kept(name, make)
        script = f"window.bellman = window.bellman || {{}};\nbellman.{name} = {text};\n"
        (folder / f"numbers_{name}.js").write_text(script, encoding="utf-8")
    bundle = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
    (folder / bundle.name).write_bytes(bundle.read_bytes())


def value_iteration() -> Page:
    """Return the sweeps of value iteration on the four-by-three grid."""
    shown, said = [], []
    for gamma, slip in itertools.product(GAMMAS, SLIPS):
        world = slippery(gamma, slip)
        values = np.zeros(world.num_states)
        for sweep in range(SWEEPS + 1):
            new = bellman.optimality_backup(world, values)
            change = np.abs(new - values).max()
            shown.append(_grid_of(world, values))
            said.append(f"{sweep} sweeps; the next one changes {change:.4f} at most.")
            values = new
    sliders = {"gamma": GAMMAS, "slip": SLIPS, "sweep": [*range(SWEEPS + 1)]}
    style: Page = {"type": "heatmap", "texttemplate": "%{text}", "hoverinfo": "skip"}
    style |= {"zmin": -1, "zmax": 1, "colorscale": RISING, "xgap": 3, "ygap": 3}
    style["showscale"] = False  # the values stand in the cells
    return {
        "sliders": _sliders(sliders, gamma=4, slip=2, sweep=5),
        "play": "sweep",
        "traces": [_trace([*sliders], shown, **style)],
        "caption": {"by": [*sliders], "frames": said},
        "layout": {
            "margin": {"l": 5, "r": 5, "t": 15, "b": 5},
            "height": 360,
            "xaxis": {"visible": False},
            "yaxis": {"visible": False, "autorange": "reversed", "scaleanchor": "x"},
        },
    }


def slippery(gamma: float, slip: float) -> MDP:
    """Return the four-by-three grid, where a move slips with this probability."""
    last = {(0, 3): 1.0, (1, 3): -1.0}

    def outcomes(cell: Cell, move: Cell) -> list[tuple[float, Cell, float]]:
        chances = slips(FOUR_BY_THREE, cell, move, aim=1.0 - slip)
        return [(p, after, last.get(after, 0.0) - 0.04) for p, after in chances]

    return from_drawing(FOUR_BY_THREE, "↑→↓←", outcomes, gamma, terminal="+-")


def _grid_of(world: MDP, values: np.ndarray) -> dict[str, Any]:
    """Return values and greedy actions, cell by cell."""
    best = bellman.best_actions(world, bellman.action_values(world, values))
    rows = [[None] * len(FOUR_BY_THREE[0]) for _ in FOUR_BY_THREE]
    texts: list[list[str]] = [[""] * len(row) for row in rows]
    for (row, column), state in cells(FOUR_BY_THREE).items():
        letter = FOUR_BY_THREE[row][column]
        over = letter in "+-"
        rows[row][column] = {"+": 1, "-": -1}.get(letter, round(values[state], 3))
        arrows = "".join(
            a for a, is_best in zip("↑→↓←", best[state], strict=True) if is_best
        )
        texts[row][column] = (
            f"<b>{letter}</b>" if over else f"{values[state]:.2f}<br>{arrows}"
        )
    return {"z": rows, "text": texts}


def clip() -> Page:
    """Return PPO's clipped objective and its slope, by automatic differentiation."""
    both = jax.value_and_grad(
        lambda r, a, eps: clipped_surrogate(jnp.log(r), jnp.zeros(()), a, eps)
    )
    # At 0 the ratio has no logarithm.
    ratios = np.maximum(RATIOS, 1e-6)
    curves, plain, dots, said = [], [], [], []
    for advantage in ADVANTAGES:
        plain.append({"x": RATIOS, "y": RATIOS * advantage})
        for eps in CLIPS:
            height, slope = jax.vmap(both, (0, None, None))(ratios, advantage, eps)
            curves.append({"x": RATIOS, "y": height})
            for ratio, y, tilt in zip(
                RATIOS[::4], height[::4], slope[::4], strict=True
            ):
                dots.append({"x": [ratio], "y": [y]})
                push = "pushes the ratio " + ("up" if tilt > 0 else "down")
                push = (
                    push if abs(tilt) > 1e-6 else "does not push: the objective is flat"
                )
                said.append(
                    f"Ratio {ratio:.1f}, advantage {advantage:g}: objective {y:.2f}, "
                    f"slope {tilt:.0f}. PPO {push} here."
                )
    sliders = {"advantage": ADVANTAGES, "clip ε": CLIPS, "ratio": RATIOS[::4].tolist()}
    first, second, third = sliders
    dot = {"mode": "markers", "marker": {"size": 14, "color": ORANGE}}
    return {
        "sliders": _sliders(sliders, advantage=2, ratio=13, **{"clip ε": 1}),
        "play": "ratio",
        "traces": [
            _trace([first], plain, name="ratio times advantage", **_line(GREY, "dot")),
            _trace([first, second], curves, name="clipped objective", **_line(BLUE)),
            _trace([first, second, third], dots, name="you are here", **dot),
        ],
        "caption": {"by": [first, second, third], "frames": said},
        "layout": {
            "xaxis": {"title": {"text": "ratio"}, "range": [0, 2]},
            "yaxis": {"title": {"text": "objective"}, "range": [-4.2, 4.2]},
        },
    }


def beta() -> Page:
    """Return the frontier of a learned reward, and the texts of the best policies."""
    bench = tabular.make_bench()
    learned, *_ = learned_variants(0, bench, 100).values()
    path = tabular.optimum_path(bench, learned, BETAS)
    deviation = tabular.reward_deviation(bench, bench.gold)
    likely, written, here, said = [], [], [], []
    for i, kl_weight in enumerate(BETAS):
        ended = tabular.optimal_policy(bench, learned, float(kl_weight)).ended[0]
        first = np.argsort(-ended)[:LIKELIEST][::-1]
        texts = [bench.world.decode(bench.completions[j]) for j in first]
        likely.append({"x": np.exp(ended[first])})
        written.append({"text": texts})
        here.append(
            {"x": [path.kl[i]] * 2, "y": [path.learned[i], path.gold[i] / deviation]}
        )
        said.append(
            f"β = {kl_weight:.3g}: KL {path.kl[i]:.2f} nats, learned reward "
            f"{path.learned[i]:.2f}, gold reward {path.gold[i] / deviation:.2f}. "
            f"Likeliest: “{texts[-1]}”."
        )
    marks = {"mode": "markers", "marker": {"size": 14, "color": ORANGE}}
    learned_line = {"x": path.kl, "y": path.learned}
    gold_line = {"x": path.kl, "y": path.gold / deviation}
    bars: Page = {"type": "bar", "orientation": "h", "marker": {"color": BLUE}}
    bars |= {"opacity": 0.4, "hoverinfo": "skip"}
    words: Page = {"mode": "text", "textposition": "middle right", "x": [0] * LIKELIEST}
    below: Page = {"xaxis": "x2", "yaxis": "y2", "showlegend": False}
    below |= {"y": [*range(LIKELIEST)]}
    named = {"beta": [f"{x:.3g}" for x in BETAS]}
    return {
        "sliders": _sliders({"β": named["beta"]}, β=12),
        "play": "β",
        "traces": [
            _trace([], [learned_line], name="learned reward", **_line(BLUE)),
            _trace([], [gold_line], name="gold reward", **_line(GREEN, "dash")),
            _trace(["β"], here, name="this β", **marks),
            _trace(["β"], likely, **bars, **below),
            _trace(["β"], written, **words, **below),
        ],
        "caption": {"by": ["β"], "frames": said},
        "layout": {
            "xaxis": {"title": {"text": "KL from the reference, nats"}},
            "yaxis": {"title": {"text": "reward, in deviations"}, "domain": [0.62, 1]},
            "xaxis2": {"title": {"text": "probability under π*"}, "anchor": "y2"},
            "yaxis2": {"domain": [0, 0.42], "visible": False},
            "height": 680,
        },
    }


def arrows() -> Page:
    """Return the field of arrows of some known losses on three completions."""
    fields, ends, said = [], [], []
    with jax.enable_x64(True):
        for name in LOSSES:
            found = field(KNOWN[name].update(bandit=THREE), 0.1)
            fields.append(_arrow_lines(found.policies @ CORNERS, found.moves @ CORNERS))
            x, y = found.end @ CORNERS
            ends.append({"x": [x], "y": [y]})
            away = np.abs(found.end - found.optimum).sum() / 2
            climbs = KNOWN[name].climbs
            what = f"ascends {formula(climbs)}" if climbs else "ascends no known sum"
            said.append(
                f"{name} {what}, and ends {away:.2f} from π* (total variation). "
                f"{KNOWN[name].why}"
            )
    sides = CORNERS[[0, 1, 2, 0]].T
    corners = [
        f"{name}<br>reward {reward:g}"
        for name, reward in zip(THREE.names, REWARDS, strict=True)
    ]
    style: Page = {"hoverinfo": "skip", "showlegend": False, "mode": "lines"}
    names = {"x": CORNERS[:, 0], "y": CORNERS[:, 1] + [-0.09, -0.09, 0.09]}
    labels = {"mode": "text", "text": corners, "hoverinfo": "skip", "showlegend": False}
    return {
        "sliders": _sliders({"loss": LOSSES}, loss=1),
        "play": "",
        "traces": [
            _trace([], [{"x": sides[0], "y": sides[1]}], line={"color": GREY}, **style),
            _trace(["loss"], fields, line={"color": GREY, "width": 1.3}, **style),
            _trace([], [names], **labels),
            _trace([], [_place(REFERENCE)], name="π_ref", **_dot(ORANGE, "square")),
            _trace([], [_place(found.optimum)], name="π*", **_dot(GREEN, "star", 24)),
            _trace(["loss"], ends, name="where it leads", **_dot(BLUE, "circle")),
        ],
        "caption": {"by": ["loss"], "frames": said},
        "layout": {
            "xaxis": {"visible": False, "range": [-0.15, 1.15]},
            "yaxis": {"visible": False, "range": [-0.2, 1.08], "scaleanchor": "x"},
            "height": 560,
        },
    }


def pass_at_k() -> Page:
    """Return the problems solved within k tries, before and after sharpening."""
    base = 1.0 - (1.0 - PROBLEMS) ** TRIES[:, None]
    curves, points, said = [], [], []
    for power in POWERS:
        odds = (PROBLEMS / (1 - PROBLEMS)) ** power
        sharp = odds / (1.0 + odds)
        solved = 1.0 - (1.0 - sharp) ** TRIES[:, None]
        curves.append({"x": TRIES, "y": solved.mean(1)})
        for k, after, before in zip(TRIES, solved.mean(1), base.mean(1), strict=True):
            points.append({"x": [int(k)] * 2, "y": [after, before]})
            said.append(
                f"k = {k}: {after:.1%} of the problems after sharpening, "
                f"{before:.1%} before."
            )
    sliders = {"sharpening": POWERS, "k": TRIES.tolist()}
    return {
        "sliders": _sliders(sliders, sharpening=3, k=0),
        "play": "k",
        "traces": [
            _trace(
                [],
                [{"x": TRIES, "y": base.mean(1)}],
                name="before",
                **_line(GREY, "dash"),
            ),
            _trace(["sharpening"], curves, name="after sharpening", **_line(BLUE)),
            _trace(
                ["sharpening", "k"], points, name="k tries", **_dot(ORANGE, "circle")
            ),
        ],
        "caption": {"by": ["sharpening", "k"], "frames": said},
        "layout": {
            "xaxis": {"title": {"text": "tries k"}, "type": "log"},
            "yaxis": {
                "title": {"text": "share of problems solved"},
                "range": [0, 1.03],
            },
        },
    }


PAGES: dict[str, Callable[[], Page]] = {
    "value_iteration": value_iteration,
    "clip": clip,
    "beta": beta,
    "arrows": arrows,
    "pass_at_k": pass_at_k,
}


def _kept(name: str, make: Callable[[], Page]) -> str:
    """Return a page's data as JSON, from the cache if nothing has changed since."""
    sources = json.dumps(versions_and_sources()).encode() + Path(__file__).read_bytes()
    digest = hashlib.sha256(sources).hexdigest()[:16]
    try:
        place = cache_folder() / "site" / f"{name}-{digest}.json"
        place.parent.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError):
        return _text_of(make())
    if not place.exists():
        text = _text_of(make())
        for old in place.parent.glob(f"{name}-*.json"):
            old.unlink()
        place.write_text(text, encoding="utf-8")
    return place.read_text(encoding="utf-8")


def _text_of(page: Page) -> str:
    """Return JSON with as many digits as a picture shows."""

    def short(value: Any) -> Any:
        if isinstance(value, np.ndarray | jax.Array):
            value = np.asarray(value).tolist()
        if isinstance(value, dict):
            return {key: short(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [short(each) for each in value]
        return (
            round(float(value), 4) if isinstance(value, float | np.floating) else value
        )

    return json.dumps(short(page), ensure_ascii=False, separators=(",", ":"))


def _sliders(
    values: Mapping[str, Sequence[Any]], **starts: int
) -> list[dict[str, Any]]:
    return [
        {"name": name, "values": [*each], "start": starts[name]}
        for name, each in values.items()
    ]


def _trace(by: list[str], frames: list[dict[str, Any]], **style: Any) -> dict[str, Any]:
    return {"by": by, "frames": frames, "style": style}


def _line(colour: str, dash: str = "solid") -> dict[str, Any]:
    return {"mode": "lines", "line": {"color": colour, "width": 3, "dash": dash}}


def _dot(colour: str, symbol: str, size: int = 13) -> dict[str, Any]:
    marker = {"size": size, "color": colour, "symbol": symbol}
    return {"mode": "markers", "marker": marker}


def _place(policy: np.ndarray) -> dict[str, Any]:
    x, y = policy @ CORNERS
    return {"x": [x], "y": [y]}


def _arrow_lines(places: np.ndarray, moves: np.ndarray) -> dict[str, Any]:
    """Return arrows as one broken line; short ones stay visible."""
    lengths = np.linalg.norm(moves, axis=1, keepdims=True)
    tips = places + 0.085 * moves / np.maximum(lengths, 1e-12) ** 0.5
    x: list[float | None] = []
    y: list[float | None] = []
    for start, tip in zip(places, tips, strict=True):
        back = (start - tip) * 0.35
        side = np.array([-back[1], back[0]]) * 0.6
        for point in (start, tip, tip + back + side, tip, tip + back - side):
            x.append(point[0])
            y.append(point[1])
        x.append(None)
        y.append(None)
    return {"x": x, "y": y}
