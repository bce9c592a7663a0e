"""R72: how a number is printed."""

from fractions import Fraction

from model.exact import Exact, ceil, floor


def plain(number: Exact) -> str:
    """A number with a finite decimal expansion, in its shortest form, without exponent."""
    places = 0
    while (Fraction(number) * 10**places).denominator != 1:
        places += 1
    return fixed(int(Fraction(number) * 10**places), places)


def fixed(units: int, places: int) -> str:
    """An integer count of 10**-places, with exactly that many places."""
    sign = "-" if units < 0 else ""
    digits = str(abs(units)).rjust(places + 1, "0")
    if places == 0:
        return sign + digits
    return f"{sign}{digits[:-places]}.{digits[-places:]}"


def places_of(number: Fraction) -> int:
    """Decimal places of the shortest form."""
    text = plain(number)
    return len(text.partition(".")[2])


def money(atoms: int, decimals: int) -> str:
    return fixed(atoms, decimals)


def money_down(atoms: Exact, decimals: int) -> str:
    """Equity: what is not a whole atom is printed against the holder."""
    return fixed(floor(atoms), decimals)


def money_up(atoms: Exact, decimals: int) -> str:
    """Margin, shortfall, loss, uncovered."""
    return fixed(ceil(atoms), decimals)


def qty(lots: int, lot: Fraction) -> str:
    places = places_of(lot)
    return fixed(int(lots * lot * 10**places), places)


def significant(number: Fraction, digits: int = 12) -> str:
    """Rounded half-even to so many significant digits, no exponent, no trailing zeros."""
    if number == 0:
        return "0"
    exponent = 0
    while abs(number) >= Fraction(10) ** (exponent + 1):
        exponent += 1
    while abs(number) < Fraction(10) ** exponent:
        exponent -= 1
    step = Fraction(10) ** (exponent - digits + 1)
    return plain(round(number / step) * step)


def ratio(number: float) -> float:
    """A JSON number of 12 significant digits, never -0."""
    return float(f"{number:.12g}") + 0.0
