// What the tests of the optimizers share: a kernel against its twin at all lengths and addresses,
// and against PyTorch.

import { describe, expect, test } from "vitest";
import { configurations, offsets, sizes, track } from "../layers/common.ts";
import { type DType, dtypes, type Exports, openCore, seeded } from "../support/core.ts";
import { golden } from "../support/golden.ts";
import { deviation, type Numbers } from "../support/reference.ts";

type Kernels = Record<string, (...args: number[]) => void>;

export interface Optimizer {
  /** As in the kernel's name. */
  name: string;
  /** How many arrays of its own it keeps. */
  states: 0 | 1 | 2;
  /** Which of these sums up squares. */
  squares?: number;
  /** The numbers after n, at step t = 1, 2, … */
  numbers(t: number): number[];
  /** The new w and states, as the formula is written, in float64. */
  twin(w: number, states: number[], dw: number, t: number): { w: number; states: number[] };
  /** PyTorch's run, and the numbers that its options are. */
  golden?: { run: string; numbers(options: Record<string, number>, t: number): number[] };
}

export function testOptimizer(optimizer: Optimizer): void {
  const { name, states, squares, numbers, twin } = optimizer;
  const kernelOf = (exports: unknown, { suffix }: DType) =>
    (exports as Exports & Kernels)[`${name}_${suffix}`]!;

  describe.each(configurations)(`${name} in $dtype, $build core`, ({ core, type }) => {
    const { array, epsilon, dtype } = type;

    test("is the plain twin at every length and address, in place, and writes no other byte", () => {
      const random = seeded(111);
      const kernel = kernelOf(core.exports, type);
      const places = [
        ...offsets.map((offset) => () => ({ offset })),
        ...["w", "dw", "state 0", "state 1"].map((last) => (name: string) => ({
          last: name === last,
        })),
      ];
      for (const n of sizes) {
        for (const [k, place] of places.entries()) {
          core.reset();
          // A state of squares is not below 0.
          const draw = (least: number) => array.from({ length: n }, () => least + 2 * random());
          const [w, dw] = [draw(-1), draw(-1)];
          const own = Array.from({ length: states }, () => draw(name.startsWith("sgd") ? -1 : 0));
          const t = 1 + k * 100;
          const wAt = core.inout(w, place("w"));
          const ownAt = own.map((state, i) => core.inout(state, place(`state ${i}`)));
          const dwAt = core.input(dw, place("dw")).address;
          kernel(wAt.address, ...ownAt.map((each) => each.address), dwAt, n, ...numbers(t));
          core.checkGuards();
          for (let i = 0; i < n; i++) {
            const mine = own.map((state) => state[i]!);
            const expected = twin(w[i]!, mine, dw[i]!, t);
            // Values up to 2, and a handful of roundings.
            const error = Math.abs(wAt.values()[i]! - expected.w) / epsilon;
            expect(track(`${name} ${dtype}: w, ε`, error)).toBeLessThan(4);
            for (const [j, state] of expected.states.entries()) {
              expect(Math.abs(ownAt[j]!.values()[i]! - state)).toBeLessThan(4 * epsilon);
            }
          }
        }
      }
    });

    if (squares !== undefined) {
      test("a square below the normal range is 0: processors take a hundred times longer over it, in every step", () => {
        core.reset();
        const least = dtype === "float32" ? 1e-17 : 1e-152;
        const gradients = array.from([0.99, -0.99, 1.01, -1.01, 1e-5].map((each) => each * least));
        const w = core.inout(array.from(Array(5).fill(1)));
        const own = Array.from({ length: states }, () => core.inout(array.from(Array(5).fill(0))));
        const addresses = own.map((each) => each.address);
        const dw = core.input(gradients).address;
        kernelOf(core.exports, type)(w.address, ...addresses, dw, 5, ...numbers(1));
        const summed = own[squares]!.values();
        const expected = twin(1, Array(states).fill(0), gradients[2]!, 1).states[squares]!;
        expect(Array.from(summed, (square) => square > 0)).toEqual([
          false,
          false,
          true,
          true,
          false,
        ]);
        expect(Math.abs(summed[2]! / expected - 1)).toBeLessThan(4 * epsilon);
        expect(summed[3]).toBe(summed[2]);
        for (const [j, state] of own.entries()) {
          // What else it keeps is that of any gradient.
          if (j !== squares) for (const value of state.values()) expect(value).not.toBe(0);
        }
      });
    }

    test("a NaN or an infinity in a gradient stays in its own element", () => {
      core.reset();
      const w = core.inout(array.from(Array(9).fill(1)));
      const own = Array.from({ length: states }, () => core.inout(array.from(Array(9).fill(0))));
      const dw = core.input(array.of(1, 1, NaN, 1, Infinity, 1, 1, 1, 1));
      const addresses = own.map((each) => each.address);
      kernelOf(core.exports, type)(w.address, ...addresses, dw.address, 9, ...numbers(1));
      const after = Array.from(w.values());
      for (const values of [after, ...own.map((each) => each.values())]) {
        expect(Array.from(values, Number.isFinite)).toEqual(
          [0, 1, 2, 3, 4, 5, 6, 7, 8].map((i) => i !== 2 && i !== 4),
        );
      }
      expect(new Set(after.filter((v) => Number.isFinite(v))).size).toBe(1);
    });
  });

  test.runIf(optimizer.golden)(`${name} follows PyTorch for 200 steps`, () => {
    const { run, numbers } = optimizer.golden!;
    const { start, target, stiffness, steps, runs } = golden("optim");
    const { options, after } = runs[run]!;
    const type = dtypes[1]!;
    const core = openCore("release");
    const n = start.length;
    const w = core.inout(Float64Array.from(start));
    const own = Array.from({ length: states }, () => core.inout(new Float64Array(n)));
    const dw = core.inout(new Float64Array(n));
    const memory = () => w.values();
    for (let t = 1; t <= steps; t++) {
      const at: Numbers = memory();
      dw.set(Float64Array.from(stiffness, (s, i) => s * (at[i]! - target[i]!)));
      const addresses = own.map((each) => each.address);
      kernelOf(core.exports, type)(w.address, ...addresses, dw.address, n, ...numbers(options, t));
      if (!after[t]) continue;
      // Roundings alone: 200 steps of a few units each.
      const error = track(`${name} against PyTorch, step ${t}`, deviation(w.values(), after[t]!));
      expect(error).toBeLessThan(1e-13);
    }
  });
}
