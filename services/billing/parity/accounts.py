"""The accounts: who the customers are, which months they are invoiced for, and which scenario each of them plays.

Nothing is random. An account is a place (country, time zone, currency, with or without a VAT number), a group of
months and a scenario; places are walked in order and scenarios in steps that share no factor with their number, so that
each place meets several scenarios and each scenario many places.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count

from builder import Account, Builder
from plans import catalogue
from scenarios import (
    SCENARIOS,
    compute_with_fee,
    flat_only,
    money,
    month_edges,
    several_metrics,
    tax_half,
    traffic_graduated,
)

# A: leap day, both European changes of the clocks. B: Estonia's rate changes, and America's clocks. C: Finland's rate,
# and the clocks of the south. D: Slovakia's rate; 28 days. E: Romania's rate; 30 and 31 days.
GROUPS = {
    "A": ("2024-02", "2025-03", "2025-10"),
    "B": ("2025-06", "2025-07", "2025-11"),
    "C": ("2024-08", "2024-09", "2025-04"),
    "D": ("2024-12", "2025-01", "2025-02"),
    "E": ("2024-04", "2025-07", "2025-08"),
}
RATE_CHANGES = {"EE": "B", "FI": "C", "SK": "D", "RO": "E"}

EU = {
    "AT": ("Europe/Vienna", "EUR"),
    "BE": ("Europe/Brussels", "EUR"),
    "BG": ("Europe/Sofia", "BGN"),
    "CY": ("Asia/Nicosia", "EUR"),
    "CZ": ("Europe/Prague", "CZK"),
    "DE": ("Europe/Berlin", "EUR"),
    "DK": ("Europe/Copenhagen", "DKK"),
    "EE": ("Europe/Tallinn", "EUR"),
    "ES": ("Europe/Madrid", "EUR"),
    "FI": ("Europe/Helsinki", "EUR"),
    "FR": ("Europe/Paris", "EUR"),
    "GR": ("Europe/Athens", "EUR"),
    "HR": ("Europe/Zagreb", "EUR"),
    "HU": ("Europe/Budapest", "HUF"),
    "IE": ("Europe/Dublin", "EUR"),
    "IT": ("Europe/Rome", "EUR"),
    "LT": ("Europe/Vilnius", "EUR"),
    "LU": ("Europe/Luxembourg", "EUR"),
    "LV": ("Europe/Riga", "EUR"),
    "MT": ("Europe/Malta", "EUR"),
    "NL": ("Europe/Amsterdam", "EUR"),
    "PL": ("Europe/Warsaw", "PLN"),
    "PT": ("Europe/Lisbon", "EUR"),
    "RO": ("Europe/Bucharest", "RON"),
    "SE": ("Europe/Stockholm", "SEK"),
    "SI": ("Europe/Ljubljana", "EUR"),
    "SK": ("Europe/Bratislava", "EUR"),
}

# What follows the country's code (Greece: EL) in a VAT number; `#` is a digit. None of these is meant to be registered.
VAT_NUMBERS = {
    "AT": "U########", "BE": "0#########", "BG": "#########", "CY": "########X", "CZ": "########", "DE": "#########",
    "DK": "########", "EE": "#########", "ES": "B########", "FI": "########", "FR": "###########", "GR": "#########",
    "HR": "###########", "HU": "########", "IE": "#######WA", "IT": "###########", "LT": "#########", "LU": "########",
    "LV": "###########", "MT": "########", "NL": "#########B01", "PL": "##########", "PT": "#########",
    "RO": "########", "SE": "##########01", "SI": "########", "SK": "##########",
    "CH": "E#########", "GB": "#########", "NO": "#########",
}  # fmt: skip

# Outside the EU: zones far from UTC, of the south, whose clocks change at midnight, by half an hour, or never.
ELSEWHERE = (
    ("AU", "Australia/Lord_Howe", "AUD"),
    ("AU", "Australia/Sydney", "AUD"),
    ("AU", "Australia/Adelaide", "AUD"),
    ("BH", "Asia/Bahrain", "BHD"),
    ("BR", "America/Sao_Paulo", "USD"),
    ("CA", "America/St_Johns", "CAD"),
    ("CA", "America/Vancouver", "CAD"),
    ("CH", "Europe/Zurich", "CHF"),
    ("CL", "America/Santiago", "CLP"),
    ("GB", "Europe/London", "GBP"),
    ("IN", "Asia/Kolkata", "USD"),
    ("IS", "Atlantic/Reykjavik", "ISK"),
    ("JP", "Asia/Tokyo", "JPY"),
    ("KI", "Pacific/Kiritimati", "AUD"),
    ("KR", "Asia/Seoul", "KRW"),
    ("KW", "Asia/Kuwait", "KWD"),
    ("LB", "Asia/Beirut", "USD"),
    ("NO", "Europe/Oslo", "NOK"),
    ("NP", "Asia/Kathmandu", "EUR"),
    ("NZ", "Pacific/Auckland", "NZD"),
    ("NZ", "Pacific/Chatham", "NZD"),
    ("PF", "Pacific/Marquesas", "EUR"),
    ("AS", "Pacific/Pago_Pago", "USD"),
    ("SG", "Asia/Singapore", "SGD"),
    ("TN", "Africa/Tunis", "TND"),
    ("US", "America/Los_Angeles", "USD"),
    ("US", "America/New_York", "USD"),
    ("US", "Pacific/Honolulu", "USD"),
)
WITH_NUMBER_ELSEWHERE = ("CH", "GB", "NO")

# Customers who pay VAT in a currency that is not their country's, those without minor units and with three among them.
FOREIGN_CURRENCIES = (
    ("DE", "JPY"), ("DE", "KWD"), ("FR", "ISK"), ("IT", "TND"), ("NL", "USD"), ("IE", "GBP"), ("LU", "BHD"),
    ("MT", "KRW"), ("HU", "CLP"), ("HR", "JPY"), ("PL", "KWD"), ("LT", "CHF"),
)  # fmt: skip


@dataclass(frozen=True)
class Place:
    """Who and where a customer is."""

    country: str
    zone: str
    currency: str
    has_vat_id: bool = False


def places() -> list[Place]:
    """The EU without and with VAT numbers, then the rest of the world."""
    union = [Place(country, *rest, has_vat_id) for has_vat_id in (False, True) for country, rest in EU.items()]
    world = [Place(*place) for place in ELSEWHERE]
    numbered = [Place(*place, True) for place in ELSEWHERE if place[0] in WITH_NUMBER_ELSEWHERE]
    return union + world + numbered


def design() -> Iterator[tuple[Place, tuple[str, ...], Callable[[Builder], None]]]:
    """Place, months and scenario of each account."""
    everywhere = places()
    for lap in range(2):
        for number, place in enumerate(everywhere):
            group = RATE_CHANGES.get(place.country) or "ABCDE"[(number + 2 * lap) % 5]
            yield place, GROUPS[group], SCENARIOS[(8 * number + 5 * lap) % len(SCENARIOS)]
    for number, (country, currency) in enumerate(FOREIGN_CURRENCIES):
        for scenario in (tax_half, (compute_with_fee, money, traffic_graduated, flat_only)[number % 4]):
            group = "ABCDE"[number % 5]
            yield Place(country, EU[country][0], currency), GROUPS[group], scenario
    for country, group in RATE_CHANGES.items():
        for scenario in (tax_half, month_edges, flat_only, several_metrics):
            yield Place(country, *EU[country]), GROUPS[group], scenario


def vat_number(country: str, number: int) -> str:
    """A VAT number of the country's form, its digits made from the account's number."""
    digits = str(1_000_000_007 * (number + 11))[::-1] + "0" * 12
    stream = iter(digits)
    body = "".join(next(stream) if sign == "#" else sign for sign in VAT_NUMBERS[country])
    return ("EL" if country == "GR" else country) + body


def accounts() -> list[Account]:
    """All accounts, in the order of the file."""
    plans, turns, result = catalogue(), Counter(), []
    for number, (place, months, scenario) in zip(count(1), design()):
        customer = {
            "id": f"parity-{number:03d}-{place.country.lower()}",
            "name": f"Größe {number} · {scenario.__name__}",
        }
        customer["country"] = place.country
        if place.has_vat_id:
            customer["vat_id"] = vat_number(place.country, number)
        customer |= {"time_zone": place.zone, "currency": place.currency}
        builder = Builder(customer, months, turns[scenario], number, plans)
        turns[scenario] += 1
        scenario(builder)
        builder.repeat_some()
        result.append(builder.account)
    return result
