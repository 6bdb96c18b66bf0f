// Keras' layers as layers of this package: one function for each class, from its settings and
// weights to layers with their tensors. Images and sequences are channels last on both sides, and
// weights of products and convolutions lie in memory alike.
//
// Source: the settings and the order of the weights are those of keras.layers, Keras 2 and 3, and
// of @tensorflow/tfjs-layers.

import {
  avgPool1d,
  avgPool2d,
  batchnorm,
  conv1d,
  conv2d,
  convTranspose2d,
  dropout,
  elu,
  flatten,
  gelu,
  globalAvgPool,
  groupnorm,
  gru,
  hardSigmoid,
  hardSwish,
  type LayerSpec,
  layernorm,
  leakyRelu,
  logSoftmax,
  lstm,
  maxPool1d,
  maxPool2d,
  mish,
  permute,
  prelu,
  relu,
  relu6,
  reshape,
  rnn,
  selu,
  sigmoid,
  silu,
  softmax,
  softplus,
  softsign,
  tanh,
  upsample2d,
  zeroPad2d,
} from "lamella";
import { show } from "../../runtime/errors.ts";
import { type Part, product, type Values } from "./builder.ts";
import { refuse } from "./refusal.ts";
import type { Settings } from "./source.ts";

/** What a class is converted from. */
export interface Source {
  readonly config: Settings;
  /** The shape of one example that enters. */
  readonly shape: readonly number[];
  /** In Keras' own order. */
  readonly weights: readonly Values[];
  /** 2 or 3: hard_sigmoid is another function in Keras 3. */
  readonly version: number;
}

const number = (config: Settings, key: string, fallback?: number): number => {
  const value = config[key] ?? fallback;
  return typeof value === "number" ? value : refuse(`${key} is ${show(config[key])}`);
};

const flag = (config: Settings, key: string, fallback: boolean): boolean => {
  const value = config[key] ?? fallback;
  return typeof value === "boolean" ? value : refuse(`${key} is ${show(value)}`);
};

/** A size of one or two axes, which a file may have as one number. */
const size = (config: Settings, key: string, axes: 1 | 2, fallback?: unknown): number[] => {
  const value = config[key] ?? fallback;
  const list = Array.isArray(value) ? value : new Array(axes).fill(value);
  return list.length === axes && list.every((n) => typeof n === "number")
    ? list
    : refuse(`${key} is ${show(config[key])}`);
};

/** The settings that have one value here. */
const only = (config: Settings, expected: Settings) => {
  for (const [key, value] of Object.entries(expected)) {
    const given = config[key];
    if (given !== undefined && given !== null && given !== value)
      refuse(`${key} is ${show(given)}`);
  }
};

const channelsLast = (config: Settings) => only(config, { data_format: "channels_last" });

/** The class and the settings of something that is serialised within a layer. */
function nested(value: unknown): { name: string; config: Settings } {
  if (typeof value === "string") return { name: value, config: {} };
  const { class_name, config } = (value ?? {}) as Settings;
  return typeof class_name === "string"
    ? { name: class_name, config: (config ?? {}) as Settings }
    : refuse(`${show(value)} has no class`);
}

/** Functions of one number by their names in Keras. */
const activations: Readonly<Record<string, (version: number) => LayerSpec | null>> = {
  linear: () => null,
  relu: () => relu(),
  relu6: () => relu6(),
  sigmoid: () => sigmoid(),
  tanh: () => tanh(),
  softmax: () => softmax(),
  log_softmax: () => logSoftmax(),
  elu: () => elu(),
  selu: () => selu(),
  softplus: () => softplus(),
  softsign: () => softsign(),
  swish: () => silu(),
  silu: () => silu(),
  gelu: () => gelu(),
  mish: () => mish(),
  leaky_relu: () => leakyRelu(0.2),
  hard_silu: () => hardSwish(),
  hard_swish: () => hardSwish(),
  hard_sigmoid: (version) =>
    version >= 3 ? hardSigmoid() : hardSigmoid({ alpha: 0.2, beta: 0.5 }),
};

function activation(value: unknown, version: number): Part[] {
  if (value === undefined || value === null) return [];
  const { name } = nested(value);
  const make = Object.hasOwn(activations, name) ? activations[name] : undefined;
  const layer = make ? make(version) : refuse(`the activation ${show(name)}`);
  return layer ? [{ layer }] : [];
}

