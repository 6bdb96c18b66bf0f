import { describe, expect, test } from "vitest";
import {
  AliasError,
  createRuntimeSync,
  DisposedError,
  DTypeError,
  type FloatDType,
  gruBackward,
  gruForward,
  lstmBackward,
  lstmForward,
  numericalGradient,
  type Runtime,
  RuntimeMismatchError,
  relativeError,
  rnnBackward,
  rnnForward,
  ShapeError,
  type Tensor,
} from "../../src/index.ts";
import { RecurrenceWords } from "../../src/runtime/abi.ts";
import { dtypes, seeded } from "../support/core.ts";
import type { RecurrentOperands, RecurrentSizes } from "../support/recurrent.ts";
import * as reference from "../support/reference.ts";
import { configurations, GRADIENT_BOUND, offsets, track, values } from "./common.ts";

/** The three layers, and gru both ways. */
const layers = [
  { layer: "rnn", G: 1 },
  { layer: "lstm", G: 4 },
  { layer: "gru", G: 3, resetAfter: true },
  { layer: "gru", G: 3, resetAfter: false },
] as const;
type Layer = (typeof layers)[number];
const titled = layers.map((each) => ({
  ...each,
  title: each.layer === "gru" ? `gru, resetAfter ${each.resetAfter}` : each.layer,
}));

/** Around vectors of 2 and 4, tiles of 4 rows and panels of 16 and 32 columns. */
const sizes: RecurrentSizes[] = [
  { N: 1, T: 1, D: 1, H: 1 },
  { N: 2, T: 3, D: 4, H: 5 },
  { N: 3, T: 2, D: 1, H: 8 },
  { N: 5, T: 4, D: 3, H: 9 },
  { N: 1, T: 7, D: 5, H: 16 },
  { N: 4, T: 2, D: 17, H: 17 },
  { N: 17, T: 3, D: 2, H: 3 },
  { N: 0, T: 3, D: 2, H: 3 },
  { N: 2, T: 0, D: 2, H: 3 },
  { N: 2, T: 3, D: 0, H: 3 },
  { N: 2, T: 3, D: 2, H: 0 },
];

type Arrays = Record<"x" | "h0" | "c0" | "wx" | "wh" | "b" | "bh" | "dout" | "dh" | "dc", number[]>;

function drawn({ N, T, D, H }: RecurrentSizes, G: number, seed: number): Arrays {
  const random = seeded(seed);
  const normals = (n: number, scale = 1) => reference.normals(n, random).map((v) => scale * v);
  return {
    ...{ x: normals(N * T * D), h0: normals(N * H), c0: normals(N * H) },
    ...{ wx: normals(D * G * H, 0.5), wh: normals(H * G * H, 0.5) },
    ...{ b: normals(G * H, 0.3), bh: normals(G * H, 0.3) },
    ...{ dout: normals(N * T * H), dh: normals(N * H), dc: normals(N * H) },
  };
}

/** One sequence of each length from none to all. */
const lengthsOf = ({ N, T }: RecurrentSizes) =>
  Array.from({ length: N }, (_, n) => (n * 2) % (T + 1));

const twinOf = ({ layer }: Layer) =>
  ({
    rnn: [reference.rnnForward, reference.rnnBackward],
    lstm: [reference.lstmForward, reference.lstmBackward],
    gru: [reference.gruForward, reference.gruBackward],
  })[layer] as [typeof reference.lstmForward, typeof reference.lstmBackward];

const operandsOf = ({ layer }: Layer, { bh, c0, ...all }: Arrays): RecurrentOperands => ({
  ...all,
  ...(layer === "lstm" && { c0 }),
  ...(layer === "gru" && { bh }),
});

const places = {
  ...{ N: RecurrenceWords.N, T: RecurrenceWords.T, D: RecurrenceWords.D, H: RecurrenceWords.H },
  ...{ pitch: RecurrenceWords.pitch, isReverse: RecurrenceWords.isReverse },
  ...{ resetAfter: RecurrenceWords.resetAfter, lengths: RecurrenceWords.lengths },
  ...{ x: RecurrenceWords.x, h0: RecurrenceWords.h0, c0: RecurrenceWords.c0 },
  ...{ wx: RecurrenceWords.wx, wh: RecurrenceWords.wh, b: RecurrenceWords.b },
  ...{ bh: RecurrenceWords.bh, out: RecurrenceWords.out, h: RecurrenceWords.h },
  ...{ c: RecurrenceWords.c, gates: RecurrenceWords.gates, cells: RecurrenceWords.cells },
  ...{ dout: RecurrenceWords.dout, dh: RecurrenceWords.dh, dc: RecurrenceWords.dc },
  ...{ dx: RecurrenceWords.dx, dh0: RecurrenceWords.dh0, dc0: RecurrenceWords.dc0 },
  ...{ dwx: RecurrenceWords.dwx, dwh: RecurrenceWords.dwh, db: RecurrenceWords.db },
  dbh: RecurrenceWords.dbh,
};

