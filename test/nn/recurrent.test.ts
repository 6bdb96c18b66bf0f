import { describe, expect, test } from "vitest";
import {
  affine,
  conv1d,
  createRuntimeSync,
  DisposedError,
  flatten,
  gru,
  gruForward,
  type LayerSpec,
  loadModel,
  loadTorch,
  lstm,
  lstmForward,
  rnn,
  rnnForward,
  Sequential,
  ShapeError,
  saveModel,
  softmax,
  type Tensor,
  tanh,
  writeSafetensors,
} from "../../src/index.ts";
import { loadPredictorSync } from "../../src/predict.ts";
import { seeded } from "../support/core.ts";
import * as reference from "../support/reference.ts";

const [N, T, D, H] = [3, 4, 5, 6];
const stacks = [
  {},
  { returnSequences: true },
  { bidirectional: true },
  { bidirectional: true, returnSequences: true },
  { layers: 2 },
  { layers: 3, bidirectional: true },
  { layers: 2, bidirectional: true, returnSequences: true },
];
const kinds: [string, (options: object) => LayerSpec, object][] = [
  ["rnn", (options) => rnn(H, options), {}],
  ["lstm", (options) => lstm(H, options), {}],
  ["gru", (options) => gru(H, options), {}],
  ["gru", (options) => gru(H, options), { resetAfter: false }],
];
const cases = kinds.flatMap(([kind, make, more]) =>
  stacks.map((stack) => ({
    ...{ kind, options: { ...stack, ...more }, make },
    title: `${kind}(${H}, ${JSON.stringify({ ...stack, ...more })})`,
  })),
);

type Any = Record<string, Tensor<"float64">>;

/** The same from the calls by hand, layer by layer, the way back over turned sequences. */
function byHand(
  runtime: ReturnType<typeof createRuntimeSync>,
  kind: string,
  options: {
    layers?: number;
    bidirectional?: boolean;
    returnSequences?: boolean;
    resetAfter?: boolean;
  },
  x: number[],
  state: Any,
): number[] {
  const directions = options.bidirectional ? 2 : 1;
  let features = D;
  let rows = x;
  let last: number[][] = [];
  const turned = (list: number[], columns: number) =>
    list.map((_, i) => {
      const row = Math.floor(i / columns);
      const [n, t] = [Math.floor(row / T), row % T];
      return list[(n * T + T - 1 - t) * columns + (i % columns)]!;
    });
  for (let layer = 0; layer < (options.layers ?? 1); layer++) {
    const outs: number[][] = [];
    last = [];
    for (let d = 0; d < directions; d++) {
      const suffix = `${layer ? `_${layer}` : ""}${d ? "_reverse" : ""}`;
      const own = (name: string) => state[`0.${name}${suffix}`]!;
      const data = d ? turned(rows, features) : rows;
      const input = runtime.tensor(data, [N, T, features], "float64") as Tensor<"float64">;
      const zeros = runtime.zeros([N, H], "float64");
      const weights = [own("wx"), own("wh"), own("b")] as const;
      const { resetAfter = true } = options;
      const { out, h } =
        kind === "rnn"
          ? rnnForward(input, zeros, ...weights)
          : kind === "lstm"
            ? lstmForward(input, zeros, zeros, ...weights)
            : gruForward(input, zeros, ...weights, resetAfter ? own("bh") : null, { resetAfter });
      const list = Array.from(out.data);
      outs.push(d ? turned(list, H) : list);
      last.push(Array.from(h.data));
    }
    features = directions * H;
    const width = features;
    rows = Array.from({ length: N * T * width }, (_, i) => {
      const [row, j] = [Math.floor(i / width), i % width];
      return outs[Math.floor(j / H)]![row * H + (j % H)]!;
    });
  }
  if (options.returnSequences) return rows;
  return Array.from({ length: N * features }, (_, i) => {
    const [n, j] = [Math.floor(i / features), i % features];
    return last[Math.floor(j / H)]![n * H + (j % H)]!;
  });
}

