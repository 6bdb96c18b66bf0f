// TFLite's operators as layers of this package: one function for each.
//
// Source: the numbers of operators and options are those of tensorflow/lite/schema/schema.fbs.

import {
  add,
  avgPool2d,
  concat,
  conv2d,
  elu,
  FormatError,
  flatten,
  gelu,
  globalAvgPool,
  hardSwish,
  type LayerSpec,
  leakyRelu,
  logSoftmax,
  lstm,
  maxPool2d,
  multiply,
  permute,
  prelu,
  type Runtime,
  relu,
  relu6,
  reshape,
  sigmoid,
  softmax,
  tanh,
  upsample2d,
  zeroPad2d,
} from "lamella";
import { quote } from "../../runtime/errors.ts";
import { float32BitsOfFloat16 } from "../float16.ts";
import { openTflite, type Table } from "../formats/tflite.ts";
import { Builder, type Imported, type Part, product, type Value, type Values } from "./builder.ts";
import { refuse, Unconvertible, unsupported } from "./refusal.ts";
import { bytesOf } from "./source.ts";

const OPERATION = "loadTflite";
const fail = (message: string) => new FormatError(`${OPERATION}: ${message}`);

const types = [
  ...["float32", "float16", "int32", "uint8", "int64", "string", "bool", "int16", "complex64"],
  ...["int8", "float64", "complex128", "uint64", "resource", "variant", "uint32", "uint16", "int4"],
];

/** How numbers of a type are read, and the bytes of one. */
const readers: Readonly<
  Record<string, [width: number, read: (v: DataView, at: number) => number]>
> = {
  float32: [4, (view, at) => view.getFloat32(at, true)],
  float16: [2, (view, at) => view.getUint16(at, true)],
  int32: [4, (view, at) => view.getInt32(at, true)],
  int64: [8, (view, at) => Number(view.getBigInt64(at, true))],
  int8: [1, (view, at) => view.getInt8(at)],
  uint8: [1, (view, at) => view.getUint8(at)],
};

interface Tensor {
  readonly name: string;
  /** The batch is the first axis. */
  readonly shape: readonly number[];
  readonly type: string;
  /** The numbers of a constant, expanded where they are quantised; null for what is computed. */
  readonly values: Float32Array | null;
}

function tensorOf(table: Table, buffers: readonly Table[]): Tensor {
  const shape = table.int32s(0);
  const type = types[table.int8(1)] ?? `type ${table.int8(1)}`;
  const name = table.text(3);
  const data = buffers[table.int32(2)]?.bytes(0);
  if (!data || data.length === 0) return { name, shape, type, values: null };
  const reader = Object.hasOwn(readers, type) ? readers[type] : undefined;
  if (!reader) throw fail(`the constant ${quote(name)} is of ${type}`);
  const [width, read] = reader;
  const size = shape.reduce((product, length) => product * length, 1);
  if (size * width !== data.length) {
    throw fail(
      `the constant ${quote(name)} of shape (${shape}) and ${type} has ${data.length} bytes, expected ${size * width}`,
    );
  }
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const values = new Float32Array(size);
  for (let i = 0; i < size; i++) values[i] = read(view, i * width);
  if (type === "float16") {
    const bits = new Int32Array(values.buffer);
    for (let i = 0; i < size; i++) bits[i] = float32BitsOfFloat16(values[i] as number);
  }
  const quantization = table.table(4);
  const scales = quantization?.float32s(2) ?? [];
  if (quantization && scales.length > 0) {
    const zeros = quantization.int64s(3);
    const axis = quantization.int32(6);
    const inner = shape.slice(axis + 1).reduce((product, length) => product * length, 1);
    for (let i = 0; i < size; i++) {
      const channel = scales.length === 1 ? 0 : Math.floor(i / inner) % (shape[axis] as number);
      const step = scales[channel] ?? Number.NaN;
      values[i] = ((values[i] as number) - (zeros[channel] ?? 0)) * step;
    }
  }
  return { name, shape, type, values };
}

/** What a function below converts. */
interface Operator {
  readonly tensors: readonly (Tensor | null)[];
  /** Of each input that is computed. */
  readonly nodes: readonly (Value | null)[];
  readonly options: Table | null;
  readonly output: Tensor;
  /** Applies a layer, by default to the first input. */
  readonly put: (part: Part, ...nodes: Value[]) => Value;
}