/** The tensors by name, as many as there are. */
function named(weights: readonly Values[], ...names: readonly string[]): Record<string, Values> {
  if (weights.length !== names.length) {
    refuse(`has ${weights.length} weights, expected ${names.length}: ${names}`);
  }
  return Object.fromEntries(names.map((name, i) => [name, weights[i] as Values]));
}

/** Scale and shift of a normalisation, which Keras leaves out where they are 1 and 0. */
function scaled(
  { config, weights, shape }: Source,
  ...statistics: readonly string[]
): Record<string, Values> {
  const C = shape.at(-1) as number;
  const filled = (value: number) => ({ shape: [C], values: new Float64Array(C).fill(value) });
  const names = [
    ...(flag(config, "scale", true) ? ["weight"] : []),
    ...(flag(config, "center", true) ? ["bias"] : []),
  ];
  return { weight: filled(1), bias: filled(0), ...named(weights, ...names, ...statistics) };
}

/** The axis of a normalisation, which counts the batch, must be the last. */
function lastAxis({ config, shape }: Source) {
  const { axis = -1 } = config;
  const [own, ...rest] = Array.isArray(axis) ? axis : [axis];
  if (rest.length > 0 || (own !== -1 && own !== shape.length)) {
    refuse(`axis is ${show(axis)}, which is not the last`);
  }
}

const reshaped = ({ values }: Values, shape: readonly number[]): Values => ({ values, shape });

const biased = (useBias: boolean) => (useBias ? ["weight", "bias"] : ["weight"]);

/** Padding of a convolution: "causal" looks back alone. */
const padding1d = (config: Settings, reach: number) => {
  const value = config.padding ?? "valid";
  if (value === "causal") return { left: reach, right: 0 };
  return value === "same" || value === "valid" ? value : refuse(`padding is ${show(value)}`);
};

const padding2d = ({ padding = "valid" }: Settings): "same" | "valid" =>
  padding === "same" || padding === "valid" ? padding : refuse(`padding is ${show(padding)}`);

const pair = (list: number[]) => list as [number, number];

function convolved2d({ config, weights, version }: Source): Part[] {
  channelsLast(config);
  const useBias = flag(config, "use_bias", true);
  const layer = conv2d(number(config, "filters"), pair(size(config, "kernel_size", 2)), {
    stride: pair(size(config, "strides", 2, 1)),
    dilation: pair(size(config, "dilation_rate", 2, 1)),
    padding: padding2d(config),
    groups: number(config, "groups", 1),
    useBias,
  });
  return [
    { layer, tensors: named(weights, ...biased(useBias)) },
    ...activation(config.activation, version),
  ];
}

/** Each channel has filters of its own: (KH, KW, C, m) lies in memory as (KH, KW, 1, C · m). */
function depthwise2d({ config, weights, shape }: Source, useBias: boolean): Part {
  const C = shape[2] as number;
  const filters = C * number(config, "depth_multiplier", 1);
  const kernel = pair(size(config, "kernel_size", 2));
  const { weight, ...rest } = named(weights, ...biased(useBias));
  return {
    layer: conv2d(filters, kernel, {
      stride: pair(size(config, "strides", 2, 1)),
      dilation: pair(size(config, "dilation_rate", 2, 1)),
      padding: padding2d(config),
      groups: C,
      useBias,
    }),
    tensors: { weight: reshaped(weight as Values, [...kernel, 1, filters]), ...rest },
  };
}

function pooled2d(kind: typeof maxPool2d | typeof avgPool2d, { config }: Source): Part[] {
  channelsLast(config);
  const kernel = pair(size(config, "pool_size", 2, 2));
  const stride = pair(size(config, "strides", 2, kernel));
  return [{ layer: kind(kernel, { stride, padding: padding2d(config) }) }];
}

function pooled1d(kind: typeof maxPool1d | typeof avgPool1d, { config }: Source): Part[] {
  channelsLast(config);
  const [kernel] = size(config, "pool_size", 1, 2) as [number];
  const [stride] = size(config, "strides", 1, kernel) as [number];
  return [{ layer: kind(kernel, { stride, padding: padding1d(config, 0) }) }];
}