describe.each(configurations)("the kernels in $dtype, $build core", ({ core, type, dtype }) => {
  const exports = core.exports as unknown as Record<string, (...given: number[]) => number>;

  /** Calls a kernel by its struct, with a workspace of exactly as many bytes as it asks for. */
  function call(kernel: string, fields: Partial<Record<keyof typeof places, number>>): void {
    const names = Object.fromEntries(
      Object.entries(fields).map(([name, value]) => [places[name as keyof typeof places], value]),
    );
    const words = Object.assign(new Uint32Array(RecurrenceWords.length), names);
    const struct = core.inout(words);
    const bytes = exports[`${kernel}_work_bytes_${type.suffix}`]!(struct.address) >>> 0;
    words[RecurrenceWords.work] = core.work(bytes).address;
    struct.set(words);
    exports[`${kernel}_${type.suffix}`]!(struct.address);
    core.checkGuards();
  }

  test.each(titled)(
    "$title is the plain twin on odd sizes, with and without lengths, both ways, and writes no other byte",
    (layer) => {
      const { array } = type;
      const { G } = layer;
      const [forward, backward] = twinOf(layer);
      for (const [k, size] of sizes.entries()) {
        const { N, T, D, H } = size;
        for (const hasLengths of [false, true]) {
          for (const isReverse of [false, true]) {
            core.reset();
            const offset = offsets[k % 3]!;
            const given = Object.fromEntries(
              Object.entries(drawn(size, G, 7 + k)).map(([name, list]) => [name, array.from(list)]),
            ) as unknown as Arrays;
            const at = (name: keyof Arrays) =>
              core.input(array.from(given[name]), { offset }).address;
            const lengths = hasLengths ? lengthsOf(size) : undefined;
            const settings = {
              lengths,
              resetAfter: (layer as { resetAfter?: boolean }).resetAfter,
            };
            const output = (n: number) => core.output(array, n, { offset });
            const operands = operandsOf(layer, given);
            const fields = {
              ...{ N, T, D, H, isReverse: Number(isReverse) },
              resetAfter: Number(settings.resetAfter ?? false),
              // The rows of out may lie apart, as those of one of two directions do.
              pitch: H + 3,
              lengths: lengths ? core.input(Int32Array.from(lengths)).address : 0,
              ...{ x: at("x"), h0: at("h0"), wx: at("wx"), wh: at("wh"), b: at("b") },
              ...(layer.layer === "lstm" && { c0: at("c0") }),
              ...(layer.layer === "gru" && { bh: at("bh") }),
            };
            const out = core.inout(array.from(new Array(N * T * (H + 3)).fill(7)), { offset });
            const [h, c] = [output(N * H), output(N * H)];
            const [gates, cells] = [output(N * T * G * H), output(N * T * H)];
            const hasCells = layer.layer === "lstm" || settings.resetAfter;
            const saved = {
              ...fields,
              ...{ out: out.address, gates: layer.layer === "rnn" ? 0 : gates.address },
              cells: hasCells ? cells.address : 0,
            };
            const state = layer.layer === "lstm" ? { c: c.address } : {};
            call(`${layer.layer}_forward`, { ...saved, ...state, h: h.address });

            // The twin goes forward alone: sequences are turned for it, each within its length.
            const turn = (list: ArrayLike<number>, columns: number) => {
              const turned = Array.from(list);
              for (let n = 0; isReverse && n < N; n++) {
                const length = lengths ? lengths[n]! : T;
                for (let t = 0; t < length; t++) {
                  for (let j = 0; j < columns; j++) {
                    turned[(n * T + t) * columns + j] =
                      list[(n * T + length - 1 - t) * columns + j]!;
                  }
                }
              }
              return turned;
            };
            const turned = { ...operands, x: turn(given.x, D) };
            const expected = forward(size, turned, settings);
            // Up to 17 + 17 products a sum, of values that saturate: no step magnifies.
            const bound = dtype === "float32" ? 4e-6 : 1e-14;
            const rows = Array.from(out.values());
            const dense = rows.filter((_, i) => i % (H + 3) < H);
            expect(rows.filter((_, i) => i % (H + 3) >= H).every((v) => v === 7)).toBe(true);
            const near = (name: string, actual: ArrayLike<number>, due: number[], most: number) =>
              expect(
                track(`${layer.layer} ${name} ${dtype}`, reference.deviation(actual, due, 1)),
                `${name} of ${JSON.stringify({ ...size, hasLengths, isReverse })}`,
              ).toBeLessThanOrEqual(most);
            near("out", dense, turn(expected.out, H), bound);
            near("h", h.values(), expected.h, bound);
            if (layer.layer === "lstm") near("c", c.values(), expected.c, bound * 4);

            const names = ["dx", "dh0", "dwx", "dwh", "db"];
            if (layer.layer === "lstm") names.push("dc0");
            if (layer.layer === "gru") names.push("dbh");
            const lengthOf = { dx: N * T * D, dh0: N * H, dc0: N * H, db: G * H, dbh: G * H };
            const all = { ...lengthOf, dwx: D * G * H, dwh: H * G * H } as Record<string, number>;
            const gradients = names.map((name) => output(all[name]!));
            const apart = array.from(new Array(N * T * (H + 3)).fill(Number.NaN));
            for (let i = 0; i < N * T; i++) {
              for (let j = 0; j < H; j++) apart[i * (H + 3) + j] = given.dout[i * H + j]!;
            }
            call(`${layer.layer}_backward`, {
              ...saved,
              ...{ dout: core.input(apart).address, dh: at("dh") },
              ...(layer.layer === "lstm" && { dc: at("dc") }),
              ...Object.fromEntries(names.map((name, i) => [name, gradients[i]!.address])),
            });
            const back = backward(size, turned, turn(given.dout, H), {
              ...settings,
              ...{ dh: given.dh, dc: layer.layer === "lstm" ? given.dc : undefined },
            });
            for (const [i, name] of names.entries()) {
              const due = back[name as "dx"];
              const scale = Math.max(1, reference.magnitude(due));
              const actual = gradients[i]!.values();
              near(
                name,
                Array.from(actual, (v) => v / scale),
                (name === "dx" ? turn(due, D) : due).map((v) => v / scale),
                bound * 4,
              );
            }
            // Every gradient can be left out.
            call(`${layer.layer}_backward`, { ...saved, dout: core.input(apart).address });
          }
        }
      }
    },
  );
});