describe.each(cases)("$title", ({ kind, options, make }) => {
  const runtime = createRuntimeSync();
  const x = reference.normals(N * T * D, seeded(5));
  const rows = runtime.tensor(x, [N, T, D], "float64") as Tensor<"float64">;
  const model = new Sequential(runtime, {
    input: [T, D],
    layers: [make(options)],
    dtype: "float64",
  });

  test("has the bits of the calls by hand", () => {
    const scores = model.forward(rows);
    expect(Array.from(scores.data)).toEqual(byHand(runtime, kind, options, x, model.stateDict()));
    const width = H * ((options as { bidirectional?: boolean }).bidirectional ? 2 : 1);
    const isLast = !(options as { returnSequences?: boolean }).returnSequences;
    expect(scores.shape).toEqual(isLast ? [N, width] : [N, T, width]);
  });

  test("its gradients are those of central differences, and its input's too", () => {
    const scores = model.forward(rows, { mode: "train" });
    const weights = reference.normals(scores.size, seeded(9));
    const dout = runtime.tensor(weights, scores.shape, "float64") as Tensor<"float64">;
    const loss = () => {
      const out = model.predict(rows);
      const sum = weights.reduce((sum, w, i) => sum + w * out.data[i]!, 0);
      out.dispose();
      return sum;
    };
    const { dx } = model.backward(dout, { dx: true });
    const checked: [string, Tensor, Tensor][] = model
      .parameters()
      .map(({ name, value, gradient }) => [name, value, gradient]);
    checked.push(["x", rows, dx]);
    for (const [name, value, gradient] of checked) {
      for (let k = 0; k < value.size; k += Math.max(1, Math.floor(value.size / 4))) {
        const before = value.data[k]!;
        const at = (moved: number) => {
          value.data[k] = moved;
          return loss();
        };
        const numeric = (at(before + 1e-5) - at(before - 1e-5)) / 2e-5;
        value.data[k] = before;
        // 1e-8: differences of sums of magnitude 10, over 2e-5
        expect(Math.abs(gradient.data[k]! - numeric), `${name}[${k}]`).toBeLessThan(1e-8);
      }
    }
  });

  test("is compiled, saved and loaded with the same bits, for any batch", () => {
    const scores = Array.from(model.predict(rows).data);
    const each = scores.length / N;
    const predictor = model.compile({ maxBatch: N });
    for (const count of [N, 1, 2, 0]) {
      const part = x.slice(0, count * T * D);
      expect(Array.from(predictor.predict(part))).toEqual(scores.slice(0, count * each));
    }
    const bytes = saveModel(model);
    expect(Array.from(loadModel(runtime, bytes).predict(rows).data)).toEqual(scores);
    const small = new Sequential(runtime, { input: [T, D], layers: [make(options)] });
    const served = loadPredictorSync(saveModel(small), { maxBatch: N });
    const own = Array.from(small.predict(x.map(Math.fround)).data);
    expect(Array.from(served.predict(x))).toEqual(own);
    // A call begins from zeros, whatever the one before it left.
    expect(Array.from(served.predict(x))).toEqual(own);
  });
});

test("tensors have the names of the directions, biases begin as zeros and the forget gate's as 1", () => {
  const runtime = createRuntimeSync();
  const model = new Sequential(runtime, {
    input: [T, D],
    layers: [lstm(2, { layers: 2, bidirectional: true }), gru(2, {})].slice(0, 1),
  });
  expect(Object.entries(model.stateDict()).map(([name, { shape }]) => [name, shape])).toEqual([
    ...[
      ["0.wx", [5, 8]],
      ["0.wh", [2, 8]],
      ["0.b", [8]],
    ],
    ...[
      ["0.wx_reverse", [5, 8]],
      ["0.wh_reverse", [2, 8]],
      ["0.b_reverse", [8]],
    ],
    ...[
      ["0.wx_1", [4, 8]],
      ["0.wh_1", [2, 8]],
      ["0.b_1", [8]],
    ],
    ...[
      ["0.wx_1_reverse", [4, 8]],
      ["0.wh_1_reverse", [2, 8]],
      ["0.b_1_reverse", [8]],
    ],
  ]);
  const dict = model.stateDict();
  expect(Array.from(dict["0.b"]!.data)).toEqual([0, 0, 1, 1, 0, 0, 0, 0]);
  const bound = 1 / Math.sqrt(2);
  expect(Array.from(dict["0.wx"]!.data).every((v) => Math.abs(v) <= bound)).toBe(true);
  expect(new Set(dict["0.wh_1"]!.data).size).toBe(16);
  expect(model.summary()).toContain("lstm(2, 2 layers, both directions)");
  expect(() => new Sequential(runtime, { input: [5], layers: [lstm(2)] })).toThrow(
    new ShapeError("Sequential: layer 0 (lstm): takes examples of shape (T, D), got (5,)"),
  );
});

test("weights of nn.LSTM, nn.GRU and nn.RNN come in PyTorch's names, layout and order of gates", () => {
  const runtime = createRuntimeSync();
  const random = seeded(3);
  for (const [make, order, hasBh] of [
    [rnn, [0], false],
    [lstm, [0, 1, 3, 2], false],
    [gru, [0, 1, 2], true],
  ] as const) {
    const GH = order.length * H;
    const options = { layers: 2, bidirectional: true };
    const layers = [make(H, options)];
    const tensors: Record<string, { dtype: "F64"; shape: number[]; data: Float64Array }> = {};
    for (const layer of [0, 1]) {
      for (const end of ["", "_reverse"]) {
        const of = (name: string, ...shape: number[]) => {
          const n = shape.reduce((a, b) => a * b, 1);
          const data = Float64Array.from(reference.normals(n, random));
          tensors[`0.${name}_l${layer}${end}`] = { dtype: "F64", shape, data };
        };
        of("weight_ih", GH, layer ? 2 * H : D);
        of("weight_hh", GH, H);
        of("bias_ih", GH);
        of("bias_hh", GH);
      }
    }
    const model = loadTorch(runtime, writeSafetensors(tensors as never), {
      ...{ input: [T, D], layers, dtype: "float64" as const },
    });
    const dict = model.stateDict();
    for (const layer of [0, 1]) {
      for (const end of ["", "_reverse"]) {
        const theirs = (name: string) => tensors[`0.${name}_l${layer}${end}`]!.data;
        const ours = (name: string) => dict[`0.${name}${layer ? "_1" : ""}${end}`]!;
        for (const [mine, name] of [
          ["wx", "weight_ih"],
          ["wh", "weight_hh"],
        ] as const) {
          const { shape, data } = ours(mine);
          for (let d = 0; d < shape[0]!; d++) {
            for (let q = 0; q < GH; q++) {
              const row = order[Math.floor(q / H)]! * H + (q % H);
              expect(data[d * GH + q]).toBe(theirs(name)[row * shape[0]! + d]);
            }
          }
        }
        const row = (q: number) => order[Math.floor(q / H)]! * H + (q % H);
        for (let q = 0; q < GH; q++) {
          const [a, b] = [theirs("bias_ih")[row(q)]!, theirs("bias_hh")[row(q)]!];
          expect(ours("b").data[q]).toBe(hasBh ? a : a + b);
          if (hasBh) expect(ours("bh").data[q]).toBe(b);
        }
      }
    }
  }
});

