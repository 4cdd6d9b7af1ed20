"""What the fixtures promise: they keep the rules' limits, their notations mean what the reference read, and no rule can
be got wrong unnoticed. The last is tested by getting each wrong on purpose, and counting the invoices that change."""

from __future__ import annotations

import json
import re
import unicodedata
import unittest
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from fractions import Fraction
from unittest import mock
from zoneinfo import ZoneInfo

import generate
import reference
from accounts import accounts
from reference import MINOR_UNITS, UNITS, Plan, dimension

ACCOUNTS = accounts()
PLANS = generate.used_plans(ACCOUNTS)
BY_ID = {plan["id"]: Plan.of(plan) for plan in PLANS}
INVOICES = generate.invoices(ACCOUNTS, BY_ID)
ID = re.compile(r"parity-[a-z0-9-]{1,56}")
MARKS = {"€": "EUR", "£": "GBP"} | {code: code for code in MINOR_UNITS}


def read_number(text: str, number_format: str | None) -> Fraction:
    """A quantity by the table "Usage as it comes in"; fails where it would have two readings."""
    plain = re.sub("[ \u00a0\u202f'\u2019]", "", text.translate(str.maketrans("０１２３４５６７８９", "0123456789")))
    commas, points = plain.count(","), plain.count(".")
    sign = {"point": ".", "comma": ","}.get(number_format or "")
    if sign is None and commas and points:
        sign = max(",.", key=plain.rfind)
    elif sign is None and (points == 1 or commas > 1):
        sign = "."
    elif sign is None:
        assert not re.fullmatch(r"\d{1,3},\d{3}", plain), f"{text} has two readings"
        sign = ","
    other = "," if sign == "." else "."
    whole, _, decimals = plain.partition(sign)
    assert re.fullmatch(rf"\d{{1,3}}(\{other}\d{{3}})+|\d+", whole) and re.fullmatch(r"\d*", decimals), text
    return Fraction(whole.replace(other, "") + "." + (decimals or "0"))


def read_record(fields: dict) -> tuple[str, str, Fraction, str, datetime]:
    """A record of `accounts.jsonl` in canonical form."""
    names = (unicodedata.normalize("NFC", fields[name].strip()) for name in ("key", "metric"))
    text, unit = fields["quantity"], {"hours": "h", "requests": "count"}.get(fields["unit"], fields["unit"])
    for mark, code in MARKS.items():
        if mark in text:
            assert code == MARKS.get(unit.upper()), text
            text = text.replace(mark, "")
    unit = MARKS.get(unit.upper()) or next(
        each for units in UNITS.values() for each in units if unit in (each, each.lower(), each.upper())
    )
    at = datetime.fromisoformat(fields["at"].upper())
    assert (at.tzinfo is None) == ("time_zone" in fields)
    if at.tzinfo is None:
        at = at.replace(tzinfo=ZoneInfo(fields["time_zone"]))
        assert at.utcoffset() == at.replace(fold=1).utcoffset(), f"{fields['at']} is skipped or comes twice"
    quantity = read_number(text.strip(), fields.get("number_format")) * reference.factor(unit)
    return (*names, quantity, reference.canonical_unit(unit), at.astimezone(timezone.utc))


