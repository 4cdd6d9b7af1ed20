import { currencyOf } from "./currency.js";
import { Big } from "./decimal.js";

export type NumberFormat = "point" | "comma";

export type Quantity = { readonly value: Big; readonly currency: string | undefined } | { readonly refused: string };

const SHAPE = /^(?<before>[^\d\s.,'’+-]*)\s*(?<number>\d[\d\s.,'’]*?)\s*(?<after>[^\d\s.,'’]*)$/u;

/** A number as people write it. What may mean two numbers is refused: money is not guessed. */
export function quantityOf(text: string, format: NumberFormat | undefined): Quantity {
  // Full-width signs are ASCII ones. Not by NFKC: that makes `10²` the number 102.
  const narrow = text.replace(/[\uff01-\uff5e]/g, (sign) => String.fromCharCode(sign.charCodeAt(0) - 0xfee0));
  const parts = SHAPE.exec(narrow.trim())?.groups;
  if (parts === undefined) return { refused: "is not a number that is zero or more" };
  const { before = "", number = "", after = "" } = parts;
  if (before !== "" && after !== "") return { refused: "has something on both sides of the number" };
  const mark = before + after;
  const currency = mark === "" ? undefined : currencyOf(mark);
  if (mark !== "" && currency === undefined) {
    return { refused: `has \`${mark}\`, which is not one currency's code or symbol` };
  }
  const digits = plainDigits(number, format);
  return "refused" in digits ? digits : { value: new Big(digits.plain), currency };
}

type Digits = { readonly plain: string } | { readonly refused: string };

/** Digits and a point, from digits with grouping and either decimal sign. */
function plainDigits(number: string, format: NumberFormat | undefined): Digits {
  const sign = decimalSign(number, format);
  if (sign === "ambiguous") {
    return { refused: "may have a decimal comma or a grouping one: say number_format, or write a point" };
  }
  const at = sign === undefined ? -1 : number.lastIndexOf(sign);
  const whole = at < 0 ? number : number.slice(0, at);
  const fraction = at < 0 ? undefined : number.slice(at + 1);
  // One kind of grouping sign, in threes; the decimal sign is not one.
  const grouped = /^[1-9]\d{0,2}(?:(?<group>[\s.,'’])\d{3})(?:\k<group>\d{3})*$/.exec(whole);
  const well = /^\d+$/.test(whole) || (grouped !== null && grouped.groups?.group !== sign);
  if (!well || (fraction !== undefined && !/^\d+$/.test(fraction))) return { refused: "is not a well-formed number" };
  const integer = whole.replace(/\D/g, "");
  return { plain: fraction === undefined ? integer : `${integer}.${fraction}` };
}

function decimalSign(number: string, format: NumberFormat | undefined): "." | "," | undefined | "ambiguous" {
  if (format !== undefined) {
    const sign = format === "point" ? "." : ",";
    return number.includes(sign) ? sign : undefined;
  }
  const points = number.split(".").length - 1;
  const commas = number.split(",").length - 1;
  if (points > 0 && commas > 0) return number.lastIndexOf(".") > number.lastIndexOf(",") ? "." : ",";
  if (points > 0) return points === 1 ? "." : undefined;
  if (commas !== 1) return undefined;
  // `1,234` is the one shape with two readings; a zero in front or another grouping sign leaves one.
  return /^[1-9]\d{0,2},\d{3}$/.test(number) ? "ambiguous" : ",";
}
