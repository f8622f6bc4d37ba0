"""Relations of wrong numbers to the right ones: a sign, a factor, a term, an order."""

from collections.abc import Callable, Iterator

import numpy as np

from tests.exercises.patterns.pairs import Pair, fits, num_distinct

Change = Callable[[np.ndarray], np.ndarray]

FIXED: tuple[tuple[str, Change], ...] = (
    ("minus the right number: look for a wrong sign", lambda x: -x),
    ("0, and should not be", lambda x: 0 * x),
    ("1 divided by the right number: it is upside down", lambda x: 1 / x),
    ("1 minus the right number: it is the opposite chance", lambda x: 1 - x),
    ("the right number without its sign", abs),
    ("the right number where that is positive, else 0", lambda x: np.maximum(x, 0)),
    ("the right number where that is negative, else 0", lambda x: np.minimum(x, 0)),
    ("the square of the right number", lambda x: x**2),
    ("the square root of the right number", np.sqrt),
    ("the exponential of the right number: take the logarithm", np.exp),
    ("the logarithm of the right number: take the exponential", np.log),
)
WITH_AN_INPUT: tuple[tuple[str, Callable[[np.ndarray, np.ndarray], np.ndarray]], ...]
WITH_AN_INPUT = (
    ("the right number times {}: is it one factor too many?", lambda t, x: t * x),
    ("the right number divided by {}: is that factor missing?", lambda t, x: t / x),
    ("the right number plus {}: is it one term too many?", lambda t, x: t + x),
    ("the right number minus {}: is that term missing?", lambda t, x: t - x),
    ("the right number plus 2 times {}: is a sign wrong?", lambda t, x: t + 2 * x),
    ("the right number minus 2 times {}: is a sign wrong?", lambda t, x: t - 2 * x),
)
OF_MEANS: tuple[tuple[str, Callable[[np.ndarray, np.ndarray], np.ndarray]], ...] = (
    (
        "the right number times {}: do you take a sum where the mean is right?",
        lambda t, x: t * x,
    ),
    (
        "the right number divided by {}: do you take a mean where the sum is right?",
        lambda t, x: t / x,
    ),
)


def find(pairs: list[Pair]) -> str | None:
    """A relation that all wrong numbers have to the right ones in all cases."""
    searches = nearly, fixed, with_an_input, constant, order, rows
    return next(filter(None, (search(pairs) for search in searches)), None)


def nearly(pairs: list[Pair]) -> str | None:
    """Differences as small as those of rounding."""
    sizes = [abs(p.ours - p.theirs)[p.wrong] / abs(p.theirs[p.wrong]) for p in pairs]
    largest = max((size.max() for size in sizes if size.size), default=np.inf)
    if not largest < 2e-3:
        return None
    return (
        f"{{whole}} is nearly right: no number is wrong by more than {largest:.1g} of "
        "itself. Look for coarse numbers (float16, float32), for a small number that "
        "you add, or for a loop that ends too early."
    )


def fixed(pairs: list[Pair]) -> str | None:
    """One relation without numbers of its own."""
    if num_distinct(pairs) < 2 or any(p.is_truth for p in pairs):
        return None
    for says, relation in FIXED:
        made = [relation(p.theirs) for p in pairs]
        if text := _wherever(pairs, made, says):
            return text
    return None


def with_an_input(pairs: list[Pair]) -> str | None:
    """An input, or the size of one, as a factor or as a term."""
    if num_distinct(pairs) < 2:
        return None
    listed = [dict(_quantities(p)) for p in pairs]
    for name, value in listed[-1].items():
        if not all(name in quantities for quantities in listed):
            continue
        values = [quantities[name] for quantities in listed]
        if all(np.all(value == value.flat[0]) for value in [*values, *values[:1]]) and (
            len({float(v.flat[0]) for v in values}) == 1
        ):
            continue  # the same number everywhere: it need not be this input
        for says, applied in OF_MEANS if name.startswith("the ") else WITH_AN_INPUT:
            made = [applied(p.theirs, v) for p, v in zip(pairs, values, strict=True)]
            if text := _wherever(pairs, made, says.format(name)):
                return text
    return None


def constant(pairs: list[Pair]) -> str | None:
    """One factor, or one term, that all wrong numbers have in common."""
    if num_distinct(pairs) < 3 or any(p.is_truth for p in pairs):
        return None
    ours = np.concatenate([p.ours[p.wrong] for p in pairs])
    theirs = np.concatenate([p.theirs[p.wrong] for p in pairs])
    factor = np.median((ours / theirs)[theirs != 0])
    if np.isfinite(factor):
        made = [factor * p.theirs for p in pairs]
        says = f"{factor:.4g} times the right number: look for a factor"
        if text := _wherever(pairs, made, says):
            return text
    term = np.median(ours - theirs)
    made = [term + p.theirs for p in pairs]
    says = f"the right number plus {term:.4g}: look for a term"
    return _wherever(pairs, made, says) if np.isfinite(term) else None


