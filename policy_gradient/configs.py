"""What numbers must satisfy to configure an algorithm. Errors are one line."""

from typing import Any


def require_positive(config: Any, *fields: str) -> None:
    """Raise ValueError at the first field that is not above 0."""
    for field in fields:
        value = getattr(config, field)
        if not value > 0:
            raise ValueError(f"{field} must be positive, got {value}")


def require_in_unit_interval(config: Any, *fields: str) -> None:
    """Raise ValueError at the first field that is not in [0, 1]."""
    for field in fields:
        value = getattr(config, field)
        if not 0 <= value <= 1:
            raise ValueError(f"{field} must be in [0, 1], got {value}")


def require_divisor(name: str, part: int, whole_name: str, whole: int) -> None:
    """Raise ValueError where `part` does not divide `whole`."""
    if whole % part:
        raise ValueError(f"{name} must divide {whole_name} = {whole}, got {part}")