const option = ({ options }: Operator, id: number, fallback = 0) =>
  options ? options.int32(id, fallback) : fallback;
const small = ({ options }: Operator, id: number) => (options ? options.int8(id) : 0);

function constant({ tensors }: Operator, index: number): Values {
  const tensor = tensors[index];
  if (!tensor?.values) return refuse(`input ${index} is computed, and must be a constant`);
  return { shape: tensor.shape, values: tensor.values };
}

function node({ nodes }: Operator, index = 0): Value {
  return nodes[index] ?? refuse(`input ${index} is a constant`);
}

/** Applies the activation that is fused into an operator. */
function activated(operator: Operator, id: number, value: Value): Value {
  const kind = small(operator, id);
  const layers: Readonly<Record<number, () => LayerSpec>> = {
    1: () => relu(),
    3: () => relu6(),
    4: () => tanh(),
  };
  if (kind === 0) return value;
  const make = layers[kind] ?? refuse(`the fused activation ${kind}`);
  return operator.put({ layer: make() }, value);
}

const padding = (operator: Operator, id: number) =>
  small(operator, id) === 0 ? ("same" as const) : ("valid" as const);

const sizeOf = (shape: readonly number[]) => shape.reduce((size, length) => size * length, 1);

/** Moves the axes of a constant. */
function transposed({ shape, values }: Values, order: readonly number[]): Values {
  const strides = shape.map((_, axis) => sizeOf(shape.slice(axis + 1)));
  const to = order.map((axis) => shape[axis] as number);
  const moved = new Float32Array(values.length);
  const index = to.map(() => 0);
  let from = 0;
  for (let i = 0; i < moved.length; i++) {
    moved[i] = values[from] as number;
    for (let k = to.length - 1; k >= 0; k--) {
      const step = strides[order[k] as number] as number;
      index[k] = (index[k] as number) + 1;
      from += step;
      if ((index[k] as number) < (to[k] as number)) break;
      from -= step * (to[k] as number);
      index[k] = 0;
    }
  }
  return { shape: to, values: moved };
}

const whole = (operator: Operator, index: number): number[] => [
  ...Array.from(constant(operator, index).values),
];

/** An axis of an example; TFLite's count the batch. */
function exampleAxis(axis: number, rank: number): number {
  const own = axis < 0 ? axis + rank : axis - 1;
  return own >= 0 && own < rank ? own : refuse(`axis ${axis}, which is the batch's`);
}

const elementwise = (make: () => LayerSpec) => (operator: Operator) =>
  operator.put({ layer: make() }, node(operator));

const combined = (make: () => LayerSpec) => (operator: Operator) =>
  activated(operator, 0, operator.put({ layer: make() }, node(operator, 0), node(operator, 1)));

function pooled(make: typeof maxPool2d | typeof avgPool2d, operator: Operator): Value {
  const layer = make([option(operator, 4), option(operator, 3)], {
    stride: [option(operator, 2), option(operator, 1)],
    padding: padding(operator, 0),
  });
  return activated(operator, 5, operator.put({ layer }, node(operator)));
}

function withBias(operator: Operator, weight: Values): Record<string, Values> {
  return operator.tensors[2] ? { weight, bias: constant(operator, 2) } : { weight };
}

function shaped(operator: Operator, value: Value, shape: readonly number[]): Value {
  return operator.put({ layer: reshape([...shape]) }, value);
}