def order(pairs: list[Pair]) -> str | None:
    """The right numbers in another order, or one step late."""
    wrong = [p for p in pairs if p.wrong.any()]
    if not all(p.ours.ndim and p.ours.size > 1 for p in wrong):
        return None
    axes = min(p.ours.ndim for p in wrong)
    if all(p._replace(ours=_sorted(p.ours)).holds(_sorted(p.theirs)) for p in wrong):
        for says, moved in _moves(axes):
            if all(p.holds(moved(p.theirs)) for p in wrong):
                return f"{{whole}} has the right numbers in the wrong order: {says}."
        if any(p.ours.size > 2 for p in wrong):
            return "{whole} has the right numbers in the wrong order."
    for axis in range(axes):
        for says, sign in (("late", "-"), ("early", "+")):
            if all(_is_moved(p, axis, says == "late") for p in wrong):
                return (
                    f"{{whole}} comes one step too {says}: your entry t is the right "
                    f"entry t {sign} 1."
                )
    return None


def rows(pairs: list[Pair]) -> str | None:
    """Rows that do not sum to 1, or that are right but for a factor of their own."""
    wrong = [p for p in pairs if p.wrong.any()]
    if not all(p.ours.ndim and p.ours.shape[-1] > 1 for p in wrong):
        return None
    if all(np.allclose(p.theirs.sum(-1), 1.0, atol=1e-5) for p in pairs):
        if not all(np.allclose(p.ours.sum(-1), 1.0, atol=1e-5) for p in wrong):
            return "Each row of the right result sums to 1, and yours does not."
        return None
    factors = [_factors_of_rows(p) for p in wrong]
    if all(p.holds(f * p.theirs) for p, f in zip(wrong, factors, strict=True)):
        return (
            "{whole} is right up to a factor: one for each row, not the same for all."
        )
    return None


def _factors_of_rows(p: Pair) -> np.ndarray:
    largest = abs(p.theirs).argmax(-1)[..., None]
    ours, theirs = (np.take_along_axis(x, largest, -1) for x in (p.ours, p.theirs))
    return ours / theirs


def _sorted(x: np.ndarray) -> np.ndarray:
    return np.sort(x, axis=None).reshape(x.shape)


def _is_moved(p: Pair, axis: int, late: bool) -> bool:
    if p.ours.shape[axis] < 3:
        return False
    ours, theirs = np.moveaxis(p.ours, axis, 0), np.moveaxis(p.theirs, axis, 0)
    ours, theirs = (ours[1:], theirs[:-1]) if late else (ours[:-1], theirs[1:])
    return p._replace(ours=ours, theirs=theirs).holds(theirs)


def _moves(axes: int) -> Iterator[tuple[str, Change]]:
    for a in range(axes):
        along = f" along axis {a}" if axes > 1 else ""
        yield f"it is reversed{along}", lambda x, a=a: np.flip(x, a)
        yield f"it is one step late{along}", lambda x, a=a: np.roll(x, 1, a)
        yield f"it is one step early{along}", lambda x, a=a: np.roll(x, -1, a)
        for b in range(a):
            says = (
                "it is transposed" if axes == 2 else f"axes {b} and {a} are exchanged"
            )
            yield says, lambda x, a=a, b=b: _exchanged(x, a, b)


def _exchanged(x: np.ndarray, a: int, b: int) -> np.ndarray:
    moved = np.swapaxes(x, a, b)
    return moved if moved.shape == x.shape else np.full(x.shape, np.nan)


def _quantities(pair: Pair) -> Iterator[tuple[str, np.ndarray]]:
    """Named numbers that fit the answer: inputs, their sizes, products of two."""
    fitting = []
    for name, value in pair.inputs.items():
        if value.dtype.kind not in "fiub":
            continue
        value = value * 1.0
        if fits(value, pair.ours.shape):
            fitting.append((name, value))
            yield f"`{name}`", value
        if value.ndim == 0:
            yield f"(1 - `{name}`)", 1.0 - value
            continue
        for axis in sorted({0, value.ndim - 1}):
            what = (
                "length"
                if value.ndim == 1
                else ("number of rows", "length of a row")[axis > 0]
            )
            yield f"the {what} of `{name}`", np.array(1.0 * value.shape[axis])
        yield f"the number of entries of `{name}`", np.array(1.0 * value.size)
        yield f"the sum of `{name}`", value.sum()
    for i, (name, value) in enumerate(fitting):
        for other, factor in fitting[i + 1 :]:
            yield f"`{name}` times `{other}`", value * factor


def _wherever(pairs: list[Pair], made: list[np.ndarray], says: str) -> str | None:
    """The sentence, if our wrong numbers are what was made of the right ones."""
    both = list(zip(pairs, made, strict=True))
    if not all(p.holds(x, p.wrong) for p, x in both):
        return None
    everywhere = all(p.holds(x) for p, x in both)
    start = "{whole} is" if everywhere else "Wherever {whole} is wrong, it is"
    return f"{start} {says}" + ("" if says.endswith("?") else ".")
