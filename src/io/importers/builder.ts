// What all importers have in common: they apply layers one after the other, and at the end the
// layers and the tensors that go into them become a model.

import {
  affine,
  apply,
  conv1d,
  conv2d,
  FormatError,
  type GraphNode,
  input,
  type LayerSpec,
  Model,
  type Runtime,
  Sequential,
} from "lamella";

/** An array of numbers, row-major. */
export interface Values {
  readonly shape: readonly number[];
  readonly values: ArrayLike<number>;
}

/** A layer, and its tensors by the names that it gives them. */
export interface Part {
  readonly layer: LayerSpec;
  readonly tensors?: Readonly<Record<string, Values>>;
}

/** A value of the graph, with the shape of one example. */
export interface Value {
  readonly node: GraphNode;
  readonly shape: readonly number[];
}

export type Imported = Sequential<"float32"> | Model<"float32">;

/** A layer of a graph, whose name begins its tensors' names. */
type NamedLayer = LayerSpec & { readonly name?: string };

type Pair = readonly [number, number];
type Settings = Readonly<Record<string, unknown>>;

const pairOf = (value: unknown): Pair =>
  Array.isArray(value) ? (value as unknown as Pair) : [Number(value), Number(value)];

/** The lengths behind a window that slides, along one axis of an image or a sequence. */
function slid(length: number, settings: Settings, axis: 0 | 1, edges: Pair): number {
  const [kernel, stride, dilation] = [settings.kernel, settings.stride, settings.dilation].map(
    (value, i) => pairOf(value ?? (i === 1 ? settings.kernel : 1))[axis],
  ) as [number, number, number];
  if (settings.padding === "same") return Math.ceil(length / stride);
  const whole = length + edges[0] + edges[1];
  return Math.floor((whole - dilation * (kernel - 1) - 1) / stride) + 1;
}

function edgesOf(padding: unknown, axis: 0 | 1): Pair {
  const names = axis === 0 ? ["top", "bottom"] : ["left", "right"];
  if (typeof padding !== "object" || padding === null) return [0, 0];
  const [before = 0, after = 0] = names.map((name) => (padding as Record<string, number>)[name]);
  return [before, after];
}

/**
 * The shape that a layer gives, of those that importers apply. The model checks it again when it is
 * made, and says there what does not fit.
 */
function shapeAfter(layer: LayerSpec, shapes: readonly (readonly number[])[]): readonly number[] {
  const [shape = []] = shapes;
  const settings = layer as unknown as Settings;
  const C = shape.at(-1) as number;
  const kind = layer.kind as string;
  if (/^(conv|maxPool|avgPool)[12]d$/.test(kind)) {
    const axes = kind.endsWith("2d") ? ([0, 1] as const) : ([1] as const);
    const stride = settings.stride ?? (kind.startsWith("conv") ? 1 : settings.kernel);
    const lengths = axes.map((axis, i) =>
      slid(shape[i] as number, { ...settings, stride }, axis, edgesOf(settings.padding, axis)),
    );
    return [...lengths, kind.startsWith("conv") ? Number(settings.filters) : C];
  }
  if (kind === "convTranspose2d") {
    const [kernel, stride, more] = [settings.kernel, settings.stride, settings.outputPadding].map(
      (value, i) => pairOf(value ?? (i === 1 ? 1 : 0)),
    ) as [Pair, Pair, Pair];
    const lengths = ([0, 1] as const).map((axis) =>
      settings.padding === "same"
        ? (shape[axis] as number) * stride[axis]
        : ((shape[axis] as number) - 1) * stride[axis] + kernel[axis] + more[axis],
    );
    return [...lengths, Number(settings.filters)];
  }
  switch (kind) {
    case "affine":
      return [Number(settings.units)];
    case "rnn":
    case "lstm":
    case "gru": {
      const columns = Number(settings.units) * (settings.bidirectional ? 2 : 1);
      return settings.returnSequences ? [shape[0] as number, columns] : [columns];
    }
    case "globalAvgPool":
      return [C];
    case "flatten":
      return [shape.reduce((size, length) => size * length, 1)];
    case "reshape":
      return settings.shape as number[];
    case "permute":
      return (settings.order as number[]).map((axis) => shape[axis] as number);
    case "zeroPad2d": {
      const [H = 0, W = 0] = ([0, 1] as const).map((axis) => {
        const [before, after] = edgesOf(settings.padding, axis);
        return (shape[axis] as number) + before + after;
      });
      return [H, W, C];
    }
    case "upsample2d": {
      const [down, across] = pairOf(settings.size);
      return [(shape[0] as number) * down, (shape[1] as number) * across, C];
    }
    case "concat": {
      const axis = Number(settings.axis ?? -1);
      const at = axis < 0 ? shape.length + axis : axis;
      const sum = shapes.reduce((length, each) => length + (each[at] as number), 0);
      return shape.map((length, k) => (k === at ? sum : length));
    }
    case "add":
    case "multiply": {
      const rank = Math.max(...shapes.map(({ length }) => length));
      return Array.from({ length: rank }, (_, k) =>
        Math.max(...shapes.map((each) => each[k - rank + each.length] ?? 1)),
      );
    }
    default:
      return shape;
  }
}

