import { expect, test } from "vitest";
import { reportErrors, track } from "../layers/common.ts";
import { openCore, seeded } from "../support/core.ts";
import { cosExact, ulpError } from "./oracle.ts";

reportErrors();

const { cos } = openCore("release").exports;

// What assembly/math/cos.ts states. Measured: 0.77 over half a million points.
const STATED_ULP = 0.9;

const random = seeded(141);

test.each([
  ["on [−π, π], where learning-rate schedules ask", () => Math.PI * (2 * random() - 1)],
  ["to ±2²⁰, its range", () => 2 ** 20 * (2 * random() - 1)],
  ["at all magnitudes", () => (random() - 0.5) * 2 ** (20 - 60 * random())],
  [
    "around the quarter turns, where it is 0 or ±1",
    () => (Math.round(2000 * random()) - 1000) * (Math.PI / 2) * (1 + (random() - 0.5) * 1e-9),
  ],
  [
    "around the odd eighths, where it changes from one series to the other",
    () => (Math.round(2000 * random()) - 999.5) * (Math.PI / 2) * (1 + (random() - 0.5) * 1e-9),
  ],
])("is within its bound %s", (_, draw) => {
  for (let i = 0; i < 3000; i++) {
    const x = draw();
    const error = track("cos, ULP", ulpError(cos(x), cosExact(x)));
    expect(error, `at ${x}`).toBeLessThan(STATED_ULP);
  }
});

test("gives 1 at 0, −1 at π, and is even", () => {
  for (const [x, expected] of [
    [0, 1],
    [-0, 1],
    [Math.PI, -1],
    [2 * Math.PI, 1],
    [2 ** -600, 1],
  ] as const) {
    expect(cos(x)).toBe(expected);
  }
  for (let i = 0; i < 1000; i++) {
    const x = 100 * random();
    expect(cos(-x)).toBe(cos(x));
  }
});

test("beyond its range it is NaN, not a wrong number", () => {
  expect(Number.isNaN(cos(2 ** 20))).toBe(false);
  for (const x of [2 ** 20 + 1, 1e300, Infinity, -Infinity, NaN]) expect(cos(x)).toBe(NaN);
});