type Calls = {
  forward(
    given: Record<string, Tensor<FloatDType>>,
    options?: object,
  ): {
    out: Tensor<FloatDType>;
    h: Tensor<FloatDType>;
    c?: Tensor<FloatDType>;
    cache: never;
  };
  backward(
    dout: Tensor<FloatDType>,
    cache: never,
    options?: object,
  ): Record<string, Tensor<FloatDType>>;
};

function callsOf(layer: Layer): Calls {
  if (layer.layer === "rnn") {
    return {
      forward: ({ x, h0, wx, wh, b }, options) =>
        rnnForward(x!, h0!, wx!, wh!, b!, options) as never,
      backward: rnnBackward as never,
    };
  }
  if (layer.layer === "lstm") {
    return {
      forward: ({ x, h0, c0, wx, wh, b }, options) =>
        lstmForward(x!, h0!, c0!, wx!, wh!, b!, options) as never,
      backward: lstmBackward as never,
    };
  }
  return {
    forward: ({ x, h0, wx, wh, b, bh }, options) =>
      gruForward(x!, h0!, wx!, wh!, b!, bh ?? null, {
        ...options,
        resetAfter: layer.resetAfter,
      }) as never,
    backward: gruBackward as never,
  };
}

const shapesOf = ({ N, T, D, H }: RecurrentSizes, G: number): Record<string, number[]> => ({
  ...{ x: [N, T, D], h0: [N, H], c0: [N, H], wx: [D, G * H], wh: [H, G * H] },
  ...{ b: [G * H], bh: [G * H], dout: [N, T, H], dh: [N, H], dc: [N, H] },
});

function tensors<D extends FloatDType>(
  runtime: Runtime,
  size: RecurrentSizes,
  G: number,
  dtype: D,
  arrays = drawn(size, G, 3),
): Record<string, Tensor<FloatDType>> {
  const shapes = shapesOf(size, G);
  return Object.fromEntries(
    Object.entries(arrays).map(([name, list]) => [
      name,
      runtime.tensor(list, shapes[name]!, dtype),
    ]),
  ) as never;
}

