// Recurrent layers by the published cases of CS231n, ONNX and WebNN: CS231n's in float64 and by
// their own tolerances, the others in float32, ONNX' within 1e-5. Gates come in other orders there,
// and weights with their axes exchanged: they are put into ours before a call.

import { expect } from "vitest";
import {
  gruForward,
  lstmBackward,
  lstmForward,
  type Runtime,
  rnnBackward,
  rnnForward,
  type Tensor,
} from "../../src/index.ts";
import {
  checkDeviation,
  compareOnnx,
  decoded,
  type Encodeds,
  type OnnxCase,
  reportDeviations,
  testCases,
  type Values,
} from "./cases.ts";

reportDeviations("of what is allowed");

interface Cs231n {
  name: string;
  fn: string;
  inputs: Record<string, { shape: number[]; data?: number[]; linspace?: [number, number] }>;
  expected: Record<string, Values>;
  tolerance: { max: number };
}

/** The notebooks' own measure: max |x − y| / max(1e-8, |x| + |y|). */
function checkNotebook(testCase: Cs231n, name: string, actual: Tensor, expected: Values): void {
  expect(actual.shape, name).toEqual(expected.shape);
  let most = 0;
  for (const [i, x] of actual.data.entries()) {
    const y = expected.data[i]!;
    most = Math.max(most, Math.abs(x - y) / Math.max(1e-8, Math.abs(x) + Math.abs(y)));
  }
  checkDeviation(`${testCase.name} ${name}`, most, testCase.tolerance.max);
}

/** The inputs of a case by their names, states of a step as sequences of one step. */
function inputsOf({ inputs }: Cs231n, runtime: Runtime): Record<string, Tensor<"float64">> {
  return Object.fromEntries(
    Object.entries(inputs).map(([name, { shape, data, linspace }]) => {
      const n = shape.reduce((a, b) => a * b, 1);
      const [a, b] = linspace ?? [0, 0];
      const values = data ?? Array.from({ length: n }, (_, i) => a + (i * (b - a)) / (n - 1));
      return [name, runtime.tensor(values, shape, "float64")];
    }),
  );
}

const asStep = (x: Tensor<"float64">) => x.reshape([x.shape[0]!, 1, x.shape[1]!]);
const asRows = (x: Tensor<"float64">) => x.reshape([x.shape[0]!, x.shape[2]!]);

const cs231n: Record<string, (testCase: Cs231n, runtime: Runtime) => void> = {
  rnn_step_forward(testCase, runtime) {
    const { x, prev_h, Wx, Wh, b } = inputsOf(testCase, runtime);
    const { h } = rnnForward(asStep(x!), prev_h!, Wx!, Wh!, b!);
    checkNotebook(testCase, "next_h", h, testCase.expected.next_h!);
  },
  rnn_step_backward(testCase, runtime) {
    const { x, prev_h, Wx, Wh, b, dnext_h } = inputsOf(testCase, runtime);
    const { h, cache } = rnnForward(asStep(x!), prev_h!, Wx!, Wh!, b!);
    const { expected } = testCase;
    checkNotebook(testCase, "next_h", h, expected.next_h!);
    const { dx, dh0, dwx, dwh, db } = rnnBackward(asStep(dnext_h!), cache);
    checkNotebook(testCase, "dx", asRows(dx), expected.dx!);
    checkNotebook(testCase, "dprev_h", dh0, expected.dprev_h!);
    checkNotebook(testCase, "dWx", dwx, expected.dWx!);
    checkNotebook(testCase, "dWh", dwh, expected.dWh!);
    checkNotebook(testCase, "db", db, expected.db!);
  },
  rnn_forward(testCase, runtime) {
    const { x, h0, Wx, Wh, b } = inputsOf(testCase, runtime);
    checkNotebook(testCase, "h", rnnForward(x!, h0!, Wx!, Wh!, b!).out, testCase.expected.h!);
  },
  rnn_backward(testCase, runtime) {
    const { x, h0, Wx, Wh, b, dout, dh } = inputsOf(testCase, runtime);
    const { cache } = rnnForward(x!, h0!, Wx!, Wh!, b!);
    const { dx, dh0, dwx, dwh, db } = rnnBackward((dout ?? dh)!, cache);
    const { expected } = testCase;
    const results = { dx, dh0, dWx: dwx, dWh: dwh, db };
    for (const [name, tensor] of Object.entries(results)) {
      if (expected[name]) checkNotebook(testCase, name, tensor, expected[name]);
    }
  },
  lstm_step_forward(testCase, runtime) {
    const { x, prev_h, prev_c, Wx, Wh, b } = inputsOf(testCase, runtime);
    const { h, c } = lstmForward(asStep(x!), prev_h!, prev_c!, Wx!, Wh!, b!);
    checkNotebook(testCase, "next_h", h, testCase.expected.next_h!);
    checkNotebook(testCase, "next_c", c, testCase.expected.next_c!);
  },
  lstm_step_backward(testCase, runtime) {
    const { x, prev_h, prev_c, Wx, Wh, b, dnext_h, dnext_c } = inputsOf(testCase, runtime);
    const { h, c, cache } = lstmForward(asStep(x!), prev_h!, prev_c!, Wx!, Wh!, b!);
    const { expected } = testCase;
    checkNotebook(testCase, "next_h", h, expected.next_h!);
    checkNotebook(testCase, "next_c", c, expected.next_c!);
    // The gradient of the last state and that of the one step are the same thing here.
    const zeros = runtime.zeros([h.shape[0]!, 1, h.shape[1]!], "float64");
    const gradients = lstmBackward(zeros, cache, { dh: dnext_h!, dc: dnext_c! });
    checkNotebook(testCase, "dx", asRows(gradients.dx), expected.dx!);
    checkNotebook(testCase, "dprev_h", gradients.dh0, expected.dprev_h!);
    checkNotebook(testCase, "dprev_c", gradients.dc0, expected.dprev_c!);
    checkNotebook(testCase, "dWx", gradients.dwx, expected.dWx!);
    checkNotebook(testCase, "dWh", gradients.dwh, expected.dWh!);
    checkNotebook(testCase, "db", gradients.db, expected.db!);
  },
  lstm_forward(testCase, runtime) {
    const { x, h0, Wx, Wh, b } = inputsOf(testCase, runtime);
    const c0 = runtime.zeros(h0!.shape, "float64");
    const { out } = lstmForward(x!, h0!, c0, Wx!, Wh!, b!);
    checkNotebook(testCase, "h", out, testCase.expected.h!);
  },
  lstm_backward(testCase, runtime) {
    const { x, h0, Wx, Wh, b, dout, dh } = inputsOf(testCase, runtime);
    const c0 = runtime.zeros(h0!.shape, "float64");
    const { cache } = lstmForward(x!, h0!, c0, Wx!, Wh!, b!);
    const { dx, dh0, dwx, dwh, db } = lstmBackward((dout ?? dh)!, cache);
    const results = { dx, dh0, dWx: dwx, dWh: dwh, db };
    for (const [name, tensor] of Object.entries(results)) {
      const expected = testCase.expected[name];
      if (expected) checkNotebook(testCase, name, tensor, expected);
    }
  },
};

