// The predictor's operations, called raw: each against the layer that it stands for, in memory of
// its own.

import { describe, expect, test } from "vitest";
import { kinds, OperationWords } from "../src/runtime/abi.ts";
import {
  builds,
  type DType,
  dtypes,
  type Floats,
  openCore,
  seeded,
  type TestCore,
} from "./support/core.ts";
import { affineForward, type Numbers } from "./support/reference.ts";

const configurations = builds.flatMap((build) =>
  dtypes.map((type) => ({ build, dtype: type.dtype, type, core: openCore(build) })),
);

interface Step {
  kind: number;
  out: number;
  x: number;
  a?: number;
  b?: number;
  c?: number;
  work?: number;
  D: number;
  M?: number;
  value?: number;
}

/** The steps as the core reads them. */
function operations(core: TestCore, steps: Step[]): number {
  const size = 4 * OperationWords.length;
  const bytes = new Uint8Array(size * steps.length);
  steps.forEach(({ kind, out, x, a = 0, b = 0, c = 0, work = 0, D, M = 0, value = 0 }, i) => {
    Object.assign(new Uint32Array(bytes.buffer, size * i), {
      [OperationWords.kind]: kind,
      [OperationWords.out]: out,
      [OperationWords.x]: x,
      [OperationWords.a]: a,
      [OperationWords.b]: b,
      [OperationWords.c]: c,
      [OperationWords.work]: work,
      [OperationWords.D]: D,
      [OperationWords.M]: M,
    });
    // A product's second number is its upper bound, of which no other kind here has one.
    const numbers = new Float64Array(bytes.buffer, size * i + 4 * OperationWords.value0, 2);
    numbers.set([value, Infinity]);
  });
  return core.input(bytes, { name: "operations" }).address;
}

function draw({ array }: DType, n: number, random: () => number): Floats {
  return array.from({ length: n }, () => 2 * random() - 1);
}

