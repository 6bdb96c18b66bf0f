// Convolution, pooling, norms and what moves pixels, by the published cases of ONNX, WebNN and
// CS231n: each in its own dtype and within its own tolerance, but for ONNX' relative error of 1e-3,
// which is 1e-5 here.

import { expect } from "vitest";
import {
  addForward,
  avgPool1dForward,
  avgPool2dForward,
  type BatchnormParam,
  batchnormForward,
  type ConvParam,
  concatForward,
  conv2dBackward,
  conv2dForward,
  convTranspose2dForward,
  globalAvgPoolForward,
  groupnormForward,
  layernormBackward,
  layernormForward,
  maxPool1dForward,
  maxPool2dForward,
  multiplyForward,
  permuteForward,
  type Runtime,
  reluBackward,
  reluForward,
  type Tensor,
  upsample2dForward,
  zeroPad2dForward,
} from "../../src/index.ts";
import {
  type Attributes,
  checkDeviation,
  compareOnnx,
  compareWpt,
  decoded,
  type Encodeds,
  largestDeviation,
  type OnnxCase,
  reportDeviations,
  testCases,
  type Values,
  type WptCase,
} from "./cases.ts";

type F32 = Tensor<"float32">;

reportDeviations("of what is allowed, or ULP");

const f32 = (runtime: Runtime, values: Encodeds): F32 =>
  runtime.tensor(decoded(values).data, values.shape, "float32");

/** Of the files' cases those that are tried here; the others have reasons. */
const elsewhere = "no convolution, pooling, norm or movement";

/** SAME_LOWER has the larger half of the padding in front. */
function lowerPadding(size: readonly number[], kernel: number[], strides: number[]): number[] {
  const total = size.map((n, k) =>
    Math.max((Math.ceil(n / strides[k]!) - 1) * strides[k]! + kernel[k]! - n, 0),
  );
  return [...total.map((n) => Math.ceil(n / 2)), ...total.map((n) => Math.floor(n / 2))];
}

function pool(testCase: OnnxCase, runtime: Runtime): void {
  const { attrs, inputs } = testCase;
  const x = f32(runtime, inputs[0]!);
  const axes = x.shape.length - 2;
  const kernel: number[] = attrs.kernel_shape;
  const stride: number[] = attrs.strides ?? kernel.map(() => 1);
  const isLower = attrs.auto_pad === "SAME_LOWER";
  const edges = isLower ? lowerPadding(x.shape.slice(2), kernel, stride) : attrs.pads;
  const isAverage = testCase.op === "AveragePool";
  const more = {
    ceil: attrs.ceil_mode === 1,
    ...(isAverage && { countPadding: attrs.count_include_pad === 1 }),
  };
  if (axes === 1) {
    const padding = { left: edges?.[0] ?? 0, right: edges?.[1] ?? 0 };
    const param = { ...more, kernel: kernel[0]!, stride: stride[0]!, padding };
    const forward = isAverage ? avgPool1dForward : maxPool1dForward;
    compareOnnx(testCase, forward(x, param).out);
    return;
  }
  const [top = 0, left = 0, bottom = 0, right = 0] = edges ?? [];
  const param = {
    ...{ ...more, kernel: kernel as [number, number], stride: stride as [number, number] },
    padding: attrs.auto_pad === "SAME_UPPER" ? ("same" as const) : { top, left, bottom, right },
    ...(attrs.dilations && { dilation: attrs.dilations }),
  };
  const forward = isAverage ? avgPool2dForward : maxPool2dForward;
  compareOnnx(testCase, forward(x, param).out);
}

