"""Strange MDPs: tables of outcomes, dense arrays, Gymnasium's tables, whole MDPs."""

import math

import numpy as np
import pytest
from hypothesis import strategies as st

import mdp
from tests.fuzz.strange import changed, each_count, taken, tried, values

FIELDS = ("probs", "next_states", "rewards", "discounts", "available", "start")
PLACES = (*FIELDS, "table", "discount", "terminal", "transitions", "reward", "mdp")


def require_sound(model):
    """Check an MDP number by number, in plain Python; it is the oracle."""
    num_states, num_actions, _ = model.probs.shape
    assert not any(field.flags.writeable for field in model)
    assert type(model.probs) is np.ndarray
    assert model.probs.dtype == model.rewards.dtype == model.discounts.dtype == float
    assert model.next_states.dtype.kind == "i"
    assert model.available.dtype == bool
    assert abs(math.fsum(model.start.tolist()) - 1) < 1e-7
    assert min(model.start.tolist()) >= 0
    for s in range(num_states):
        assert any(model.available[s].tolist())
        for a in range(num_actions):
            row = [field[s, a].tolist() for field in model[:4]]
            total = 1 if model.available[s, a] else 0
            assert abs(math.fsum(row[0]) - total) < 1e-7
            for prob, next_state, reward, discount in zip(*row, strict=True):
                assert 0 <= prob <= 1 + 1e-7
                assert 0 <= next_state < num_states
                assert math.isfinite(reward)
                assert 0 <= discount <= 1


@st.composite
def tables(draw):
    """A valid table of outcomes with 1 to 4 states, as nested lists or dicts."""
    size = draw(st.integers(1, 4))
    rows = []
    for _ in range(size):
        row = []
        for _ in range(draw(st.integers(1, 3))):
            parts = draw(st.sampled_from([(1.0,), (0.5, 0.5), (0.25, 0.75)]))
            outcomes = [
                (
                    part,
                    draw(st.integers(0, size - 1)),
                    draw(st.integers(-3, 3)) / 2,
                    draw(st.booleans()),
                )
                for part in parts
            ]
            row.append(outcomes)
        rows.append(row)
    as_dict = draw(st.booleans())
    return {s: dict(enumerate(r)) for s, r in enumerate(rows)} if as_dict else rows


def arguments(draw):
    """The other arguments of a constructor; most are as they should be."""
    some = {"terminal": [0], "start": 0}
    names = draw(st.sets(st.sampled_from(["terminal", "start"]), max_size=1))
    if draw(st.integers(0, 2)):
        return 0.9, {name: some[name] for name in names}
    discount = draw(st.one_of(st.just(0.9), values()))
    return discount, {name: draw(values()) for name in names}


@each_count
def test_a_table_of_outcomes_is_an_mdp_or_refused(cases):
    def check(data):
        table = data.draw(tables())
        valid = mdp.from_outcomes(table, 0.9)
        require_sound(valid)
        table = data.draw(changed(table))
        discount, others = arguments(data.draw)
        made = taken(lambda: mdp.from_outcomes(table, discount, **others), *PLACES)
        if made is not None:
            require_sound(made)

    tried(cases, check, st.data())


@each_count
def test_dense_arrays_are_an_mdp_or_refused(cases):
    def check(data):
        rng = np.random.default_rng(data.draw(st.integers(0, 99)))
        size, num_actions = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 2))
        shape = (size, num_actions, size)
        transitions = rng.dirichlet(np.ones(size), shape[:2])
        rewards = rng.normal(size=shape[: data.draw(st.integers(1, 3))])
        require_sound(mdp.from_arrays(transitions, rewards, 0.9))
        given = {"transitions": transitions.tolist(), "rewards": rewards.tolist()}
        given["available"] = np.ones(shape[:2], bool).tolist()
        strange = data.draw(changed(given))
        if not isinstance(strange, dict) or set(strange) != set(given):
            return
        available = strange["available"]
        if isinstance(available, list) and data.draw(st.booleans()):
            strange["available"] = None
        discount, others = arguments(data.draw)

        def make():
            return mdp.from_arrays(
                strange["transitions"],
                strange["rewards"],
                discount,
                available=strange["available"],
                **others,
            )

        made = taken(make, *PLACES)
        if made is not None:
            require_sound(made)

    tried(cases, check, st.data())


@each_count
def test_the_fields_of_an_mdp_are_sound_or_refused(cases):
    whole = mdp.from_outcomes(
        [[[(0.5, 1, 1.0, False), (0.5, 0, -2.0, True)]] * 2] * 2, 0.9
    )
    kinds = [float, np.float32, int, bool, complex, object, str, np.uint64, np.int8]

    def check(data):
        name = data.draw(st.sampled_from(FIELDS))
        field = getattr(whole, name)
        how = data.draw(st.sampled_from(["kind", "entry", "value", "shape", "mask"]))
        if how == "kind":
            new = field.astype(data.draw(st.sampled_from(kinds)))
        elif how == "entry":
            new = data.draw(changed(field.tolist()))
        elif how == "value":
            new = data.draw(values())
        elif how == "shape":
            new = data.draw(st.sampled_from([field[..., None], field[:1], field.T]))
        else:
            new = np.ma.masked_array(field, data.draw(st.booleans()))
        made = taken(lambda: mdp.validate(whole._replace(**{name: new})), *PLACES)
        if made is not None:
            require_sound(made)
            assert not isinstance(new, np.ma.MaskedArray)
            assert np.asarray(new).dtype.kind in "fiub"

    tried(cases, check, st.data())


@each_count
def test_an_environment_of_gymnasium_is_an_mdp_or_refused(cases):
    gymnasium = pytest.importorskip("gymnasium")
    from mdp.gym import from_gymnasium

    class Tabular(gymnasium.Env):
        """An environment with a table, and nothing else."""

    def check(data):
        table = data.draw(tables())
        start = [1 / len(table)] * len(table)
        whole = {"P": table, "initial_state_distrib": start}
        env, strange = Tabular(), data.draw(changed(whole))
        for name, value in strange.items() if isinstance(strange, dict) else ():
            setattr(env, str(name), value)
        discount = data.draw(st.one_of(st.just(0.9), values()))
        made = taken(lambda: from_gymnasium(env, discount), "env", *PLACES)
        if made is not None:
            require_sound(made)

    tried(cases, check, st.data())
