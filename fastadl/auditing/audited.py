"""One ADL fill audited: ranking recomputed, price taken apart, frames published (R114 to R117)."""

from __future__ import annotations

import hmac
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

import polars as pl

from fastadl.auditing import moment, told, verify
from fastadl.auditing.moment import Moment
from fastadl.errors import InputError
from fastadl.io.files import new_folder
from fastadl.schema import FUND

__all__ = ["Audit", "audit", "pseudonym"]

#: Columns and keys that name accounts.
_NAMES = ("account", "bankrupt", "counterparty")


@dataclass(frozen=True, slots=True)
class Audit:
    """Why one fill went to this account and not to another, and at this price.

    Attributes
    ----------
    entry, tick, time : int
        Of the journal's entry; its tick, and its time in nanoseconds since 1970.
    hash, before : str
        Of all entries up to this one, and up to the one before, hexadecimal.
    policy : dict
        Its choices.
    fill : dict
        As the journal has it; money in atoms.
    alike : int
        How many fills of the entry are told by what was asked for; this is the first of them.
    ok : bool
        Whether the whole event follows from the rules; see `difference`.
    difference : str
        The first thing in it that does not, or nothing.
    queue : DataFrame
        Everyone who was ranked for this fill: ``rank``, ``account``, ``adl_tier``, ``score``, the scores that
        decide ties, the parts of scores, ``lots``, ``lots_ahead`` (of those before it), and how many of its
        lots were ``taken``. Money in atoms, Float64.
    mine, next : dict or None
        Of the queue: the account itself, if the rules rank it, and the best placed behind it who gave
        nothing.
    lost_by : str
        By which number that one came after it.
    left_out : dict
        How many accounts of that side were not ranked, by reason.
    close : dict
        The bankrupt account and how the price comes about: see `told.close`.
    fund : dict
        What the fund had, and what it paid first.
    """

    entry: int
    tick: int
    time: int
    hash: str
    before: str
    policy: dict[str, Any]
    fill: dict[str, Any]
    alike: int
    ok: bool
    difference: str
    queue: pl.DataFrame
    mine: dict[str, Any] | None
    next: dict[str, Any] | None
    lost_by: str
    left_out: dict[str, int]
    close: dict[str, Any]
    fund: dict[str, Any]
    _moment: Moment
    _decimals: int
    _currency: str

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        return told.text(self)

    def to_dict(self) -> dict[str, Any]:
        """All of it for JSON, money in units of the currency, of the queue the part around the account."""
        return told.plain(self)

    def tables(self) -> dict[str, pl.DataFrame]:
        """What `publish` writes, by name: the state just before, and what came of it. All text."""
        return dict(self._moment.tables)

    def publish(self, folder: str | os.PathLike[str], *, salt: str | bytes | None = None) -> Path:
        """Write the frames of the whole event, and the script that checks them, into a new or empty folder.

        ``python verify.py`` there needs neither this package nor the journal (rule R116).

        Parameters
        ----------
        folder : path
        salt : str or bytes, optional
            Put `pseudonym` in the place of every account's id. Whoever knows the salt can find ids by trying:
            keep it, and tell every trader his own.

        Raises
        ------
        InputError
            If the folder holds something or cannot be written; nothing is left of it.
        """
        if salt is not None and not salt:
            raise InputError(("salt",), "empty", "give a secret, or leave it out")
        manifest = {
            "format": verify.FORMAT,
            **self._moment.manifest,
            "ids": "plain" if salt is None else "hashed",
            "journal": {
                "sequence": self.entry, "time": self.time, "hash": self.hash, "hash_before": self.before,
            },
        }  # fmt: skip
        tables = self._moment.tables
        if salt is not None:
            manifest["by_hand"] = _hidden(manifest["by_hand"], salt)
            tables = {name: _renamed(frame, salt) for name, frame in tables.items()}
        with new_folder(folder) as path:
            hashes = {}
            for name, frame in tables.items():
                data = frame.write_csv(quote_style="always").encode()
                (path / f"{name}.csv").write_bytes(data)
                hashes[f"{name}.csv"] = sha256(data).hexdigest()
            script = (files("fastadl.auditing") / "verify.py").read_bytes()
            (path / "verify.py").write_bytes(script)
            text = json.dumps({**manifest, "files": hashes}, indent=1, sort_keys=True)
            (path / "manifest.json").write_text(text + "\n", "utf-8")
        return Path(folder)