/**
 * A product over the last axis: of rows an affine layer, and of what has more axes a convolution
 * whose window is one cell, (D, M) lying in memory as (1, 1, D, M).
 * @param shape of an example, of one to three axes
 */
export function product(
  units: number,
  shape: readonly number[],
  tensors: { readonly weight: Values; readonly bias?: Values | undefined },
): Part {
  const useBias = tensors.bias !== undefined;
  const { weight, bias } = tensors;
  const ones = shape.slice(0, -1).map(() => 1);
  const layer =
    ones.length === 0
      ? affine(units, { useBias })
      : ones.length === 1
        ? conv1d(units, 1, { useBias })
        : conv2d(units, 1, { useBias });
  return {
    layer,
    tensors: {
      weight: { ...weight, shape: [...ones, ...weight.shape] },
      ...(bias && { bias }),
    },
  };
}

/** Applies layers, and makes the model of them. */
export class Builder {
  private readonly parts: { layer: NamedLayer; tensors: Readonly<Record<string, Values>> }[] = [];
  private readonly inputs = new Map<string, GraphNode>();
  private readonly names = new Set<string>();
  /** The value that was made last, while each layer has taken the one before it. */
  private last: Value | null = null;
  private isChain = true;

  constructor(private readonly operation: string) {}

  input(name: string, shape: readonly number[], dtype?: "int32"): Value {
    const node = input([...shape], { name, ...(dtype && { dtype }) });
    this.inputs.set(name, node);
    if (this.inputs.size > 1) this.isChain = false;
    this.last = { node, shape };
    return this.last;
  }

  /**
   * Applies a layer to values.
   * @param name what the source calls it: the layer has that name in a Model, if it is free and can
   *   be one
   */
  put({ layer, tensors = {} }: Part, name: string, ...values: readonly Value[]): Value {
    let own = /^[A-Za-z_][\w.-]{0,199}$/.test(name) ? name : `layer_${this.parts.length}`;
    if (this.names.has(own)) own = `${own.slice(0, 180)}_${layer.kind}_${this.parts.length}`;
    this.names.add(own);
    const called: NamedLayer = { ...layer, name: own };
    this.parts.push({ layer: called, tensors });
    if (values.length !== 1 || values[0] !== this.last) this.isChain = false;
    this.last = {
      node: apply(called, ...values.map(({ node }) => node)),
      shape: shapeAfter(
        layer,
        values.map(({ shape }) => shape),
      ),
    };
    return this.last;
  }

  /**
   * Makes the model, a Sequential where it is a chain, and writes the tensors into it.
   * @throws FormatError for a model without an input or a layer; as Sequential and Model, whose
   *   message names the layer
   */
  build(runtime: Runtime, outputs: readonly (readonly [string, Value])[]): Imported {
    const { operation, parts } = this;
    const [node] = this.inputs.values();
    if (!node || parts.length === 0) {
      throw new FormatError(
        `${operation}: the model has ${node ? "no layer that computes" : "no input"}`,
      );
    }
    const isChain = this.isChain && outputs.length === 1 && outputs[0]?.[1] === this.last;
    const model = isChain
      ? new Sequential(runtime, { input: node.shape as number[], layers: parts.map(nameless) })
      : new Model(runtime, {
          inputs: Object.fromEntries(this.inputs),
          outputs: Object.fromEntries(outputs.map(([name, value]) => [name, value.node])),
        });
    try {
      runtime.scope(() => {
        const known = model.stateDict();
        const state = parts.flatMap(({ layer, tensors = {} }, i) => {
          const prefix = isChain ? String(i) : layer.name;
          return Object.entries(tensors).map(([name, { shape, values }]) => {
            const array = values instanceof Float32Array ? values : Float32Array.from(values);
            return [`${prefix}.${name}`, runtime.tensor(array, [...shape])] as const;
          });
        });
        // Of a layer on which no output depends a Model has nothing.
        const used = state.filter(([name]) => isChain || Object.hasOwn(known, name));
        model.loadStateDict(Object.fromEntries(used) as never);
      });
    } catch (error) {
      model.dispose();
      throw error;
    }
    return model as Imported;
  }
}

/** A layer without its name: a chain's tensors are called by their layers' indexes. */
function nameless({ layer }: { readonly layer: NamedLayer }): LayerSpec {
  const { name: _, ...rest } = layer;
  return rest as LayerSpec;
}
