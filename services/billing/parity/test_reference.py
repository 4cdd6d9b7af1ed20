"""Hand-worked cases of ../RULES.md. Run with `python3 -m unittest discover -s services/billing/parity`."""

from __future__ import annotations

import unittest
from datetime import date, datetime, timezone
from fractions import Fraction as F

import reference as r
from reference import Plan, Subscription, Usage

GB = 10**9


def utc(text: str) -> datetime:
    """An instant from ISO text without an offset, which is meant as UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


def gb(key: str, at: str, quantity: F | int | str, metric: str = "storage") -> Usage:
    """A record of so many GB."""
    return Usage(key, metric, F(quantity) * GB, "B", utc(at))


def per_unit(price: str, fee: str = "0", unit: str = "GB", metric: str = "storage") -> Plan:
    """A plan in EUR."""
    return Plan(id="p", currency="EUR", kind="per_unit", fee=F(fee), metric=metric, unit=unit, unit_price=F(price))


def customer(
    country: str = "DE", zone: str = "Europe/Berlin", currency: str = "EUR", vat_id: str | None = None
) -> dict:
    """A customer as `accounts.jsonl` has it."""
    return {"id": "c", "country": country, "time_zone": zone, "currency": currency} | (
        {"vat_id": vat_id} if vat_id else {}
    )


OPEN = Subscription("s", "p", date(2023, 1, 1))


class Numbers(unittest.TestCase):
    def test_halves_go_away_from_zero(self) -> None:
        # To cents: 0.125 is 12.5 cents, half-even would give 12; 0.135 is 13.5 cents, where both give 14.
        self.assertEqual(r.round_minor(F("0.125"), 2), 13)
        self.assertEqual(r.round_minor(F("0.135"), 2), 14)
        self.assertEqual(r.round_minor(F("-0.125"), 2), -13)

    def test_just_below_a_half_goes_down(self) -> None:
        self.assertEqual(r.round_minor(F("0.124999999999999999999"), 2), 12)
        self.assertEqual(r.round_minor(F("-0.124999999999999999999"), 2), -12)

    def test_minor_units_of_the_currency(self) -> None:
        # 2.5 yen are 3 yen; 1.0005 dinars are 1000.5 fils, so 1001.
        self.assertEqual(r.round_minor(F("2.5"), r.MINOR_UNITS["JPY"]), 3)
        self.assertEqual(r.round_minor(F("1.0005"), r.MINOR_UNITS["KWD"]), 1001)

    def test_what_binary_floats_get_wrong(self) -> None:
        # As a float 1.005 is 1.00499999999999989…, and would give 1.00.
        self.assertEqual(r.money_text(r.round_minor(F("1.005"), 2), 2), "1.01")

    def test_amounts_have_all_their_decimals(self) -> None:
        self.assertEqual([r.money_text(n, 2) for n in (0, 5, 1230)], ["0.00", "0.05", "12.30"])
        self.assertEqual([r.money_text(1250, 3), r.money_text(120, 0), r.money_text(0, 0)], ["1.250", "120", "0"])

    def test_decimals_without_needless_zeros(self) -> None:
        self.assertEqual(
            [r.decimal_text(F(n)) for n in ("19.00", "25.50", "100", "0", "0.000000001")],
            ["19", "25.5", "100", "0", "0.000000001"],
        )
        with self.assertRaises(ValueError):
            r.decimal_text(F(1, 3))


class Fees(unittest.TestCase):
    def fee(self, fee: str, start: str, end: str | None, month: str) -> str | None:
        plans = {"p": Plan(id="p", currency="EUR", kind="flat", fee=F(fee))}
        subscription = Subscription("s", "p", date.fromisoformat(start), end and date.fromisoformat(end))
        amounts = [line["amount"] for line in r.invoice(customer(), [subscription], [], month, plans)["lines"]]
        return amounts[0] if amounts else None

    def test_prorated(self) -> None:
        self.assertEqual(self.fee("29.90", "2024-06-01", None, "2025-03"), "29.90")
        # 10 to 19 March are 10 of 31 days: 29.90 × 10 ÷ 31 = 9.6451…
        self.assertEqual(self.fee("29.90", "2025-03-10", "2025-03-20", "2025-03"), "9.65")
        # The last day of a leap February: 29.90 ÷ 29 = 1.0310…
        self.assertEqual(self.fee("29.90", "2024-02-29", None, "2024-02"), "1.03")
        # 15 of 30 days of 10.05 are 5.025, half a cent.
        self.assertEqual(self.fee("10.05", "2025-06-16", None, "2025-06"), "5.03")
        # 14 of 28 days of 0.01 are half a cent; one day is less, and a line all the same.
        self.assertEqual(self.fee("0.01", "2025-02-15", None, "2025-02"), "0.01")
        self.assertEqual(self.fee("0.01", "2025-02-28", None, "2025-02"), "0.00")

    def test_no_line_without_days_or_fee(self) -> None:
        self.assertIsNone(self.fee("29.90", "2025-01-01", "2025-03-01", "2025-03"))
        self.assertIsNone(self.fee("29.90", "2025-04-01", None, "2025-03"))
        self.assertIsNone(self.fee("0", "2025-01-01", None, "2025-03"))


class Prices(unittest.TestCase):
    TIERS = ((F(100), F("0.10")), (F(1000), F("0.08")), (None, F("0.05")))

    def test_per_unit_divides_by_the_factor(self) -> None:
        # 2.5 GB × 0.019 = 0.0475; 3 GiB at 0.0125 a GiB = 0.0375; 90 min at 0.02 an hour = 0.03.
        self.assertEqual(r.usage_price(per_unit("0.019"), F("2.5") * GB), F("0.0475"))
        self.assertEqual(r.usage_price(per_unit("0.0125", unit="GiB"), F(3 * 2**30)), F("0.0375"))
        self.assertEqual(r.usage_price(per_unit("0.02", unit="h"), F(5400)), F("0.03"))

    def test_graduated(self) -> None:
        # Up to a limit and including it: 100 × 0.10 = 10. One more: 10 + 0.08. All: 10 + 900 × 0.08 + 500 × 0.05 = 107.
        for quantity, price in ((40, "4"), (100, "10"), (101, "10.08"), (1000, "82"), (1500, "107")):
            self.assertEqual(r.graduated(self.TIERS, F(quantity)), F(price), quantity)

    def test_volume(self) -> None:
        # 100 belongs to the first tier; with 101 all of it costs 0.08.
        for quantity, price in ((100, "10"), (101, "8.08"), (1000, "80"), (1001, "50.05")):
            self.assertEqual(r.volume(self.TIERS, F(quantity)), F(price), quantity)

    def test_limits_are_in_the_plans_unit(self) -> None:
        plan = Plan(
            id="p", currency="EUR", kind="tiered", fee=F(0), metric="m", unit="GB", mode="volume", tiers=self.TIERS
        )
        # 100 GB exactly, and one byte more: 100.000000001 × 0.08.
        self.assertEqual(r.usage_price(plan, F(100 * GB)), F(10))
        self.assertEqual(r.usage_price(plan, F(100 * GB + 1)), F("8.00000000008"))

    def test_rounded_once(self) -> None:
        # 1 × 0.004 + 2 × 0.002: two tiers of 0.4 cents are 0.8 cents, so 1; each rounded by itself would be none.
        tiers = ((F(1), F("0.004")), (None, F("0.002")))
        self.assertEqual(r.round_minor(r.graduated(tiers, F(3)), 2), 1)


class Months(unittest.TestCase):
    def lines(self, zone: str, at: str, month: str) -> list[str]:
        found = r.invoice(customer(zone=zone), [OPEN], [gb("k", at, 1)], month, {"p": per_unit("1")})
        return [line["amount"] for line in found["lines"]]

    def test_borders_are_local(self) -> None:
        # Auckland is 13 hours ahead in March 2025: its month begins on 28 February, 11:00 UTC.
        self.assertEqual(self.lines("Pacific/Auckland", "2025-02-28T11:00:00", "2025-03"), ["1.00"])
        self.assertEqual(self.lines("Pacific/Auckland", "2025-02-28T10:59:59.999", "2025-03"), [])
        self.assertEqual(self.lines("Pacific/Auckland", "2025-02-28T10:59:59.999", "2025-02"), ["1.00"])
        # Los Angeles: 8 hours behind as March begins, 7 as it ends.
        self.assertEqual(self.lines("America/Los_Angeles", "2025-03-01T08:00:00", "2025-03"), ["1.00"])
        self.assertEqual(self.lines("America/Los_Angeles", "2025-04-01T06:59:59.999", "2025-03"), ["1.00"])
        self.assertEqual(self.lines("America/Los_Angeles", "2025-04-01T07:00:00", "2025-03"), [])
        # Kiritimati is 14 hours ahead, Kathmandu five and three quarters.
        self.assertEqual(self.lines("Pacific/Kiritimati", "2025-06-30T10:00:00", "2025-07"), ["1.00"])
        self.assertEqual(self.lines("Asia/Kathmandu", "2025-06-30T18:14:59", "2025-06"), ["1.00"])
        self.assertEqual(self.lines("Asia/Kathmandu", "2025-06-30T18:15:00", "2025-06"), [])

    def test_a_day_that_begins_at_one_o_clock(self) -> None:
        # Santiago, 2024: the clocks skip from 24:00 of 7 September to 01:00; 04:00 UTC is the 8th's first instant.
        self.assertEqual(r.local_date(utc("2024-09-08T03:59:59.999"), "America/Santiago"), date(2024, 9, 7))
        self.assertEqual(r.local_date(utc("2024-09-08T04:00:00"), "America/Santiago"), date(2024, 9, 8))

    def test_days(self) -> None:
        self.assertEqual(
            [len(r.days_of_month(m)) for m in ("2024-02", "2025-02", "2025-06", "2025-10")], [29, 28, 30, 31]
        )
        self.assertEqual(
            r.running_days(Subscription("s", "p", date(2025, 6, 30), date(2025, 7, 1)), "2025-06"), [date(2025, 6, 30)]
        )


class Billing(unittest.TestCase):
    def test_a_plan_change_and_what_is_unbilled(self) -> None:
        plans = {
            "p": per_unit("1"),
            "q": Plan(
                id="q", currency="EUR", kind="per_unit", fee=F(31), metric="storage", unit="TB", unit_price=F(100)
            ),
        }
        subscriptions = [
            Subscription("s-2", "p", date(2025, 3, 5), date(2025, 3, 10)),
            Subscription("s", "q", date(2025, 3, 10), date(2025, 3, 20)),
        ]
        usage = [
            gb("a", "2025-03-04T22:59:59.999", 3),  # 4 March, 23:59:59.999 in Berlin: before the first
            gb("b", "2025-03-04T23:00:00", 5),  # its first instant
            gb("c", "2025-03-09T22:59:59", 7),  # its last second
            gb("d", "2025-03-09T23:00:00", 11),  # the first of the other
            gb("e", "2025-03-19T23:00:00", 13),  # after both
            gb("f", "2025-03-10T12:00:00", 17, "Ärger"),  # never subscribed to
            gb("g", "2025-03-10T12:00:00", 19, "zeal"),
        ]
        found = r.invoice(customer(), subscriptions, usage + usage[2:4], "2025-03", plans)
        # "s" before "s-2". Fee: 31 × 10 ÷ 31 = 10. Usage: 11 GB at 100 a TB = 1.10; 5 + 7 GB at 1 = 12.
        expected = [("s", "fee", "10.00"), ("s", "usage", "1.10"), ("s-2", "usage", "12.00")]
        self.assertEqual([tuple(line.values()) for line in found["lines"]], expected)
        # 3 + 13 GB; "Ä" is two bytes from C3 on, after "s" and "z".
        unbilled = [("storage", "16000000000", "B"), ("zeal", "19000000000", "B"), ("Ärger", "17000000000", "B")]
        self.assertEqual([tuple(each.values()) for each in found["unbilled"]], unbilled)
        # Net 23.10; 19 % of it is 4.389.
        self.assertEqual((found["net"], found["tax"]["amount"], found["total"]), ("23.10", "4.39", "27.49"))

    def test_a_line_of_nothing_and_no_line(self) -> None:
        # 0.001 GB at 1.00 are a tenth of a cent.
        for quantity, amounts in ((F("0.001"), ["0.00"]), (F(0), [])):
            found = r.invoice(customer(), [OPEN], [gb("k", "2025-03-10", quantity)], "2025-03", {"p": per_unit("1")})
            self.assertEqual([line["amount"] for line in found["lines"]], amounts)

    def test_a_key_with_two_records_is_a_conflict(self) -> None:
        with self.assertRaises(ValueError):
            r.distinct([gb("k", "2025-03-10", 1), gb("k", "2025-03-10", 2)])


class Vat(unittest.TestCase):
    def test_treatments(self) -> None:
        for country, vat_id, expected in (
            ("DE", None, ("standard", F(19))),
            ("DE", "DE123456789", ("standard", F(19))),
            ("GR", None, ("standard", F(24))),
            ("GR", "EL123456789", ("reverse_charge", F(0))),
            ("CH", None, ("outside_scope", F(0))),
            ("GB", "GB123456789", ("outside_scope", F(0))),
        ):
            self.assertEqual(r.vat(country, vat_id, "2025-03"), expected, country)
        self.assertEqual(r.vat("DE", "DE123456789", "2025-03", seller="AT"), ("reverse_charge", F(0)))
        with self.assertRaises(ValueError):
            r.vat("GR", "GR123456789", "2025-03")

    def test_changes_of_a_rate(self) -> None:
        for country, before, after in (
            ("EE", ("2025-06", 22), ("2025-07", 24)),
            ("FI", ("2024-08", 24), ("2024-09", "25.5")),
            ("RO", ("2025-07", 19), ("2025-08", 21)),
            ("SK", ("2024-12", 20), ("2025-01", 23)),
        ):
            for month, rate in (before, after):
                self.assertEqual(r.vat_rate(country, month), F(rate), (country, month))
        with self.assertRaises(ValueError):
            r.vat_rate("AT", "2023-12")

    def test_tax_is_rounded_from_the_sum_of_rounded_lines(self) -> None:
        # Two lines of 0.125, so 0.13 each: net 0.26, and Denmark's 25 % of it are 0.065, so 0.07. Of the exact 0.25 it
        # would be 0.0625, so 0.06; of each line 0.0325, so 0.03 twice.
        plans = {"p": per_unit("0.125"), "q": per_unit("0.125", metric="traffic")}
        usage = [gb("a", "2025-03-10", 1), gb("b", "2025-03-10", 1, "traffic")]
        found = r.invoice(customer("DK"), [OPEN, Subscription("t", "q", date(2025, 1, 1))], usage, "2025-03", plans)
        self.assertEqual((found["net"], found["tax"]["amount"], found["total"]), ("0.26", "0.07", "0.33"))

    def test_halves_of_tax(self) -> None:
        # 25.5 % of 1.00 are 25.5 cents; 19 % of 29.50 are 560.5 cents; 27 % of 150 yen are 40.5.
        for country, fee, month, tax in (("FI", "1.00", "2024-09", "0.26"), ("DE", "29.50", "2025-03", "5.61")):
            plans = {"p": Plan(id="p", currency="EUR", kind="flat", fee=F(fee))}
            self.assertEqual(r.invoice(customer(country), [OPEN], [], month, plans)["tax"]["amount"], tax)
        yen = {"p": Plan(id="p", currency="JPY", kind="flat", fee=F(150))}
        self.assertEqual(r.invoice(customer("HU", currency="JPY"), [OPEN], [], "2025-03", yen)["tax"]["amount"], "41")


if __name__ == "__main__":
    unittest.main()