/** Whole images of lines, which a convolution of one axis takes as images of height 1. */
function convolution(testCase: OnnxCase, runtime: Runtime): void {
  const { attrs, inputs, outputs } = testCase;
  const tall = (tensor: F32) =>
    tensor.shape.length === 4 ? tensor : tensor.reshape([...tensor.shape.slice(0, 2), 1, -1]);
  const [x, w] = inputs.map((input) => tall(f32(runtime, input))) as [F32, F32];
  const b = inputs[2] ? f32(runtime, inputs[2]) : null;
  const isTransposed = testCase.op === "ConvTranspose";
  const kernel = w.shape.slice(2);
  const stride: [number, number] = attrs.strides ?? [1, 1];
  const dilation: [number, number] = attrs.dilations ?? [1, 1];
  const isLower = attrs.auto_pad === "SAME_LOWER";
  const edges = isLower ? lowerPadding(x.shape.slice(2), kernel, stride) : attrs.pads;
  const [top = 0, left = 0, bottom = 0, right = 0] = edges ?? [];
  const padding = { top, left, bottom, right };
  const param: ConvParam = { stride, dilation, padding, groups: attrs.group ?? 1 };
  if (!isTransposed) {
    compareOnnx(testCase, conv2dForward(x, w, b, param).out);
    return;
  }
  // What is asked for beyond the sizes that come out by themselves.
  const more = kernel.map((size, k) => {
    if (!attrs.output_shape) return attrs.output_padding?.[k] ?? 0;
    const natural = (x.shape[2 + k]! - 1) * stride[k]! + dilation[k]! * (size - 1) + 1;
    return attrs.output_shape[k] - natural + padding[k ? "left" : "top"];
  });
  const outputPadding = more as [number, number];
  const { out } = convTranspose2dForward(x, w, b, { ...param, outputPadding });
  compareOnnx(testCase, out.reshape(outputs[0]!.shape));
}

function batchnorm(testCase: OnnxCase, runtime: Runtime): void {
  const { attrs, inputs, outputs } = testCase;
  const [x, gamma, beta, runningMean, runningVar] = inputs.map((input) => f32(runtime, input));
  const { epsilon: eps = 1e-5, momentum = 0.9, training_mode = 0 } = attrs;
  const mode = training_mode ? "train" : "test";
  const bnParam = { mode, eps, momentum, runningMean, runningVar } as BatchnormParam<"float32">;
  compareOnnx(testCase, batchnormForward(x!, gamma!, beta!, bnParam).out);
  for (const [i, running] of [bnParam.runningMean!, bnParam.runningVar!].entries()) {
    const output = outputs[1 + i];
    if (output) compareOnnx({ ...testCase, outputs: [output] }, running);
  }
}

/** Pads of all axes, begins and then ends, of which only those of the last two are not 0. */
function pad(testCase: OnnxCase, runtime: Runtime): void {
  const [x, pads, value, axes] = testCase.inputs.map(decoded);
  const rank = x!.shape.length;
  const all = axes?.data ?? [...Array(rank).keys()];
  const edges = new Array<number>(2 * rank).fill(0);
  for (const [k, axis] of all.entries()) {
    const place = axis < 0 ? axis + rank : axis;
    edges[place] = pads!.data[k]!;
    edges[rank + place] = pads!.data[all.length + k]!;
  }
  expect([edges[0], edges[1], edges[4], edges[5]]).toEqual([0, 0, 0, 0]);
  const [, , top = 0, left = 0, , , bottom = 0, right = 0] = edges;
  // Zeros around the distances from the value.
  const filler = runtime.tensor(value?.data ?? [0], [1], "float64");
  const less = runtime.tensor(value ? [-value.data[0]!] : [0], [1], "float64");
  const distances = addForward(runtime.tensor(x!.data, x!.shape, "float64"), less).out;
  const padded = zeroPad2dForward(distances, { top, left, bottom, right }).out;
  compareOnnx(testCase, addForward(padded, filler).out);
}

const oneOperator = (op: string, attrs: Attributes, inputs: Encodeds[], outputs: Encodeds[]) => {
  if (/^(Max|Average)Pool$/.test(op)) {
    if (inputs[0]!.shape.length > 4) return "three axes";
    return op === "AveragePool" && attrs.dilations ? "dilated average" : op;
  }
  if (/^Conv/.test(op) && inputs[0]!.shape.length > 4) return "three axes";
  if (op === "Pad") return attrs.mode === "constant" ? op : "reflected";
  if (op === "Resize") {
    const isWhole = outputs[0]!.shape.every((n, k) => n % inputs[0]!.shape[k]! === 0);
    return isWhole && !attrs.coordinate_transformation_mode ? op : "resampled";
  }
  return op;
};

