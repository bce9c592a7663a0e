"""A policy: independent choices, and the numbers some of them take (rules R66, R80)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from typing import Any, get_args

from fastadl.decimals import plain
from fastadl.errors import PolicyError
from fastadl.policy.choices import (
    CHOICES,
    FIRST_CHOICES,
    Allocation,
    Guard,
    Price,
    Rerank,
    Score,
    Severity,
    Socialization,
    Space,
    Split,
    Tiers,
    Trigger,
    nearest,
)
from fastadl.policy.contradictions import CONTRADICTIONS
from fastadl.policy.own_score import OwnScore
from fastadl.policy.parameters import PARAMETERS
from fastadl.policy.venues import VENUES, CancelOrders, Venue, named

__all__ = ["AdlPolicy", "add_preset"]

#: Scores that a policy may name in `then`.
_MOST_KEYS = 4


@dataclass(frozen=True, slots=True)
class AdlPolicy:
    """How a loss that the fund does not take is shared (rules R40 to R51, R66, R80 to R97).

    Parameters
    ----------
    trigger : str
        What sets deleveraging off (rules R23, R87, R88, R90).
    space : {"contract", "wealth"}
        Lots change hands, or losses are charged in cash. In wealth space the allocation is always
        ``pro_rata_profit``, and score, price, guard and rerank are not used.
    score : str or OwnScore
        What candidates are ranked by (rules R46, R82, R97).
    allocation : str
        How many lots each candidate gives (rules R43, R84).
    price : str
        What a fill is settled at (rules R44, R85).
    guard : {"none", "solvent", "health"}
        Whether a fill may push its counterparty below zero, or nearer to liquidation (rules R45, R86).
    split : {"maintenance_margin", "notional"}
        How the shortfall of a cross account is shared by its rows (rule R25).
    rerank : {"never", "each"}
        One ranking a tick, or a new one before every bankrupt row (rule R41).
    tiers : {"given", "delta_neutral", "delta_neutral_flagged"}
        Who is ranked behind all others (rule R83).
    severity : {"full", "matched", "fraction", "trigger_loss"}
        How much of the loss is shared at all (rule R91).
    socialization : str
        Who is charged in wealth space (rules R92 to R95).
    then : sequence of str or OwnScore
        Scores that decide ties (rule R83).
    cancel_orders : {"none", "symbol", "account"}
        Which open orders a deleveraged trader loses; only told in ``notices``, comes with a preset.
    seed, delta_limit, max_share, exponent, min_leverage, betas, fraction, session : optional
        Parameters of single choices (rule R80); None where the policy does not use them.
    drawdown_start, drawdown_stop, drawdown_scope : optional
    drawdown_reference, drawdown_amount, drawdown_window : optional
        Parameters of the trigger ``drawdown``.
    pool_max, pool_min : optional
        Parameters of the trigger ``pool_profit``.

    Raises
    ------
    PolicyError
        If a value does not exist, two choices contradict each other, or a parameter is of no use.

    Examples
    --------
    >>> AdlPolicy.of({"preset": "okx_2025", "allocation": "pro_rata_size"}).price
    'mark'
    """

    trigger: Trigger = "bankrupt"
    space: Space = "contract"
    score: Score | OwnScore = "bitmex"
    allocation: Allocation = "queue"
    price: Price = "bankruptcy"
    guard: Guard = "none"
    split: Split = "maintenance_margin"
    rerank: Rerank = "never"
    tiers: Tiers = "given"
    severity: Severity = "full"
    socialization: Socialization = "profit"
    then: tuple[Score | OwnScore, ...] = ()
    cancel_orders: CancelOrders = "none"
    seed: int | None = None
    delta_limit: Fraction | None = None
    max_share: Fraction | None = None
    exponent: int | None = None
    min_leverage: Fraction | None = None
    betas: tuple[tuple[str, Fraction], ...] | None = None
    fraction: Fraction | None = None
    session: int | None = None
    drawdown_start: Fraction | None = None
    drawdown_stop: Fraction | None = None
    drawdown_scope: str | None = None
    drawdown_reference: str | None = None
    drawdown_amount: Fraction | None = None
    drawdown_window: int | None = None
    pool_max: Fraction | None = None
    pool_min: Fraction | None = None

    def __post_init__(self) -> None:
        for choice, allowed in (*CHOICES.items(), ("cancel_orders", get_args(CancelOrders))):
            value = getattr(self, choice)
            if not (choice == "score" and isinstance(value, OwnScore)):
                _one_of(value, allowed, (choice,))
        object.__setattr__(self, "then", _keys(self.then))
        for contradiction in CONTRADICTIONS:
            if contradiction.between(self):
                raise PolicyError(
                    ("policy", contradiction.choice),
                    getattr(self, contradiction.choice),
                    f"{contradiction.remedy} (rule {contradiction.rule})",
                )
        if self.space == "wealth":
            object.__setattr__(self, "allocation", "pro_rata_profit")
        for name, parameter in PARAMETERS.items():
            self._settle_parameter(name, parameter)
        if (self.drawdown_start or 0) < (self.drawdown_stop or 0):
            raise PolicyError(
                ("policy", "drawdown_stop"),
                plain(self.drawdown_stop or Fraction(0)),
                "give at most drawdown_start (rule R80)",
            )
        if (self.pool_max or 0) < (self.pool_min or 0):
            raise PolicyError(
                ("policy", "pool_min"),
                plain(self.pool_min or Fraction(0)),
                "give at most pool_max (rule R80)",
            )

    def _settle_parameter(self, name: str, parameter: Any) -> None:
        given: Any = getattr(self, name)
        if not parameter.needs(self):
            if given is not None:
                raise PolicyError(
                    ("policy", name), given, f"leave it out: it belongs to {parameter.told} (rule R80)"
                )
        elif given is None:
            object.__setattr__(self, name, self._usual(name))
        else:
            object.__setattr__(self, name, parameter.read(("policy", name), given))

    def _usual(self, name: str) -> Any:
        """What a choice or parameter is unless it is given (rule R80)."""
        if name not in PARAMETERS:
            return _DEFAULTS[name]
        usual = PARAMETERS[name].default
        return min(usual, self.drawdown_start) if name == "drawdown_stop" else usual

    @property
    def idle_until_loss(self) -> bool:
        """Whether it changes nothing as long as the fund takes all that is bankrupt.

        Not those that act on solvent accounts (rules R87, R90) or on earlier marks (rules R88, R95).
        """
        return self.trigger in ("bankrupt", "none") and self.session is None

    @classmethod
    def of(cls, policy: str | Mapping[str, Any] | AdlPolicy) -> AdlPolicy:
        """A policy from the name of a preset, or from a mapping as in a scenario file (rules R66, R67).

        Parameters
        ----------
        policy : str, mapping or AdlPolicy
            A mapping starts from its ``preset``, or else from the first value of every choice.

        Raises
        ------
        PolicyError
            If a name, key or value does not exist, or two choices contradict each other.
        """
        if isinstance(policy, AdlPolicy):
            return policy
        if isinstance(policy, str):
            return cls._preset(policy, {}, ("policy",))
        if not isinstance(policy, Mapping):
            raise PolicyError(("policy",), policy, "give the name of a preset, a mapping or an AdlPolicy")
        known = ("preset", *CHOICES, "then", *PARAMETERS)
        for key, value in policy.items():
            if key not in known:
                raise PolicyError(("policy", str(key)), value, f"no such choice{nearest(key, known)}")
            if value is None and key not in ("preset", *CHOICES):
                raise PolicyError(("policy", str(key)), None, "give a value, or leave it out (rule R66)")
        given = {key: value for key, value in policy.items() if key != "preset"}
        if "preset" not in policy:
            return cls(**given)
        return cls._preset(policy["preset"], given, ("policy", "preset"))

    @classmethod
    def _preset(cls, name: object, given: dict[str, Any], path: tuple[str, ...]) -> AdlPolicy:
        venue = VENUES.get(name) if isinstance(name, str) else None
        if venue is None:
            raise PolicyError(path, name, f"name one of {', '.join(VENUES)}{nearest(name, VENUES)}")
        choices: dict[str, Any] = {**venue.choices, **given}
        for parameter, belonging in PARAMETERS.items():  # those of a choice that is replaced go with it
            if parameter in venue.choices and parameter not in given and not _uses(choices, belonging):
                del choices[parameter]
        return cls(**choices, cancel_orders=venue.cancel_orders)

    def choices(self) -> dict[str, Any]:
        """The choices of rule R66 by name, and those of R80 that are not as they are unless given (R81)."""
        shown: dict[str, Any] = {choice: _shown(getattr(self, choice)) for choice in FIRST_CHOICES}
        for choice in ("then", *tuple(CHOICES)[8:], *PARAMETERS):
            value = getattr(self, choice)
            if value is not None and value != self._usual(choice):
                shown[choice] = _shown(value)
        return shown


def add_preset(name: str, venue: Venue) -> AdlPolicy:
    """Give a policy a name for the rest of this process: what takes the name of a preset takes this one.

    Parameters
    ----------
    name : str
        Not that of another preset.
    venue : Venue
        Its choices; they may start from a ``preset`` and hold a score of one's own (rule R97).

    Returns
    -------
    AdlPolicy
        What the name stands for from now on.

    Raises
    ------
    PolicyError
        If the name is taken, or the choices cannot be.

    Examples
    --------
    >>> import fastadl as fa
    >>> venue = fa.Venue(title="Example exchange", choices={"score": "size", "price": "mark"})
    >>> fa.add_preset("example_2026", venue).price
    'mark'
    """
    _check_preset(name, venue)
    if name in named:
        raise PolicyError(("preset",), name, "this name is taken: give another, with the year of the rules")
    policy = replace(AdlPolicy.of(venue.choices), cancel_orders=venue.cancel_orders)
    own = dict(venue.choices)
    base = VENUES[own.pop("preset")].choices if "preset" in own else {}
    named[name] = replace(venue, choices={**base, **own})
    return policy


def _uses(choices: Mapping[str, Any], parameter: Any) -> bool:
    """Whether choices not yet checked use a parameter."""
    return bool(parameter.needs(_Draft({**_DEFAULTS, **choices})))


class _Draft:
    """Choices seen as attributes."""

    def __init__(self, choices: Mapping[str, Any]) -> None:
        self.__dict__.update(choices)


_DEFAULTS: dict[str, Any] = {field.name: field.default for field in fields(AdlPolicy)}


def _keys(then: Any) -> tuple[Any, ...]:
    """Further keys of the ranking, checked."""
    if isinstance(then, str) or not isinstance(then, (list, tuple)) or len(then) > _MOST_KEYS:
        raise PolicyError(("policy", "then"), then, f"give a list of up to {_MOST_KEYS} scores (rule R83)")
    for place, key in enumerate(then):
        if not isinstance(key, OwnScore):
            _one_of(key, CHOICES["score"], ("then", str(place)))
    return tuple(then)


def _shown(value: Any) -> Any:
    if isinstance(value, OwnScore):
        return value.name
    if isinstance(value, Fraction):
        return plain(value)
    if isinstance(value, tuple):
        if value and isinstance(value[0], tuple):
            return {symbol: plain(beta) for symbol, beta in value}
        return [_shown(each) for each in value]
    return value


def _check_preset(name: object, venue: object) -> None:
    if not isinstance(venue, Venue) or not isinstance(venue.choices, Mapping):
        raise PolicyError(("preset",), venue, "give a Venue whose choices are a mapping")
    if not isinstance(name, str) or not name.isidentifier():
        raise PolicyError(("preset",), name, "give a name of letters, digits and underscores")


def _one_of(value: object, allowed: tuple[str, ...], path: tuple[str, ...]) -> None:
    if not isinstance(value, str) or value not in allowed:
        raise PolicyError(
            ("policy", *path), value, f"take one of {', '.join(allowed)}{nearest(value, allowed)} (rule R66)"
        )