const others = "no call of a recurrent layer alone";
testCases<Cs231n>("cs231n-images.json", 20, ({ fn }) => (fn in cs231n ? fn : "others"), cs231n, {
  others,
});

/** w (G·H, D) with its blocks in another order, as (D, G·H). */
function turned({ shape, data }: Values, H: number, order: readonly number[]): Values {
  const [rows, D] = shape.slice(-2) as [number, number];
  const out: number[] = new Array(rows * D);
  for (let d = 0; d < D; d++) {
    for (let q = 0; q < rows; q++) {
      const from = order[Math.floor(q / H)]! * H + (q % H);
      out[d * rows + q] = data[from * D + d]!;
    }
  }
  return { shape: [D, rows], data: out };
}

const blocks = (data: ArrayLike<number>, H: number, order: readonly number[]) =>
  order.flatMap((block) => Array.from(data).slice(block * H, (block + 1) * H));

/** x (T, N, D) as (N, T, D). */
function batchFirst({ shape, data }: Values): Values {
  const [T, N, D] = shape as [number, number, number];
  const out: number[] = [];
  for (let n = 0; n < N; n++) {
    for (let t = 0; t < T; t++) {
      for (let d = 0; d < D; d++) out.push(data[(t * N + n) * D + d]!);
    }
  }
  return { shape: [N, T, D], data: out };
}

/** Our blocks in ONNX' order: i, o, f, c and z, r, h. */
const onnxOrders = { RNN: [0], LSTM: [0, 2, 1, 3], GRU: [1, 0, 2] } as const;

function onnx(testCase: OnnxCase, runtime: Runtime): void {
  const { attrs, inputs, op } = testCase;
  const H: number = attrs.hidden_size;
  const order = onnxOrders[op as "RNN"] as readonly number[];
  const GH = order.length * H;
  const input = (name: string) => {
    const found = inputs.find((each) => each.name === name);
    return found && decoded(found as Encodeds);
  };
  const f32 = ({ shape, data }: Values) => runtime.tensor(Array.from(data), shape, "float32");
  const given = input("X") as Values;
  // A layout of 1 has the batch first already, with one direction behind it in what comes out.
  const x = f32(attrs.layout === 1 ? given : batchFirst(given));
  const N = x.shape[0]!;
  const [wx, wh] = ["W", "R"].map((name) => f32(turned(input(name) as Values, H, order)));
  const B = input("B")?.data ?? new Array(2 * GH).fill(0);
  const halves = [B.slice(0, GH), B.slice(GH)].map((half) => blocks(half, H, order));
  const zeros = runtime.zeros([N, H]);
  const sum = f32({ shape: [GH], data: halves[0]!.map((b, i) => b + halves[1]![i]!) });
  const lengths = input("sequence_lens")?.data;
  let h: Tensor;
  if (op === "RNN") h = rnnForward(x, zeros, wx!, wh!, sum, { lengths }).h;
  else if (op === "LSTM") h = lstmForward(x, zeros, zeros, wx!, wh!, sum, { lengths }).h;
  else {
    const [b, bh] = halves.map((half) => f32({ shape: [GH], data: half }));
    h = gruForward(x, zeros, wx!, wh!, b!, bh!, {
      ...{ lengths, resetAfter: attrs.linear_before_reset === 1 },
    }).h;
  }
  const { shape } = testCase.outputs[0]!;
  compareOnnx(testCase, { shape, data: h.data });
}

testCases<OnnxCase>(
  "onnx-nodes.json",
  255,
  ({ op, name }) =>
    op && op in onnxOrders ? (name.includes("peepholes") ? "peepholes" : op) : "others",
  { RNN: onnx, LSTM: onnx, GRU: onnx },
  { others, peepholes: "peepholes are not computed" },
);