class Files(unittest.TestCase):
    def test_they_are_what_generate_writes(self) -> None:
        self.assertEqual(generate.check(generate.files()), 0)

    def test_plans_keep_the_limits(self) -> None:
        dimensions: dict[str, set[str]] = defaultdict(set)
        for plan in PLANS:
            self.assertRegex(plan["id"], ID)
            self.assertEqual((Fraction(plan["fee"]) * 10 ** MINOR_UNITS[plan["currency"]]).denominator, 1)
            for price in (tier["unit_price"] for tier in plan.get("tiers", [plan] if "unit_price" in plan else [])):
                self.assertRegex(price, r"^\d{1,12}(\.\d{1,9})?$")
            if "metric" in plan:
                self.assertLessEqual(len(plan["metric"]), 64)
                dimensions[plan["metric"]].add(reference.canonical_unit(plan["unit"]))
        self.assertEqual({len(units) for units in dimensions.values()}, {1})

    def test_accounts_keep_the_limits(self) -> None:
        self.assertGreaterEqual(len(ACCOUNTS), 208)
        self.assertEqual(len({account.customer["id"] for account in ACCOUNTS}), len(ACCOUNTS))
        for account in ACCOUNTS:
            self.assertRegex(account.customer["id"], ID)
            self.assertEqual(len(set(account.months)), 3)
            subscriptions = account.subscriptions
            self.assertEqual(len({each.id for each in subscriptions}), len(subscriptions))
            for n, one in enumerate(subscriptions):
                self.assertEqual(BY_ID[one.plan].currency, account.customer["currency"])
                self.assertTrue(one.end is None or one.start < one.end)
                for two in subscriptions[:n]:
                    if BY_ID[one.plan].metric and BY_ID[one.plan].metric == BY_ID[two.plan].metric:
                        ends = (one.end or date.max, two.end or date.max)
                        self.assertTrue(ends[0] <= two.start or ends[1] <= one.start, account.customer)

    def test_records_read_as_the_reference_read_them(self) -> None:
        for account in ACCOUNTS:
            for record, fields in zip(account.usage, account.rendered, strict=True):
                wanted = (record.key, record.metric, record.quantity, record.unit, record.at)
                self.assertEqual(read_record(json.loads(generate.compact(fields))), wanted, fields)
                self.assertRegex(reference.decimal_text(record.quantity), r"^\d{1,18}(\.\d{1,9})?$")


def half_even(value: Fraction, digits: int) -> int:
    return round(value * 10**digits)


def utc_date(at: datetime, zone: str):
    return at.date()


def january_date(at: datetime, zone: str):
    """As if the zone had no summer time, or always that."""
    return (at + datetime(2025, 1, 1, tzinfo=ZoneInfo(zone)).utcoffset()).date()


def per_tier(tiers, quantity: Fraction) -> Fraction:
    """Rounds each tier to cents."""
    total, below = Fraction(0), Fraction(0)
    for limit, price in tiers:
        top = quantity if limit is None else min(quantity, limit)
        total += Fraction(reference.round_minor(max(top - below, 0) * price, 2), 100)
        below = max(top, below)
    return total


def floating(plan: Plan, quantity: Fraction, exact: Callable = reference.usage_price) -> Fraction:
    if plan.kind != "per_unit":
        return exact(plan, quantity)
    return Fraction(float(quantity) * float(plan.unit_price) / float(reference.factor(plan.unit)))


def until_included(subscription, month: str):
    later = subscription.end and subscription.end + timedelta(days=1)
    return [
        day for day in reference.days_of_month(month) if subscription.start <= day and (later is None or day < later)
    ]


def ignoring_hyphens(text: str) -> tuple:
    return text.replace("-", "").casefold(), text


