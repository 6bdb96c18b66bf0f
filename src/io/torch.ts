import type { LayerSpec } from "../nn/layers/all.ts";
import { type Sequential, sequentialFrom } from "../nn/sequential.ts";
import { checkSettings } from "../nn/settings.ts";
import { fileFloats, matchState, type StateEntry, targetsOf } from "../nn/state.ts";
import { cut, FormatError, quote, ShapeError, show } from "../runtime/errors.ts";
import { type FloatDType, typedArrays } from "../tensor/dtype.ts";
import { checkObject, describe } from "../tensor/operands.ts";
import type { Runtime } from "../tensor/runtime.ts";
import { entriesOf } from "./model_file.ts";
import { readFloats, type SafetensorsEntry, type SafetensorsFile } from "./safetensors.ts";
import { fromTorch, shapeFromTorch, torchLayouts } from "./torch_layout.ts";
import { recurrentEntries } from "./torch_recurrent.ts";

const KEYS = ["input", "layers", "dtype", "prefix", "names"];

export interface LoadTorchOptions<D extends FloatDType = FloatDType> {
  /** The shape of one example. */
  input: readonly number[];
  /**
   * There is one layer for each module of the nn.Sequential, in its order, so that the indexes
   * agree: flatten() for Flatten, and so on.
   */
  layers: readonly LayerSpec[];
  /** Default "float32". */
  dtype?: D | undefined;
  /**
   * The names in the file begin with this, as with "net." where the nn.Sequential is a module's
   * attribute; the default is nothing.
   */
  prefix?: string | undefined;
  /**
   * The map has the names of modules in the file, and for each the index of its layer: { fc1: "0",
   * fc2: "2" } where they are attributes of a module. Without it the names are those of an
   * nn.Sequential.
   */
  names?: Readonly<Record<string, string>> | undefined;
}

/**
 * Returns a name without the words that DataParallel and torch.compile put before it. A regular
 * expression of many repeats would fill the stack.
 */
function unwrap(name: string): string {
  let at = 0;
  for (let next = -1; next !== at; ) {
    next = at;
    for (const word of ["module.", "_orig_mod."]) if (name.startsWith(word, at)) at += word.length;
  }
  return name.slice(at);
}

/**
 * Gives the names of the file's tensors as the model has them: each is unwrapped, then loses its
 * prefix, and then is renamed.
 */
function renamer(operation: string, prefix: string, names: unknown) {
  if (typeof prefix !== "string") {
    throw new TypeError(`${operation}: prefix must be a string, got ${describe(prefix)}`);
  }
  checkObject(operation, "names", names);
  const pairs = Object.entries(names as object);
  for (const [from, to] of pairs) {
    if (typeof to !== "string") {
      throw new TypeError(
        `${operation}: names[${quote(from)}] must be the index of a layer as a string, as "0", got ${show(to)}`,
      );
    }
  }
  const map = new Map(pairs as [string, string][]);
  const most = pairs.reduce((length, [from]) => Math.max(length, from.length), 0);
  const used = new Set<string>();
  /**
   * Renames by the longest key that fits. It looks up the beginnings of the name, so that it does
   * not compare each name with each key.
   */
  const renamed = (name: string): string | undefined => {
    for (let at = Math.min(name.length, most); map.size > 0 && at >= 0; at--) {
      if (at < name.length && name[at] !== ".") continue;
      const from = name.slice(0, at);
      const to = map.get(from);
      if (to === undefined) continue;
      used.add(from);
      return to + name.slice(at);
    }
    return undefined;
  };
  return {
    /** Returns the model's name, or null for a name that does not begin with the prefix. */
    nameOf(name: string): string | null {
      const plain = unwrap(name);
      const full = name.startsWith(prefix) ? name : plain;
      if (!full.startsWith(prefix)) return null;
      const own = full.slice(prefix.length);
      const bare = unwrap(own);
      return renamed(name) ?? renamed(plain) ?? renamed(own) ?? renamed(bare) ?? bare;
    },
    /** Returns the keys that no tensor's name begins with. */
    unused: () => pairs.flatMap(([from]) => (used.has(from) ? [] : [from])),
  };
}

/** Returns "fc1" for "fc1.weight". */
const moduleOf = (name: string) => name.slice(0, Math.max(0, name.lastIndexOf(".")));

/**
 * Suggests what to write as `names` where modules of the file fit layers by their shapes, the first
 * of several; returns "" where none does.
 * @param dropped the names that tensors of no use here have in their modules
 */
function suggest(
  targets: readonly { readonly name: string; readonly shape: readonly number[] }[],
  entries: readonly { readonly name: string; readonly shape: readonly number[] }[],
  dropped: ReadonlySet<string>,
): string {
  const modules = (list: typeof targets, others: typeof targets, isTheirs: boolean) => {
    const known = new Set(others.map(({ name }) => name));
    const found = new Map<string, string>();
    for (const { name, shape } of list) {
      const key = moduleOf(name);
      if (known.has(name) || dropped.has(name.slice(key.length + 1))) continue;
      const sizes = isTheirs ? shape.toReversed() : shape; // their weights are (M, D)
      found.set(key, `${found.get(key) ?? ""} ${name.slice(key.length)}:${sizes}`);
    }
    return [...found].map(([key, parts]) => [key, parts.split(" ").sort().join()] as const);
  };
  const free = modules(entries, targets, true);
  const pairs = modules(targets, entries, false).flatMap(([to, parts]) => {
    const k = free.findIndex(([from, has]) => from !== "" && has === parts);
    return k < 0 ? [] : free.splice(k, 1).map(([from]) => `${quote(from)}: ${quote(to)}`);
  });
  return pairs.length > 0 ? `\n  write names: { ${cut(pairs.slice(0, 20).join(", "), 700)} }` : "";
}