const onnx = {
  MaxPool: pool,
  AveragePool: pool,
  Conv: convolution,
  ConvTranspose: convolution,
  BatchNormalization: batchnorm,
  Pad: pad,

  GlobalAveragePool(testCase, runtime) {
    const { out } = globalAvgPoolForward(f32(runtime, testCase.inputs[0]!));
    compareOnnx(testCase, out.reshape(testCase.outputs[0]!.shape));
  },

  LayerNormalization(testCase, runtime) {
    const [x, gamma, beta] = testCase.inputs.map((input) => f32(runtime, input));
    const { axis = -1, epsilon: eps = 1e-5 } = testCase.attrs;
    expect(gamma!.shape).toEqual(x!.shape.slice(axis));
    compareOnnx(testCase, layernormForward(x!, gamma!, beta!, { eps }).out);
  },

  GroupNormalization(testCase, runtime) {
    const [x, gamma, beta] = testCase.inputs.map((input) => f32(runtime, input));
    const { num_groups: groups, epsilon: eps = 1e-5 } = testCase.attrs;
    compareOnnx(testCase, groupnormForward(x!, gamma!, beta!, { groups, eps }).out);
  },

  InstanceNormalization(testCase, runtime) {
    const [x, gamma, beta] = testCase.inputs.map((input) => f32(runtime, input));
    const eps = testCase.attrs.epsilon ?? 1e-5;
    const groups = x!.shape[1]!;
    compareOnnx(testCase, groupnormForward(x!, gamma!, beta!, { groups, eps }).out);
  },

  Concat(testCase, runtime) {
    const xs = testCase.inputs.map((input) => f32(runtime, input));
    compareOnnx(testCase, concatForward(xs, { axis: testCase.attrs.axis }).out);
  },

  Transpose(testCase, runtime) {
    const x = f32(runtime, testCase.inputs[0]!);
    const axes = testCase.attrs.perm ?? [...x.shape.keys()].reverse();
    compareOnnx(testCase, permuteForward(x, axes).out);
  },

  Resize(testCase, runtime) {
    const x = f32(runtime, testCase.inputs[0]!);
    const [, , H, W] = testCase.outputs[0]!.shape;
    const scale = [H! / x.shape[2]!, W! / x.shape[3]!] as const;
    compareOnnx(testCase, upsample2dForward(x, { scale }).out);
  },

  Add(testCase, runtime) {
    const [a, b] = testCase.inputs.map((input) => f32(runtime, input));
    compareOnnx(testCase, addForward(a!, b!).out);
  },

  Mul(testCase, runtime) {
    const [a, b] = testCase.inputs.map((input) => f32(runtime, input));
    compareOnnx(testCase, multiplyForward(a!, b!).out);
  },
} satisfies Record<string, (testCase: OnnxCase, runtime: Runtime) => void>;

const onnxReasons = {
  "three axes": "three spatial axes",
  "dilated average": "an average of dilated windows",
  reflected: "padding other than by a constant",
  resampled: "resampling other than by whole numbers",
  elsewhere,
};

testCases<OnnxCase>(
  "onnx-nodes.json",
  255,
  ({ op, graph, attrs, inputs, outputs }) => {
    if (graph || !op) return "elsewhere";
    const kind = oneOperator(op, attrs, inputs, outputs);
    return kind in onnx || kind in onnxReasons ? kind : "elsewhere";
  },
  onnx,
  onnxReasons,
);

/** The operand and the options of a case, and an operand by the name that an option gives it. */
function wptArguments(testCase: WptCase, runtime: Runtime) {
  const { options = {}, ...rest } = Object.assign({}, ...testCase.arguments) as Attributes;
  const named = (name: string | undefined) =>
    name === undefined ? undefined : f32(runtime, testCase.inputs[name]!);
  return { x: named(rest.input) as F32, options, rest, named };
}

/** gamma and beta of a norm, 1 and 0 where they are not given. */
function gains(
  runtime: Runtime,
  shape: readonly number[],
  { scale, bias }: Attributes,
  named: (name: string | undefined) => F32 | undefined,
): [F32, F32] {
  const [gamma, beta] = [named(scale), named(bias)];
  return [
    (gamma?.reshape(shape) as F32 | undefined) ?? runtime.ones(shape),
    (beta?.reshape(shape) as F32 | undefined) ?? runtime.zeros(shape),
  ];
}

