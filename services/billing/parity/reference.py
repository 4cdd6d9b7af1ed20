"""The invoice of ../RULES.md, computed a second time and from the text alone.

Pure functions over canonical input; section names in the docstrings are those of RULES.md. Every value is a `Fraction`,
so nothing is rounded but where the rules say so. This file has its own tables of currencies, units and VAT rates: a
wrong figure in the service's tables must not be able to hide behind the same figure here.
"""

from __future__ import annotations

import calendar
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

FIRST_MONTH = "2024-01"

MINOR_UNITS = {
    code: digits
    for digits, codes in {
        0: "CLP ISK JPY KRW",
        2: "AUD BGN CAD CHF CZK DKK EUR GBP HUF NOK NZD PLN RON SEK SGD USD",
        3: "BHD KWD TND",
    }.items()
    for code in codes.split()
}

CANONICAL_UNIT = {"data": "B", "time": "s", "count": "count"}

UNITS: dict[str, dict[str, Fraction]] = {
    "data": {
        "B": Fraction(1),
        **{name: Fraction(1000**power) for power, name in enumerate(("kB", "MB", "GB", "TB"), 1)},
        **{name: Fraction(1024**power) for power, name in enumerate(("KiB", "MiB", "GiB", "TiB"), 1)},
    },
    "time": {
        "ms": Fraction(1, 1000),
        "s": Fraction(1),
        "min": Fraction(60),
        "h": Fraction(60 * 60),
        "d": Fraction(24 * 60 * 60),
    },
    "count": {"count": Fraction(1), "thousand": Fraction(1000), "million": Fraction(1000_000)},
}

# Standard rates in percent on 2024-01-01, and those that a later day brought.
VAT_RATES = {
    "AT": "20", "BE": "21", "BG": "20", "CY": "19", "CZ": "21", "DE": "19", "DK": "25", "EE": "22", "ES": "21",
    "FI": "24", "FR": "20", "GR": "24", "HR": "25", "HU": "27", "IE": "23", "IT": "22", "LT": "21", "LU": "17",
    "LV": "21", "MT": "18", "NL": "21", "PL": "23", "PT": "23", "RO": "19", "SE": "25", "SI": "22", "SK": "20",
}  # fmt: skip
VAT_CHANGES = {
    "EE": (date(2025, 7, 1), "24"),
    "FI": (date(2024, 9, 1), "25.5"),
    "RO": (date(2025, 8, 1), "21"),
    "SK": (date(2025, 1, 1), "23"),
}


@dataclass(frozen=True)
class Plan:
    """A plan of `plans.json`, its numbers made exact. `tiers` are (limit in the plan's unit or None, unit price)."""

    id: str
    currency: str
    kind: str
    fee: Fraction
    metric: str | None = None
    unit: str | None = None
    unit_price: Fraction | None = None
    mode: str | None = None
    tiers: tuple[tuple[Fraction | None, Fraction], ...] = ()

    @classmethod
    def of(cls, fields: Mapping) -> Plan:
        """Reads one object of `plans.json`."""
        tiers = tuple(
            (Fraction(tier["up_to"]) if "up_to" in tier else None, Fraction(tier["unit_price"]))
            for tier in fields.get("tiers", ())
        )
        return cls(
            id=fields["id"],
            currency=fields["currency"],
            kind=fields["kind"],
            fee=Fraction(fields["fee"]),
            metric=fields.get("metric"),
            unit=fields.get("unit"),
            unit_price=Fraction(fields["unit_price"]) if "unit_price" in fields else None,
            mode=fields.get("mode"),
            tiers=tiers,
        )


@dataclass(frozen=True)
class Subscription:
    """One plan, from the local date `start` up to, not including, `end`."""

    id: str
    plan: str
    start: date
    end: date | None = None


@dataclass(frozen=True)
class Usage:
    """A canonical usage record: names in NFC, `quantity` in the canonical `unit`, `at` in UTC."""

    key: str
    metric: str
    quantity: Fraction
    unit: str
    at: datetime


@dataclass(frozen=True)
class Line:
    """A line before rounding; `exact` is in the currency's major unit."""

    subscription: str
    kind: str
    exact: Fraction


# Numbers


