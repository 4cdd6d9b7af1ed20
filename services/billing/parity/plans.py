"""The catalogue: the same shapes of plan in every currency, priced so that all meet the same roundings."""

from __future__ import annotations

from fractions import Fraction

from reference import MINOR_UNITS, decimal_text

STORAGE, TRAFFIC, BACKUP = "parity-storage", "parity-traffic", "parity-backup"
SURPLUS = "parity-Speicherplatz-Überschuss"
COMPUTE, SUPPORT = "parity-compute", "parity-support"
REQUESTS, MESSAGES, BYTES, LICENCES = "parity-requêtes", "parity-messages", "parity-bytes", "parity-licences"
# In UTF-8 the full-width letter comes before the parcel, in UTF-16 code units after it, and in a collation who knows.
FAX, PARCELS = "parity-ｆax", "parity-📦"


def pass_through(currency: str) -> str:
    """The metric of costs passed on in a currency: its dimension is that one currency."""
    return f"parity-pass-through-{currency.lower()}"


def mark_up(currency: str) -> str:
    """Like `pass_through`, for costs with a mark-up that falls."""
    return f"parity-mark-up-{currency.lower()}"


# Shape -> fee in minor units. Those of the hundreds stay what they are modulo 200 in every currency, see `catalogue`.
FLAT_FEES = {"flat-50": 2950, "flat-75": 2975, "flat-00": 2900, "flat-odd": 10005, "flat-tiny": 1}

# Shape -> fee, metric, unit, unit price in minor units.
PER_UNIT = {
    "storage": (0, STORAGE, "GB", "1.9"),
    "requests": (0, REQUESTS, "count", "0.5"),
    "compute": (1501, COMPUTE, "h", "2.5"),
    "support": (995, SUPPORT, "min", "0.75"),
    "backup": (0, BACKUP, "GiB", "1.25"),
    "fax": (0, FAX, "thousand", "12.5"),
    "parcels": (3, PARCELS, "count", "33.5"),
}

# Shape -> fee, metric, unit, mode, (limit, unit price in minor units)...
TIERED = {
    "traffic": (500, TRAFFIC, "GB", "graduated", (("100", "10"), ("1000", "8.5"), (None, "4.25"))),
    "messages": (0, MESSAGES, "thousand", "graduated", (("1", "0.5"), ("10", "0.25"), (None, "0.1"))),
    "surplus": (0, SURPLUS, "GiB", "graduated", (("1", "0"), ("10", "12.5"), (None, "7.5"))),
    "volume-compute": (0, COMPUTE, "h", "volume", (("10", "3.5"), ("100", "2.5"), (None, "0.5"))),
    "volume-storage": (1234, STORAGE, "TB", "volume", (("0.5", "1999"), ("2", "1501"), (None, "1250.5"))),
}


def plan_id(shape: str, currency: str) -> str:
    """The id of a shape's plan in a currency."""
    return f"parity-{shape}-{currency.lower()}"


def major(minor: str | int, currency: str) -> str:
    """A price in minor units, possibly broken, as a decimal of the major unit."""
    return decimal_text(Fraction(minor) / 10 ** MINOR_UNITS[currency])


def amount(minor: int, currency: str) -> str:
    """A fee: with the currency's decimals, unless it is none at all."""
    digits = MINOR_UNITS[currency]
    text = str(minor).zfill(digits + 1)
    return "0" if minor == 0 else f"{text[:-digits]}.{text[-digits:]}" if digits else text


def catalogue() -> dict[str, dict]:
    """Every shape in every currency, by id. Fees grow by 200 minor units from each currency to the next."""
    plans = {}
    for rank, currency in enumerate(sorted(MINOR_UNITS)):
        for shape, fee, fields in _shapes(currency):
            if fee > 100:
                fee += 200 * rank
            identifier = plan_id(shape, currency)
            head = {"id": identifier, "name": f"Parity {shape} ({currency})", "currency": currency}
            plans[identifier] = head | {"kind": fields["kind"], "fee": amount(fee, currency)} | fields
    return plans


def _shapes(currency: str) -> list[tuple[str, int, dict]]:
    """(shape, fee in minor units, the fields after the fee)."""
    shapes = [(shape, fee, {"kind": "flat"}) for shape, fee in FLAT_FEES.items()]
    for shape, (fee, metric, unit, price) in PER_UNIT.items():
        shapes.append((shape, fee, _per_unit(metric, unit, major(price, currency))))
    for shape, (fee, metric, unit, mode, tiers) in TIERED.items():
        shapes.append(
            (shape, fee, _tiered(metric, unit, mode, [(limit, major(price, currency)) for limit, price in tiers]))
        )
    # The smallest and the largest price that there can be are no minor units.
    shapes.append(("bytes", 0, _per_unit(BYTES, "B", "0.000000001")))
    shapes.append(("licences", 0, _per_unit(LICENCES, "count", "999999999999.999999999")))
    # A price per unit of money is a rate, and the same in every currency; the limit is 10000 minor units.
    limit = major(10000, currency)
    shapes.append(("pass-through", 0, _per_unit(pass_through(currency), currency, "1.05")))
    shapes.append(
        ("mark-up", 250, _tiered(mark_up(currency), currency, "graduated", [(limit, "1.15"), (None, "1.025")]))
    )
    return shapes


def _per_unit(metric: str, unit: str, price: str) -> dict:
    return {"kind": "per_unit", "metric": metric, "unit": unit, "unit_price": price}


def _tiered(metric: str, unit: str, mode: str, tiers: list[tuple[str | None, str]]) -> dict:
    steps = [({"up_to": limit} if limit else {}) | {"unit_price": price} for limit, price in tiers]
    return {"kind": "tiered", "metric": metric, "unit": unit, "mode": mode, "tiers": steps}