function wptPool(testCase: WptCase, runtime: Runtime): void {
  const { x, options } = wptArguments(testCase, runtime);
  const isLast = options.layout === "nhwc";
  const size = isLast ? x.shape.slice(1, 3) : x.shape.slice(2);
  const [top = 0, bottom = 0, left = 0, right = 0] = options.padding ?? [];
  const isAverage = testCase.op === "averagePool2d";
  const forward = isAverage ? avgPool2dForward : maxPool2dForward;
  const call = (ceil: boolean) =>
    forward(x, {
      kernel: options.windowDimensions ?? size,
      stride: options.strides ?? [1, 1],
      padding: { top, left, bottom, right },
      layout: isLast ? "NHWC" : "NCHW",
      ceil,
      ...(isAverage ? {} : { dilation: options.dilations ?? [1, 1] }),
    }).out;
  let out = call(options.roundingType === "ceil");
  // The sizes that are asked for, whichever way they are rounded.
  if (options.outputSizes) {
    const sizes = out.shape.slice(isLast ? 1 : 2, isLast ? 3 : 4).join();
    if (sizes !== options.outputSizes.join()) out = call(options.roundingType !== "ceil");
  }
  compareWpt(testCase, out);
}

/** Filters by the names of their axes: i of the channels that come in, o of those that come out. */
const filterOrder = (layout: string, wanted: string) =>
  [...wanted].map((axis) => layout.indexOf(axis));

function wptConvolution(testCase: WptCase, runtime: Runtime): void {
  const { x, options, rest, named } = wptArguments(testCase, runtime);
  const isTransposed = testCase.op === "convTranspose2d";
  const isLast = options.inputLayout === "nhwc";
  const given = options.filterLayout ?? (isTransposed ? "iohw" : "oihw");
  const wanted = isTransposed ? (isLast ? "hwoi" : "iohw") : isLast ? "hwio" : "oihw";
  const w = permuteForward(named(rest.filter)!, filterOrder(given, wanted)).out;
  const b = named(options.bias) ?? null;
  const [top = 0, bottom = 0, left = 0, right = 0] = options.padding ?? [];
  const { strides: stride = [1, 1], dilations: dilation = [1, 1], groups = 1 } = options;
  const param: ConvParam = {
    ...{ stride, dilation, groups, padding: { top, left, bottom, right } },
    layout: isLast ? "NHWC" : "NCHW",
  };
  if (!isTransposed) {
    compareWpt(testCase, conv2dForward(x, w, b, param).out);
    return;
  }
  let outputPadding = options.outputPadding ?? [0, 0];
  if (options.outputSizes) {
    const { out } = convTranspose2dForward(x, w, b, param);
    const sizes = isLast ? out.shape.slice(1, 3) : out.shape.slice(2);
    outputPadding = sizes.map((n, k) => options.outputSizes[k] - n);
  }
  compareWpt(testCase, convTranspose2dForward(x, w, b, { ...param, outputPadding }).out);
}

testCases<WptCase>(
  "wpt-conv.json",
  152,
  ({ op }) =>
    /^(averagePool2d|maxPool2d|conv2d|convTranspose2d|\w+Normalization)$/.test(op)
      ? op
      : "elsewhere",
  {
    conv2d: wptConvolution,
    convTranspose2d: wptConvolution,
    averagePool2d: wptPool,
    maxPool2d: wptPool,

    batchNormalization(testCase, runtime) {
      const { x, options, rest, named } = wptArguments(testCase, runtime);
      const { axis = 1, epsilon: eps = 1e-5 } = options;
      const [gamma, beta] = gains(runtime, [x.shape[axis]!], options, named);
      const [runningMean, runningVar] = [named(rest.mean), named(rest.variance)];
      const bnParam: BatchnormParam<"float32"> = {
        mode: "test",
        eps,
        axis,
        runningMean,
        runningVar,
      };
      compareWpt(testCase, batchnormForward(x, gamma, beta, bnParam).out);
    },

    // Of any axes in any order: moved last, and back.
    layerNormalization(testCase, runtime) {
      const { x, options, named } = wptArguments(testCase, runtime);
      const rank = x.shape.length;
      const axes: number[] = options.axes ?? [...Array(rank).keys()].slice(1);
      const order = [...Array(rank).keys()].filter((axis) => !axes.includes(axis)).concat(axes);
      const moved = permuteForward(x, order).out;
      const D = axes.reduce((n, axis) => n * x.shape[axis]!, 1);
      const [gamma, beta] = gains(runtime, [D], options, named);
      const rows = moved.reshape([moved.size / D, D]);
      const { out } = layernormForward(rows, gamma, beta, { eps: options.epsilon ?? 1e-5 });
      const back = order.map((_, axis) => order.indexOf(axis));
      compareWpt(testCase, permuteForward(out.reshape(moved.shape), back).out);
    },

    instanceNormalization(testCase, runtime) {
      const { x, options, named } = wptArguments(testCase, runtime);
      const isLast = options.layout === "nhwc";
      const image = isLast ? permuteForward(x, [0, 3, 1, 2]).out : x;
      const groups = image.shape[1]!;
      const [gamma, beta] = gains(runtime, [groups], options, named);
      const eps = options.epsilon ?? 1e-5;
      const { out } = groupnormForward(image, gamma, beta, { groups, eps });
      compareWpt(testCase, isLast ? permuteForward(out, [0, 2, 3, 1]).out : out);
    },
  },
  { elsewhere },
);

