"""``fastadl audit``: a deleveraging recomputed from the journal."""

from __future__ import annotations

from pathlib import Path

from fastadl.cli.terminal import Flag, console, print_json
from fastadl.errors import InputError

__all__ = ["audit"]


def audit(
    folder: str,
    /,
    *,
    tick: int | None = None,
    account: str | None = None,
    symbol: str | None = None,
    bankrupt: str | None = None,
    out: str | None = None,
    salt: str | None = None,
    json: Flag = False,
) -> int:
    """Recompute a deleveraging from an engine's journal, and say why it was this account and this price.

    Without an account it lists what was deleveraged.

    Parameters
    ----------
    folder
        Of a LiveEngine's journal; nothing in it is changed, and the engine may be running.
    tick
        Of the deleveraging, if the account had more than one.
    account
        Who was deleveraged.
    symbol
        In which symbol, if there was more than one.
    bankrupt
        Against which bankrupt account, if there was more than one.
    out
        Write the frames of the event, and the script that checks them without fastadl, into this new or empty
        folder.
    salt
        A file with a secret, all its bytes: hide every account's id in these frames behind a hash with it.
    json
        Print one JSON object instead of text.
    """
    if account is None:
        for name, value in (("out", out), ("salt", salt)):
            if value is not None:
                raise InputError((name,), value, "name the account whose deleveraging is to be published")
        return _list(folder, tick, {"symbol": symbol, "bankrupt": bankrupt}, json)
    if salt is not None and out is None:
        raise InputError(("salt",), salt, "say with --out where to write frames with hidden ids")
    from fastadl.auditing import audit as recompute

    secret = None if salt is None else _read(salt)
    found = recompute(folder, tick=tick, account=account, symbol=symbol, bankrupt=bankrupt)
    if out is not None:
        found.publish(out, salt=secret)
    if json:
        print_json(found.to_dict())
    else:
        console().print(str(found), markup=False, highlight=False, soft_wrap=True)
    return 0 if found.ok else 1


def _list(folder: str, tick: int | None, of: dict[str, str | None], json: bool) -> int:
    from fastadl.auditing import fills
    from fastadl.report.terminal import NOTHING, Number, table

    found = fills(folder, tick=tick)
    for column, value in of.items():
        if value is not None:
            found = found.filter(found[column] == value)
    lines = list(found.iter_rows(named=True))
    if json:
        print_json({"fills": lines})
        return 0
    shown = ("tick", "account", "symbol", "lots", "price", "rank", "bankrupt")
    columns = [(name, lambda line, name=name: line[name]) for name in shown]
    for line in lines:
        line["account"] = line["counterparty"]
        line["price"] = Number(NOTHING if line["price"] is None else f"{line['price']:.8g}")
    console().print(table(f"{len(lines):,} fills of auto-deleveraging", columns, lines))
    return 0


def _read(file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise InputError((), error.strerror, "give a file that holds the salt", file) from None
