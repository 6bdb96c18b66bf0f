// Numbers as people read them.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

export const count = (value: number): string => whole.format(value);

export const percent = (share: number, digits = 1): string =>
  Number.isFinite(share) ? `${(100 * share).toFixed(digits)} %` : "–";

/** Three places that count; powers of ten where there would be many zeros. */
export function short(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  const size = Math.abs(value);
  const rounded = Number(value.toPrecision(3));
  const isPlain = size === 0 || (size >= 1e-3 && size < 1e5);
  const text =
    size === Infinity
      ? `${value < 0 ? "-" : ""}∞`
      : isPlain
        ? `${rounded}`
        : rounded.toExponential(size < 1e-3 ? 1 : undefined).replace("e+", "e");
  return text.replaceAll("-", "−");
}

const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 2 });

/** Whole numbers along an axis: 500, 12K, 1.25M. */
export const brief = (value: number): string => compact.format(value);