const own = (layer: Layer) => ({
  operands: [
    "x",
    "h0",
    "wx",
    "wh",
    "b",
    ...(layer.layer === "lstm" ? ["c0"] : []),
    ...(layer.layer === "gru" ? ["bh"] : []),
  ],
  states: layer.layer === "lstm" ? ["dh", "dc"] : ["dh"],
});

describe.each(titled)("$title", (layer) => {
  const runtime = createRuntimeSync();
  const { G } = layer;
  const { forward, backward } = callsOf(layer);
  const { operands, states } = own(layer);

  test("float64 agrees with central differences in every operand, with last states and lengths", () => {
    for (const size of [
      { N: 1, T: 1, D: 1, H: 1 },
      { N: 2, T: 3, D: 3, H: 5 },
      { N: 3, T: 4, D: 2, H: 3 },
    ]) {
      for (const lengths of [undefined, lengthsOf(size)]) {
        runtime.scope(() => {
          const t = tensors(runtime, size, G, "float64") as Record<string, Tensor<"float64">>;
          const { cache } = forward(t, { lengths });
          const last = Object.fromEntries(states.map((name) => [name, t[name]]));
          const gradients = backward(t.dout!, cache, last);
          const weighed = (result: ReturnType<Calls["forward"]>) => {
            const dot = (a: Tensor, b: Tensor) =>
              values(a).reduce((sum, v, i) => sum + v * b.data[i]!, 0);
            const byC = result.c ? dot(result.c, t.dc!) : 0;
            return dot(result.out, t.dout!) + dot(result.h, t.dh!) + byC;
          };
          for (const name of operands) {
            const numeric = numericalGradient(
              (moved) => weighed(forward({ ...t, [name]: moved }, { lengths })),
              t[name] as never,
            );
            const error = relativeError(gradients[`d${name}`] as never, numeric);
            // Some gradients are 1e-3, in which the differences' own rounding weighs more.
            expect(track(`${layer.title} d${name}`, error), name).toBeLessThan(10 * GRADIENT_BOUND);
          }
        });
      }
    }
  });

  test.each(dtypes)(
    "padding changes no bit of anything in $dtype, even NaN, nor does how much of it there is",
    ({ dtype }) => {
      const size = { N: 4, T: 6, D: 3, H: 5 };
      const lengths = [4, 0, 6, 1];
      const arrays = drawn(size, G, 11);
      const { N, T, D, H } = size;
      const padded = (value: number, more: number) => {
        const wide = (list: number[], columns: number) =>
          Array.from({ length: N * (T + more) * columns }, (_, i) => {
            const row = Math.floor(i / columns);
            const [n, t] = [Math.floor(row / (T + more)), row % (T + more)];
            return t < lengths[n]! ? list[(n * T + t) * columns + (i % columns)]! : value;
          });
        const t = tensors(runtime, { ...size, T: T + more }, G, dtype, {
          ...arrays,
          ...{ x: wide(arrays.x, D), dout: wide(arrays.dout, H) },
        });
        const result = forward(t, { lengths });
        const last = Object.fromEntries(states.map((name) => [name, t[name]]));
        const gradients = backward(t.dout!, result.cache, last);
        const cut = (tensor: Tensor, columns: number) =>
          values(tensor).filter((_, i) => Math.floor(i / columns) % (T + more) < T);
        return {
          ...{ out: cut(result.out, H), h: values(result.h), c: result.c && values(result.c) },
          ...Object.fromEntries(
            Object.entries(gradients).map(([name, tensor]) => [
              name,
              tensor && (name === "dx" ? cut(tensor, D) : values(tensor)),
            ]),
          ),
        } as Record<string, number[]>;
      };
      const plain = padded(0.5, 0);
      expect(padded(Number.NaN, 0)).toEqual(plain);
      expect(padded(-3, 5)).toEqual(plain);
      // Behind a length out and dx are 0, and a sequence of none has its first states.
      const second = (list: number[], columns: number) => list.slice(T * columns, 2 * T * columns);
      expect(second(plain.out!, H)).toEqual(new Array(T * H).fill(0));
      expect(second(plain.dx!, D)).toEqual(new Array(T * D).fill(0));
      const round = (list: number[]) => values(runtime.tensor(list, [list.length], dtype));
      expect(plain.h!.slice(H, 2 * H)).toEqual(round(arrays.h0.slice(H, 2 * H)));
      expect(plain.dh0!.slice(H, 2 * H)).toEqual(round(arrays.dh.slice(H, 2 * H)));
      // A sequence has the bits that it has alone, without any padding.
      for (const [n, length] of lengths.entries()) {
        const row = (list: number[], columns: number, count = 1) =>
          list.slice(n * columns * count, (n + 1) * columns * count);
        const alone = { ...size, N: 1, T: length };
        const t = tensors(runtime, alone, G, dtype, {
          ...arrays,
          ...{ h0: row(arrays.h0, H), c0: row(arrays.c0, H), dh: row(arrays.dh, H) },
          ...{ dc: row(arrays.dc, H), x: row(arrays.x, D, T).slice(0, length * D) },
          dout: row(arrays.dout, H, T).slice(0, length * H),
        });
        const result = forward(t);
        expect(values(result.out)).toEqual(row(plain.out!, H, T).slice(0, length * H));
        expect(values(result.h)).toEqual(row(plain.h!, H));
        const last = Object.fromEntries(states.map((name) => [name, t[name]]));
        const gradients = backward(t.dout!, result.cache, last);
        expect(values(gradients.dx!)).toEqual(row(plain.dx!, D, T).slice(0, length * D));
        expect(values(gradients.dh0!)).toEqual(row(plain.dh0!, H));
      }
    },
  );

  test.each(dtypes)(
    "one step a call gives the bits of the whole sequence at once in $dtype",
    ({ dtype }) => {
      const size = { N: 3, T: 5, D: 4, H: 7 };
      const t = tensors(runtime, size, G, dtype);
      const whole = forward(t);
      let [h0, c0] = [t.h0!, t.c0!];
      for (let step = 0; step < size.T; step++) {
        const x = runtime.tensor(
          values(t.x!).filter((_, i) => Math.floor(i / size.D) % size.T === step),
          [size.N, 1, size.D],
          dtype,
        );
        const one = forward({ ...t, x: x as never, h0, c0 });
        const row = values(whole.out).filter((_, i) => Math.floor(i / size.H) % size.T === step);
        expect(values(one.out)).toEqual(row);
        [h0, c0] = [one.h, one.c ?? c0];
      }
      expect(values(h0)).toEqual(values(whole.h));
      if (whole.c) expect(values(c0)).toEqual(values(whole.c));
    },
  );

  test("writes into what it is given, leaves out what is false, and may go back twice", () => {
    const size = { N: 2, T: 3, D: 2, H: 3 };
    const t = tensors(runtime, size, G, "float64");
    const given = runtime.zeros([2, 3, 3], "float64");
    const result = forward(t, { out: given });
    expect(result.out).toBe(given);
    const first = backward(t.dout!, result.cache);
    const names = operands.map((name) => `d${name}`);
    expect(Object.keys(first).sort()).toEqual(
      [...new Set([...names, ...(layer.layer === "gru" ? ["dbh"] : [])])].sort(),
    );
    for (const name of names) {
      const target = runtime.zeros(first[name]!.shape, "float64");
      const second = backward(t.dout!, result.cache, { [name]: target });
      expect(second[name]).toBe(target);
      expect(values(target)).toEqual(values(first[name]!));
      const without = backward(t.dout!, result.cache, { [name]: false });
      expect(without[name]).toBeUndefined();
      for (const other of names.filter((each) => each !== name)) {
        expect(values(without[other]!)).toEqual(values(first[other]!));
      }
    }
    const before = runtime.memory;
    runtime.scope(() => {
      backward(t.dout!, forward(t, { lengths: [1, 2] }).cache);
    });
    expect(runtime.memory.bytesLive).toBe(before.bytesLive);
    expect(runtime.memory.tensors).toBe(before.tensors);
  });

  test("refuses what SPEC's table says, and leaves nothing behind", () => {
    const name = `${layer.layer}Forward`;
    const size = { N: 2, T: 3, D: 4, H: 5 };
    const t = tensors(runtime, size, G, "float64");
    const lengths = (given: unknown) => () => forward(t, { lengths: given });
    const { bytesLive } = runtime.memory;
    expect(lengths([1, 4])).toThrow(
      new RangeError(`${name}: lengths[1] is 4, expected a whole number in [0, 3]`),
    );
    expect(lengths(Int32Array.of(-1, 1))).toThrow(`${name}: lengths[0] is -1, expected a whole`);
    expect(lengths([1.5, 1])).toThrow(RangeError);
    expect(lengths(["1", 1])).toThrow(RangeError);
    expect(lengths([1])).toThrow(
      new ShapeError(`${name}: x has 2 sequences but lengths has 1 elements`),
    );
    expect(lengths(Float32Array.of(1, 1))).toThrow(DTypeError);
    expect(lengths(3)).toThrow(TypeError);
    const tensor = runtime.tensor(Int32Array.of(1, 4));
    expect(lengths(tensor)).toThrow(RangeError);
    expect(lengths(tensor.reshape([1, 2]))).toThrow(ShapeError);
    expect(lengths(t.b!)).toThrow(DTypeError);
    tensor.dispose();
    expect(lengths(tensor)).toThrow(DisposedError);
    expect(() => forward(t, { length: [1, 2] })).toThrow(/did you mean|lengths/);
    const other = { ...size, H: 6 };
    const wrong = tensors(runtime, other, G, "float64");
    for (const key of operands) {
      if (key === "x") continue;
      const tried = () => forward({ ...t, [key]: wrong[key]! });
      expect(tried, key).toThrow(ShapeError);
      expect(tried).toThrow(`${name}: `);
      const narrow = tensors(runtime, size, G, "float32");
      expect(() => forward({ ...t, [key]: narrow[key]! })).toThrow(DTypeError);
      expect(() => forward({ ...t, [key]: [] as never })).toThrow(TypeError);
    }
    expect(() => forward({ ...t, x: t.wx! })).toThrow(
      `${name}: x must have shape (N, T, D), got (`,
    );
    expect(() => forward({ ...t, x: wrong.h0! })).toThrow(ShapeError);
    const elsewhere = tensors(createRuntimeSync(), size, G, "float64");
    expect(() => forward({ ...t, wh: elsewhere.wh! })).toThrow(RuntimeMismatchError);
    const square = tensors(runtime, { N: 2, T: 3, D: 5, H: 5 }, G, "float64");
    expect(() => forward(square, { out: square.x! })).toThrow(AliasError);
    const { cache, out } = forward(t);
    const back = `${layer.layer}Backward`;
    expect(() => backward(t.h0!, cache)).toThrow(ShapeError);
    expect(() => backward(t.dout!, { dispose() {} } as never)).toThrow(
      `${back}: cache must be the one that ${name} returned`,
    );
    expect(() => backward(t.dout!, cache, { dh: t.x! })).toThrow(ShapeError);
    expect(() => backward(t.dout!, cache, { dwx: t.wx! })).toThrow(
      `${back}: dwx shares its data with the cache's wx`,
    );
    expect(() => backward(t.dout!, cache, { dh0: t.dh!, dh: t.dh! })).toThrow(AliasError);
    expect(() => backward(out, cache, { dw: false })).toThrow(TypeError);
    expect(runtime.memory.bytesLive).toBeGreaterThanOrEqual(bytesLive);
  });
});