/** A pooling over all pixels; what is kept of their axes is 1. */
function global({ config, shape }: Source, parts: Part[]): Part[] {
  channelsLast(config);
  if (!flag(config, "keepdims", false)) return parts;
  return [...parts, { layer: reshape([...shape.slice(1).map(() => 1), shape.at(-1) as number]) }];
}

/** Moves blocks of columns: `order` says which block of Keras' comes where. */
function blocks(source: Values, order: readonly number[]): Values {
  const { shape, values } = source;
  const columns = shape.at(-1) as number;
  const H = columns / order.length;
  const moved = new Float64Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const row = i - (i % columns);
    const block = order[Math.floor((i % columns) / H)] as number;
    moved[i] = values[row + block * H + (i % H)] as number;
  }
  return { shape, values: moved };
}

/** Recurrent cells: our function, Keras' blocks in our order, and the settings that are fixed. */
const cells = {
  SimpleRNN: { layer: rnn, order: [0], fixed: { activation: "tanh" } },
  LSTM: {
    layer: lstm,
    order: [0, 1, 3, 2],
    fixed: { activation: "tanh", recurrent_activation: "sigmoid" },
  },
  GRU: {
    layer: gru,
    order: [1, 0, 2],
    fixed: { activation: "tanh", recurrent_activation: "sigmoid" },
  },
} as const;

type Cell = keyof typeof cells;

/** The tensors of one direction of a recurrent layer. */
function recurrentTensors(cell: Cell, config: Settings, weights: readonly Values[]) {
  const { order } = cells[cell];
  const useBias = flag(config, "use_bias", true);
  const list = named(weights, "wx", "wh", ...(useBias ? ["b"] : []));
  const moved = Object.entries(list).map(([name, value]) => [name, blocks(value, order)] as const);
  const { wx, wh, b } = Object.fromEntries(moved) as Record<"wx" | "wh" | "b", Values>;
  const [, columns = 0] = wx.shape;
  const zeros = { shape: [columns], values: new Float64Array(columns) };
  if (cell !== "GRU") return { wx, wh, b: b ?? zeros };
  const resetAfter = flag(config, "reset_after", false);
  if (!resetAfter) return { wx, wh, b: b ?? zeros };
  // The first row is added to the input's product, the second to the state's.
  const row = (i: number): Values => ({
    shape: [columns],
    values: b ? Float64Array.from(b.values).subarray(i * columns, (i + 1) * columns) : zeros.values,
  });
  return { wx, wh, b: row(0), bh: row(1) };
}

function recurrent(
  cell: Cell,
  config: Settings,
  weights: readonly Values[],
  backward?: { config: Settings; weights: readonly Values[] },
): Part[] {
  const { layer, fixed } = cells[cell];
  const keys = ["units", "use_bias", "reset_after", "return_sequences"];
  for (const settings of backward ? [config, backward.config] : [config]) {
    only(settings, { ...fixed, return_state: false, stateful: false, time_major: false });
    for (const key of keys) {
      if (settings[key] !== config[key]) refuse(`its two directions differ in ${key}`);
    }
  }
  only(config, { go_backwards: false });
  const options = {
    returnSequences: flag(config, "return_sequences", false),
    bidirectional: backward !== undefined,
    ...(cell === "GRU" && { resetAfter: flag(config, "reset_after", false) }),
  };
  const tensors: Record<string, Values> = recurrentTensors(cell, config, weights);
  if (backward) {
    const reverse = recurrentTensors(cell, backward.config, backward.weights);
    for (const [name, value] of Object.entries(reverse)) tensors[`${name}_reverse`] = value;
  }
  return [{ layer: layer(number(config, "units"), options), tensors }];
}

const isCell = (name: string): name is Cell => Object.hasOwn(cells, name);

/** What a layer does in training alone: it is left out of what serves. */
const none = (): Part[] => [];

