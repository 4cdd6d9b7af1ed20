"""Instants at which a month or a day of a time zone begins, ends or is interrupted: where usage is worth placing."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, timezone
from functools import cache
from zoneinfo import ZoneInfo

MILLISECOND = timedelta(milliseconds=1)


def first_instant(day: date, zone: str) -> datetime:
    """The first instant of a local date, in UTC.

    `fold=0` is right in all cases: of a midnight that comes twice it is the first, and one that is skipped takes the
    offset from before the gap, which gives the instant of the change itself.
    """
    return datetime.combine(day, time(), ZoneInfo(zone)).astimezone(timezone.utc)


def last_instant(day: date, zone: str) -> datetime:
    """The last millisecond of a local date, in UTC."""
    return first_instant(day + timedelta(days=1), zone) - MILLISECOND


def offset(at: datetime, zone: str) -> timedelta:
    """The zone's offset from UTC at an instant."""
    return at.astimezone(ZoneInfo(zone)).utcoffset()


@cache
def transitions(first: date, last: date, zone: str) -> tuple[datetime, ...]:
    """The instants between two local dates (both included) from which a new offset holds."""
    found = []
    at, end = first_instant(first, zone), last_instant(last, zone)
    while at < end:
        following = min(at + timedelta(hours=1), end)
        if offset(at, zone) != offset(following, zone):
            found.append(_change(at, following, zone))
        at = following
    return tuple(found)


def _change(before: datetime, after: datetime, zone: str) -> datetime:
    """The first second with the offset of `after`, by halving."""
    old = offset(before, zone)
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) // 2
        before, after = (middle, after) if offset(middle, zone) == old else (before, middle)
    return after.replace(microsecond=0)


def has_one_local_time(at: datetime, zone: str) -> bool:
    """Whether the instant's local time names no other instant, so that it may be written without an offset."""
    local = at.astimezone(ZoneInfo(zone))
    return local.replace(fold=0).utcoffset() == local.replace(fold=1).utcoffset()