def round_minor(value: Fraction, digits: int) -> int:
    """`value` in minor units, half away from zero ("Numbers")."""
    minor = abs(value) * 10**digits
    rounded = (2 * minor.numerator + minor.denominator) // (2 * minor.denominator)
    return -rounded if value < 0 else rounded


def money_text(minor: int, digits: int) -> str:
    """Minor units as an amount with exactly `digits` decimals."""
    sign, number = ("-" if minor < 0 else ""), str(abs(minor)).zfill(digits + 1)
    return f"{sign}{number[:-digits]}.{number[-digits:]}" if digits else sign + number


def decimal_text(value: Fraction) -> str:
    """A decimal fraction in digits and a point, without needless zeros; ValueError if its decimals never end."""
    digits = 0
    while (value * 10**digits).denominator != 1:
        digits += 1
        if digits > 64:
            raise ValueError(f"{value} is no decimal fraction")
    return money_text(int(value * 10**digits), digits)


# Units


def dimension(unit: str) -> str:
    """The dimension that `unit` belongs to ("Units"); a currency's code is money."""
    for name, units in UNITS.items():
        if unit in units:
            return name
    if unit in MINOR_UNITS:
        return "money"
    raise ValueError(f"unknown unit {unit!r}")


def factor(unit: str) -> Fraction:
    """One `unit` in its dimension's canonical unit."""
    name = dimension(unit)
    return Fraction(1) if name == "money" else UNITS[name][unit]


def canonical_unit(unit: str) -> str:
    """The unit in which usage measured in `unit` is stored."""
    return CANONICAL_UNIT.get(dimension(unit), unit)


# Months and days


def days_of_month(month: str) -> list[date]:
    """The local dates of a month written `YYYY-MM`."""
    year, number = map(int, month.split("-"))
    first = date(year, number, 1)
    return [first + timedelta(days=n) for n in range(calendar.monthrange(year, number)[1])]


def local_date(at: datetime, zone: str) -> date:
    """The date that the instant falls on in `zone` ("Months and days")."""
    return at.astimezone(ZoneInfo(zone)).date()


def running_days(subscription: Subscription, month: str) -> list[date]:
    """The month's local dates on which the subscription runs; their number is the rules' `days`."""
    return [
        day
        for day in days_of_month(month)
        if subscription.start <= day and (subscription.end is None or day < subscription.end)
    ]


# Lines


def prorated_fee(fee: Fraction, days: int, days_in_month: int) -> Fraction:
    """fee × days ÷ days of the month, exact ("Lines")."""
    return fee * days / days_in_month


def usage_price(plan: Plan, quantity: Fraction) -> Fraction:
    """What `quantity` (canonical units) costs under the plan, exact ("Lines")."""
    if plan.kind == "per_unit":
        return quantity * plan.unit_price / factor(plan.unit)
    if plan.kind == "tiered":
        return {"graduated": graduated, "volume": volume}[plan.mode](plan.tiers, quantity / factor(plan.unit))
    raise ValueError(f"a plan of kind {plan.kind} has no usage")


def graduated(tiers: Sequence[tuple[Fraction | None, Fraction]], quantity: Fraction) -> Fraction:
    """Each part of the quantity (plan's units) at its tier's price; a limit belongs to the tier that it ends."""
    total, below = Fraction(0), Fraction(0)
    for limit, price in tiers:
        top = quantity if limit is None else min(quantity, limit)
        if top > below:
            total += (top - below) * price
            below = top
    return total


def volume(tiers: Sequence[tuple[Fraction | None, Fraction]], quantity: Fraction) -> Fraction:
    """All of the quantity (plan's units) at the price of the first tier that reaches it."""
    return next(quantity * price for limit, price in tiers if limit is None or quantity <= limit)


def distinct(usage: Iterable[Usage]) -> list[Usage]:
    """One customer's records, each key once; ValueError if a key has two records ("Usage as it comes in")."""
    by_key: dict[str, Usage] = {}
    for record in usage:
        if by_key.setdefault(record.key, record) != record:
            raise ValueError(f"key {record.key!r} comes with two records")
    return list(by_key.values())


def by_bytes(text: str) -> bytes:
    """Sort key for byte order: that of UTF-8."""
    return text.encode("utf-8")


