// Activations by the published cases of ONNX and WebNN, each within its own tolerance, but for
// ONNX' relative error of 1e-3, which is 1e-5 here.

import * as lamella from "../../src/index.ts";
import {
  type Attributes,
  compareOnnx,
  compareWpt,
  decoded,
  type Encodeds,
  type OnnxCase,
  reportDeviations,
  testCases,
  type WptCase,
} from "./cases.ts";

type F32 = lamella.Tensor<"float32">;
type Forward = (x: F32, options?: object) => { out: F32 };

reportDeviations("of what is allowed, or ULP");

const f32 = (runtime: lamella.Runtime, values: Encodeds): F32 =>
  runtime.tensor(decoded(values).data, values.shape, "float32");

const forwardOf = (kind: string) =>
  (lamella as unknown as Record<string, Forward>)[`${kind}Forward`] as Forward;

const elsewhere = "no activation";
const slopes = "a slope for each element, or along another axis than the channels";

/** ONNX' name → ours, and the options that its attributes are. */
const onnxKinds: Record<string, [kind: string, options?: (attrs: Attributes) => object]> = {
  Elu: ["elu", ({ alpha = 1 }) => ({ alpha })],
  Gelu: ["gelu", ({ approximate = "none" }) => ({ approximate })],
  HardSigmoid: ["hardSigmoid", ({ alpha = 0.2, beta = 0.5 }) => ({ alpha, beta })],
  HardSwish: ["hardSwish"],
  LeakyRelu: ["leakyRelu", ({ alpha = 0.01 }) => ({ negativeSlope: alpha })],
  LogSoftmax: ["logSoftmax", ({ axis = -1 }) => ({ axis })],
  Mish: ["mish"],
  Relu: ["relu"],
  Selu: ["selu"],
  Sigmoid: ["sigmoid"],
  Softmax: ["softmax", ({ axis = -1 }) => ({ axis })],
  Softplus: ["softplus"],
  Softsign: ["softsign"],
  Tanh: ["tanh"],
};

/** Selu's constants are its definition's here. */
const isOurs = (op: string, { alpha, gamma }: Attributes) =>
  op !== "Selu" || (alpha === undefined && gamma === undefined);

testCases<OnnxCase>(
  "onnx-nodes.json",
  255,
  ({ op, graph, attrs }) => {
    if (graph || !op) return "elsewhere";
    if (op === "PRelu") return "slopes";
    if (!(op in onnxKinds)) return "elsewhere";
    return isOurs(op, attrs) ? op : "constants";
  },
  Object.fromEntries(
    Object.entries(onnxKinds).map(([op, [kind, options]]) => [
      op,
      (testCase: OnnxCase, runtime: lamella.Runtime) => {
        const { out } = forwardOf(kind)(
          f32(runtime, testCase.inputs[0]!),
          options?.(testCase.attrs),
        );
        compareOnnx(testCase, out);
      },
    ]),
  ),
  { elsewhere, slopes, constants: "SELU of other constants than its own" },
);

const wptOptions: Record<string, (options: Attributes) => object> = {
  elu: ({ alpha = 1 }) => ({ alpha }),
  hardSigmoid: ({ alpha = 0.2, beta = 0.5 }) => ({ alpha, beta }),
  leakyRelu: ({ alpha = 0.01 }) => ({ negativeSlope: alpha }),
};

function wptActivation(testCase: WptCase, runtime: lamella.Runtime): void {
  const { input, options = {} } = Object.assign({}, ...testCase.arguments) as Attributes;
  const x = f32(runtime, testCase.inputs[input]!);
  compareWpt(testCase, forwardOf(testCase.op)(x, wptOptions[testCase.op]?.(options)).out);
}

/** A slope of one number for all, or of the channels, which are axis 1. */
const fits = ({ inputs, arguments: given }: WptCase) => {
  const { input, slope } = Object.assign({}, ...given) as Attributes;
  const [x, s] = [inputs[input]!.shape, inputs[slope]!.shape];
  const size = s.reduce((a, b) => a * b, 1);
  return size === 1 || (x.length === 2 && s.length === 1 && s[0] === x[1]);
};

const activations = /^(elu|gelu|hardSigmoid|hardSwish|leakyRelu|softplus|softsign)$/;

testCases<WptCase>(
  "wpt-conv.json",
  152,
  (testCase) => {
    const { op } = testCase;
    if (op === "prelu") return fits(testCase) ? "prelu" : "slopes";
    return activations.test(op) ? "activation" : "elsewhere";
  },
  {
    activation: wptActivation,
    prelu(testCase, runtime) {
      const { input, slope } = Object.assign({}, ...testCase.arguments) as Attributes;
      const [x, s] = [input, slope].map((name) => f32(runtime, testCase.inputs[name]!)) as [
        F32,
        F32,
      ];
      compareWpt(testCase, lamella.preluForward(x, s.reshape([s.size]) as F32).out);
    },
  },
  { elsewhere, slopes },
);
