"""The caps of one run, decided. In: what the spec says. Out: a record that money and races look at."""

from __future__ import annotations

from dataclasses import dataclass

from harness.plan.problems import written


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Caps of one run; `None`: this one is not capped. At least one is set."""

    usd: float | None = None
    calls: int | None = None
    tokens: int | None = None
    minutes: float | None = None

    def words(self) -> str:
        """The caps as a phrase, for people."""
        usd = [] if self.usd is None else [f"{written(self.usd)} USD"]
        caps = {"call": self.calls, "token": self.tokens, "minute": self.minutes}
        counted = [
            f"{written(most)} {unit}{'' if most == 1 else 's'}"
            for unit, most in caps.items()
            if most is not None
        ]
        return ", ".join([*usd, *counted])
