"""What accounts do: each scenario is about one or two rules of ../RULES.md, and every account plays one of them."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction

from builder import Builder
from clock import MILLISECOND, first_instant, last_instant
from plans import BACKUP, BYTES, COMPUTE, FAX, LICENCES, PARCELS, REQUESTS, STORAGE, SUPPORT, SURPLUS, TRAFFIC
from reference import MINOR_UNITS, round_minor, vat

GB = 10**9


def flat_only(b: Builder) -> None:
    """Nothing but a fee, whole months, the plan taken whose tax is an exact half in most of them, if one is."""

    def halves(shape: str) -> int:
        minor = b.plan(shape).fee * 10 ** MINOR_UNITS[b.currency]
        return sum(minor * rate_of(b, month) / 100 % 1 == Fraction(1, 2) for month in range(3))

    shapes = ["flat-50", "flat-75", "flat-00"]
    first = b.turn % 3
    b.subscribe("base", max(shapes[first:] + shapes[:first], key=halves), b.since_ever())


def flat_parts(b: Builder) -> None:
    """An odd fee prorated: the later half of a month, the earlier half, one day; usage that no plan covers."""
    b.subscribe("late", "flat-odd", b.half(0), b.after(0))
    b.subscribe("early", "flat-odd", b.day(1, 1), b.half(1))
    b.subscribe("1-day", "flat-odd", b.day(2, -1), b.after(2))
    for month in range(3):
        b.use(STORAGE, "B", (17 + month) * GB // 4, first_instant(b.half(month), b.zone))


def tiny_fee(b: Builder) -> None:
    """One minor unit prorated: half of it rounds up, less makes a line of nothing."""
    b.subscribe("a-half", "flat-tiny", b.half(0), b.after(0))
    b.subscribe("a0", "flat-tiny", b.day(0, -7))
    b.subscribe("a", "flat-tiny", b.day(1, 15), b.day(2, 2))
    requests = b.subscribe("aa", "requests", b.half(1))
    b.fill(requests, "requests")


def storage_by_unit(b: Builder) -> None:
    """No fee, a price per GB."""
    b.fill(b.subscribe("disk", "storage", b.since_ever()), "storage", 4)


def backup_by_unit(b: Builder) -> None:
    """No fee, a price per GiB; usage right before and after the months, which no invoice shows."""
    b.fill(b.subscribe("backup", "backup", b.since_ever()), "backup", 3)
    around(b, BACKUP, 3 * GB)


def compute_with_fee(b: Builder) -> None:
    """A fee and a price per hour, from the middle of a month; usage a moment before or after is unbilled."""
    start, end = b.half(0), b.day(2, -3)
    b.fill(b.subscribe("cpu", "compute", start, end), "compute", 4)
    b.use(COMPUTE, "s", 5400, first_instant(start, b.zone) - MILLISECOND)
    b.use(COMPUTE, "s", Fraction(1, 4), first_instant(end, b.zone))


def traffic_graduated(b: Builder) -> None:
    """Fee and graduated tiers."""
    b.fill(b.subscribe("net", "traffic", b.since_ever()), "traffic", 4)


def messages_graduated(b: Builder) -> None:
    """Graduated tiers per thousand; the first ends at exactly half a minor unit."""
    b.fill(b.subscribe("mail", "messages", b.since_ever()), "messages", 3)


def surplus_graduated(b: Builder) -> None:
    """Graduated tiers whose first costs nothing: a line of nothing. Not prorated, though they start in mid-month."""
    b.fill(b.subscribe("plus", "surplus", b.half(0)), "surplus", 3)
    b.use(SURPLUS, "B", 3 * 2**38, first_instant(b.half(0), b.zone) - MILLISECOND)


def compute_by_volume(b: Builder) -> None:
    """One price for all hours, by their number."""
    b.fill(b.subscribe("cpu", "volume-compute", b.since_ever()), "volume-compute", 4)


def storage_by_volume(b: Builder) -> None:
    """One price for all TB, with a broken first limit, and a fee that runs out in mid-month."""
    b.fill(b.subscribe("disk", "volume-storage", b.since_ever(), b.half(2)), "volume-storage", 3)


def plan_change(b: Builder) -> None:
    """From one plan of a metric to another in mid-month: usage goes to the one that runs on its day."""
    change = b.clock_change(1)
    old = b.subscribe("s-2", "storage", b.since_ever(), change)
    new = b.subscribe("s", "volume-storage", change)
    b.fill(old, "storage", 3)
    b.fill(new, "volume-storage", 3)
    b.use(STORAGE, "B", 250_000_000, first_instant(change, b.zone) - MILLISECOND)
    b.use(STORAGE, "B", 750_000_000, first_instant(change, b.zone))


def restart(b: Builder) -> None:
    """The same plan ends and starts again in one month: tiers begin anew, usage between is unbilled."""
    stop, again = b.day(0, 10), b.day(0, 20)
    b.fill(b.subscribe("net-b", "traffic", b.since_ever(), stop), "traffic", 2)
    b.fill(b.subscribe("net-a", "traffic", again, b.day(1, 2)), "traffic", 2)
    b.use(TRAFFIC, "B", 7 * GB, first_instant(stop, b.zone))
    b.use(TRAFFIC, "B", 11 * GB // 2, last_instant(again - timedelta(days=1), b.zone))
    b.use(TRAFFIC, "B", 1, last_instant(b.day(1, 2), b.zone))


def single_days(b: Builder) -> None:
    """One day of each month, that on which the clocks change if there is one; usage on both sides of its ends."""
    for month in range(3):
        day = b.clock_change(month)
        morrow = day + timedelta(days=1)
        b.fill(b.subscribe(f"d{(10, 9, 2)[month]}", "support", day, morrow), "support", 4)
        b.use(SUPPORT, "s", 90 + month, first_instant(day, b.zone) - MILLISECOND)
        b.use(SUPPORT, "s", 45, first_instant(morrow, b.zone))


def no_lines(b: Builder) -> None:
    """A subscription that ended and one that has not begun: usage in the first month is unbilled, the rest is empty."""
    before, later = b.day(0, 1), b.after(2)
    b.subscribe("was", "storage", before - timedelta(days=20), before)
    b.subscribe("will-be", "volume-storage", later)
    b.use(STORAGE, "B", Fraction(12345678901, 10), first_instant(before, b.zone))
    b.use(STORAGE, "B", 2 * GB, last_instant(b.day(0, -1), b.zone))
    around(b, STORAGE, 5 * GB)


def no_subscription(b: Builder) -> None:
    """Usage of many metrics, all unbilled, in the byte order of their names."""
    for month in range(3):
        metrics = ((PARCELS, "count"), (FAX, "count"), (STORAGE, "B"), (REQUESTS, "count"), (SURPLUS, "B"))
        for number, (metric, unit) in enumerate(metrics):
            if (number + month + b.turn) % 4:
                at = b.moments([b.day(month, 1 + b.lcg.below(28))], 1)[0]
                b.use(metric, unit, 1500 * (1 + b.lcg.below(3000)), at)
        b.use(PARCELS, "count", 2 + month, last_instant(b.day(month, -1), b.zone))


def money(b: Builder) -> None:
    """Costs passed on in the customer's currency, with one mark-up and with a falling one."""
    b.fill(b.subscribe("post", "pass-through", b.since_ever()), "pass-through", 2)
    b.fill(b.subscribe("ads", "mark-up", b.half(1)), "mark-up", 3)