/** Gives the tensors of a file that has been read already, or reads them. */
function tensorsOf(
  operation: string,
  source: Uint8Array | ArrayBuffer | Pick<SafetensorsFile, "tensors"> | SafetensorsFile["tensors"],
): { tensors: Map<string, SafetensorsEntry>; metadata: Map<string, string> } {
  const given = source instanceof Map ? source : (source as Partial<SafetensorsFile>)?.tensors;
  if (!(given instanceof Map)) return readFloats(operation, source as Uint8Array) as never;
  const tensors = new Map<string, SafetensorsEntry>();
  for (const [name, entry] of given as Map<unknown, unknown>) {
    const { dtype, shape, copyTo } = (entry ?? {}) as Partial<SafetensorsEntry>;
    if (
      typeof name !== "string" ||
      typeof copyTo !== "function" ||
      !Array.isArray(shape) ||
      !dtype
    ) {
      throw new TypeError(
        `${operation}: expected tensors as readSafetensors and readTorch give them, got ${show(name)}: ${describe(entry)}`,
      );
    }
    tensors.set(name, entry as SafetensorsEntry);
  }
  return { tensors, metadata: new Map() };
}

/**
 * Makes a model with the weights of a PyTorch nn.Sequential of Linear, BatchNorm1d, Dropout,
 * Flatten and activations, from its state_dict: the bytes of a safetensors file
 * (`safetensors.torch.save_file(net.state_dict(), …)`), or what `readTorch` of `lamella/torch`
 * gives for a `.pt`. float64, float32, float16 and bfloat16 are read.
 *
 * `names` says which module of the file is which layer; `module.` and `_orig_mod.` before a name,
 * as DataParallel and torch.compile put them, are left out.
 *
 * Weights of Linear are (M, D) in PyTorch and are transposed; `num_batches_tracked` is dropped. The
 * settings of batch normalisation are those of `layers`: PyTorch's momentum is 1 − ours. Its
 * running variance, of the unbiased kind, is taken as it is. Layers of RNN, LSTM and GRU with
 * batch_first have their blocks put in order, and the two biases of RNN and LSTM are added.
 *
 * @throws FormatError for bytes that are no safetensors file, and for one of this package, whose
 *   layout is another; ShapeError with a list of all tensors that are missing, extra or of another
 *   shape or dtype, and the names to write where shapes tell; as Sequential for layers that do not
 *   fit each other; MemoryError
 */
export function loadTorch<D extends FloatDType = "float32">(
  runtime: Runtime,
  bytes: Uint8Array | ArrayBuffer | Pick<SafetensorsFile, "tensors"> | SafetensorsFile["tensors"],
  options: LoadTorchOptions<D>,
): Sequential<D> {
  const operation = "loadTorch";
  checkSettings(operation, "options", options, KEYS);
  const { input, layers, dtype, prefix = "", names = {} } = options;
  const { nameOf, unused: unusedNames } = renamer(operation, prefix, names);
  const file = tensorsOf(operation, bytes);
  if (file.metadata.get("format") === "lamella") {
    throw new FormatError(
      `${operation}: a file of this package, whose weights are (features in, features out); loadModel reads it`,
    );
  }
  return sequentialFrom(runtime, { input, layers, dtype }, (network) => {
    const layouts = torchLayouts(network);
    const dropped = new Set(
      network.layers.flatMap(({ record }, i) =>
        (record.dropped ?? []).map((name) => `${i}.${name}`),
      ),
    );
    const seen = new Set<string>();
    const entries: StateEntry[] = [];
    for (const entry of entriesOf(file)) {
      const name = nameOf(entry.name);
      if (name !== null && dropped.has(name)) continue;
      if (name !== null && seen.has(name)) {
        throw new ShapeError(
          `${operation}: the file has two tensors that are ${quote(name)} by now, one of them ${quote(entry.name)}`,
        );
      }
      if (name !== null) seen.add(name);
      const layout = name === null ? undefined : layouts.get(name);
      const own = { ...entry, name: name ?? `${entry.name} (without ${prefix})` };
      if (!layout) {
        entries.push(own);
        continue;
      }
      entries.push({
        ...own,
        shape: shapeFromTorch(layout, entry.shape),
        copyTo: (target) => {
          const copy = new typedArrays[network.dtype](target.length);
          entry.copyTo(copy);
          fromTorch(target, copy, layout);
        },
      });
    }
    const unused = unusedNames();
    if (unused.length > 0) {
      const there = [...file.tensors.keys()].slice(0, 20).map(quote).join(", ");
      throw new ShapeError(
        `${operation}: names has ${quote(unused[0] as string)}, with which no tensor of the file begins: ${cut(there, 999)}`,
      );
    }
    const targets = targetsOf(network);
    const ours = recurrentEntries(network, entries);
    try {
      return matchState(`${operation} (weights of Linear transposed)`, targets, ours, fileFloats);
    } catch (error) {
      if (error instanceof ShapeError) {
        const names = network.layers.flatMap(({ record }) => record.dropped ?? []);
        error.message += suggest(targets, ours, new Set(names));
      }
      throw error;
    }
  });
}
