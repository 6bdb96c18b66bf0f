// PyTorch's files: a pickle that says which tensors there are, and the storages that they are views
// of. torch.save writes both into a ZIP archive since PyTorch 1.6, and one after the other before.
//
// Source: torch/serialization.py and torch/_utils.py say what the files have.

import {
  FormatError,
  readSafetensors,
  type SafetensorsDType,
  type SafetensorsFile,
  writeSafetensors,
} from "lamella";
import { cut, quote } from "../../runtime/errors.ts";
import { type PickleFunction, type PickleValue, unpickle } from "../formats/pickle.ts";
import { readZip } from "../formats/zip.ts";
import { bytesOf } from "./source.ts";

const OPERATION = "readTorch";

/** The number with which files of the older form begin, as a pickle of a long integer. */
const MAGIC = 0x1950a86a20f9469cfc6cn;
const LEGACY_PROTOCOL = 1001;

/** A file may nest dictionaries and lists this deep. */
const MAX_DEPTH = 64;
/** A file may have this many values, each counted as often as it has a path. */
const MAX_VALUES = 1_000_000;
/** The names and texts of a file may have this many characters together. */
const MAX_CHARACTERS = 2 ** 24;
/** The views of a file's tensors may have this many bytes for each byte of the file, ... */
const MAX_RATIO = 64;
/** ... or this many bytes, whichever is more: an expanded tensor has one byte for many. */
const MIN_BYTES = 2 ** 24;

/** Bytes of an element. */
const widths: Partial<Record<SafetensorsDType, number>> = {
  ...{ BOOL: 1, U8: 1, I8: 1, F8_E5M2: 1, F8_E4M3: 1, F8_E5M2FNUZ: 1, F8_E4M3FNUZ: 1 },
  ...{ I16: 2, U16: 2, F16: 2, BF16: 2, I32: 4, U32: 4, F32: 4, I64: 8, U64: 8, F64: 8, C64: 8 },
};

/** The dtype of a storage by the name of its class, torch.FloatStorage and so on. */
const storages: Readonly<Record<string, SafetensorsDType>> = {
  ...{ FloatStorage: "F32", DoubleStorage: "F64", HalfStorage: "F16", BFloat16Storage: "BF16" },
  ...{ LongStorage: "I64", IntStorage: "I32", ShortStorage: "I16", CharStorage: "I8" },
  ...{ ByteStorage: "U8", BoolStorage: "BOOL", ComplexFloatStorage: "C64" },
};

/** The same by the name of a torch.dtype. */
const dtypes: Readonly<Record<string, SafetensorsDType>> = {
  ...{ float32: "F32", float64: "F64", float16: "F16", bfloat16: "BF16", complex64: "C64" },
  ...{ int64: "I64", int32: "I32", int16: "I16", int8: "I8", uint8: "U8", bool: "BOOL" },
  ...{ uint16: "U16", uint32: "U32", uint64: "U64", float8_e5m2: "F8_E5M2" },
  ...{ float8_e4m3fn: "F8_E4M3", float8_e5m2fnuz: "F8_E5M2FNUZ" },
  ...{ float8_e4m3fnuz: "F8_E4M3FNUZ" },
};

/** A dtype that a pickle names; a storage of bytes has none, and its tensors say theirs. */
class StorageType {
  constructor(readonly dtype: SafetensorsDType | null) {}
}

/** A storage that a pickle names, which lies elsewhere in the file. */
class Storage {
  constructor(
    readonly type: StorageType,
    readonly key: string,
    /** Where it begins in the storage of that key, in elements. */
    readonly begin: number,
    readonly length: number,
  ) {}
}

/** A view of a storage: strides and the offset are in elements. */
class View {
  constructor(
    readonly storage: Storage,
    readonly dtype: SafetensorsDType,
    readonly offset: number,
    readonly shape: readonly number[],
    readonly strides: readonly number[],
  ) {}
}

const fail = (message: string) => new FormatError(`${OPERATION}: ${message}`);

function whole(what: string, value: PickleValue): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) {
    throw fail(`${what} must be a whole number from 0 up, got ${cut(String(value))}`);
  }
  return value as number;
}

