"""Tasks: small problems of decision, each with states and actions of its own."""

import math

import numpy as np
from jaxtyping import Float

from mdp.model import MDP, Outcome, from_arrays, from_outcomes
from mdp.worlds.world import World

STUDENT_STATES = ("Facebook", "Class 1", "Class 2", "Class 3", "Sleep")
STUDENT_ACTIONS = ("facebook", "quit", "study", "sleep", "pub")
MOST_CARS, MOST_MOVED = 20, 5


def student(discount: float = 1.0) -> MDP:
    """A day at university: three classes, a phone, a pub, and sleep at last.

        Facebook   facebook  -1, stay          Class 1   facebook  -1, to Facebook
                   quit       0, to Class 1              study     -2, to Class 2
        Class 2    sleep      0, to Sleep      Class 3   study    +10, to Sleep
                   study     -2, to Class 3              pub       +1, and then with
        Sleep      terminal                                probability 0.2, 0.4, 0.4
                                                           to Class 1, 2 or 3

    States and actions are numbered in the order of `STUDENT_STATES` and
    `STUDENT_ACTIONS`; in each state only the two named above are available.

    Source: David Silver (2015), lectures on reinforcement learning at UCL, lecture 2.
    Exact, at gamma 1: v* = 6, 6, 8, 10, and -2.3, -1.3, 2.7, 7.4 (rounded) for a coin
    toss in every state. The slide with q* prints 8.4 for the pub, without its own +1:
    q*(Class 3, pub) = 1 + 0.2 * 6 + 0.4 * 8 + 0.4 * 10 = 9.4.
    """
    facebook, quit_it, study, sleep, pub = range(5)
    table = [
        {facebook: [(1.0, 0, -1.0, False)], quit_it: [(1.0, 1, 0.0, False)]},
        {facebook: [(1.0, 0, -1.0, False)], study: [(1.0, 2, -2.0, False)]},
        {sleep: [(1.0, 4, 0.0, False)], study: [(1.0, 3, -2.0, False)]},
        {
            study: [(1.0, 4, 10.0, False)],
            pub: [(p, s, 1.0, False) for p, s in [(0.2, 1), (0.4, 2), (0.4, 3)]],
        },
        {},
    ]
    return from_outcomes(table, discount, terminal=[4], start=1)


def recycling_robot(
    discount: float = 0.9,
    stays_high: float = 0.7,
    stays_low: float = 0.6,
    searched: float = 2.0,
    waited: float = 1.0,
) -> MDP:
    """A robot that searches for cans, waits for them, or recharges, for ever.

        high   search    +2, stays high with probability 0.7, else to low
               wait      +1, stays high
        low    search    +2, stays low with probability 0.6; else the battery is flat,
                         -3 in place of the +2, and it is carried back: to high
               wait      +1, stays low
               recharge   0, to high

    Source: Sutton & Barto (2018), example 3.3; the book has letters (alpha, beta,
    r_search, r_wait) for the numbers, which are the constructor's defaults.
    Exact: it is best to search while the battery is high and to recharge when it is
    low, v*(high) = 2 / (1 - 0.7 gamma - 0.3 gamma^2), and v*(low) = gamma v*(high).
    """
    searching = [
        [
            (stays_high, 0, searched, False),
            (1 - stays_high, 1, searched, False),
        ],
        [(stays_low, 1, searched, False), (1 - stays_low, 0, -3.0, False)],
    ]
    waiting = [[(1.0, s, waited, False)] for s in (0, 1)]
    table = [
        [searching[0], waiting[0]],
        [searching[1], waiting[1], [(1.0, 0, 0.0, False)]],
    ]
    return from_outcomes(table, discount, start=0)


