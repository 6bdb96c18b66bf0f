import { describe, expect, test } from "vitest";
import shared from "../../build/shared.js";
import {
  AliasError,
  attentionBackward,
  attentionForward,
  createRuntime,
  createRuntimeSync,
  DTypeError,
  type FloatDType,
  numericalGradient,
  RuntimeMismatchError,
  ShapeError,
  type Tensor,
} from "../../src/index.ts";
import { AttentionWords } from "../../src/runtime/abi.ts";
import { dtypes, seeded } from "../support/core.ts";
import { fromGolden, golden } from "../support/golden.ts";
import * as reference from "../support/reference.ts";
import { configurations, GRADIENT_BOUND, goldenError, offsets, values } from "./common.ts";

type Sizes = readonly [N: number, T: number, S: number, E: number, heads: number];

/** 1, around a block's 64 queries and around vectors; keys that are more, fewer and none. */
const shapes: readonly Sizes[] = [
  [1, 1, 1, 1, 1],
  [2, 1, 5, 6, 3],
  [1, 5, 1, 4, 4],
  [2, 3, 4, 5, 5],
  [1, 7, 9, 8, 2],
  [2, 9, 4, 6, 1],
  [1, 63, 17, 3, 1],
  [1, 64, 65, 10, 2],
  [1, 65, 64, 4, 2],
  [2, 67, 66, 9, 3],
  [1, 130, 131, 5, 1],
  [0, 3, 4, 2, 1],
  [2, 0, 3, 4, 2],
  [2, 3, 0, 4, 2],
  [1, 2, 3, 0, 2],
];

describe.each(configurations)("the kernels in $dtype, $build core", ({ core, type, dtype }) => {
  const { array, suffix } = type;
  const exports = core.exports as unknown as Record<string, (...given: number[]) => number>;
  const masks = ["none", "added", "boolean"] as const;

  test.each(shapes)(
    "are the plain twin and write no other byte: N %i, T %i, S %i, E %i, heads %i",
    (N, T, S, E, heads) => {
      const random = seeded(91);
      for (const causal of [false, true]) {
        for (const [m, kind] of masks.entries()) {
          const offset = offsets[m]!;
          core.reset();
          const draw = (n: number) => array.from(reference.normals(n, random));
          const [q, k, v] = [draw(N * T * E), draw(N * S * E), draw(N * S * E)];
          const dout = draw(N * T * E);
          const added = draw(N * T * S);
          const open = Int32Array.from({ length: N * T * S }, () => Number(random() < 0.7));
          const place = { offset };
          const at = (values: typeof q) => core.input(values, place).address;
          const [qAt, kAt, vAt, doutAt] = [at(q), at(k), at(v), at(dout)];
          const maskAt =
            kind === "none" ? 0 : kind === "added" ? at(added) : core.input(open).address;
          const words = new Uint32Array(AttentionWords.length);
          words.set([T, S, E, heads, Number(causal), Number(kind === "boolean"), T * S, S]);
          const window = core.input(words).address;
          const out = core.output(array, N * T * E, place);
          const saved = core.output(Float64Array, N * heads * T * 2);
          const bytes = exports[`attention_forward_work_bytes_${suffix}`]!(window);
          const work = core.work(bytes).address;
          exports[`attention_forward_${suffix}`]!(
            ...[out.address, saved.address, qAt, kAt, vAt, maskAt, window, work, N],
          );
          const [dq, dk, dv] = [
            core.output(array, N * T * E, place),
            core.output(array, N * S * E, place),
            core.output(array, N * S * E, place),
          ];
          const more = exports[`attention_backward_work_bytes_${suffix}`]!(window);
          const backWork = core.work(more).address;
          exports[`attention_backward_${suffix}`]!(
            ...[dq.address, dk.address, dv.address, doutAt, qAt, kAt, vAt, maskAt],
            ...[saved.address, window, backWork, N],
          );
          core.checkGuards();
          const mask = (n: number, i: number, j: number) => {
            const place = (n * T + i) * S + j;
            if (kind === "none") return 0;
            return kind === "added" ? added[place]! : open[place] ? 0 : -Infinity;
          };
          const given = { N, T, S, E, heads, causal, mask };
          // Sums of up to 131 products of normal numbers, of which a softmax is taken.
          const bound = dtype === "float32" ? 4e-6 : 1e-14;
          const near = (actual: ArrayLike<number>, expected: number[]) =>
            expect(reference.deviation(actual, expected, 4)).toBeLessThan(bound);
          near(out.values(), reference.attentionForward(q, k, v, given));
          const twin = reference.attentionBackward(dout, q, k, v, given);
          near(dq.values(), twin.dq);
          near(dk.values(), twin.dk);
          near(dv.values(), twin.dv);
        }
      }
    },
  );
});