function wholes(what: string, values: PickleValue): number[] {
  if (!Array.isArray(values)) throw fail(`${what} must be a tuple of whole numbers`);
  return values.map((value) => whole(what, value));
}

/** torch._utils._rebuild_tensor and its like. */
const rebuild: PickleFunction = ([storage, offset, shape, strides, , , type]) => {
  if (!(storage instanceof Storage)) throw fail("a tensor has no storage");
  const { dtype } = type instanceof StorageType ? type : storage.type;
  if (dtype === null) throw fail("a tensor has no dtype");
  const lengths = wholes("a tensor's shape", shape);
  const steps = wholes("a tensor's strides", strides);
  if (lengths.length !== steps.length || lengths.length > MAX_DEPTH) {
    throw fail(`a tensor has ${lengths.length} lengths and ${steps.length} strides`);
  }
  return new View(storage, dtype, whole("a tensor's offset", offset), lengths, steps);
};

/** What wraps a tensor, as nn.Parameter does, has it as its first argument. */
const unwrap: PickleFunction = ([value]) => value;

const functions: Readonly<Record<string, PickleFunction>> = {
  "collections.OrderedDict": ([pairs]) =>
    new Map(Array.isArray(pairs) ? (pairs.filter(Array.isArray) as [unknown, unknown][]) : []),
  "torch._utils._rebuild_tensor": rebuild,
  "torch._utils._rebuild_tensor_v2": rebuild,
  "torch._utils._rebuild_tensor_v3": rebuild,
  "torch._utils._rebuild_parameter": unwrap,
  "torch._utils._rebuild_parameter_with_state": unwrap,
  "torch._tensor._rebuild_from_type_v2": ([callee, , args]) => {
    if (typeof callee !== "function" || !Array.isArray(args)) throw fail("a tensor has no parts");
    return callee(args);
  },
  "torch.Size": unwrap,
  "torch.device": () => null,
  "torch.serialization._get_layout": () => null,
  "torch.nn.parameter.Parameter": unwrap,
  "torch.Tensor": unwrap,
};

function globals(name: string): PickleValue | undefined {
  if (Object.hasOwn(functions, name)) return functions[name];
  const [, own = ""] = /^torch\.(\w+)$/.exec(name) ?? [];
  if (Object.hasOwn(storages, own)) return new StorageType(storages[own] as SafetensorsDType);
  if (Object.hasOwn(dtypes, own)) return new StorageType(dtypes[own] as SafetensorsDType);
  return /^torch\.(storage\.)?UntypedStorage$/.test(name) ? new StorageType(null) : undefined;
}

/**
 * Reads ('storage', class, key, location, length), which in the older form has (key, begin, length)
 * of a view behind it.
 */
function persistent(id: PickleValue): Storage {
  if (!Array.isArray(id) || id[0] !== "storage" || !(id[1] instanceof StorageType)) {
    throw fail("an object outside the pickle is no storage");
  }
  const [, type, key, , length, view] = id;
  const range = Array.isArray(view) ? view : [null, 0, length];
  return new Storage(
    type,
    String(key),
    whole("a storage's begin", range[1]),
    whole("a storage's length", range[2]),
  );
}

/** Returns the bytes of the storage with a key, in which `width` bytes are an element. */
type Fetch = (key: string, width: number) => Uint8Array;

/** Copies the elements of a view, row-major. */
function elementsOf(name: string, view: View, bytesLeft: number, fetch: Fetch): Uint8Array {
  const { dtype, shape, strides, storage } = view;
  const width = widths[dtype] as number;
  const size = shape.reduce((product, length) => product * length, 1);
  if (!(size * width <= bytesLeft)) {
    throw fail(`${quote(name)} of shape (${shape}) takes more bytes than the file can have`);
  }
  const out = new Uint8Array(size * width);
  if (size === 0) return out;
  const bytes = fetch(storage.key, width);
  const begin = storage.begin + view.offset;
  const last = shape.reduce((at, length, k) => at + (length - 1) * (strides[k] as number), begin);
  // A storage of bytes says its length in bytes.
  const limit = Math.min(
    Math.floor(bytes.length / width),
    storage.begin + (storage.type.dtype ? storage.length : Math.floor(storage.length / width)),
  );
  if (!(last < limit)) {
    throw fail(
      `${quote(name)} of shape (${shape}) and strides (${strides}) ends at element ${last} of a storage of ${limit}`,
    );
  }
  // As many of the last axes as are without gaps are one run.
  let axes = shape.length;
  let run = 1;
  while (axes > 0 && (shape[axes - 1] === 1 || strides[axes - 1] === run)) {
    axes--;
    run *= shape[axes] as number;
  }
  const index = new Array<number>(axes).fill(0);
  let from = begin;
  for (let to = 0; to < size; to += run) {
    out.set(bytes.subarray(from * width, (from + run) * width), to * width);
    for (let k = axes - 1; k >= 0; k--) {
      from += strides[k] as number;
      index[k] = (index[k] as number) + 1;
      if ((index[k] as number) < (shape[k] as number)) break;
      from -= (strides[k] as number) * (shape[k] as number);
      index[k] = 0;
    }
  }
  return out;
}