describe.each(configurations)("the predictor in $dtype, $build core", ({ core, type }) => {
  const { array, suffix, epsilon } = type;
  const { exports } = core;

  /** max(x · w + b, floor) by packed weights, and by the layer's own kernel. */
  function products(N: number, D: number, M: number, floor: number, random: () => number) {
    core.reset();
    const [x, w, b] = [draw(type, N * D, random), draw(type, D * M, random), draw(type, M, random)];
    const at = {
      x: core.input(x).address,
      w: core.input(w).address,
      b: core.input(b, { offset: type.bytes }).address,
    };
    const panels = core.output(array, D * M, { name: "panels" });
    const out = core.output(array, N * M, { name: "out" });
    const step: Step = {
      kind: kinds.affine,
      out: out.address,
      x: at.x,
      a: panels.address,
      b: at.b,
      D,
      M,
    };
    const unpacked = operations(core, [step]);
    expect(exports[`predict_pack_bytes_${suffix}`](unpacked)).toBe(D * M * type.bytes);
    exports[`predict_pack_${suffix}`](unpacked, at.w);
    expect(panels.values().toSorted()).toEqual(w.toSorted());
    const work = core.work(exports[`predict_work_bytes_${suffix}`](unpacked, N));
    exports[`predict_${suffix}`](
      operations(core, [{ ...step, work: work.address, value: floor }]),
      1,
      N,
    );
    const plain = core.output(array, N * M, { name: "plain" });
    const plainWork = core.work(exports[`affine_forward_work_bytes_${suffix}`](N, D, M));
    const kernel = floor === 0 ? "affine_relu_forward" : "affine_forward";
    exports[`${kernel}_${suffix}` as const](
      ...([plain.address, at.x, at.w, at.b, plainWork.address, N, D, M] as const),
    );
    core.checkGuards();
    return { x, w, b, out: out.values(), plain: plain.values() };
  }

  test("a product with packed weights has the bits of the layer's, and the plain sum", () => {
    const random = seeded(81);
    for (const N of [0, 1, 2, 3, 4, 5, 17, 131]) {
      for (const M of [1, 3, 4, 8, 10, 16, 31, 32, 33, 64, 75]) {
        for (const D of [0, 1, 3, 4, 5, 17, 256, 259, 515]) {
          if (N * M * D > 131 * 33 * 259) continue;
          const { x, w, b, out, plain } = products(N, D, M, -Infinity, random);
          expect(out).toEqual(plain);
          const expected = affineForward(x as Numbers, w as Numbers, b as Numbers, [N, D, M]);
          // D products of numbers below 1, summed from zero in blocks of 256.
          const bound = (Math.min(D, 256) + 4) * epsilon * (Math.sqrt(D) + 2);
          out.forEach((value, i) => {
            if (!(Math.abs(value - expected[i]!) <= bound)) {
              expect.fail(`(${N}, ${D}) · (${D}, ${M}): [${i}] is ${value}, not ${expected[i]}`);
            }
          });
        }
      }
    }
  });

  test.each([1, 3, 5])(
    "a product with packed weights has these bits where sums are long, of %i",
    (N) => {
      for (const [D, M] of [
        [16390, 33],
        [16449, 3],
      ] as const) {
        const { out, plain } = products(N, D, M, 0, seeded(84));
        expect(out).toEqual(plain);
      }
    },
  );

  test("panels go on behind the columns that a block of the product takes at once", () => {
    for (const N of [1, 5, 130]) {
      const { out, plain } = products(N, 7, 1063, 0, seeded(82));
      expect(out).toEqual(plain);
    }
  });

  test("a floor of 0 is ReLU, whatever stays below it", () => {
    // Of one block of K, and of three, of which the last alone is cut.
    for (const [N, D] of [1, 3, 4, 6].flatMap((N) => [9, 515].map((D) => [N, D] as const))) {
      const { out, plain } = products(N, D, 45, 0, seeded(83));
      expect(out).toEqual(plain);
      expect(out.some((value) => value === 0)).toBe(true);
    }
  });

  test("an affine operation without a bias adds nothing", () => {
    core.reset();
    const [x, panels] = [core.input(array.of(1, 2)), core.input(array.of(3, 5))];
    const out = core.output(array, 1);
    const step = {
      ...{ kind: kinds.affine, out: out.address, x: x.address, a: panels.address },
      ...{ D: 2, M: 1, value: -Infinity },
    };
    const bytes = exports[`predict_work_bytes_${suffix}`](operations(core, [step]), 1);
    const work = core.work(bytes).address;
    exports[`predict_${suffix}`](operations(core, [{ ...step, work }]), 1, 1);
    core.checkGuards();
    expect(out.values()).toEqual(array.of(13));
  });

  test("operations run one after the other, and each other kind is its layer", () => {
    core.reset();
    const [N, D] = [3, 9];
    const random = seeded(84);
    const x = draw(type, N * D, random);
    const constants = [1, 2, 3].map(() => array.from({ length: D }, () => random() + 0.5));
    const [a, b, c] = constants.map((values) => core.input(values).address);
    const at = core.input(x).address;
    const outs = Array.from({ length: 9 }, () => core.output(array, N * D));
    const to = (i: number) => outs[i]!.address;
    const steps: Step[] = [
      { kind: kinds.batchnorm, out: to(0), x: at, a: a!, b: b!, c: c!, D, M: D },
      { kind: kinds.normalize, out: to(1), x: to(0), a: a!, b: b!, D },
      { kind: kinds.relu, out: to(2), x: to(1), D },
      { kind: kinds.gelu, out: to(3), x: to(1), D },
      { kind: kinds.leakyRelu, out: to(4), x: to(1), D, value: 0.25 },
      { kind: kinds.sigmoid, out: to(5), x: to(1), D },
      { kind: kinds.tanh, out: to(6), x: to(1), D },
      { kind: kinds.softmax, out: to(7), x: to(1), D, M: D, value: 1 },
      { kind: kinds.softmax, out: to(8), x: to(1), D, M: 3, value: 1 },
    ];
    exports[`predict_${suffix}`](operations(core, steps), steps.length, N);
    core.checkGuards();
    const near = (out: Floats, f: (i: number) => number) => {
      out.forEach((value, i) => {
        // A few roundings of numbers up to 5.
        expect(Math.abs(value - f(i))).toBeLessThan(16 * epsilon);
      });
    };
    const values = outs.map((out) => out.values());
    const [normal, scaled] = [values[0]!, values[1]!];
    const column = (k: number, i: number) => constants[k]![i % D]!;
    near(normal, (i) => (x[i]! - column(0, i)) * column(1, i) + column(2, i));
    near(scaled, (i) => (normal[i]! - column(0, i)) / column(1, i));
    near(values[2]!, (i) => Math.max(0, scaled[i]!));
    near(values[4]!, (i) => (scaled[i]! > 0 ? scaled[i]! : 0.25 * scaled[i]!));
    near(values[5]!, (i) => 1 / (1 + Math.exp(-scaled[i]!)));
    near(values[6]!, (i) => Math.tanh(scaled[i]!));
    // Over all of an example, and over a last axis that is a part of it.
    for (const [out, M] of [
      [values[7]!, D],
      [values[8]!, 3],
    ] as const) {
      const row = (i: number) => Array.from(scaled).slice(i - (i % M), i - (i % M) + M);
      near(out, (i) => {
        const sum = row(i).reduce((total, v) => total + Math.exp(v), 0);
        return Math.exp(scaled[i]!) / sum;
      });
    }
    const gelu = core.output(array, N * D);
    const input = core.input(scaled);
    exports[`gelu_forward_${suffix}`](gelu.address, input.address, N * D, 0);
    expect(values[3]).toEqual(gelu.values());
  });
});
