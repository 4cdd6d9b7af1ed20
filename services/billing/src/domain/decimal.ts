import { Big } from "big.js";

// Sums, differences and products of big.js are exact; only a division rounds, and there is one way to do it: `divide`.
// Strictness refuses numbers: a binary fraction must not become money by accident.
Big.strict = true;

export { Big };
export const ZERO = new Big("0");
export const ONE = new Big("1");

const byDecimals = new Map<number, typeof Big>();

/** `dividend ÷ divisor`, rounded once, half away from zero, to `decimals` places. */
export function divide(dividend: Big, divisor: Big, decimals: number): Big {
  let rounding = byDecimals.get(decimals);
  if (rounding === undefined) {
    rounding = Big();
    rounding.strict = true;
    rounding.DP = decimals;
    rounding.RM = Big.roundHalfUp;
    byDecimals.set(decimals, rounding);
  }
  return new rounding(dividend.toFixed()).div(divisor.toFixed());
}

/** Without needless zeros and never in exponent form. */
export const plain = (value: Big): string => value.toFixed();

export const sum = (values: Iterable<Big>): Big => {
  let total = ZERO;
  for (const value of values) total = total.plus(value);
  return total;
};

/** Digits after the point. */
export const decimalsOf = (value: Big): number => Math.max(0, value.c.length - 1 - value.e);

/** Digits before the point. */
export const wholeDigitsOf = (value: Big): number => Math.max(1, value.e + 1);
