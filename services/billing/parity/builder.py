"""Puts together one account: its subscriptions, its usage in canonical form, and the same as a client sends it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from fractions import Fraction

from clock import first_instant, last_instant, transitions
from lcg import Lcg
from notation import render
from plans import plan_id
from reference import MINOR_UNITS, Plan, Subscription, Usage, canonical_unit, days_of_month, factor, running_days

SMALLEST = Fraction(1, 10**9)

# How much of a plan's unit costs an odd number of half minor units; so does any odd multiple of it.
HALF_STEP = {"storage": 5, "requests": 1, "compute": 1, "support": 2, "backup": 2, "fax": 1, "parcels": 1}


@dataclass
class Account:
    """One line of `accounts.jsonl`; `usage` is what the reference reads, `rendered` what the file holds."""

    customer: dict[str, str]
    months: Sequence[str]
    subscriptions: list[Subscription] = field(default_factory=list)
    usage: list[Usage] = field(default_factory=list)
    rendered: list[dict[str, str]] = field(default_factory=list)

    def document(self) -> dict:
        """The account in the shape that the service's API takes."""
        subscriptions = [
            {"id": each.id, "plan": each.plan, "from": each.start.isoformat()}
            | ({"until": each.end.isoformat()} if each.end is not None else {})
            for each in self.subscriptions
        ]
        return {
            "customer": self.customer,
            "subscriptions": subscriptions,
            "usage": self.rendered,
            "months": list(self.months),
        }