describe.each(dtypes)("the calls in $dtype", ({ dtype }) => {
  const runtime = createRuntimeSync();
  const tensor = (data: ArrayLike<number>, shape: readonly number[]) =>
    runtime.tensor(Array.from(data), shape, dtype) as Tensor<FloatDType>;
  const draw = (shape: readonly number[], seed: number) => {
    const n = shape.reduce((a, b) => a * b, 1);
    return tensor(reference.normals(n, seeded(seed)), shape);
  };

  test("causal attention of all positions has the bits of one position after the other, with a cache of keys", () => {
    const [T, E, heads] = [70, 6, 2];
    const [q, k, v] = [1, 2, 3].map((seed) => draw([1, T, E], seed)) as [
      Tensor<FloatDType>,
      Tensor<FloatDType>,
      Tensor<FloatDType>,
    ];
    const whole = values(attentionForward(q, k, v, { heads, causal: true }).out);
    const steps: number[] = [];
    for (let t = 0; t < T; t++) {
      const first = ({ data }: Tensor<FloatDType>) =>
        tensor(data.slice(0, (t + 1) * E), [1, t + 1, E]);
      const query = tensor(q.data.slice(t * E, (t + 1) * E), [1, 1, E]);
      steps.push(
        ...values(attentionForward(query, first(k), first(v), { heads, causal: true }).out),
      );
    }
    expect(steps).toEqual(whole);
  });

  test("a mask of each shape is the mask that is written out whole, added or boolean", () => {
    const [N, T, S, E, heads] = [2, 3, 5, 4, 2];
    const [q, k, v] = [draw([N, T, E], 1), draw([N, S, E], 2), draw([N, S, E], 3)];
    const dout = draw([N, T, E], 4);
    const run = (mask: Tensor<FloatDType> | Tensor<"int32">) => {
      const { out, cache } = attentionForward(q, k, v, { heads, mask });
      const { dq, dk, dv } = attentionBackward(dout, cache);
      return [out, dq, dk, dv].map(values);
    };
    for (const shape of [
      [T, S],
      [N, 1, S],
      [N, T, S],
    ]) {
      const size = shape.reduce((a, b) => a * b, 1);
      const open = Array.from({ length: size }, (_, i) => Number((i * 7) % 3 > 0));
      const place = (n: number, i: number, j: number) =>
        shape.length === 2 ? i * S + j : (n * shape[1]! + (shape[1] === 1 ? 0 : i)) * S + j;
      const whole: number[] = [];
      for (let n = 0; n < N; n++) {
        for (let i = 0; i < T; i++) for (let j = 0; j < S; j++) whole.push(open[place(n, i, j)]!);
      }
      const closed = (values: number[]) => values.map((value) => (value ? 0 : -Infinity));
      const expected = run(runtime.tensor(whole, [N, T, S], "int32"));
      expect(run(runtime.tensor(open, shape, "int32"))).toEqual(expected);
      expect(run(tensor(closed(open), shape))).toEqual(expected);
      expect(run(tensor(closed(whole), [N, T, S]))).toEqual(expected);
    }
  });

  test("a query that no key serves gives 0, and so are its gradients", () => {
    const [q, k, v] = [draw([1, 4, 2], 1), draw([1, 2, 2], 2), draw([1, 2, 2], 3)];
    // The first two queries stand before the first key.
    const { out, cache } = attentionForward(q, k, v, { heads: 1, causal: true });
    expect(values(out).slice(0, 4)).toEqual([0, 0, 0, 0]);
    expect(values(out)[4]).toBe(v.data[0]);
    const { dq } = attentionBackward(out, cache);
    expect(values(dq).slice(0, 4)).toEqual([0, 0, 0, 0]);
    const mask = runtime.zeros([4, 2], "int32");
    const none = attentionForward(q, k, v, { heads: 2, mask });
    const gradients = attentionBackward(draw([1, 4, 2], 5), none.cache);
    const all = [none.out, gradients.dq, gradients.dk, gradients.dv].flatMap(values);
    expect(all.every((value) => value === 0)).toBe(true);
  });

  test("scores of ±1e4 lose nothing: the largest takes all, and what is added to all changes nothing", () => {
    const q = tensor([100, 0, 0, 100], [1, 2, 2]);
    const k = tensor(
      [1, 1.5, -1, 1, 0.5, -1].map((x) => x * 100 * Math.SQRT2),
      [1, 3, 2],
    );
    const v = tensor([1, 2, 3, 4, 5, 6], [1, 3, 2]);
    const { out, cache } = attentionForward(q, k, v, { heads: 1 });
    expect(values(out)).toEqual([1, 2, 1, 2]);
    const { dq, dk, dv } = attentionBackward(tensor([1, 1, 1, 1], [1, 2, 2]), cache);
    expect([dq, dk].flatMap(values).every((value) => value === 0)).toBe(true);
    expect(values(dv)).toEqual([2, 2, 0, 0, 0, 0]);
    // Numbers of few digits, whose sums with 1e4 are exact.
    const few = ({ data }: Tensor<FloatDType>) => Array.from(data, (x) => Math.round(4 * x) / 4);
    const small = draw([1, 2, 1], 7);
    const [q1, k1] = [tensor(few(small), [1, 2, 1]), tensor([1, 0.5, -0.25], [1, 3, 1])];
    const v1 = tensor([1, 2, 3], [1, 3, 1]);
    const run = (by: number) =>
      values(
        attentionForward(q1, k1, v1, { heads: 1, mask: runtime.full([2, 3], by, dtype) as never })
          .out,
      );
    expect(run(1e4)).toEqual(run(0));
    expect(run(-1e4)).toEqual(run(0));
  });

  test("each gradient may be left out or be written where one says, with the same bits", () => {
    const [q, k, v] = [draw([2, 3, 4], 1), draw([2, 5, 4], 2), draw([2, 5, 4], 3)];
    const { out, cache } = attentionForward(q, k, v, { heads: 2 });
    const all = attentionBackward(out, cache);
    const names = ["dq", "dk", "dv"] as const;
    for (const name of names) {
      const rest = names.filter((other) => other !== name);
      const left = attentionBackward(out, cache, { [name]: false });
      expect(left[name]).toBeUndefined();
      for (const other of rest) expect(values(left[other])).toEqual(values(all[other]));
      const options = Object.fromEntries(rest.map((other) => [other, false]));
      const to = runtime.full(all[name].shape, 7, dtype) as Tensor<FloatDType>;
      const own = attentionBackward(out, cache, { ...options, [name]: to });
      expect(own[name]).toBe(to);
      expect(values(to)).toEqual(values(all[name]));
    }
  });

  test("heads, masks, shapes, dtypes and destinations that do not fit are refused, and nothing stays", () => {
    const [q, k, v] = [draw([2, 3, 4], 1), draw([2, 5, 4], 2), draw([2, 5, 4], 3)];
    const other = createRuntimeSync();
    const { cache } = attentionForward(q, k, v, { heads: 2 });
    const wide = runtime.ones([3, 5], dtype === "float32" ? "float64" : "float32") as never;
    const foreign = other.ones([3, 5], "int32");
    const narrow = runtime.ones([3, 4], "int32");
    const deep = runtime.ones([1, 1, 3, 5], "int32");
    const few = runtime.ones([1, 3, 5], "int32");
    const k3 = draw([2, 5, 3], 1);
    const k1 = draw([1, 5, 4], 1);
    const flat = draw([3, 4], 1);
    const { bytesLive, tensors } = runtime.memory;
    const cases: [() => unknown, new (...given: never[]) => Error, string][] = [
      [
        () => attentionForward(q, k, v, { heads: 0 }),
        RangeError,
        "heads must be a whole number from 1 up, got 0",
      ],
      [
        () => attentionForward(q, k, v, {} as never),
        RangeError,
        "heads must be a whole number from 1 up, got undefined",
      ],
      [() => attentionForward(q, k, v, undefined as never), TypeError, "param"],
      [
        () => attentionForward(q, k, v, { heads: 3 }),
        ShapeError,
        "heads must divide the 4 features of q, got 3",
      ],
      [
        () => attentionForward(q, k, v, { heads: 2, causal: 1 as never }),
        RangeError,
        "causal must be true or false, got 1",
      ],
      [() => attentionForward(q, k, v, { heads: 2, head: 2 } as never), TypeError, "head"],
      [
        () => attentionForward(q, k3, v, { heads: 2 }),
        ShapeError,
        "k must have shape (2, 5, 4), got (2, 5, 3)",
      ],
      [
        () => attentionForward(q, k1, v, { heads: 2 }),
        ShapeError,
        "k must have shape (2, 5, 4), got (1, 5, 4)",
      ],
      [
        () => attentionForward(q, k, q, { heads: 2 }),
        ShapeError,
        "v must have shape (2, 5, 4), got (2, 3, 4)",
      ],
      [
        () => attentionForward(flat, k, v, { heads: 2 }),
        ShapeError,
        "q must have shape (N, T, E), got (3, 4)",
      ],
      [
        () => attentionForward(q, k, v, { heads: 2, mask: wide }),
        DTypeError,
        "mask must be int32, or float",
      ],
      [
        () => attentionForward(q, k, v, { heads: 2, mask: foreign }),
        RuntimeMismatchError,
        "mask and q belong to different runtimes",
      ],
      [
        () => attentionForward(q, k, v, { heads: 2, mask: [[1]] as never }),
        TypeError,
        "mask must be a tensor",
      ],
      ...[narrow, deep, few].map((mask): (typeof cases)[number] => [
        () => attentionForward(q, k, v, { heads: 2, mask }),
        ShapeError,
        `mask must have shape (3, 5), (2, 1, 5) or (2, 3, 5), got (${mask.shape.join(", ")})`,
      ]),
      [
        () => attentionForward(q, k, v, { heads: 2 }, { out: q }),
        AliasError,
        "out shares its data with q",
      ],
      [
        () => attentionBackward(k, cache),
        ShapeError,
        "dout must have shape (2, 3, 4), got (2, 5, 4)",
      ],
      [
        () => attentionBackward(q, cache, { dk: v }),
        AliasError,
        "dk shares its data with the cache's v",
      ],
      [
        () => attentionBackward(q, {} as never),
        TypeError,
        "cache must be the one that attentionForward returned",
      ],
    ];
    for (const [call, type, message] of cases) {
      expect(call).toThrow(type);
      expect(call).toThrow(message);
    }
    expect(runtime.memory).toMatchObject({ bytesLive, tensors });
    other.dispose();
  });

  test("a cache is released whole, and its statistics are all that forward keeps of its own", () => {
    const [q, k, v] = [draw([2, 3, 4], 1), draw([2, 5, 4], 2), draw([2, 5, 4], 3)];
    const before = runtime.memory.bytesLive;
    const { out, cache } = attentionForward(q, k, v, { heads: 2 });
    // (N, heads, T, 2) float64 in whole lines of 64 bytes, beside out.
    const line = (bytes: number) => Math.ceil(bytes / 64) * 64;
    const kept = line(2 * 2 * 3 * 2 * 8) + line(out.size * (dtype === "float32" ? 4 : 8));
    expect(runtime.memory.bytesLive - before).toBe(kept);
    cache.dispose();
    out.dispose();
    expect(runtime.memory.bytesLive).toBe(before);
  });
});

