// Numbers as people read them.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

export const count = (value: number): string => whole.format(value);

export const percent = (share: number, digits = 1): string =>
  Number.isFinite(share) ? `${(100 * share).toFixed(digits)} %` : "–";

/** Three places that count; powers of ten where there would be many zeros. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  const text = size > 0 && size < 1e-3 ? value.toExponential(1) : `${Number(value.toPrecision(3))}`;
  return text.replaceAll("-", "−");
}