def several_metrics(b: Builder) -> None:
    """Lines in the byte order of the subscriptions' ids, where `-` comes before digits and these before letters."""
    b.fill(b.subscribe("a1", "requests", b.since_ever()), "requests", 2)
    b.subscribe("a-1", "flat-75", b.since_ever())
    b.fill(b.subscribe("ab", "compute", b.since_ever(), b.half(2)), "compute", 2)
    b.fill(b.subscribe("a", "messages", b.since_ever()), "messages", 1)
    b.fill(b.subscribe("a10", "fax", b.day(1, 2)), "fax", 1)


def tax_half(b: Builder) -> None:
    """A fee and requests, as many as make the tax end in exactly half a minor unit, if the rate allows that."""
    b.subscribe("base", "flat-50", b.since_ever())
    requests = b.subscribe("calls", "requests", b.since_ever())
    fee = round_minor(b.plan("flat-50").fee, MINOR_UNITS[b.currency])
    for number, month in enumerate(b.months):
        rate = rate_of(b, number)
        start = 300 + 37 * b.turn + 11 * number
        wanted = next((n for n in range(start, start + 200) if (fee + n) * rate / 100 % 1 == Fraction(1, 2)), start)
        # An odd number of requests at half a minor unit each: this line is a half too, and rounds up to what is wanted.
        b.consume(requests, month, Fraction(2 * wanted - 1), 4)


