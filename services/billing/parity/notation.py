"""Usage as it comes in: writes a canonical record in one of the notations that ../RULES.md accepts.

Only what the text names is written. Left out, because a careful reader might doubt them: `b` for byte, a single comma
before three last digits without `number_format`, fractions of a second beyond the millisecond, `-00:00`.
"""

from __future__ import annotations

import unicodedata
from datetime import datetime, timedelta, timezone
from fractions import Fraction
from zoneinfo import ZoneInfo

from clock import has_one_local_time
from lcg import Lcg
from reference import MINOR_UNITS, UNITS, Usage, decimal_text, dimension

NBSP, NARROW_NBSP = "\u00a0", "\u202f"
APOSTROPHE, TYPOGRAPHIC_APOSTROPHE = "'", "\u2019"
FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")

# (grouping, decimal sign); an empty grouping writes the digits in a row.
NUMBER_STYLES = (
    ("", "."),
    ("", ","),
    (" ", "."),
    (" ", ","),
    (NBSP, "."),
    (NBSP, ","),
    (NARROW_NBSP, ","),
    (APOSTROPHE, "."),
    (TYPOGRAPHIC_APOSTROPHE, "."),
    (",", "."),
    (".", ","),
)
LONG_NAMES = {"h": "hours", "count": "requests"}
SYMBOLS = {"EUR": "€", "GBP": "£"}
ELSEWHERE = ("Europe/Berlin", "Asia/Tokyo", "America/New_York", "Pacific/Auckland", "Asia/Kathmandu", "UTC")
OFFSETS = (0, 60, 330, 345, -210, -570, 765, 840, -720)
MOST_DECIMALS, MOST_DIGITS = 9, 21


def render(usage: Usage, zone: str, lcg: Lcg) -> dict[str, str]:
    """The record as a client might send it; `zone` is the customer's."""
    unit = lcg.pick(writable_units(usage))
    fields = {"key": name_text(usage.key, lcg), "metric": name_text(usage.metric, lcg)}
    fields |= quantity_fields(decimal_text(usage.quantity / unit_factor(unit)), unit, lcg)
    return fields | instant_fields(usage.at, zone, lcg)


def unit_factor(unit: str) -> Fraction:
    """One `unit` in canonical ones; a currency's code is its own."""
    return Fraction(1) if unit in MINOR_UNITS else UNITS[dimension(unit)][unit]


def writable_units(usage: Usage) -> list[str]:
    """The units in which the quantity is a decimal of modest length; the canonical one if there is no other."""
    if usage.unit in MINOR_UNITS:
        return [usage.unit]
    fitting = []
    for unit, factor in UNITS[dimension(usage.unit)].items():
        scaled = usage.quantity / factor * 10**MOST_DECIMALS
        if scaled.denominator == 1 and len(str(scaled.numerator)) <= MOST_DIGITS:
            fitting.append(unit)
    return fitting or [usage.unit]


def name_text(name: str, lcg: Lcg) -> str:
    """A key or metric, now and then decomposed (NFD) or with spaces around it."""
    turn = lcg.below(6)
    if turn in (0, 1):
        name = unicodedata.normalize("NFD", name)
    return f" {name} " if turn in (1, 2) else name


def quantity_fields(plain: str, unit: str, lcg: Lcg) -> dict[str, str]:
    """`quantity`, `unit` and, where the number would have two readings without it, `number_format`."""
    text, number_format = number_text(plain, lcg)
    if unit in MINOR_UNITS:
        text = money_notation(text, unit, lcg)
    fields = {"quantity": text, "unit": unit_text(unit, lcg)}
    return fields | ({"number_format": number_format} if number_format else {})


def number_text(plain: str, lcg: Lcg) -> tuple[str, str | None]:
    """A decimal in digits and a point, in some other style, with the `number_format` that it needs (or merely has)."""
    grouping, sign = lcg.pick(NUMBER_STYLES)
    whole, _, decimals = plain.partition(".")
    if lcg.below(4) == 0 and len(decimals) < MOST_DECIMALS:
        decimals += "0"
    grouped = group(whole, grouping)
    text = grouped + (sign + decimals if decimals else "")
    style = "comma" if sign == "," else "point"
    needed = has_two_readings(text, grouping, sign)
    if lcg.below(5) == 0:
        text = text.translate(FULL_WIDTH)
    return text, style if needed or lcg.below(8) == 0 else None


def group(digits: str, grouping: str) -> str:
    """Threes from the right, with the sign between them."""
    head = len(digits) % 3 or 3
    parts = [digits[:head], *(digits[n : n + 3] for n in range(head, len(digits), 3))]
    return grouping.join(parts)


def has_two_readings(text: str, grouping: str, sign: str) -> bool:
    """Whether `number_format` is needed: a single comma before three last digits, or a single point that groups."""
    if text.count(",") == 1 and "." not in text:
        return len(text.partition(",")[2]) == 3
    return text.count(".") == 1 and "," not in text and grouping == "." and sign == ","


def money_notation(text: str, currency: str, lcg: Lcg) -> str:
    """The number alone, or with the currency's code or symbol on one of its sides."""
    mark = lcg.pick((currency, SYMBOLS.get(currency, currency)))
    forms = [text, f"{text} {mark}", f"{mark} {text}"]
    if mark != currency:
        forms += [f"{text}{NBSP}{mark}", f"{mark}{text}", f"{text}{mark}"]
    return lcg.pick(forms)


def unit_text(unit: str, lcg: Lcg) -> str:
    """The unit as the rules print it, all in lower or upper case, by its long name or symbol."""
    spellings = [unit, unit.upper()]
    if unit != "B":
        spellings.append(unit.lower())
    for other in (LONG_NAMES.get(unit), SYMBOLS.get(unit)):
        if other:
            spellings.append(other)
    return lcg.pick(spellings)


def instant_fields(at: datetime, zone: str, lcg: Lcg) -> dict[str, str]:
    """`at` with an offset, or, if the local time is the only one of its name, without one and with `time_zone`."""
    turn = lcg.below(5)
    if turn == 0:
        return {"at": clock_text(at) + lcg.pick("Zz")}
    if turn == 1:
        minutes = lcg.pick(OFFSETS)
        return {"at": with_offset(at.astimezone(timezone(timedelta(minutes=minutes))))}
    local_zone = zone if turn < 4 else lcg.pick(ELSEWHERE)
    local = at.astimezone(ZoneInfo(local_zone))
    if turn == 2 or not has_one_local_time(at, local_zone):
        return {"at": with_offset(local)}
    return {"at": clock_text(local), "time_zone": local_zone}


def clock_text(local: datetime) -> str:
    """Date and time of day, with a fraction only where there is one."""
    text = local.strftime("%Y-%m-%dT%H:%M:%S")
    milliseconds = local.microsecond // 1000
    return f"{text}.{milliseconds:03d}".rstrip("0") if milliseconds else text


def with_offset(local: datetime) -> str:
    """RFC 3339, with `Z` for UTC."""
    seconds = int(local.utcoffset().total_seconds())
    if seconds == 0:
        return clock_text(local) + "Z"
    sign, minutes = "-" if seconds < 0 else "+", abs(seconds) // 60
    return f"{clock_text(local)}{sign}{minutes // 60:02d}:{minutes % 60:02d}"
