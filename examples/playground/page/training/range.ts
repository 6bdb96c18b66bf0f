// Where a number must lie, and how to say so.

export interface Range {
  min?: number;
  max?: number;
  /** The least number itself is left out. */
  isAbove?: boolean;
  /** The largest number itself is left out. */
  isBelow?: boolean;
  isWhole?: boolean;
}

export const whole = (min: number, max: number): Range => ({ min, max, isWhole: true });

export function isWithin(value: number, range: Range): boolean {
  const { min = -Infinity, max = Infinity, isAbove, isBelow, isWhole } = range;
  return (
    Number.isFinite(value) &&
    (isAbove ? value > min : value >= min) &&
    (isBelow ? value < max : value <= max) &&
    (!isWhole || Number.isInteger(value))
  );
}

/** "a whole number from 1 to 4,096", "a number above 0", "a number from 0 to below 1". */
export function describe({ min, max, isAbove, isBelow, isWhole }: Range): string {
  const number = isWhole ? "a whole number" : "a number";
  const text = (value: number) => value.toLocaleString("en");
  if (min === undefined) return number;
  if (isAbove) return `${number} above ${text(min)}`;
  if (max === undefined) return `${number} from ${text(min)} up`;
  if (isBelow) return `${number} from ${text(min)} to below ${text(max)}`;
  return `${number} from ${text(min)} to ${text(max)}`;
}