describe("float64 agrees with central differences", () => {
  const runtime = createRuntimeSync();
  const cases: [Sizes, boolean, readonly number[] | null, "int32" | "float64"][] = [
    [[1, 1, 1, 1, 1], false, null, "int32"],
    [[2, 3, 1, 2, 1], false, null, "int32"],
    [[1, 1, 5, 4, 4], true, null, "int32"],
    [[1, 3, 5, 6, 2], true, null, "int32"],
    [[1, 5, 3, 6, 3], true, null, "int32"],
    [[1, 66, 3, 2, 1], true, null, "int32"],
    [[2, 3, 4, 4, 2], false, [3, 4], "float64"],
    [[2, 3, 4, 4, 2], true, [2, 1, 4], "int32"],
    [[2, 3, 4, 4, 2], false, [2, 3, 4], "int32"],
  ];
  test.each(cases)("N, T, S, E, heads %j, causal %s, mask %j", (sizes, causal, shape, kind) => {
    const [N, T, S, E, heads] = sizes;
    const random = seeded(17);
    const draw = (...shape: number[]) =>
      runtime.tensor(
        reference.normals(
          shape.reduce((a, b) => a * b, 1),
          random,
        ),
        shape,
        "float64",
      );
    const [q, k, v, dout] = [draw(N, T, E), draw(N, S, E), draw(N, S, E), draw(N, T, E)];
    const given = shape && draw(...shape);
    const mask =
      given && kind === "int32"
        ? runtime.tensor(
            Array.from(given.data, (x) => Number(x > -0.5)),
            shape as number[],
            "int32",
          )
        : (given ?? undefined);
    const param = { heads, causal, mask };
    const { dq, dk, dv } = attentionBackward(dout, attentionForward(q, k, v, param).cache);
    type F64 = Tensor<"float64">;
    const numeric = [
      numericalGradient((q) => attentionForward(q as F64, k, v, param).out, q, dout, 1e-4),
      numericalGradient((k) => attentionForward(q, k as F64, v, param).out, k, dout, 1e-4),
      numericalGradient((v) => attentionForward(q, k, v as F64, param).out, v, dout, 1e-4),
    ];
    for (const [i, gradient] of [dq, dk, dv].entries()) {
      const scale = Math.max(1, reference.magnitude(numeric[i]!.data));
      expect(reference.deviation(gradient.data, numeric[i]!.data, scale)).toBeLessThan(
        GRADIENT_BOUND,
      );
    }
  });
});

