// A configuration of Keras as a graph of this package's layers: which layer takes what from which.

import { add, concat, FormatError, type LayerSpec, multiply, type Runtime } from "lamella";
import { cut, quote, show } from "../../runtime/errors.ts";
import { Builder, type Imported, type Part, type Value, type Values } from "./builder.ts";
import { converters, type Source } from "./keras_layers.ts";
import { Unconvertible, unsupported } from "./refusal.ts";
import { isObject, type Settings } from "./source.ts";

/** Returns a layer's weights in Keras' order, by the names of the models around it and its own. */
export type WeightsOf = (path: readonly string[]) => readonly Values[];

/** A layer as a configuration has it. */
export interface Configured {
  readonly class_name: string;
  readonly name: string;
  readonly config: Settings;
  readonly inbound: unknown;
}

/** Models within models may be nested this deep. */
const MAX_DEPTH = 8;

const isModel = (name: string) => ["Sequential", "Functional", "Model"].includes(name);

/** Returns the layers of a model; in old files a Sequential's settings are their list. */
export function layersOf(operation: string, model: unknown): readonly Configured[] {
  const { config } = isObject(model) ? model : {};
  const list = Array.isArray(config) ? config : isObject(config) ? config.layers : undefined;
  if (!Array.isArray(list)) {
    throw new FormatError(`${operation}: the model's configuration has no list of layers`);
  }
  return list.map((layer: unknown, i): Configured => {
    const { class_name, config, name, inbound_nodes } = isObject(layer) ? layer : {};
    const own = name ?? (isObject(config) ? config.name : undefined) ?? String(i);
    if (
      typeof class_name !== "string" ||
      typeof own !== "string" ||
      !(isObject(config) || Array.isArray(config))
    ) {
      throw new FormatError(
        `${operation}: layer ${i} of the configuration has no class and no settings`,
      );
    }
    return { class_name, name: own, config: config as Settings, inbound: inbound_nodes };
  });
}

/** A call of a layer on what others give: [name of the layer, which of its calls]. */
type Call = readonly (readonly [name: string, call: number])[];

/** Returns the calls of a layer of a functional model, as Keras 2 and 3 write them. */
function callsOf(inbound: unknown): Call[] {
  if (!Array.isArray(inbound)) return [];
  return inbound.map((node: unknown): Call => {
    const found: [string, number][] = [];
    const visit = (value: unknown, depth: number): void => {
      if (depth > 8) return;
      if (Array.isArray(value)) {
        const [name, call, tensor] = value;
        if (typeof name === "string" && typeof call === "number" && typeof tensor === "number") {
          found.push([name, call]);
          // The arguments beside the first may be what other layers give.
          if (isObject(value[3]))
            for (const item of Object.values(value[3])) visit(item, depth + 1);
        } else for (const item of value) visit(item, depth + 1);
      } else if (isObject(value)) {
        const { class_name, config } = value;
        if (class_name === "__keras_tensor__" && isObject(config))
          visit(config.keras_history, depth + 1);
        else for (const item of Object.values(value)) visit(item, depth + 1);
      }
    };
    visit(node, 0);
    return found;
  });
}

/** The names in input_layers or output_layers: [name, call, tensor], or a list of such. */
function endsOf(value: unknown): (readonly [string, number])[] {
  if (!Array.isArray(value)) return [];
  const [name, call] = value;
  if (typeof name === "string") return [[name, typeof call === "number" ? call : 0]];
  return value.flatMap(endsOf);
}

/** Layers of several inputs. */
const merges: Readonly<Record<string, (config: Settings, rank: number) => LayerSpec>> = {
  Add: () => add(),
  Multiply: () => multiply(),
  Concatenate({ axis = -1 }, rank) {
    // Keras counts the batch.
    const own = typeof axis !== "number" ? Number.NaN : axis < 0 ? axis : axis - 1;
    if (!(own >= -rank && own < rank)) throw new Unconvertible(`axis is ${show(axis)}`);
    return concat({ axis: own });
  },
};

