import { describe, quote, show } from "../runtime/errors.ts";
import type { DType, FloatDType } from "../tensor/dtype.ts";
import type { Examples, Inputs } from "../tensor/rows.ts";
import type { Runtime } from "../tensor/runtime.ts";
import { formatShape } from "../tensor/shape.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { checkFloatDType, checkInput } from "./architecture.ts";
import { type Kinds, named } from "./engine/kinds.ts";
import type { NetworkDescription } from "./graph/blueprints.ts";
import type { LayerSpec } from "./layers/all.ts";
import { construct, NetworkModel, type NetworkOptions } from "./network_model.ts";
import { isPortName } from "./ports.ts";
import { checkSettings } from "./settings.ts";
import type { StateSource } from "./state.ts";

/** A layer of a graph; the names of its tensors begin with its name, or else with its index. */
export type NamedLayer = LayerSpec & { readonly name?: string | undefined };

/** Nodes are numbered as they are made, so that what a node takes has a lower number than it. */
let made = 0;

/** A value of a graph: an input, or what a layer gives. */
export class GraphNode {
  readonly number: number = made++;

  constructor(
    /** Undefined for an input. */
    readonly layer: NamedLayer | undefined,
    /** What the layer is applied to. */
    readonly inputs: readonly GraphNode[],
    /** Of one example of an input. */
    readonly shape?: readonly number[],
    readonly dtype?: DType | undefined,
    readonly name?: string | undefined,
  ) {
    Object.freeze(this);
  }
}

/**
 * An input of a graph.
 *
 * @param shape of one example; images are [H, W, C]
 * @param options.dtype "int32" for whole numbers, as indices are; by default what the layers take
 *   that it is given to
 * @param options.name what messages call it; the Model's `inputs` has to have it under this name
 * @throws ShapeError for what is no such shape, TypeError for another dtype
 */
export function input(
  shape: readonly number[],
  options: { dtype?: DType | undefined; name?: string | undefined } = {},
): GraphNode {
  const operation = "input";
  const own = checkInput(operation, shape);
  checkSettings(operation, "options", options, ["dtype", "name"]);
  const { dtype, name } = options;
  if (dtype !== undefined && dtype !== "int32") checkFloatDType(operation, dtype);
  if (name !== undefined) checkPortName(operation, "name", name);
  return new GraphNode(undefined, [], own, dtype, name);
}

/**
 * Applies a layer to nodes, in the order of its inputs; a list of layers is a chain, of which the
 * first takes the nodes. A layer that is applied twice has its weights once, and their gradient is
 * the sum of both: it is the same layer where it is the same object.
 *
 * @returns the node of what comes out; shapes are looked at when a Model is made of it
 * @throws TypeError for what is no layer and for what is no node
 */
export function apply(
  layer: NamedLayer | readonly NamedLayer[],
  ...nodes: readonly GraphNode[]
): GraphNode {
  const operation = "apply";
  const list: readonly NamedLayer[] = Array.isArray(layer) ? layer : [layer as NamedLayer];
  if (list.length === 0) throw new TypeError(`${operation}: layer must not be an empty list`);
  if (nodes.length === 0) throw new TypeError(`${operation}: no node that the layer takes`);
  for (const [i, node] of nodes.entries()) checkNode(operation, `nodes[${i}]`, node);
  let taken = nodes.slice();
  for (const each of list) {
    if (typeof (each as { kind?: unknown } | null)?.kind !== "string") {
      const call = typeof each === "function" ? ": call it" : "";
      throw new TypeError(
        `${operation}: layer must be a layer, or a list of layers, got ${describe(each)}${call}`,
      );
    }
    taken = [new GraphNode(each, taken)];
  }
  return taken[0] as GraphNode;
}

function checkNode(operation: string, name: string, node: unknown): asserts node is GraphNode {
  if (node instanceof GraphNode) return;
  throw new TypeError(
    `${operation}: ${name} must be a node, as input and apply give them, got ${describe(node)}`,
  );
}

/** Refuses what no file would have as the name of an input or an output. */
function checkPortName(operation: string, what: string, name: unknown): string {
  if (isPortName(name)) return name;
  throw new TypeError(
    `${operation}: ${what} must be a text of up to 200 letters, digits and signs, got ${show(name)}`,
  );
}

/** The nodes of an object by their names. */
function nodesOf(operation: string, key: string, given: unknown): [string, GraphNode][] {
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    throw new TypeError(
      `${operation}: ${key} must be an object of nodes by name, got ${describe(given)}`,
    );
  }
  const entries = Object.entries(given);
  if (entries.length === 0) throw new TypeError(`${operation}: ${key} has no node`);
  return entries.map(([name, node]) => {
    checkPortName(operation, `a name of ${key}`, name);
    checkNode(operation, `${key}.${name}`, node);
    return [name, node];
  });
}