MUTANTS: dict[str, tuple[str, object]] = {
    "half to even": ("round_minor", half_even),
    "half down": ("round_minor", lambda value, digits: -(-(value * 10**digits * 2 - 1) // 2)),
    "truncated": ("round_minor", lambda value, digits: int(value * 10**digits)),
    "days in UTC": ("local_date", utc_date),
    "no summer time": ("local_date", january_date),
    "until included": ("running_days", until_included),
    "months of 30 days": ("prorated_fee", lambda fee, days, month: fee * min(days, 30) / 30),
    "fee not prorated": ("prorated_fee", lambda fee, days, month: fee),
    "tiers rounded one by one": ("graduated", per_tier),
    "volume: limit excluded": (
        "volume",
        lambda tiers, q: next(q * price for limit, price in tiers if limit is None or q < limit),
    ),
    "volume for graduated": ("graduated", reference.volume),
    "graduated for volume": ("volume", reference.graduated),
    "KiB of 1000": (
        "UNITS",
        UNITS | {"data": {unit: Fraction(1000 ** "BKMGT".find(unit[0].upper())) for unit in UNITS["data"]}},
    ),
    "binary floating point": ("usage_price", floating),
    "keys count twice": ("distinct", list),
    "order of UTF-16": ("by_bytes", lambda text: text.encode("utf-16-be")),
    "order of a collation": ("by_bytes", ignoring_hyphens),
    "rates never change": ("VAT_CHANGES", {}),
    "reverse charge at home": (
        "vat",
        lambda c, v, m, s: ("reverse_charge", Fraction(0)) if v and c == s else VAT(c, v, m, s),
    ),
    "VAT number not looked at": ("vat", lambda c, v, m, s: VAT(c, None, m, s)),
    "rate of the seller": ("vat_rate", lambda c, m: Fraction(19)),
}
VAT = reference.vat


class Power(unittest.TestCase):
    def test_each_mistake_changes_several_invoices(self) -> None:
        for name, (function, replacement) in MUTANTS.items():
            with self.subTest(name), mock.patch.object(reference, function, replacement):
                changed = sum(one != two for one, two in zip(generate.invoices(ACCOUNTS, BY_ID), INVOICES, strict=True))
                self.assertGreaterEqual(changed, 4, name)

    def test_tax_is_not_that_of_each_line(self) -> None:
        differing = 0
        for each in INVOICES:
            digits, rate = MINOR_UNITS[each["currency"]], Fraction(each["tax"]["rate"])
            summed = sum(reference.round_minor(Fraction(line["amount"]) * rate / 100, digits) for line in each["lines"])
            differing += summed != Fraction(each["tax"]["amount"]) * 10**digits
        self.assertGreaterEqual(differing, 20)

    def test_many_exact_halves(self) -> None:
        found = generate.exact_halves(ACCOUNTS, BY_ID)
        to_even = {kind: sum(value.numerator // 2 % 2 == 0 for value in values) for kind, values in found.items()}
        for kind, least in (("fee", 20), ("usage", 80), ("tax", 30)):
            self.assertGreaterEqual(to_even[kind], least, f"{kind}: halves that rounding to even would round down")

    def test_every_rate_treatment_and_currency(self) -> None:
        rates = {
            (each["tax"]["country"], each["tax"]["rate"])
            for each in INVOICES
            if each["tax"]["treatment"] == "standard" and each["lines"]
        }
        wanted = {(country, rate) for country, rate in reference.VAT_RATES.items()}
        self.assertEqual(rates, wanted | {(country, rate) for country, (_, rate) in reference.VAT_CHANGES.items()})
        self.assertEqual({each["currency"] for each in INVOICES if each["lines"]}, set(MINOR_UNITS))
        reverse = {each["tax"]["country"] for each in INVOICES if each["tax"]["treatment"] == "reverse_charge"}
        self.assertEqual(reverse, set(reference.VAT_RATES) - {"DE"})

    def test_empty_and_zero(self) -> None:
        seen = Counter()
        for each in INVOICES:
            seen["no lines"] += not each["lines"]
            seen["nothing at all"] += not each["lines"] and not each["unbilled"]
            seen["a line of nothing"] += any(Fraction(line["amount"]) == 0 for line in each["lines"])
            seen["two unbilled metrics"] += len(each["unbilled"]) > 1
        for name in ("no lines", "nothing at all", "a line of nothing", "two unbilled metrics"):
            self.assertGreaterEqual(seen[name], 8, name)

    def test_every_unit_is_written(self) -> None:
        units = {fields["unit"] for account in ACCOUNTS for fields in account.rendered}
        self.assertLessEqual({unit for table in UNITS.values() for unit in table}, units)
        self.assertLessEqual({"hours", "requests", "€", "£", "EUR", "GBP", "JPY", "KWD"}, units)
        self.assertLessEqual(
            {"money"} | set(UNITS), {dimension(record.unit) for account in ACCOUNTS for record in account.usage}
        )


if __name__ == "__main__":
    unittest.main()