def forest(discount: float = 0.96, ages: int = 3, fire: float = 0.1) -> MDP:
    """A forest to let grow or to cut, before a fire burns it, for ever.

        state   the age of the forest: 0, 1, 2 (and older)
        wait    one year older, or with probability 0.1 burnt down, to 0
                +4 in the last state, all else 0
        cut     to 0, and earns 0, 1, 2 in state 0, 1, 2: twice as much for old wood

    Source: the forest example of pymdptoolbox (Cordwell, 2015).
    Exact, at gamma 0.96: waiting is best, v* = 74.65, 78.11, 82.11.
    """
    last = ages - 1

    def outcomes(age: int) -> list[list[Outcome]]:
        reward = 4.0 * (age == last)
        older = (1 - fire, min(age + 1, last), reward, False)
        wait = [(fire, 0, reward, False), older]
        wood = 0.0 if age == 0 else 2.0 if age == last else 1.0
        return [wait, [(1.0, 0, wood, False)]]

    return from_outcomes([outcomes(age) for age in range(ages)], discount, start=0)


def jacks_cars(discount: float = 0.9) -> MDP:
    """Two car rentals, where cars are moved from one site to the other at night.

        state    cars at each site in the evening, 21 n_1 + n_2, each 0 .. 20
        action   5 + m: move m cars from the first to the second site, -5 <= m <= 5, as
                 far as there are any; each costs 2
        the day  requests at the sites are Poisson(3) and Poisson(4), and each one that
                 is met earns 10; returns are Poisson(3) and Poisson(2), and may be
                 rented the next day; cars beyond 20 at a site are taken away

    Source: Sutton & Barto (2018), example 4.2 (figure 4.2).
    Exact, at gamma 0.9: v* is 421.41 with no cars and 636.99 with 20 at each site. (The
    scale in the book's figure, from 420 to 612, differs.)
    """
    means = (3.0, 3.0), (4.0, 2.0)  # of requests and returns, by site
    days = [_rental_day(requests, returns) for requests, returns in means]
    moved = np.arange(-MOST_MOVED, MOST_MOVED + 1)
    evening = np.indices((MOST_CARS + 1, MOST_CARS + 1)).reshape(2, -1, 1)  # n_1, n_2
    driven = np.array([-moved, moved])[:, None]
    morning = np.clip(evening + driven, 0, MOST_CARS)  # at each site, [2, S, A]
    after = [chances[n] for (chances, _), n in zip(days, morning, strict=True)]
    rented = [rents[n] for (_, rents), n in zip(days, morning, strict=True)]
    together = np.einsum("sai,saj->saij", *after)
    return from_arrays(
        together.reshape(*together.shape[:2], -1),
        10.0 * sum(rented) - 2.0 * np.abs(moved),
        discount,
        available=(moved <= evening[0]) & (-moved <= evening[1]),
    )


def _rental_day(
    requests: float, returns: float
) -> tuple[Float[np.ndarray, "cars cars"], Float[np.ndarray, "cars"]]:
    """Return P(cars in the evening | cars in the morning), and the expected rentals."""
    cars = range(MOST_CARS + 1)
    evening = np.zeros((len(cars), len(cars)))
    rents = np.zeros(len(cars))
    for n in cars:
        for rented, prob in enumerate(_poisson_up_to(n, requests)):
            rents[n] += prob * rented
            left = n - rented
            evening[n, left:] += prob * _poisson_up_to(MOST_CARS - left, returns)
    return evening, rents


def _poisson_up_to(most: int, mean: float) -> Float[np.ndarray, "counts"]:
    """Return the probabilities of 0, 1, ..., most; larger counts are cut to `most`."""
    chances = [math.exp(-mean) * mean**k / math.factorial(k) for k in range(most)]
    return np.array([*chances, 1.0 - sum(chances)])


WORLDS = (
    World(student, STUDENT_ACTIONS, states=STUDENT_STATES),
    World(recycling_robot, ("search", "wait", "recharge"), states=("high", "low")),
    World(forest, ("wait", "cut"), states=("young", "grown", "old")),
    World(
        jacks_cars,
        [f"{moved:+d}" for moved in range(-MOST_MOVED, MOST_MOVED + 1)],
        ("." * (MOST_CARS + 1),) * (MOST_CARS + 1),
        [f"{n_1} and {n_2}" for n_1, n_2 in np.ndindex(MOST_CARS + 1, MOST_CARS + 1)],
        ("cars at site 2", "cars at site 1"),
    ),
)
