// @ts-check
import Table from "cli-table3";

/**
 * @param {string} title
 * @param {string[]} head
 * @param {string[][]} rows The first column to the left, the others to the right
 */
export function printTable(title, head, rows) {
  const table = new Table({
    head,
    colAligns: head.map((_, i) => (i === 0 ? "left" : "right")),
    style: { head: [], border: [], compact: true },
  });
  table.push(...rows);
  console.log(`\n${title}\n${table.toString()}`);
}

/**
 * Three significant digits.
 *
 * @param {number | undefined} value
 */
export function digits(value) {
  if (value === undefined) return "–";
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** @param {number | undefined} seconds */
export function duration(seconds) {
  if (seconds === undefined) return "–";
  if (seconds >= 1e-3) return `${digits(seconds * 1e3)} ms`;
  return seconds >= 1e-6 ? `${digits(seconds * 1e6)} µs` : `${digits(seconds * 1e9)} ns`;
}

/**
 * The median, and the quartiles behind it.
 *
 * @param {import("./measure.js").Spread | undefined} spread
 */
export function spread(spread) {
  if (!spread) return "–";
  return `${digits(spread.median)} (${digits(spread.low)}–${digits(spread.high)})`;
}
