import { currencyOf } from "./currency.js";
import { Big, ONE } from "./decimal.js";

export interface Unit {
  /** The unit that usage of this dimension is stored in: `B`, `s`, `count`, or a currency's code. */
  readonly canonical: string;
  /** One of this unit in canonical ones. */
  readonly factor: Big;
}

const UNITS: Readonly<Record<string, string>> = {
  B: "B 1, kB 1000, MB 1000000, GB 1000000000, TB 1000000000000, KiB 1024, MiB 1048576, GiB 1073741824, TiB 1099511627776",
  s: "ms 0.001, s 1, min 60, h 3600, d 86400",
  count: "count 1, thousand 1000, million 1000000",
};
const LONG_NAMES = { byte: "B", millisecond: "ms", second: "s", minute: "min", hour: "h", day: "d", request: "count" };

const BY_NAME = new Map<string, Unit>();
for (const [canonical, units] of Object.entries(UNITS)) {
  for (const [name = "", factor = ""] of units.split(", ").map((entry) => entry.split(" "))) {
    const unit = { canonical, factor: new Big(factor) };
    const spellings = [name, name.toLowerCase(), name.toUpperCase()];
    const long = Object.entries(LONG_NAMES).flatMap(([word, short]) => (short === name ? [word, `${word}s`] : []));
    // Bits are never meant: `Mb` is neither the name nor all of one case, and a single `b` is left out.
    for (const spelling of [...spellings, ...long]) if (spelling !== "b") BY_NAME.set(spelling, unit);
  }
}

/** The unit that a name means, or nothing where it means none or several. */
export function unitOf(text: string): Unit | undefined {
  const name = text.normalize("NFKC").trim();
  const known = BY_NAME.get(name);
  if (known !== undefined) return known;
  const currency = currencyOf(name);
  return currency === undefined ? undefined : { canonical: currency, factor: ONE };
}