interface CourseCase {
  name: string;
  family: string;
  fn: string;
  inputs: Record<string, { shape: number[]; data?: number[]; linspace?: [number, number] }>;
  params: Attributes;
  expected: Record<string, { shape: number[]; data: number[] } | number[]>;
  tolerance: { max?: number; out_max?: number };
}

/** The course's own measure. */
const relative = (a: number, e: number) =>
  Math.abs(a - e) / Math.max(1e-8, Math.abs(a) + Math.abs(e));

function compareCourse(
  { expected, family, tolerance }: CourseCase,
  results: Record<string, Values>,
) {
  for (const [name, actual] of Object.entries(results)) {
    const deviation = largestDeviation(actual, expected[name] as Values, relative);
    checkDeviation(family, deviation, tolerance.out_max ?? tolerance.max!);
  }
}

/** The operands by name, in float64; vectors may stand as (1, C, 1, 1). */
function operandsOf({ inputs }: CourseCase, runtime: Runtime): Record<string, Tensor<"float64">> {
  const entries = Object.entries(inputs).map(([name, { shape, data, linspace }]) => {
    const n = shape.reduce((a, b) => a * b, 1);
    const [a, b] = linspace ?? [0, 0];
    const values = data ?? Array.from({ length: n }, (_, i) => a + (i * (b - a)) / (n - 1));
    const isVector = name === "gamma" || name === "beta";
    return [name, runtime.tensor(values, isVector ? [n] : shape, "float64")] as const;
  });
  return Object.fromEntries(entries);
}

testCases<CourseCase>(
  "cs231n-images.json",
  20,
  ({ family }) =>
    /^(conv|pool|spatial batch norm|layer norm|group norm)$/.test(family) ? family : "elsewhere",
  {
    conv(testCase, runtime) {
      const { x, w, b, dout } = operandsOf(testCase, runtime);
      const { stride, pad: padding } = testCase.params;
      const conv = conv2dForward(x!, w!, b!, { stride, padding });
      if (!testCase.fn.includes("relu")) {
        compareCourse(testCase, { out: conv.out, ...conv2dBackward(dout!, conv.cache) });
        return;
      }
      const relu = reluForward(conv.out);
      const gradients = conv2dBackward(reluBackward(dout!, relu.cache), conv.cache);
      compareCourse(testCase, { out: relu.out, ...gradients });
    },

    pool(testCase, runtime) {
      const { pool_height, pool_width, stride } = testCase.params;
      const { x } = operandsOf(testCase, runtime);
      const { out } = maxPool2dForward(x!, { kernel: [pool_height, pool_width], stride });
      compareCourse(testCase, { out });
    },

    "spatial batch norm"(testCase, runtime) {
      const { x, gamma, beta } = operandsOf(testCase, runtime);
      const bnParam: BatchnormParam<"float64"> = { mode: "train", eps: testCase.params.eps };
      const { out } = batchnormForward(x!, gamma!, beta!, bnParam);
      compareCourse(testCase, {
        out,
        running_mean_after_first_call: bnParam.runningMean!,
        running_var_after_first_call: bnParam.runningVar!,
      });
      bnParam.runningMean!.dispose();
      bnParam.runningVar!.dispose();
    },

    "layer norm"(testCase, runtime) {
      const { x, gamma, beta, dout } = operandsOf(testCase, runtime);
      const { out, cache } = layernormForward(x!, gamma!, beta!, { eps: testCase.params.eps });
      compareCourse(testCase, dout ? { out, ...layernormBackward(dout, cache) } : { out });
    },

    "group norm"(testCase, runtime) {
      const { x, gamma, beta } = operandsOf(testCase, runtime);
      const { groups, eps } = testCase.params;
      compareCourse(testCase, { out: groupnormForward(x!, gamma!, beta!, { groups, eps }).out });
    },
  },
  { elsewhere },
);