/** Operators of Python between layers, by the functions that Keras 2 writes for them. */
const operators: Readonly<Record<string, () => LayerSpec>> = {
  "__operators__.add": () => add(),
  "math.add": () => add(),
  "math.multiply": () => multiply(),
};

/**
 * Makes a model of a configuration and its weights: a Sequential where each layer takes what the
 * one before it gives, else a Model.
 *
 * @throws FormatError for a configuration that is none of Keras; UnsupportedError with all layers
 *   that have no counterpart here, before anything is allocated
 */
export function kerasModel(
  operation: string,
  runtime: Runtime,
  topology: unknown,
  version: number,
  weightsOf: WeightsOf,
): Imported {
  const refused: string[] = [];
  const builder = new Builder(operation);

  const refuse = ({ class_name, name }: Configured, reason?: string) => {
    refused.push(`${cut(class_name)} (${quote(name)}${reason ? `: ${reason}` : ""})`);
    return null;
  };

  /** Applies one layer to what enters it; null where that, or the layer, is not supported. */
  const convert = (
    layer: Configured,
    inputs: readonly (Value | null)[],
    path: readonly string[],
  ): Value | null => {
    const { class_name, config } = layer;
    const isMerge = Object.hasOwn(merges, class_name) || class_name === "TFOpLambda";
    if (!isMerge && !Object.hasOwn(converters, class_name)) return refuse(layer);
    if (inputs.length === 0) {
      throw new FormatError(`${operation}: layer ${quote(layer.name)} takes nothing`);
    }
    if (inputs.includes(null)) return null;
    const nodes = inputs as readonly Value[];
    const [{ shape }] = nodes as [Value];
    try {
      if (isMerge) {
        const kind = String(config.function);
        const make = class_name === "TFOpLambda" ? operators[kind] : merges[class_name];
        if (!make || (class_name === "TFOpLambda" && nodes.length !== 2))
          return refuse(layer, kind);
        const spec = make(config, shape.length);
        // Sums and products take two values here.
        if (spec.kind === "concat" || nodes.length === 2) {
          return builder.put({ layer: spec }, layer.name, ...nodes);
        }
        return nodes.reduce((sum, value) =>
          builder.put({ layer: make(config, shape.length) }, layer.name, sum, value),
        );
      }
      if (nodes.length !== 1) return refuse(layer, `${nodes.length} inputs`);
      const make = converters[class_name] as (source: Source) => Part[];
      const parts = make({ config, shape, version, weights: weightsOf(path) });
      return parts.reduce<Value>(
        (value, part) => builder.put(part, layer.name, value),
        nodes[0] as Value,
      );
    } catch (error) {
      if (error instanceof Unconvertible) return refuse(layer, error.message);
      throw error;
    }
  };

  /** Converts a model whose inputs are given, or made where it is the outermost. */
  const visit = (
    model: unknown,
    given: readonly (Value | null)[] | null,
    path: readonly string[],
  ): [string, Value | null][] => {
    if (path.length > MAX_DEPTH) {
      throw new FormatError(`${operation}: models are nested deeper than ${MAX_DEPTH}`);
    }
    const { class_name, config } = model as Configured;
    const layers = layersOf(operation, model);
    const enter = (layer: Configured, i: number): Value | null => {
      if (given) return given[i] ?? null;
      const shape = layer.config.batch_input_shape ?? layer.config.batch_shape;
      if (!Array.isArray(shape) || !shape.slice(1).every((n) => Number.isSafeInteger(n) && n > 0)) {
        return refuse(layer, `an input of shape ${show(shape)}`);
      }
      const { dtype = "float32" } = layer.config;
      const node = builder.input(
        layer.name,
        shape.slice(1),
        /^u?int/.test(String(dtype)) ? "int32" : undefined,
      );
      return node;
    };

    const run = (layer: Configured, from: readonly (Value | null)[]): Value | null => {
      const own = [...path, layer.name];
      if (!isModel(layer.class_name)) return convert(layer, from, own);
      const outputs = visit(layer, from, own);
      return outputs.length === 1
        ? (outputs[0] as [string, Value])[1]
        : refuse(layer, "several outputs");
    };

    if (class_name === "Sequential") {
      let node: Value | null | undefined;
      for (const layer of layers) {
        if (layer.class_name === "InputLayer") {
          if (node === undefined) node = enter(layer, 0);
          continue;
        }
        // Where there is no InputLayer, the first layer says what enters.
        if (node === undefined)
          node = given ? (given[0] ?? null) : enter(firstOf(operation, layer), 0);
        node = run(layer, [node]);
      }
      const name = layers.at(-1)?.name ?? "out";
      return [[name, node ?? null]];
    }

    const { input_layers, output_layers } = config;
    const starts = endsOf(input_layers).map(([name]) => name);
    const known = new Map<string, Value | null>();
    const byName = new Map(layers.map((layer) => [layer.name, layer]));
    if (byName.size !== layers.length) {
      throw new FormatError(`${operation}: two layers of the configuration have one name`);
    }
    starts.forEach((name, i) => {
      const layer = byName.get(name);
      if (!layer) throw new FormatError(`${operation}: there is no input layer ${quote(name)}`);
      known.set(`${name} 0`, enter(layer, i));
    });
    // The layers stand in an order in which each comes after what it takes, but for shared ones.
    let open = layers.flatMap((layer) =>
      starts.includes(layer.name)
        ? []
        : callsOf(layer.inbound).map((from, call) => ({ layer, from, call })),
    );
    if (open.some(({ call }) => call > 0)) {
      for (const { layer, call } of open) if (call > 0) refuse(layer, "it is called twice");
    }
    while (open.length > 0) {
      const ready = open.filter(({ from }) =>
        from.every(([name, call]) => known.has(`${name} ${call}`)),
      );
      if (ready.length === 0) {
        const names = open.slice(0, 20).map(({ layer }) => quote(layer.name));
        throw new FormatError(
          `${operation}: layers take what no other gives, or run in a circle: ${names}`,
        );
      }
      for (const { layer, from, call } of ready) {
        const nodes = from.map(([name, at]) => known.get(`${name} ${at}`) ?? null);
        known.set(`${layer.name} ${call}`, run(layer, nodes));
      }
      const done = new Set(ready);
      open = open.filter((entry) => !done.has(entry));
    }
    const outputs = endsOf(output_layers).map(([name, call]): [string, Value | null] => {
      const node = known.get(`${name} ${call}`);
      if (node === undefined) {
        throw new FormatError(`${operation}: there is no output layer ${quote(name)}`);
      }
      return [name, node];
    });
    if (outputs.length === 0) throw new FormatError(`${operation}: the model has no output`);
    return outputs;
  };

  if (!isObject(topology) || !isModel(String(topology.class_name))) {
    throw new FormatError(
      `${operation}: expected the configuration of a Sequential or a functional model, got ${show(isObject(topology) ? topology.class_name : topology)}`,
    );
  }
  const outputs = visit(topology, null, []);
  if (refused.length > 0) {
    const are = refused.length > 1 ? "layers that are" : "layer that is";
    throw unsupported(operation, `the model has ${refused.length} ${are} not supported`, refused, [
      ...Object.keys(converters),
      ...Object.keys(merges),
    ]);
  }
  return builder.build(runtime, outputs as [string, Value][]);
}

/** Returns the layer that says what enters a model without an InputLayer: its first. */
function firstOf(operation: string, layer: Configured): Configured {
  const { config, class_name } = layer;
  if (config.batch_input_shape ?? config.batch_shape) return layer;
  const [first] = isModel(class_name) ? layersOf(operation, layer) : [];
  if (first) return firstOf(operation, first);
  throw new FormatError(
    `${operation}: the model says nowhere what enters it: build it before it is saved, by an Input or by calling it`,
  );
}