test("gru takes no bh, which is one of zeros, and has no gradient for it", () => {
  const runtime = createRuntimeSync();
  const size = { N: 2, T: 3, D: 2, H: 3 };
  for (const resetAfter of [true, false]) {
    const t = tensors(runtime, size, 3, "float64") as Record<string, Tensor<"float64">>;
    const { x, h0, wx, wh, b } = t;
    const zero = runtime.zeros([9], "float64");
    const without = gruForward(x!, h0!, wx!, wh!, b!, null, { resetAfter });
    const with0 = gruForward(x!, h0!, wx!, wh!, b!, zero, { resetAfter });
    expect(values(without.out)).toEqual(values(with0.out));
    expect(without.cache.bh).toBeNull();
    const gradients = gruBackward(t.dout!, without.cache);
    const others = gruBackward(t.dout!, with0.cache);
    expect(gradients.dbh).toBeUndefined();
    expect(values(gradients.dwh)).toEqual(values(others.dwh));
    // Before the product b and bh are added to the same sums.
    if (!resetAfter) expect(values(others.dbh)).toEqual(values(others.db));
    expect(() => gruBackward(t.dout!, without.cache, { dbh: zero } as never)).toThrow(
      new TypeError(
        "gruBackward: dbh must be left out where the forward's bh was null, got a destination",
      ),
    );
  }
  const t = tensors(runtime, size, 3, "float64") as Record<string, Tensor<"float64">>;
  const wrong = () => gruForward(t.x!, t.h0!, t.wx!, t.wh!, t.b!, null, { resetAfter: 1 as never });
  expect(wrong).toThrow(new RangeError("gruForward: resetAfter must be true or false, got 1"));
});