test("any number of threads gives the bits of one, forward and backward", async () => {
  for (const { dtype } of dtypes) {
    // Several blocks of queries, of several examples and heads; and a single head.
    for (const [N, T, S, E, heads] of [
      [3, 150, 130, 24, 3],
      [1, 400, 300, 16, 1],
    ] as const) {
      const results: number[][] = [];
      for (const threads of [1, 2, 3, 16]) {
        const runtime =
          threads === 1 ? createRuntimeSync() : await createRuntime({ wasm: shared, threads });
        const draw = (seed: number, ...shape: number[]) =>
          runtime.tensor(
            reference.normals(
              shape.reduce((a, b) => a * b, 1),
              seeded(seed),
            ),
            shape,
            dtype,
          ) as Tensor<FloatDType>;
        const [q, k, v] = [draw(1, N, T, E), draw(2, N, S, E), draw(3, N, S, E)];
        const { out, cache } = attentionForward(q, k, v, { heads, causal: true });
        const { dq, dk, dv } = attentionBackward(draw(4, N, T, E), cache);
        results.push([out, dq, dk, dv].flatMap(values));
        runtime.dispose();
      }
      for (const result of results) expect(result).toEqual(results[0]);
    }
  }
});

describe("gives what PyTorch gives", () => {
  const runtime = createRuntimeSync();
  const { attention } = golden("sequences");
  test.each(Object.keys(attention))("%s", (name) => {
    const { heads, causal, q, k, v, dout, out, dq, dk, dv, mask } = attention[name]!;
    const param = { heads, causal, mask: mask ? fromGolden(runtime, mask) : undefined };
    const [qs, ks, vs] = [q, k, v].map((each) => fromGolden(runtime, each)) as [
      Tensor<"float64">,
      Tensor<"float64">,
      Tensor<"float64">,
    ];
    const result = attentionForward(qs, ks, vs, param);
    const gradients = attentionBackward(fromGolden(runtime, dout), result.cache);
    expect(goldenError(result.out, out)).toBeLessThan(1e-12);
    for (const [actual, expected] of [
      [gradients.dq, dq],
      [gradients.dk, dk],
      [gradients.dv, dv],
    ] as const) {
      expect(actual.shape).toEqual(expected.shape);
      expect(reference.deviation(actual.data, expected.data)).toBeLessThan(1e-12);
    }
  });
});