describe.each(kinds)("%s, step by step", (_, make, more) => {
  const runtime = createRuntimeSync();
  const x = Array.from(reference.normals(N * T * D, seeded(5)), Math.fround);
  const stepOf = (t: number, list = x, columns = D) =>
    Array.from(list).filter((_, i) => Math.floor(i / columns) % T === t);

  test("a stateful predictor gives the bits of the whole sequence at once, until it is reset", () => {
    const model = new Sequential(runtime, {
      input: [T, D],
      layers: [
        ...[make({ ...more, layers: 2, returnSequences: true }), tanh()],
        make({ ...more, returnSequences: true }),
      ],
    });
    const whole = Array.from(model.predict(x).data);
    const { stateful, file } = {
      stateful: model.compile({ maxBatch: N, stateful: true }),
      file: loadPredictorSync(saveModel(model), { maxBatch: N, stateful: true }),
    };
    for (const predictor of [stateful, file]) {
      expect(predictor.inputShape).toEqual([1, D]);
      expect(predictor.outputShape).toEqual([1, H]);
      for (let round = 0; round < 2; round++) {
        for (let t = 0; t < T; t++) {
          expect(Array.from(predictor.predict(stepOf(t)))).toEqual(stepOf(t, whole, H));
        }
        // Without a reset the sequence would go on.
        predictor.reset();
      }
      predictor.predict(stepOf(0));
      expect(Array.from(predictor.predict(stepOf(0)))).not.toEqual(stepOf(0, whole, H));
      predictor.dispose();
      expect(() => predictor.reset()).toThrow(DisposedError);
    }
    const plain = model.compile({ maxBatch: N });
    const scores = Array.from(plain.predict(x));
    plain.reset();
    expect(Array.from(plain.predict(x))).toEqual(scores);
  });

  test("its last step is that of the whole sequence, with a product behind it", () => {
    const model = new Sequential(runtime, { input: [T, D], layers: [make(more), affine(2)] });
    const predictor = model.compile({ maxBatch: N, stateful: true });
    const whole = model.compile({ maxBatch: N }).predict(x);
    let last: ArrayLike<number> = [];
    for (let t = 0; t < T; t++) last = predictor.predict(stepOf(t));
    expect(Array.from(last)).toEqual(Array.from(whole));
    // A shorter batch goes on with the first of the sequences.
    expect(predictor.predict(stepOf(0).slice(0, D)).length).toBe(2);
  });
});

test("what needs all steps at once is not served step by step", () => {
  const runtime = createRuntimeSync();
  const tried = (layers: LayerSpec[]) => () =>
    new Sequential(runtime, { input: [T, D], layers }).compile({ stateful: true });
  const message = (i: number, kind: string) =>
    new TypeError(
      `Sequential.compile: stateful: layer ${i} (${kind}) needs all steps of a sequence at once`,
    );
  expect(tried([lstm(2, { bidirectional: true })])).toThrow(message(0, "lstm"));
  expect(tried([conv1d(2, 3), lstm(2)])).toThrow(message(0, "conv1d"));
  expect(tried([lstm(2, { returnSequences: true }), affine(2)])).toThrow(message(1, "affine"));
  expect(tried([lstm(2, { returnSequences: true }), flatten()])).toThrow(message(1, "flatten"));
  expect(tried([softmax({ axis: 0 }), lstm(2)])).toThrow(message(0, "softmax"));
  expect(tried([affine(2)])).toThrow(
    new TypeError("Sequential.compile: stateful: the model has no recurrent layer"),
  );
  expect(tried([softmax(), lstm(2), flatten(), affine(2)])).not.toThrow();
  const model = new Sequential(runtime, { input: [T, D], layers: [lstm(2)] });
  expect(() => model.compile({ stateful: 1 as never })).toThrow(
    new RangeError("Sequential.compile: stateful must be true or false, got 1"),
  );
  expect(() => loadPredictorSync(saveModel(model), { stateful: "yes" as never })).toThrow(
    RangeError,
  );
});
