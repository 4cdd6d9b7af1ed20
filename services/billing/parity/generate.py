#!/usr/bin/env python3
"""Writes `plans.json`, `accounts.jsonl` and `expected.jsonl` next to itself; `--check` writes nothing and compares.

The files are the same byte for byte wherever this runs: nothing in them depends on the machine but the time zone
database (the system's or the package `tzdata`), of which they use no rule that has changed since 2024.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from fractions import Fraction
from itertools import takewhile
from pathlib import Path

from accounts import accounts
from builder import Account
from plans import catalogue
from reference import MINOR_UNITS, Plan, invoice, lines, month_usage, vat

HERE = Path(__file__).resolve().parent


def compact(value: object) -> str:
    """JSON on one line, its text as it is (`ensure_ascii` would hide the normal form of a key), in the order given."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def used_plans(all_accounts: Iterable[Account]) -> list[dict]:
    """The plans that accounts subscribe to, and one for each other metric that occurs, to give it its dimension."""
    plans = catalogue()
    subscribed = {subscription.plan for account in all_accounts for subscription in account.subscriptions}
    known = {plans[each].get("metric") for each in subscribed}
    for record in (record for account in all_accounts for record in account.usage):
        if record.metric not in known:
            subscribed.add(next(plan["id"] for plan in plans.values() if plan.get("metric") == record.metric))
            known.add(record.metric)
    return [plan for identifier, plan in plans.items() if identifier in subscribed]


def invoices(all_accounts: Iterable[Account], plans: Mapping[str, Plan]) -> list[dict]:
    """Every account's invoices, month by month."""
    return [
        invoice(account.customer, account.subscriptions, account.usage, month, plans)
        for account in all_accounts
        for month in account.months
    ]


def files() -> dict[str, str]:
    """The three files' contents by name."""
    all_accounts = accounts()
    plans = used_plans(all_accounts)
    expected = invoices(all_accounts, {plan["id"]: Plan.of(plan) for plan in plans})
    return {
        "plans.json": "[\n" + ",\n".join(compact(plan) for plan in plans) + "\n]\n",
        "accounts.jsonl": "".join(compact(account.document()) + "\n" for account in all_accounts),
        "expected.jsonl": "".join(compact(each) + "\n" for each in expected),
    }


def exact_halves(all_accounts: Iterable[Account], plans: Mapping[str, Plan]) -> dict[str, list[Fraction]]:
    """The exact lines and taxes, in minor units, that end in a half: those of "fee", "usage" and "tax"."""
    found: dict[str, list[Fraction]] = {"fee": [], "usage": [], "tax": []}
    for account in all_accounts:
        customer = account.customer
        scale = 10 ** MINOR_UNITS[customer["currency"]]
        for month in account.months:
            dated = month_usage(account.usage, month, customer["time_zone"])
            values = [(line.kind, line.exact * scale) for line in lines(account.subscriptions, dated, month, plans)]
            net = Fraction(invoice(customer, account.subscriptions, account.usage, month, plans)["net"])
            values.append(("tax", net * scale * vat(customer["country"], customer.get("vat_id"), month)[1] / 100))
            for kind, value in values:
                if value.denominator == 2:
                    found[kind].append(value)
    return found


def check(contents: Mapping[str, str]) -> int:
    """Compares with the files that are there; 1 if one is missing or differs."""
    different = []
    for name, text in contents.items():
        path = HERE / name
        if not path.exists():
            different.append(f"{name}: missing")
        elif path.read_bytes() != text.encode("utf-8"):
            there, wanted = path.read_text("utf-8").split("\n"), text.split("\n")
            same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(there, wanted, strict=False)))
            different.append(f"{name}: differs, first in line {same + 1}")
    for each in different:
        print(each, file=sys.stderr)
    if different:
        print("Run `python3 services/billing/parity/generate.py` and look at what it changes.", file=sys.stderr)
    return 1 if different else 0


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Writes the fixtures of the billing parity test.")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 if the files are not what would be written"
    )
    contents = files()
    if parser.parse_args().check:
        return check(contents)
    for name, text in contents.items():
        (HERE / name).write_bytes(text.encode("utf-8"))
        print(f"{name}: {text.count(chr(10))} lines, {len(text.encode('utf-8')) // 1000} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