class Builder:
    """What a scenario works with. `turn` numbers the accounts of one scenario, so that they differ from each other."""

    def __init__(
        self, customer: dict[str, str], months: Sequence[str], turn: int, seed: int, catalogue: Mapping[str, dict]
    ) -> None:
        self.account = Account(customer, months)
        self.months, self.turn = months, turn
        self.currency, self.zone = customer["currency"], customer["time_zone"]
        self.lcg = Lcg(seed)
        self._catalogue = catalogue

    # Days

    def day(self, month: int, number: int) -> date:
        """A day of the account's first, second or third month (0 to 2): 1 is its first, -1 its last."""
        days = days_of_month(self.months[month])
        return days[number - 1 if number > 0 else number]

    def half(self, month: int) -> date:
        """The day that leaves half of the month after it, or half a day less than that."""
        days = days_of_month(self.months[month])
        return days[(len(days) + 1) // 2]

    def after(self, month: int) -> date:
        """The first day after the month."""
        return self.day(month, -1) + timedelta(days=1)

    def clock_change(self, month: int) -> date:
        """The local day on which the zone's clocks change in the month; some other day of it if they do not."""
        change = transitions(self.day(month, 1), self.day(month, -1), self.zone)
        if not change:
            return self.day(month, 1 + self.lcg.below(28))
        midnights = [day for day in days_of_month(self.months[month]) if first_instant(day, self.zone) <= change[0]]
        return midnights[-1]

    # Subscriptions

    def plan(self, shape: str) -> Plan:
        """The shape's plan in the customer's currency."""
        return Plan.of(self._catalogue[plan_id(shape, self.currency)])

    def subscribe(self, identifier: str, shape: str, start: date, end: date | None = None) -> Subscription:
        """A subscription to the shape's plan."""
        subscription = Subscription(identifier, plan_id(shape, self.currency), start, end)
        self.account.subscriptions.append(subscription)
        return subscription

    def since_ever(self) -> date:
        """A day before all of the account's months, the middle of one, or the first day of the first of them."""
        return (date(2023, 11, 15), date(2024, 1, 31), self.day(0, 1))[self.turn % 3]

    # Usage

    def fill(self, subscription: Subscription, shape: str, parts: int = 3) -> None:
        """Usage in each month in which the subscription runs: quantities where prices, tiers or roundings turn."""
        for number, month in enumerate(self.months):
            if running_days(subscription, month):
                self.consume(subscription, month, self.telling_quantity(shape, self.turn * 3 + number), parts)

    def telling_quantity(self, shape: str, turn: int) -> Fraction:
        """A quantity in the plan's unit: exact halves, tier limits and their neighbours, and none of these."""
        plan = self.plan(shape)
        least = self._least(plan)
        odd = 2 * self.lcg.below(400) + 1
        if plan.tiers:
            limits = [limit for limit, _ in plan.tiers if limit is not None]
            first, last = limits[0], limits[-1]
            choices = (
                first,
                last,
                last + odd,
                first + least,
                last - least,
                first + 1,
                last + 2 * odd,
                last + least,
                first / 2,
            )
        else:
            step = HALF_STEP.get(shape) or Fraction(10, 10 ** MINOR_UNITS[plan.currency])
            choices = (step * odd, step * (odd + 800), Fraction(odd * 7919, 1000), least, step * 3, Fraction(odd, 4))
        quantity = Fraction(choices[turn % len(choices)])
        return -(-quantity // least) * least

    def _least(self, plan: Plan) -> Fraction:
        """The smallest step of a quantity, in the plan's unit: a byte, a request, 1 s (for hours 3.6), a minor unit."""
        if plan.unit in MINOR_UNITS:
            return Fraction(1, 10 ** MINOR_UNITS[plan.unit])
        return Fraction(1, 1000) if plan.unit == "h" else 1 / factor(plan.unit)

    def consume(self, subscription: Subscription, month: str, quantity: Fraction, parts: int = 3) -> None:
        """Spreads `quantity` (plan's units) over the days on which the subscription runs."""
        plan = Plan.of(self._catalogue[subscription.plan])
        whole = factor(plan.unit) if plan.unit.endswith("iB") and quantity.denominator == 1 else None
        shares = self.split(quantity * factor(plan.unit), parts, whole)
        moments = self.moments(running_days(subscription, month), len(shares))
        for share, at in zip(shares, moments, strict=True):
            self.use(plan.metric, canonical_unit(plan.unit), share, at)

    def split(self, total: Fraction, parts: int, grain: Fraction | None = None) -> list[Fraction]:
        """`total` in at most so many positive multiples of `grain`; without one, in decimals as round as the total."""
        shares: list[Fraction] = []
        if grain is None:
            grain = self._grain(total)
        for left in range(parts, 1, -1):
            share = total * (8 + self.lcg.below(9)) / (12 * left) // grain * grain
            if 0 < share < total:
                shares.append(share)
                total -= share
        return [*shares, total]

    def _grain(self, total: Fraction) -> Fraction:
        """A power of ten that divides the total, of which it has at least 500 where there is one."""
        grain = Fraction(1) if total.denominator == 1 else SMALLEST
        while grain * 10 * 500 <= total and (total / (grain * 10)).denominator == 1:
            grain *= 10
        return grain

    def moments(self, days: Sequence[date], count: int) -> list[datetime]:
        """Instants on the days: the first, the last, those on both sides of a change of the clocks, and any."""
        edges = [first_instant(days[0], self.zone), last_instant(days[-1], self.zone)]
        if self.lcg.below(3) == 0:  # a second inside rather than right at the border
            edges = [edges[0] + timedelta(seconds=1), edges[1].replace(microsecond=0)]
        for change in transitions(days[0], days[-1], self.zone):
            edges[1:1] = [change - timedelta(minutes=10), change + timedelta(minutes=10)]
        while len(edges) < count:
            day = self.lcg.pick(days)
            within = timedelta(seconds=3600 + self.lcg.below(20 * 3600), milliseconds=250 * self.lcg.below(4))
            edges.append(first_instant(day, self.zone) + within)
        return edges[:count] if self.lcg.below(4) else edges[-count:]

    def use(self, metric: str, unit: str, quantity: Fraction | int, at: datetime) -> None:
        """One record (canonical unit); now and then it comes once more, in another notation, at the account's end."""
        number = len(self.account.usage) + 1
        key = f"clé-{number:02d}" if number % 5 == 0 else f"k{number:02d}"
        record = Usage(key, metric, Fraction(quantity), unit, at)
        self.account.usage.append(record)
        self.account.rendered.append(render(record, self.zone, self.lcg))

    def repeat_some(self) -> None:
        """Every ninth record a second time, written otherwise; canonically the same, so that it must not count."""
        for number in range(self.turn % 9, len(self.account.usage), 9):
            record, first = self.account.usage[number], self.account.rendered[number]
            again = render(record, self.zone, self.lcg)
            while again["quantity"] == first["quantity"] and again["at"] == first["at"]:
                again = render(record, self.zone, self.lcg)
            self.account.usage.append(record)
            self.account.rendered.append(again)