/**
 * Returns the tensors of a value by the path of keys and indexes that leads to them, joined by
 * dots, and numbers, strings and truth values as strings.
 */
function flatten(root: PickleValue) {
  const views = new Map<string, View>();
  const metadata = new Map<string, string>();
  let visited = 0;
  let characters = 0;
  const visit = (value: PickleValue, path: readonly PickleValue[]): void => {
    if (path.length > MAX_DEPTH) throw fail(`values are nested deeper than ${MAX_DEPTH}`);
    if (++visited > MAX_VALUES) throw fail(`there are more than ${MAX_VALUES} values`);
    if (value instanceof Map) {
      for (const [key, item] of value) {
        if (!["string", "number", "bigint", "boolean"].includes(typeof key)) {
          throw fail(`a dictionary has a key that is no string and no number`);
        }
        visit(item, [...path, key]);
      }
      return;
    }
    if (Array.isArray(value)) {
      value.forEach((item, i) => void visit(item, [...path, i]));
      return;
    }
    // Few bytes of a pickle can say a long key many times.
    for (const key of path) characters += typeof key === "string" ? key.length : 8;
    characters += typeof value === "string" ? value.length : 8;
    if (characters > MAX_CHARACTERS)
      throw fail(`names have more than ${MAX_CHARACTERS} characters`);
    const name = path.join(".") || "tensor";
    if (value instanceof View) {
      if (views.has(name)) throw fail(`two tensors have the name ${quote(name)}`);
      views.set(name, value);
    } else if (typeof value === "string" || typeof value === "number" || value === true || !value) {
      if (value !== null && value !== undefined) metadata.set(name, String(value));
    }
  };
  visit(root, []);
  return { views, metadata };
}

/** Gives the file as readSafetensors does, which has all that it takes to read numbers. */
function fileOf(root: PickleValue, bytes: Uint8Array, fetch: Fetch): SafetensorsFile {
  const { views, metadata } = flatten(root);
  let bytesLeft = Math.max(MAX_RATIO * bytes.length, MIN_BYTES);
  const tensors = [...views].map(([name, view]) => {
    const data = elementsOf(name, view, bytesLeft, fetch);
    bytesLeft -= data.length;
    return [name, { dtype: view.dtype, shape: view.shape, data }] as const;
  });
  // A name that no file can have, as one with half of a surrogate pair, is refused here.
  const file = readSafetensors(writeSafetensors(tensors, metadata));
  return {
    metadata: file.metadata,
    // In the order of the pickle, which is that of the modules.
    tensors: new Map([...views.keys()].map((name) => [name, file.tensors.get(name) as never])),
  };
}

function readArchive(bytes: Uint8Array): SafetensorsFile {
  const files = readZip(OPERATION, bytes);
  const pickles = [...files.keys()].filter((name) => /(^|\/)data\.pkl$/.test(name));
  if (pickles.length !== 1) {
    throw fail(
      `a ZIP archive of PyTorch has one data.pkl, got ${pickles.length} among ${files.size} files${
        files.has("config.json") ? "; it is a Keras model: loadKeras of lamella/keras reads it" : ""
      }`,
    );
  }
  const [pickle] = pickles as [string];
  const folder = pickle.slice(0, -"data.pkl".length);
  const order = files.get(`${folder}byteorder`);
  if (order && !/^little\s*$/.test(String.fromCharCode(...order.subarray(0, 16)))) {
    throw fail("the file was written on a machine whose numbers are big-endian");
  }
  const options = { operation: OPERATION, globals, persistent };
  const { value } = unpickle(files.get(pickle) as Uint8Array, 0, options);
  return fileOf(value, bytes, (key) => {
    const storage = files.get(`${folder}data/${key}`);
    if (!storage) throw fail(`the archive has no storage ${quote(`${folder}data/${key}`)}`);
    return storage;
  });
}