/** One function for each operator, by its number in the schema. */
const operators: Readonly<Record<number, [name: string, convert: (o: Operator) => Value]>> = {
  0: ["ADD", combined(() => add())],
  1: ["AVERAGE_POOL_2D", (operator) => pooled(avgPool2d, operator)],
  2: [
    "CONCATENATION",
    (operator) => {
      const values = operator.nodes.map((_, i) => node(operator, i));
      const rank = (values[0] as Value).shape.length;
      const layer = concat({ axis: exampleAxis(option(operator, 0), rank) });
      return activated(operator, 1, operator.put({ layer }, ...values));
    },
  ],
  3: [
    "CONV_2D",
    (operator) => {
      const filters = constant(operator, 1);
      const [F, KH, KW, C] = filters.shape as [number, number, number, number];
      const value = node(operator);
      const layer = conv2d(F, [KH, KW], {
        stride: [option(operator, 2), option(operator, 1)],
        dilation: [option(operator, 5, 1), option(operator, 4, 1)],
        padding: padding(operator, 0),
        groups: (value.shape.at(-1) as number) / C,
        useBias: Boolean(operator.tensors[2]),
      });
      const tensors = withBias(operator, transposed(filters, [1, 2, 3, 0]));
      return activated(operator, 3, operator.put({ layer, tensors }, value));
    },
  ],
  4: [
    "DEPTHWISE_CONV_2D",
    (operator) => {
      const { shape, values } = constant(operator, 1);
      const [, KH, KW, F] = shape as [number, number, number, number];
      const value = node(operator);
      const layer = conv2d(F, [KH, KW], {
        stride: [option(operator, 2), option(operator, 1)],
        dilation: [option(operator, 6, 1), option(operator, 5, 1)],
        padding: padding(operator, 0),
        groups: value.shape.at(-1) as number,
        useBias: Boolean(operator.tensors[2]),
      });
      const tensors = withBias(operator, { shape: [KH, KW, 1, F], values });
      return activated(operator, 4, operator.put({ layer, tensors }, value));
    },
  ],
  9: [
    "FULLY_CONNECTED",
    (operator) => {
      if (small(operator, 1) !== 0) refuse("shuffled weights");
      const weight = constant(operator, 1);
      const [M, D] = weight.shape as [number, number];
      const value = node(operator);
      const isRow = sizeOf(value.shape) === D;
      const keeps = operator.options ? operator.options.uint8(2) !== 0 : false;
      if (!isRow && !(keeps && value.shape.length < 4)) refuse("rows that are cut from the batch");
      const part = product(M, isRow ? [D] : value.shape, {
        weight: transposed(weight, [1, 0]),
        bias: operator.tensors[2] ? constant(operator, 2) : undefined,
      });
      return activated(operator, 0, operator.put(part, value));
    },
  ],
  14: ["LOGISTIC", elementwise(() => sigmoid())],
  17: ["MAX_POOL_2D", (operator) => pooled(maxPool2d, operator)],
  18: ["MUL", combined(() => multiply())],
  19: ["RELU", elementwise(() => relu())],
  21: ["RELU6", elementwise(() => relu6())],
  22: [
    "RESHAPE",
    (operator) => {
      const value = node(operator);
      const { shape } = operator.output;
      const target = shape.slice(1);
      const isWhole = target.every((length) => length > 0);
      if (!isWhole || sizeOf(target) !== sizeOf(value.shape)) refuse(`the shape (${shape})`);
      return target.length === 1
        ? operator.put({ layer: flatten() }, value)
        : shaped(operator, value, target);
    },
  ],
  25: [
    "SOFTMAX",
    (operator) => {
      if (operator.options && operator.options.float32(0) !== 1) refuse("a beta that is not 1");
      return operator.put({ layer: softmax() }, node(operator));
    },
  ],
  28: ["TANH", elementwise(() => tanh())],
  34: [
    "PAD",
    (operator) => {
      const value = node(operator);
      const edges = whole(operator, 1);
      const [n0 = 0, n1 = 0, top = 0, bottom = 0, left = 0, right = 0, c0 = 0, c1 = 0] = edges;
      if (edges.length !== 8 || n0 || n1) refuse(`the padding (${edges})`);
      let out = value;
      if (top || bottom || left || right) {
        out = operator.put({ layer: zeroPad2d({ top, left, bottom, right }) }, out);
      }
      if (!(c0 || c1)) return out;
      // Channels are padded as the columns of an image of one channel.
      const [H, W, C] = out.shape as [number, number, number];
      out = shaped(operator, out, [H * W, C, 1]);
      out = operator.put({ layer: zeroPad2d({ top: 0, left: c0, bottom: 0, right: c1 }) }, out);
      return shaped(operator, out, [H, W, C + c0 + c1]);
    },
  ],
  39: [
    "TRANSPOSE",
    (operator) => {
      const [batch, ...axes] = whole(operator, 1);
      if (batch !== 0) refuse("an order that moves the batch");
      return operator.put({ layer: permute(axes.map((axis) => axis - 1)) }, node(operator));
    },
  ],
  40: [
    "MEAN",
    (operator) => {
      const value = node(operator);
      const axes = whole(operator, 1).map((axis) => exampleAxis(axis, value.shape.length));
      const spatial = value.shape.slice(0, -1).map((_, axis) => axis);
      if ([...axes].sort().join() !== spatial.join()) refuse(`the axes ${axes}`);
      const out = operator.put({ layer: globalAvgPool() }, value);
      const keeps = operator.options ? operator.options.uint8(0) !== 0 : false;
      return keeps ? shaped(operator, out, operator.output.shape.slice(1)) : out;
    },
  ],
  43: ["SQUEEZE", (operator) => shaped(operator, node(operator), operator.output.shape.slice(1))],
  44: [
    "UNIDIRECTIONAL_SEQUENCE_LSTM",
    (operator) => {
      const { tensors, options } = operator;
      const rest = [9, 10, 11, 16, 17, 20, 21, 22, 23].filter((i) => tensors[i]);
      if (rest.length > 0) refuse("peepholes, a projection or a normalisation");
      if (small(operator, 0) !== 4) refuse("an activation that is not tanh");
      if (options && options.uint8(3) !== 0) refuse("the time first");
      if (!tensors[1] || !tensors[5]) refuse("coupled gates");
      // TFLite has a matrix (H, D) for each of i, f, g, o; here these are blocks of columns, in the
      // order i, f, o, g.
      const joined = (indexes: readonly number[]): Values => {
        const parts = indexes.map((i) => transposed(constant(operator, i), [1, 0]));
        const [rows, H] = (parts[0] as Values).shape as [number, number];
        const values = new Float32Array(rows * 4 * H);
        parts.forEach((part, block) => {
          for (let r = 0; r < rows; r++) {
            for (let j = 0; j < H; j++) {
              values[r * 4 * H + block * H + j] = part.values[r * H + j] as number;
            }
          }
        });
        return { shape: [rows, 4 * H], values };
      };
      const bias = [12, 13, 15, 14].flatMap((i) => [...Array.from(constant(operator, i).values)]);
      const layer = lstm(bias.length / 4, { returnSequences: true });
      const parts = {
        wx: joined([1, 2, 4, 3]),
        wh: joined([5, 6, 8, 7]),
        b: { shape: [bias.length], values: bias },
      };
      return operator.put({ layer, tensors: parts }, node(operator));
    },
  ],
  50: ["LOG_SOFTMAX", elementwise(() => logSoftmax())],
  54: [
    "PRELU",
    (operator) => {
      const { values } = constant(operator, 1);
      const value = node(operator);
      if (values.length !== value.shape.at(-1)) refuse("slopes that are not one for each channel");
      const weight = { shape: [values.length], values };
      return operator.put({ layer: prelu(), tensors: { weight } }, value);
    },
  ],
  70: [
    "EXPAND_DIMS",
    (operator) => shaped(operator, node(operator), operator.output.shape.slice(1)),
  ],
  97: [
    "RESIZE_NEAREST_NEIGHBOR",
    (operator) => {
      const value = node(operator);
      const [H = 0, W = 0] = whole(operator, 1);
      const [h, w] = value.shape as [number, number];
      const isPlain = !operator.options || operator.options.uint8(0) === 0;
      if (!isPlain || H % h || W % w) refuse(`the size ${H} × ${W} of ${h} × ${w}`);
      return operator.put({ layer: upsample2d([H / h, W / w]) }, value);
    },
  ],
  98: [
    "LEAKY_RELU",
    (operator) => {
      const negativeSlope = operator.options?.float32(0) ?? 0;
      return operator.put({ layer: leakyRelu(negativeSlope) }, node(operator));
    },
  ],
  111: ["ELU", elementwise(() => elu())],
  117: ["HARD_SWISH", elementwise(() => hardSwish())],
  150: [
    "GELU",
    (operator) => {
      const isTanh = operator.options ? operator.options.uint8(0) !== 0 : false;
      return operator.put(
        { layer: isTanh ? gelu({ approximate: "tanh" }) : gelu() },
        node(operator),
      );
    },
  ],
};
const DEQUANTIZE = 6;
const CUSTOM = 32;

