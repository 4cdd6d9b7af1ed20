import type { Terms, Tier } from "../schemas.js";
import { minorUnits } from "./currency.js";
import { Big, decimalsOf, sum, ZERO } from "./decimal.js";
import { type Unit, unitOf } from "./units.js";

export const metricOf = (terms: Terms): string | undefined => (terms.kind === "flat" ? undefined : terms.metric);

/** What is wrong with terms that have the right shape; empty if nothing is. */
export function faultsOf(terms: Terms): string[] {
  const faults: string[] = [];
  if (decimalsOf(new Big(terms.fee)) > minorUnits(terms.currency)) {
    faults.push(`fee has more decimals than ${terms.currency} has minor units`);
  }
  if (terms.kind === "flat") return faults;
  const unit = unitOf(terms.unit);
  if (unit === undefined) faults.push(`unit \`${terms.unit}\` is not one known unit`);
  else if (unit.canonical.length === 3 && unit.canonical !== terms.currency) {
    faults.push(`usage in ${unit.canonical} cannot be billed in ${terms.currency}: there is no exchange here`);
  }
  if (terms.kind === "tiered") {
    const limits = terms.tiers.slice(0, -1).map((tier) => tier.up_to);
    const rising = limits.every((limit, at) => limit !== undefined && new Big(limit).gt(limits[at - 1] ?? "0"));
    if (!rising || terms.tiers.at(-1)?.up_to !== undefined) {
      faults.push("tiers: each but the last has an up_to, and they rise");
    }
  }
  return faults;
}

/** What usage costs, exactly: the quotient's two sides, so that it is rounded once, by the caller. `used` is in canonical units. */
export function usagePrice(terms: Terms, used: Big): { dividend: Big; divisor: Big } | undefined {
  if (terms.kind === "flat") return undefined;
  const { factor } = requireUnit(terms.unit);
  if (terms.kind === "per_unit") return { dividend: used.times(terms.unit_price), divisor: factor };
  const limit = (tier: Tier | undefined) => (tier?.up_to === undefined ? undefined : factor.times(tier.up_to));
  if (terms.mode === "volume") {
    const reached = terms.tiers.find((tier) => used.lte(limit(tier) ?? used));
    return { dividend: used.times(reached?.unit_price ?? "0"), divisor: factor };
  }
  const parts = terms.tiers.map((tier, at) => {
    const from = limit(terms.tiers[at - 1]) ?? ZERO;
    const to = limit(tier) ?? used;
    const within = (to.lt(used) ? to : used).minus(from);
    return within.gt(ZERO) ? within.times(tier.unit_price) : ZERO;
  });
  return { dividend: sum(parts), divisor: factor };
}

export function requireUnit(name: string): Unit {
  const unit = unitOf(name);
  if (unit === undefined) throw new Error(`unit ${name} was let in and is not known`);
  return unit;
}