def audit(
    folder: str | os.PathLike[str],
    fill: Mapping[str, Any] | None = None,
    *,
    tick: int | None = None,
    account: str | None = None,
    symbol: str | None = None,
    bankrupt: str | None = None,
    threads: int | None = None,
) -> Audit:
    """Recompute the deleveraging that one fill is part of, from a journal, and show why it was this account.

    The journal is done again from the last snapshot before; from the state then, not from what it says came
    of it, all is worked out anew by `fastadl.auditing.verify` and compared.

    Parameters
    ----------
    folder : path
        Of a `LiveEngine`; nothing in it is changed.
    fill : mapping, optional
        A row of ``report.adl_fills`` or ``report.notices``, or a part of one.
    tick, account, symbol, bankrupt : optional
        In place of the fill, or to tell which one is meant; the account is the one deleveraged. Of several
        fills of one entry the first is taken, and `Audit.alike` says how many there are.
    threads : int, optional
        As in `Engine`.

    Returns
    -------
    Audit

    Raises
    ------
    InputError
        For a fill that the journal does not have, or that several entries have; and for an event that is no
        matter of ranking.
    JournalError
        If the journal is not what was written; the entry is named.

    Examples
    --------
    >>> import fastadl as fa, tempfile
    >>> book = fa.synth.book("pareto", positions=1000, accounts=400, instruments=5, seed=1)
    >>> folder = tempfile.mkdtemp()
    >>> with fa.LiveEngine.create(folder, book) as engine:
    ...     report = engine.tick(engine.marks * 0.8)
    >>> fa.audit(folder, report.adl_fills.row(0, named=True)).ok
    True
    """
    if fill is not None and not isinstance(fill, Mapping):
        raise InputError(("fill",), fill, "give a row of adl_fills as a mapping, or tick, account and symbol")
    wanted = {**(fill or {})}
    given = {"account": account, "symbol": symbol, "bankrupt": bankrupt}
    wanted |= {name: value for name, value in given.items() if value is not None}
    if not any(name in wanted for name in ("account", "counterparty")):
        raise InputError(("account",), account, "name who was deleveraged; fastadl audit JOURNAL lists them")
    path = Path(folder)
    entry, places = moment.find(path, wanted, tick)
    found = moment.recompute(path, entry, threads)
    tables = {name: list(frame.fill_null("").iter_rows(named=True)) for name, frame in found.tables.items()}
    event = verify.Event({**found.manifest, "ids": "plain"}, tables)
    difference = ""
    try:
        rerun = verify.check(event)
    except verify.DifferenceError as error:
        difference = str(error)
        event = verify.Event({**found.manifest, "ids": "plain"}, tables)
        rerun = verify.rerun(event)
    line = entry.payload["result.adl_fills"].row(places[0], named=True)
    return _audit(found, event, rerun, line, len(places), difference)


def _audit(
    found: Moment,
    event: verify.Event,
    rerun: verify.Rerun,
    line: dict[str, Any],
    alike: int,
    difference: str,
) -> Audit:
    row = line["bankrupt"], line["symbol"], line["side"]
    of_row = [each for each in rerun.fills if _row(each) == row]
    if not of_row:
        raise InputError(
            ("fill",), line["counterparty"], f"by the rules nobody was deleveraged: {difference}"
        )
    name = line["counterparty"]
    mine = next((each for each in of_row if each.candidate.account.name == name), of_row[0])
    me = next((each for each in mine.ranked if each.account.name == name), None)
    if mine.candidate is not me:  # the price is that of another's fill then, of the same row
        difference = f"by the rules {name} gave nothing here; {difference}"
    queue = told.queue(event, mine)
    after = None if me is None else told.after(mine.ranked, me)
    item = mine.candidate.row.instrument
    return Audit(
        entry=found.entry.sequence,
        tick=event.manifest["tick"],
        time=found.entry.time,
        hash=found.entry.hash,
        before=found.before,
        policy=event.manifest["policy"],
        fill=line,
        alike=alike,
        ok=not difference,
        difference=difference,
        queue=queue,
        mine=None if me is None else queue.row(mine.ranked.index(me), named=True),
        next=None if after is None else queue.row(mine.ranked.index(after), named=True),
        lost_by="" if me is None or after is None else told.lost_by(event, me, after),
        left_out=told.left_out(event, mine),
        close=told.close(event, mine),
        fund=told.fund(event, rerun, mine),
        _moment=found,
        _decimals=event.decimals[item.currency],
        _currency=item.currency,
    )


def _row(fill: verify.Fill) -> tuple[str, str, str]:
    """The bankrupt row of a fill."""
    row = fill.closing.row
    return fill.closing.account.name, row.instrument.symbol, verify.side(row.long)


def pseudonym(account: str, salt: str | bytes) -> str:
    """What `Audit.publish` puts in the place of an id: HMAC-SHA256 with the salt as its key, 32 digits of it.

    Examples
    --------
    >>> pseudonym("ann", "of this event alone")
    'f4bc5042ce8b77ce1e7d2c11b6de8849'
    """
    key = salt.encode() if isinstance(salt, str) else salt
    return hmac.new(key, account.encode(), sha256).hexdigest()[:32]


def _renamed(frame: pl.DataFrame, salt: str | bytes) -> pl.DataFrame:
    for name in set(_NAMES) & set(frame.columns):
        ids = [each if each == FUND else pseudonym(each, salt) for each in frame[name]]
        frame = frame.with_columns(pl.Series(name, ids, pl.String))
    return frame


def _hidden(by_hand: dict[str, Any] | None, salt: str | bytes) -> dict[str, Any] | None:
    if by_hand is None:
        return None
    named = by_hand["counterparties"]
    others = None if named is None else [pseudonym(each, salt) for each in named]
    return {**by_hand, "account": pseudonym(by_hand["account"], salt), "counterparties": others}
