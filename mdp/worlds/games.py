"""Games of chance: a gambler with a goal, and blackjack."""

from functools import cache
from itertools import product

import numpy as np

from mdp.model import MDP, Outcome, from_outcomes
from mdp.worlds.world import World

# Blackjack's cards by value, drawn from an infinite deck: an ace counts 1, or 11 where
# that does not exceed 21; ten, jack, queen and king count 10.
CARDS = {card: (4 if card == 10 else 1) / 13 for card in range(1, 11)}
Hand = tuple[str, int]  # ("hard", total), ("soft", total): an ace counts 11, or:
NATURAL = ("natural", 21)
BUST = ("bust", 0)
HANDS = (
    *(("hard", total) for total in range(4, 22)),
    *(("soft", total) for total in range(12, 22)),
    NATURAL,
)


def gambler(discount: float = 1.0, goal: int = 100, heads: float = 0.4) -> MDP:
    """A gambler who stakes on coin tosses until the capital is 100 or 0.

        state   the capital s; 0 and 100 are terminal
        action  the stake, from 1 to min(s, 100 - s); no other is available
        heads   (probability 0.4) wins the stake, tails loses it
        reward  +1 on reaching 100, all else 0

    The book also allows a stake of 0, which only delays the toss. Here it is not
    available, so that every policy ends the game.

    Source: Sutton & Barto (2018), example 4.3 (figure 4.3); Dubins & Savage (1965),
    *How to Gamble If You Must*, prove that bold play is optimal.
    Exact, at gamma 1: v*(50) = 0.4, v*(25) = 0.4^2 = 0.16, v*(75) = 0.4 + 0.6 * 0.4 =
    0.64. Many stakes tie: the policy in the book's figure is one of many.
    """

    def toss(capital: int, stake: int) -> list[Outcome]:
        won, lost = capital + stake, capital - stake
        return [(heads, won, float(won == goal), False), (1 - heads, lost, 0.0, False)]

    table = [
        {stake: toss(s, stake) for stake in range(1, min(s, goal - s) + 1)}
        for s in range(goal + 1)
    ]
    return from_outcomes(table, discount, terminal=[0, goal])


def blackjack(discount: float = 1.0, naturals: bool = True) -> MDP:
    """Blackjack: come closer to 21 than the dealer, who draws up to 17, but not beyond.

        state   the player's hand: hard 4 .. 21, soft 12 .. 21 (an ace counts 11), or a
                natural (ace and ten at once); times the dealer's open card, ace .. 10:
                29 x 10 states, and 290, the end, terminal
        action  stick, hit
        reward  +1, 0 or -1 when the hand is over, all else 0

    The deck is infinite. A natural wins at once, unless the dealer has one as well;
    with `naturals` False it is a 21 like any other.

    Source: Sutton & Barto (2018), example 5.1 (figure 5.2).
    Exact: -0.0431 a hand for the best player; -0.0466 with `naturals` False, which is
    Gymnasium's rule without `sab=True`.
    """
    end = 10 * len(HANDS)
    state = {pair: number for number, pair in enumerate(product(HANDS, CARDS))}

    dealer_ends = {shown: _dealer_ends(shown) for shown in CARDS}

    def stick(hand: Hand, shown: int) -> list[Outcome]:
        chances = {1.0: 0.0, 0.0: 0.0, -1.0: 0.0}
        for dealer, prob in dealer_ends[shown].items():
            won = np.sign(hand[1] - dealer[1])
            if hand == NATURAL:
                won = dealer != NATURAL
            chances[float(won)] += prob
        return [(prob, end, reward, True) for reward, prob in chances.items()]

    def hit(hand: Hand, shown: int) -> list[Outcome]:
        drawn = [(_add(hand, card), prob) for card, prob in CARDS.items()]
        return [
            (prob, end, -1.0, True)
            if after == BUST
            else (prob, state[after, shown], 0.0, False)
            for after, prob in drawn
        ]

    start = np.zeros(end + 1)
    for hand, prob in _first_two(naturals).items():
        for shown in CARDS:
            start[state[hand, shown]] = prob * CARDS[shown]
    table = [
        # A natural is never drawn to: both actions settle it.
        [stick(hand, shown), (stick if hand == NATURAL else hit)(hand, shown)]
        for hand, shown in state
    ]
    return from_outcomes([*table, [[]]], discount, terminal=[end], start=start)


def _add(hand: Hand, card: int) -> Hand:
    """Return the hand with one more card. An ace counts 11 while that is at most 21."""
    kind, total = hand
    total += card
    if kind != "soft" and card == 1 and total + 10 <= 21:
        return ("soft", total + 10)
    if kind == "soft" and total > 21:
        return ("hard", total - 10)
    return BUST if total > 21 else (kind, total)


def _first_two(naturals: bool) -> dict[Hand, float]:
    """Return the probability of each hand of two cards."""
    chances: dict[Hand, float] = {}
    for first in CARDS:
        for second in CARDS:
            hand = _add(_add(("hard", 0), first), second)
            hand = NATURAL if naturals and hand == ("soft", 21) else hand
            chances[hand] = chances.get(hand, 0.0) + CARDS[first] * CARDS[second]
    return chances


def _dealer_ends(shown: int) -> dict[Hand, float]:
    """Return the probability of each last hand of the dealer, given the open card."""
    ends: dict[Hand, float] = {}
    for card, prob in CARDS.items():
        hand = _add(_add(("hard", 0), shown), card)
        # Two cards that make 21 are always an ace and a ten.
        draws = {NATURAL: 1.0} if hand[1] == 21 else _draw_to_17(hand)
        for end, chance in draws.items():
            ends[end] = ends.get(end, 0.0) + prob * chance
    return ends


@cache
def _draw_to_17(hand: Hand) -> dict[Hand, float]:
    """Return the probability of each hand that results from drawing up to 17."""
    if hand == BUST or hand[1] >= 17:
        return {hand: 1.0}
    ends: dict[Hand, float] = {}
    for card, prob in CARDS.items():
        for end, chance in _draw_to_17(_add(hand, card)).items():
            ends[end] = ends.get(end, 0.0) + prob * chance
    return ends


WORLDS = (
    World(gambler, [str(stake) for stake in range(51)]),
    World(
        blackjack,
        ("stick", "hit"),
        states=[f"{kind} {n} to {shown}" for (kind, n), shown in product(HANDS, CARDS)]
        + ["end"],
    ),
)