/** One function for each class of Keras; merges of several inputs are not among them. */
export const converters: Readonly<Record<string, (source: Source) => Part[]>> = {
  InputLayer: none,
  ActivityRegularization: none,
  Activation: ({ config, version }) => activation(config.activation, version),
  Dense({ config, shape, weights, version }) {
    if (shape.length > 3) refuse(`examples of ${shape.length} axes`);
    const { weight, bias } = named(weights, ...biased(flag(config, "use_bias", true)));
    return [
      product(number(config, "units"), shape, { weight: weight as Values, bias }),
      ...activation(config.activation, version),
    ];
  },
  Conv2D: convolved2d,
  Conv1D({ config, weights, version }) {
    channelsLast(config);
    const useBias = flag(config, "use_bias", true);
    const [kernel] = size(config, "kernel_size", 1) as [number];
    const [stride] = size(config, "strides", 1, 1) as [number];
    const [dilation] = size(config, "dilation_rate", 1, 1) as [number];
    const layer = conv1d(number(config, "filters"), kernel, {
      ...{ stride, dilation, groups: number(config, "groups", 1), useBias },
      padding: padding1d(config, dilation * (kernel - 1)),
    });
    return [
      { layer, tensors: named(weights, ...biased(useBias)) },
      ...activation(config.activation, version),
    ];
  },
  DepthwiseConv2D(source) {
    channelsLast(source.config);
    return [
      depthwise2d(source, flag(source.config, "use_bias", true)),
      ...activation(source.config.activation, source.version),
    ];
  },
  SeparableConv2D(source) {
    const { config, weights, version } = source;
    channelsLast(config);
    const useBias = flag(config, "use_bias", true);
    const depthwise = depthwise2d({ ...source, weights: weights.slice(0, 1) }, false);
    return [
      depthwise,
      {
        layer: conv2d(number(config, "filters"), 1, { useBias }),
        tensors: named(weights.slice(1), ...biased(useBias)),
      },
      ...activation(config.activation, version),
    ];
  },
  Conv2DTranspose({ config, weights, version }) {
    channelsLast(config);
    only(config, { output_padding: null });
    if (size(config, "dilation_rate", 2, 1).some((n) => n !== 1)) refuse("dilation_rate is not 1");
    const useBias = flag(config, "use_bias", true);
    const kernel = pair(size(config, "kernel_size", 2));
    const stride = pair(size(config, "strides", 2, 1));
    const isSame = padding2d(config) === "same";
    // Without padding no step is lost: where the kernel is shorter than the step, zeros follow.
    const outputPadding = pair(stride.map((step, i) => Math.max(step - (kernel[i] as number), 0)));
    const layer = convTranspose2d(number(config, "filters"), kernel, {
      ...{ stride, useBias },
      ...(isSame ? { padding: "same" as const } : { outputPadding }),
    });
    return [
      { layer, tensors: named(weights, ...biased(useBias)) },
      ...activation(config.activation, version),
    ];
  },
  MaxPooling2D: (source) => pooled2d(maxPool2d, source),
  AveragePooling2D: (source) => pooled2d(avgPool2d, source),
  MaxPooling1D: (source) => pooled1d(maxPool1d, source),
  AveragePooling1D: (source) => pooled1d(avgPool1d, source),
  GlobalAveragePooling2D: (source) => global(source, [{ layer: globalAvgPool() }]),
  GlobalAveragePooling1D: (source) => global(source, [{ layer: globalAvgPool() }]),
  GlobalMaxPooling2D: (source) =>
    global(source, [
      { layer: maxPool2d([source.shape[0] as number, source.shape[1] as number]) },
      { layer: flatten() },
    ]),
  GlobalMaxPooling1D: (source) =>
    global(source, [{ layer: maxPool1d(source.shape[0] as number) }, { layer: flatten() }]),
  BatchNormalization(source) {
    const { config } = source;
    lastAxis(source);
    only(config, { renorm: false });
    const layer = batchnorm({
      eps: number(config, "epsilon", 1e-3),
      momentum: number(config, "momentum", 0.99),
    });
    return [{ layer, tensors: scaled(source, "running_mean", "running_var") }];
  },
  LayerNormalization(source) {
    lastAxis(source);
    only(source.config, { rms_scaling: false });
    const layer = layernorm({ eps: number(source.config, "epsilon", 1e-3) });
    return [{ layer, tensors: scaled(source) }];
  },
  GroupNormalization(source) {
    lastAxis(source);
    const given = number(source.config, "groups", 32);
    const layer = groupnorm({
      groups: given < 0 ? (source.shape.at(-1) as number) : given,
      eps: number(source.config, "epsilon", 1e-3),
    });
    return [{ layer, tensors: scaled(source) }];
  },
  Flatten: () => [{ layer: flatten() }],
  Reshape({ config, shape }) {
    const target = config.target_shape;
    if (!Array.isArray(target)) return refuse(`target_shape is ${show(target)}`);
    const total = shape.reduce((product, length) => product * length, 1);
    const known = target.reduce((product, length) => product * (length < 0 ? 1 : length), 1);
    return [{ layer: reshape(target.map((length) => (length < 0 ? total / known : length))) }];
  },
  Permute({ config }) {
    const { dims } = config;
    if (!Array.isArray(dims)) return refuse(`dims is ${show(dims)}`);
    return [{ layer: permute(dims.map((axis) => axis - 1)) }];
  },
  ZeroPadding2D({ config }) {
    channelsLast(config);
    const { padding = 1 } = config;
    const edges = Array.isArray(padding) ? padding : [padding, padding];
    const [[top, bottom], [left, right]] = edges.map((edge) =>
      Array.isArray(edge) ? edge : [edge, edge],
    ) as [[number, number], [number, number]];
    return [{ layer: zeroPad2d({ top, left, bottom, right }) }];
  },
  UpSampling2D({ config }) {
    channelsLast(config);
    only(config, { interpolation: "nearest" });
    return [{ layer: upsample2d(pair(size(config, "size", 2, 2))) }];
  },
  Dropout: ({ config }) => {
    const rate = number(config, "rate");
    return rate > 0 && rate < 1 ? [{ layer: dropout(rate) }] : [];
  },
  SpatialDropout1D: none,
  SpatialDropout2D: none,
  GaussianNoise: none,
  GaussianDropout: none,
  AlphaDropout: none,
  ReLU({ config }) {
    only(config, { threshold: 0 });
    const most = config.max_value ?? null;
    const slope = number(config, "negative_slope", 0);
    if (most === null) return [{ layer: slope > 0 ? leakyRelu(slope) : relu() }];
    return most === 6 && slope === 0
      ? [{ layer: relu6() }]
      : refuse(`max_value is ${show(most)} and negative_slope ${slope}`);
  },
  LeakyReLU: ({ config }) => {
    const negativeSlope = number(config, "negative_slope", number(config, "alpha", 0.3));
    return [{ layer: leakyRelu(negativeSlope) }];
  },
  ELU: ({ config }) => [{ layer: elu({ alpha: number(config, "alpha", 1) }) }],
  PReLU({ weights, shape }) {
    const { weight } = named(weights, "weight") as { weight: Values };
    const C = shape.at(-1) as number;
    if (weight.values.length !== C) refuse("its slopes are not one for each channel");
    return [{ layer: prelu(), tensors: { weight: reshaped(weight, [C]) } }];
  },
  Softmax({ config, shape }) {
    const { axis = -1 } = config;
    if (typeof axis !== "number") return refuse(`axis is ${show(axis)}`);
    // Keras counts the batch.
    const own = axis < 0 ? axis : axis - 1;
    return [{ layer: own === -1 || own === shape.length - 1 ? softmax() : softmax({ axis: own }) }];
  },
  SimpleRNN: ({ config, weights }) => recurrent("SimpleRNN", config, weights),
  LSTM: ({ config, weights }) => recurrent("LSTM", config, weights),
  GRU: ({ config, weights }) => recurrent("GRU", config, weights),
  Bidirectional({ config, weights }) {
    only(config, { merge_mode: "concat" });
    const { name, config: own } = nested(config.layer);
    if (!isCell(name)) return refuse(`its layer is ${show(name)}`);
    const half = weights.length / 2;
    const reverse = config.backward_layer ? nested(config.backward_layer).config : own;
    return recurrent(name, own, weights.slice(0, half), {
      config: reverse,
      weights: weights.slice(half),
    });
  },
  TimeDistributed(source) {
    const { name, config } = nested(source.config.layer);
    // What acts on the last axis alone acts on each step anyway.
    const isPlain = ["Dense", "Activation", "LayerNormalization", "Dropout"].includes(name);
    if (!isPlain) return refuse(`its layer is ${show(name)}`);
    return (converters[name] as (source: Source) => Part[])({ ...source, config });
  },
};