def month_edges(b: Builder) -> None:
    """Subscriptions that end and begin with a month, and usage of seconds around each border."""
    b.subscribe("gone", "compute", b.day(0, 1) - timedelta(days=31), b.day(0, 1))
    b.subscribe("whole", "compute", b.day(1, 1), b.after(1))
    for month in range(3):
        first, last = first_instant(b.day(month, 1), b.zone), last_instant(b.day(month, -1), b.zone)
        b.use(COMPUTE, "s", 3600 * (1 + 2 * month), first)
        b.use(COMPUTE, "s", Fraction(7201 + b.turn, 2), first + timedelta(seconds=2))
        b.use(COMPUTE, "s", 10_800, last)
    around(b, COMPUTE, 86_400, unit="s")


def extremes(b: Builder) -> None:
    """The largest and the smallest quantities and prices, beyond any binary floating point; zero makes no line."""
    data = b.subscribe("bytes", "bytes", b.since_ever())
    licences = b.subscribe("seats", "licences", b.half(0))
    b.subscribe("idle", "parcels", b.day(1, 1), b.day(1, 2))
    b.consume(data, b.months[0], Fraction(10**18 - 1), 1)
    b.consume(data, b.months[1], Fraction(1_234_567_890_123_456_789), 3)
    b.consume(data, b.months[2], Fraction(5 * 10**9 // 10 ** MINOR_UNITS[b.currency]) / 10 * 7, 2)
    b.consume(licences, b.months[1], Fraction(3), 1)
    b.consume(licences, b.months[2], Fraction(10**12 - 1 - b.turn), 1)
    b.use(LICENCES, "count", Fraction(1, 10**9), last_instant(b.day(0, -1), b.zone))
    b.use(BYTES, "B", 0, first_instant(b.day(0, 1), b.zone))
    b.use(PARCELS, "count", 0, first_instant(b.day(1, 1), b.zone))


def around(b: Builder, metric: str, quantity: int, unit: str = "B") -> None:
    """Usage in the moments right before and right after the account's months, which no invoice may show."""
    for month in range(3):
        before, after = b.day(month, 1) - timedelta(days=1), b.after(month)
        if before.strftime("%Y-%m") not in b.months:
            b.use(metric, unit, quantity, last_instant(before, b.zone))
        if after.strftime("%Y-%m") not in b.months:
            b.use(metric, unit, quantity, first_instant(after, b.zone))


def rate_of(b: Builder, month: int) -> Fraction:
    """The VAT rate that the customer's invoice will have."""
    customer = b.account.customer
    return vat(customer["country"], customer.get("vat_id"), b.months[month])[1]


SCENARIOS = (
    flat_only, flat_parts, tiny_fee, storage_by_unit, backup_by_unit, compute_with_fee, traffic_graduated,
    messages_graduated, surplus_graduated, compute_by_volume, storage_by_volume, plan_change, restart, single_days,
    no_lines, no_subscription, money, several_metrics, tax_half, month_edges, extremes,
)  # fmt: skip