/** The description of a graph by its inputs and outputs. */
function descriptionOf(
  operation: string,
  { inputs, outputs }: ModelOptions<FloatDType, string, string>,
): NetworkDescription {
  const given = nodesOf(operation, "inputs", inputs);
  const wanted = nodesOf(operation, "outputs", outputs);
  const nameOf = new Map<GraphNode, string>();
  for (const [name, node] of given) {
    if (node.layer) throw new TypeError(`${operation}: inputs.${name} is what a layer gives`);
    if (nameOf.has(node)) {
      throw new TypeError(`${operation}: inputs.${name} is inputs.${nameOf.get(node)} as well`);
    }
    if (node.name !== undefined && node.name !== name) {
      throw new TypeError(`${operation}: inputs.${name} is the input named ${quote(node.name)}`);
    }
    nameOf.set(node, name);
  }
  // Everything that the outputs are made of. No recursion: a chain may be of any length.
  const found = new Set<GraphNode>();
  const open = wanted.map(([, node]) => node);
  for (let node = open.pop(); node; node = open.pop()) {
    if (found.has(node)) continue;
    found.add(node);
    open.push(...node.inputs);
    if (node.layer || nameOf.has(node)) continue;
    const called = node.name === undefined ? "" : ` named ${quote(node.name)}`;
    throw new TypeError(
      `${operation}: outputs depend on an input${called} of shape ${formatShape(node.shape ?? [])} that inputs does not have`,
    );
  }
  for (const [name, node] of given) {
    if (!found.has(node)) throw new TypeError(`${operation}: no output depends on inputs.${name}`);
  }
  const values = new Map<GraphNode, number>(given.map(([, node], i) => [node, i]));
  const layers = new Map<NamedLayer, number>();
  const nodes: { layer: number; inputs: number[] }[] = [];
  const applied = [...found].filter(({ layer }) => layer).sort((a, b) => a.number - b.number);
  for (const node of applied) {
    const spec = node.layer as NamedLayer;
    const layer = layers.get(spec) ?? layers.size;
    layers.set(spec, layer);
    values.set(node, given.length + nodes.length);
    nodes.push({ layer, inputs: node.inputs.map((each) => values.get(each) as number) });
  }
  const holders = new Map<GraphNode, string>();
  for (const [name, node] of wanted) {
    const holder = holders.get(node);
    if (holder) throw new TypeError(`${operation}: outputs.${name} is outputs.${holder} as well`);
    if (!node.layer) throw new TypeError(`${operation}: outputs.${name} is an input`);
    holders.set(node, name);
  }
  return {
    inputs: given.map(([name, { shape, dtype }]) => ({ name, shape: shape as number[], dtype })),
    layers: [...layers.keys()],
    nodes,
    outputs: wanted.map(([name, node]) => ({ name, value: values.get(node) as number })),
  };
}

/** True where these are one name. */
type IsOne<K extends string> = (K extends unknown ? (key: K) => void : never) extends (
  key: infer Both,
) => void
  ? [K] extends [Both]
    ? true
    : false
  : false;

/** What a model of these inputs takes. */
export type ModelInputs<I extends string> =
  IsOne<I> extends true ? Inputs : { readonly [Name in I]: Examples };

/** What a model with these outputs gives: a tensor, or an object of them by name. */
export type ModelTensors<D extends FloatDType, O extends string> =
  IsOne<O> extends true ? Tensor<D> : { [Name in O]: Tensor<D> };

export interface ModelOptions<
  D extends FloatDType = FloatDType,
  I extends string = string,
  O extends string = string,
> extends NetworkOptions<D> {
  /** The inputs by their names. */
  inputs: { readonly [Name in I]: GraphNode };
  /** What it gives, by names. */
  outputs: { readonly [Name in O]: GraphNode };
}

const KEYS = ["inputs", "outputs", "dtype", "seed", "initializer"];

/** A model whose values come from somewhere else than its initializers, described by a file. */
export function modelFromDescription(
  runtime: Runtime,
  dtype: FloatDType,
  description: NetworkDescription,
  state: StateSource,
  kinds: Kinds,
): Model<FloatDType, string, string, number | string> {
  const Class = Model as unknown as new (
    ...given: unknown[]
  ) => Model<FloatDType, string, string, number | string>;
  return new Class(runtime, { dtype }, state, kinds, description);
}

/**
 * Layers in a graph, from inputs to outputs: branches, residual additions, layers that share their
 * weights, several inputs and outputs.
 *
 * ```ts
 * const image = input([32, 32, 3]);
 * const a = apply([conv2d(16, 3, { padding: "same" }), batchnorm(), relu()], image);
 * const sum = apply(add(), a, apply(conv2d(16, 1), image));
 * const scores = apply([globalAvgPool(), affine(10)], sum);
 * const model = new Model(runtime, { inputs: { image }, outputs: { scores } });
 * ```
 *
 * It takes a batch for one input, or an object by the inputs' names, { image, meta }; it gives a
 * tensor for one output, and an object of them for several. A Trainer trains a model of one output.
 * The names of its tensors begin with the index of their layer, in the order in which layers were
 * applied first, or with the layer's `name`.
 */
export class Model<
  D extends FloatDType = "float32",
  I extends string = string,
  O extends string = string,
  C extends number | string = number,
> extends NetworkModel<D, C, ModelInputs<I>, ModelTensors<D, O>, ModelTensors<D, I>> {
  /** The descriptions it was made from, each layer once. */
  readonly layers: readonly LayerSpec[];

  /**
   * @throws TypeError for what is no node, an input that is missing or that nothing depends on, and
   *   a layer of no known kind or with another number of inputs; RangeError for a setting out of
   *   range; ShapeError where a layer does not take what it is given; DTypeError; MemoryError. The
   *   message names the layer by index and kind
   */
  constructor(runtime: Runtime, options: ModelOptions<D, I, O>);
  constructor(
    runtime: Runtime,
    options: ModelOptions<D, I, O>,
    state?: StateSource,
    kinds: Kinds = named,
    description?: NetworkDescription,
  ) {
    super();
    const title = "Model";
    const describeIn = () => {
      if (description) return description;
      checkSettings(title, "options", options, KEYS);
      return descriptionOf(title, options as never);
    };
    const network = construct(this, title, runtime, options, describeIn, state, kinds);
    this.layers = network.specs as readonly LayerSpec[];
  }
}