def month_usage(usage: Iterable[Usage], month: str, zone: str) -> list[tuple[date, Usage]]:
    """The month's usage, each record once, with the local day it falls on."""
    dated = ((local_date(record.at, zone), record) for record in distinct(usage))
    return [(day, record) for day, record in dated if day.strftime("%Y-%m") == month]


def lines(
    subscriptions: Iterable[Subscription], dated: Sequence[tuple[date, Usage]], month: str, plans: Mapping[str, Plan]
) -> list[Line]:
    """The month's lines before rounding, in the rules' order ("Lines"); `dated` is what `month_usage` gives."""
    result = []
    for subscription in sorted(subscriptions, key=lambda each: by_bytes(each.id)):
        plan, days = plans[subscription.plan], running_days(subscription, month)
        if plan.fee > 0 and days:
            result.append(Line(subscription.id, "fee", prorated_fee(plan.fee, len(days), len(days_of_month(month)))))
        if plan.metric is None:
            continue
        on = set(days)
        quantity = sum(
            (record.quantity for day, record in dated if record.metric == plan.metric and day in on), Fraction(0)
        )
        if quantity > 0:
            result.append(Line(subscription.id, "usage", usage_price(plan, quantity)))
    return result


def unbilled(
    subscriptions: Iterable[Subscription], dated: Sequence[tuple[date, Usage]], month: str, plans: Mapping[str, Plan]
) -> list[dict[str, str]]:
    """Sums, one a metric, of the month's usage on days when no subscription to the metric runs ("Lines")."""
    billed = {(plans[each.plan].metric, day) for each in subscriptions for day in running_days(each, month)}
    sums: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
    for day, record in dated:
        if (record.metric, day) not in billed:
            sums[record.metric, record.unit] += record.quantity
    return [
        {"metric": metric, "quantity": decimal_text(quantity), "unit": unit}
        for (metric, unit), quantity in sorted(sums.items(), key=lambda item: by_bytes(item[0][0]))
    ]


# VAT


def vat_rate(country: str, month: str) -> Fraction:
    """The country's standard rate on the month's last day, the tax point ("VAT"); ValueError before 2024."""
    if month < FIRST_MONTH:
        raise ValueError(f"no rates before {FIRST_MONTH}")
    since, changed = VAT_CHANGES.get(country, (date.max, ""))
    return Fraction(changed if days_of_month(month)[-1] >= since else VAT_RATES[country])


def vat(country: str, vat_id: str | None, month: str, seller: str = "DE") -> tuple[str, Fraction]:
    """Treatment and rate of a customer's invoice ("VAT")."""
    if vat_id is not None and not vat_id.startswith("EL" if country == "GR" else country):
        raise ValueError(f"{vat_id} is no VAT number of {country}")
    if country == seller or (country in VAT_RATES and vat_id is None):
        return "standard", vat_rate(country, month)
    if country in VAT_RATES:
        return "reverse_charge", Fraction(0)
    return "outside_scope", Fraction(0)


# The whole


def invoice(
    customer: Mapping,
    subscriptions: Sequence[Subscription],
    usage: Iterable[Usage],
    month: str,
    plans: Mapping[str, Plan],
    seller: str = "DE",
) -> dict:
    """A customer's invoice of one month, as `expected.jsonl` has it."""
    digits = MINOR_UNITS[customer["currency"]]
    treatment, rate = vat(customer["country"], customer.get("vat_id"), month, seller)
    dated = month_usage(usage, month, customer["time_zone"])
    amounts = [(line, round_minor(line.exact, digits)) for line in lines(subscriptions, dated, month, plans)]
    net = sum(amount for _, amount in amounts)
    tax = round_minor(Fraction(net, 10**digits) * rate / 100, digits)
    return {
        "customer": customer["id"],
        "month": month,
        "currency": customer["currency"],
        "lines": [
            {"subscription": line.subscription, "kind": line.kind, "amount": money_text(amount, digits)}
            for line, amount in amounts
        ],
        "net": money_text(net, digits),
        "tax": {
            "treatment": treatment,
            "country": customer["country"],
            "rate": decimal_text(rate),
            "amount": money_text(tax, digits),
        },
        "total": money_text(net + tax, digits),
        "unbilled": unbilled(subscriptions, dated, month, plans),
    }