/**
 * Makes a model of a TFLite file with activations of float32; weights of float16 and int8 are
 * expanded to float32.
 *
 * It takes and gives what it took and gave there, with any number of examples in place of the
 * file's batch: images are (N, H, W, C). Inputs are called in0, in1, … and outputs out0, out1, … in
 * the file's order. A cell of an LSTM is not clipped: the file's `cell_clip` is far beyond what
 * cells reach.
 *
 * @throws FormatError for bytes that are no such file or are cut; UnsupportedError with all
 *   operators that have no counterpart here, custom ones by name, and for quantised activations,
 *   before anything is allocated; MemoryError
 */
export function loadTflite(runtime: Runtime, bytes: Uint8Array | ArrayBuffer): Imported {
  const file = openTflite(OPERATION, bytesOf(OPERATION, "bytes", bytes));
  const version = file.int32(0);
  if (version !== 3) throw fail(`expected version 3 of the schema, got ${version}`);
  const [graph, ...others] = file.tables(2);
  if (!graph || others.length > 0) {
    throw fail(`expected one graph, got ${others.length + (graph ? 1 : 0)}`);
  }
  const codes = file.tables(1).map((code) => ({
    // Numbers up to 127 were in a byte first.
    kind: Math.max(code.int8(0), code.int32(3)),
    custom: code.text(1),
  }));
  const buffers = file.tables(4);
  const tensors = graph.tables(0).map((table) => tensorOf(table, buffers));
  const tensorAt = (index: number, what: string): Tensor => {
    const tensor = tensors[index];
    if (!tensor) throw fail(`${what} is tensor ${index} of ${tensors.length}`);
    return tensor;
  };

  const refused: string[] = [];
  const builder = new Builder(OPERATION);
  const values = new Map<number, Value | null>();
  const constants = new Map<number, Tensor>();
  graph.int32s(1).forEach((index, i) => {
    const { shape, type, name } = tensorAt(index, `input ${i}`);
    if (type !== "float32" && type !== "int32") {
      refused.push(`the input ${quote(name)} of ${type}: activations are not quantised here`);
      values.set(index, null);
      return;
    }
    if (shape.length < 2 || !shape.slice(1).every((length) => length > 0)) {
      throw fail(`the input ${quote(name)} has the shape (${shape})`);
    }
    values.set(index, builder.input(`in${i}`, shape.slice(1), type === "int32" ? type : undefined));
  });

  graph.tables(3).forEach((operator, i) => {
    const code = codes[operator.int32(0)];
    if (!code) throw fail(`operator ${i} has no code`);
    const taken = operator.int32s(1);
    const [out = -1] = operator.int32s(2);
    const output = tensorAt(out, `the output of operator ${i}`);
    const given = taken.map((index) =>
      index < 0 ? null : (constants.get(index) ?? tensorAt(index, `an input of operator ${i}`)),
    );
    const [first] = given;
    if (code.kind === DEQUANTIZE && first?.values) {
      constants.set(out, { ...first, type: "float32" });
      return;
    }
    const [name = "", convert] = operators[code.kind] ?? [];
    values.set(out, null);
    if (!convert) {
      const own =
        code.kind === CUSTOM ? `custom operator ${quote(code.custom)}` : `operator ${code.kind}`;
      refused.push(`${own} (${quote(output.name)})`);
      return;
    }
    if (output.type !== "float32") {
      refused.push(`${name} (${quote(output.name)}: activations of ${output.type})`);
      return;
    }
    const nodes = taken.map((index) => values.get(index) ?? null);
    // What comes from an operator that is not supported is not looked at.
    if (
      given.some(
        (tensor, k) =>
          tensor && !tensor.values && nodes[k] === null && values.has(taken[k] as number),
      )
    ) {
      return;
    }
    const put = (part: Part, ...from: Value[]) => builder.put(part, output.name, ...from);
    try {
      values.set(out, convert({ tensors: given, nodes, options: operator.table(4), output, put }));
    } catch (error) {
      if (!(error instanceof Unconvertible)) throw error;
      refused.push(`${name} (${quote(output.name)}: ${error.message})`);
    }
  });

  if (refused.length > 0) {
    const supported = Object.values(operators).map(([name]) => name);
    throw unsupported(OPERATION, "the model has what is not supported", refused, [
      ...supported,
      "DEQUANTIZE",
    ]);
  }
  const outputs = graph.int32s(2).map((index, i): [string, Value] => {
    const value = values.get(index);
    if (!value) throw fail(`output ${i} is computed by no operator`);
    return [`out${i}`, value];
  });
  return builder.build(runtime, outputs);
}