function readLegacy(bytes: Uint8Array): SafetensorsFile {
  const options = { operation: OPERATION, globals, persistent };
  let at = 0;
  const next = () => {
    const { value, end } = unpickle(bytes, at, options);
    at = end;
    return value;
  };
  if (next() !== MAGIC) {
    throw fail("the file is a pickle, and none of PyTorch: torch.save writes those");
  }
  const protocol = next();
  if (protocol !== LEGACY_PROTOCOL) {
    throw fail(`expected protocol ${LEGACY_PROTOCOL}, got ${cut(String(protocol))}`);
  }
  const system = next();
  if (system instanceof Map && system.get("little_endian") === false) {
    throw fail("the file was written on a machine whose numbers are big-endian");
  }
  const root = next();
  const keys = next();
  if (!Array.isArray(keys)) throw fail("the keys of the storages are no list");
  // Behind the pickles each storage has its number of elements and then its bytes. How wide an
  // element is the tensors say, so that all are looked through for it first.
  const { views } = flatten(root);
  const width = new Map([...views.values()].map((v) => [v.storage.key, widths[v.dtype] as number]));
  const storages = new Map<string, Uint8Array>();
  for (const key of keys.map(String)) {
    if (bytes.length - at < 8) throw fail(`the file ends before storage ${quote(key)}`);
    const view = new DataView(bytes.buffer, bytes.byteOffset + at, 8);
    const length = view.getUint32(4, true) * 2 ** 32 + view.getUint32(0, true);
    const size = width.get(key);
    if (size === undefined) throw fail(`no tensor says what the storage ${quote(key)} holds`);
    at += 8;
    if (!(length * size <= bytes.length - at)) {
      throw fail(
        `storage ${quote(key)} has ${length} elements, of which the file ends within the first ${Math.floor((bytes.length - at) / size)}`,
      );
    }
    storages.set(key, bytes.subarray(at, at + length * size));
    at += length * size;
  }
  return fileOf(root, bytes, (key) => {
    const storage = storages.get(key);
    if (!storage) throw fail(`the file has no storage ${quote(key)}`);
    return storage;
  });
}

/**
 * Reads the tensors of a file of PyTorch: what `torch.save` wrote of a `state_dict`, a checkpoint
 * or a tensor (`.pt`, `.pth`; the ZIP archive of PyTorch 1.6 and later, and the older form), or a
 * safetensors file.
 *
 * A tensor's name is the path to it, joined by dots: that of `{"model": {"fc.weight": …}}` is
 * `model.fc.weight`, and a bare tensor's `tensor`. Views, shared storages and expanded tensors are
 * read as arrays of their own, row-major. Numbers, strings and truth values beside the tensors are
 * in `metadata`, as strings by the same paths; other values are left out.
 *
 * The pickle in such a file is run by a machine that knows the names that tensors are made of and
 * can build nothing else: no code of the file is run. What it gives, `loadTorch` takes.
 *
 * ```js
 * const model = loadTorch(runtime, readTorch(bytes), { input: [784], layers });
 * ```
 *
 * @throws FormatError for bytes that are no such file or are cut, for a pickle that asks for
 *   anything but tensors, with its name, and for tensors that their storages do not hold
 * @throws TypeError for what is no Uint8Array and no ArrayBuffer
 */
export function readTorch(bytes: Uint8Array | ArrayBuffer): SafetensorsFile {
  const file = bytesOf(OPERATION, "bytes", bytes);
  if (file[0] === 0x50 && file[1] === 0x4b) return readArchive(file);
  if (file[0] === 0x80) return readLegacy(file);
  try {
    return readSafetensors(file);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw fail(
      `expected a file of torch.save or safetensors: ${error.message.replace(/^readSafetensors: /, "")}`,
    );
  }
}
