// A safetensors file has eight bytes with the length of its header (little-endian), then the header
// as JSON, and then the tensors' bytes:
//
//   {"__metadata__": {"key": "value"},
//    "name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}
//
// These are functions over bytes, and none of them knows a Runtime. Numbers are moved as the host
// has them in typed arrays, which is little-endian wherever WebAssembly runs today.

import { DTypeError, describe, FormatError, quote, ShapeError, show } from "../runtime/errors.ts";
import { checkDType, checkInt32, gone } from "../tensor/convert.ts";
import { type DType, type TypedArrayOf, typedArrays } from "../tensor/dtype.ts";
import { checkShape, formatShape } from "../tensor/shape.ts";
import {
  anyKindOf,
  bufferOf,
  byteOffsetOf,
  bytesIn,
  dtypeOf,
  isThere,
  kindOf,
  lengthOf,
  viewOf,
} from "../tensor/views.ts";
import { float32BitsOfBfloat16, float32BitsOfFloat16 } from "./float16.ts";
import { foundIn } from "./found.ts";
import { Scanner } from "./scanner.ts";
import { decodeUtf8, encodeUtf8 } from "./utf8.ts";

/**
 * All dtypes are in the order of the reference implementation; a file has its tensors in the
 * reverse of it.
 */
const order = [
  ...(["BOOL", "F4", "F6_E2M3", "F6_E3M2", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0"] as const),
  ...(["F8_E4M3FNUZ", "F8_E5M2FNUZ", "I16", "U16", "F16", "BF16", "I32", "U32", "F32"] as const),
  ...(["C64", "F64", "I64", "U64"] as const),
];

/** A dtype by the name that a file gives it. */
export type SafetensorsDType = (typeof order)[number];

/** The bits of an element are the first number in the dtype's name. */
const bits = Object.fromEntries(
  order.map((dtype) => [dtype, Number(/\d+/.exec(dtype) ?? 8)]),
) as Record<SafetensorsDType, number>;

export const fileDTypes: Record<DType, SafetensorsDType> = {
  float32: "F32",
  float64: "F64",
  int32: "I32",
};

/** The elements of a model's tensors lie in a file as those of these arrays do. */
const floats = {
  I8: Int8Array,
  F16: Uint16Array,
  BF16: Uint16Array,
  F32: Float32Array,
  F64: Float64Array,
} as const;

/**
 * Elements lie in a file as those of these arrays do; a dtype that is missing has no numbers that
 * we could give. The table repeats the rows of the one above, so that a bundle that only serves
 * models goes without it.
 */
const containers = {
  BOOL: Uint8Array,
  U8: Uint8Array,
  I8: Int8Array,
  I16: Int16Array,
  U16: Uint16Array,
  F16: Uint16Array,
  BF16: Uint16Array,
  I32: Int32Array,
  U32: Uint32Array,
  F32: Float32Array,
  F64: Float64Array,
  I64: BigInt64Array,
  U64: BigUint64Array,
} as const satisfies typeof floats & Record<string, unknown>;

const METADATA = "__metadata__";
/** This is the reference implementation's limit too. */
const MAX_HEADER_BYTES = 100_000_000;
/** This many elements are converted at a time, through a buffer of at most 32 KiB. */
const CHUNK = 4096;

/** A tensor in a file. Its numbers are read when they are asked for. */
export interface SafetensorsEntry {
  readonly dtype: SafetensorsDType;
  readonly shape: readonly number[];
  /** The number of elements: the product of the shape. */
  readonly size: number;
  /** Its bytes are a view into the file's: no copy, and not aligned. */
  readonly data: Uint8Array;
  /**
   * Returns its numbers in a new array: F64 gives float64, other floats float32, and integers
   * int32, unless a dtype is named.
   * @throws DTypeError and RangeError as copyTo
   */
  toTypedArray(): Float32Array<ArrayBuffer> | Float64Array<ArrayBuffer> | Int32Array<ArrayBuffer>;
  toTypedArray<D extends DType>(dtype: D): TypedArrayOf<D>;
  /**
   * Writes its numbers into an array of as many elements, a tensor's `data` or a Float16Array for
   * example. Each is rounded once, to the nearest, where the array's dtype is narrower.
   * @throws ShapeError for another length
   * @throws DTypeError for floats into int32, and for the dtypes of less than a byte, F8 and C64,
   *   which have `data` alone
   * @throws RangeError for a whole number that int32, or float64, does not hold
   */
  copyTo(target: Float32Array | Float64Array | Int32Array | Float16): void;
}

/** A Float16Array, which not every host and not every version of TypeScript knows. */
type Float16 = ArrayBufferView & { readonly [Symbol.toStringTag]: "Float16Array" };

export interface SafetensorsFile {
  /** By name, in the header's order. */
  readonly tensors: Map<string, SafetensorsEntry>;
  /** The header's `__metadata__`; empty where it has none. */
  readonly metadata: Map<string, string>;
}

/** What both readers give. */
export interface StoredFile {
  readonly tensors: Map<string, Pick<StoredTensor, keyof StoredTensor>>;
  readonly metadata: Map<string, string>;
}

/**
 * What writeSafetensors takes as a tensor: a Tensor, an entry of a file that was read, or this by
 * hand.
 */
export interface SafetensorsData {
  readonly dtype: SafetensorsDType | DType;
  readonly shape: readonly number[];
  /**
   * Row-major: a typed array of that dtype, or the bytes as a file has them (of F16 and BF16, say);
   * a Float16Array serves for F16.
   */
  readonly data: ArrayBufferView;
}

type Target = Float32Array | Float64Array | Int32Array;
type BigIntArray = BigInt64Array | BigUint64Array;

type ByName<T> = Iterable<readonly [string, T]> | Readonly<Record<string, T>>;

/** A tensor in a file without what converts it, which a checkpoint has no need of. */
export class StoredTensor {
  constructor(
    readonly dtype: SafetensorsDType,
    readonly shape: readonly number[],
    readonly size: number,
    private readonly file: Uint8Array,
    private readonly begin: number,
    private readonly end: number,
  ) {}

  // Made anew by its getter: a view costs more than all else that a tensor has here.
  get data(): Uint8Array {
    if (this.file.length < this.end) {
      throw new TypeError("the bytes of the file are gone: transferred, or made smaller");
    }
    return this.file.subarray(this.begin, this.end);
  }

  /** Its bytes as they are: the target has as many, of the same dtype. */
  copyTo(target: ArrayBufferView): void {
    bytesIn(target).set(this.data);
  }
}

type Chunk = InstanceType<(typeof containers)[keyof typeof containers]>;
type Visit = (numbers: ArrayLike<number>, start: number) => void;
/** Makes numbers of the first elements of a chunk, which begins at this element of the tensor. */
type Convert = (chunk: Chunk, count: number, start: number) => Exclude<Chunk, BigIntArray>;

/** A tensor of a model's file, which is converted to either float dtype. */
export class FloatTensor extends StoredTensor {
  /** The factor of each column of an int8 tensor. */
  declare scales?: Float32Array;

  override copyTo(target: ArrayBufferView): void {
    const own = fileDTypes[dtypeOf(kindOf(target)) as DType];
    if (own === this.dtype) super.copyTo(target);
    else this.eachChunk(floats, this.converter, (part, i) => (target as Target).set(part, i));
  }

  protected eachChunk(
    known: Partial<typeof containers>,
    converter: (n: number) => Convert,
    visit: Visit,
  ) {
    const { size, data } = this;
    const Container = known[this.dtype as keyof typeof floats] as typeof Uint16Array;
    const itemBytes = Container.BYTES_PER_ELEMENT;
    const length = Math.min(size, CHUNK);
    const chunk = new Container(length);
    const bytes = new Uint8Array(chunk.buffer);
    const convert = converter.call(this, length);
    for (let start = 0; start < size; start += length) {
      const count = Math.min(length, size - start);
      bytes.set(data.subarray(start * itemBytes, (start + count) * itemBytes));
      visit(convert(chunk, count, start).subarray(0, count), start);
    }
  }

  protected converter(length: number): Convert {
    const { scales } = this;
    if (scales) {
      // The product of 7 bits and 24 is exact in float64, and rounded where the target is narrower.
      const wide = new Float64Array(length);
      return (chunk, count, start) => {
        for (let i = 0; i < count; i++) {
          wide[i] = (chunk[i] as number) * (scales[(start + i) % scales.length] as number);
        }
        return wide;
      };
    }
    if (!/F16/.test(this.dtype)) return (chunk) => chunk as Float32Array<ArrayBuffer>;
    const narrow = new Float32Array(length);
    const bits = new Int32Array(narrow.buffer);
    const toBits = this.dtype === "F16" ? float32BitsOfFloat16 : float32BitsOfBfloat16;
    return (chunk, count) => {
      for (let i = 0; i < count; i++) bits[i] = toBits(chunk[i] as number);
      return narrow;
    };
  }
}

class Entry extends FloatTensor implements SafetensorsEntry {
  toTypedArray(): Float32Array<ArrayBuffer> | Float64Array<ArrayBuffer> | Int32Array<ArrayBuffer>;
  toTypedArray<D extends DType>(dtype: D): TypedArrayOf<D>;
  toTypedArray(dtype?: DType) {
    const operation = "toTypedArray";
    const own = this.dtype === "F64" ? "float64" : /F/.test(this.dtype) ? "float32" : "int32";
    const chosen = dtype === undefined ? own : checkDType(operation, dtype);
    this.checkNumbers(operation, chosen); // before anything is allocated
    const out = new typedArrays[chosen](this.size);
    this.convert(operation, out, chosen);
    return out;
  }

  override copyTo(target: Target | Float16): void {
    const operation = "copyTo";
    const kind = kindOf(target) ?? "";
    const isHalf = kind === "Float16Array";
    const dtype = isHalf ? "float32" : dtypeOf(kind);
    if (!dtype) {
      throw new TypeError(
        `${operation}: target must be a Float32Array, Float64Array or Int32Array, or a Float16Array, got ${describe(target)}`,
      );
    }
    this.checkNumbers(operation, dtype);
    const length = lengthOf(target);
    if (length !== this.size) {
      throw new ShapeError(
        `${operation}: target has ${length} elements but shape ${formatShape(this.shape)} holds ${this.size}`,
      );
    }
    const own = viewOf(kind, bufferOf(target), byteOffsetOf(target), length);
    this.convert(operation, own, dtype, isHalf ? "F16" : fileDTypes[dtype]);
  }

  private checkNumbers(operation: string, target: DType): void {
    const { dtype } = this;
    if (!Object.hasOwn(containers, dtype)) {
      const known = Object.keys(containers).join(", ");
      throw new DTypeError(`${operation}: expected one of ${known}, got ${dtype}: use its bytes`);
    }
    if (target === "int32" && /F/.test(dtype)) {
      throw new DTypeError(
        `${operation}: ${dtype} holds fractions, expected float32 or float64, got int32`,
      );
    }
  }

  /** @param same the file's dtype that has the target's bytes */
  private convert(
    operation: string,
    target: Target,
    dtype: DType,
    same: SafetensorsDType = fileDTypes[dtype],
  ): void {
    if (same === this.dtype) {
      bytesIn(target).set(this.data);
      return;
    }
    const converter = (length: number) => this.checked(operation, dtype, length);
    // Numbers that may be refused are looked at first, so that the target stays as it was.
    if (/U32|[IU]64/.test(this.dtype)) this.eachChunk(containers, converter, () => {});
    this.eachChunk(containers, converter, (numbers, start) => target.set(numbers, start));
  }

  /** Does as converter, and refuses whole numbers that a float64 or an int32 does not hold. */
  private checked(operation: string, dtype: DType, length: number): Convert {
    const convert = this.converter(length);
    const wide = new Float64Array(/[IU]64/.test(this.dtype) ? length : 0);
    return (chunk, count, start) => {
      if (isBig(chunk)) {
        for (let i = 0; i < count; i++) {
          wide[i] = Number(chunk[i]);
          if (!Number.isSafeInteger(wide[i])) {
            throw new RangeError(
              `${operation}: element ${start + i} is ${chunk[i]}, expected a whole number between -2^53 and 2^53`,
            );
          }
        }
      }
      const numbers = isBig(chunk) ? wide : convert(chunk, count, start);
      if (dtype === "int32") {
        for (let i = 0; i < count; i++) {
          checkInt32(operation, `element ${start + i}`, numbers[i] as number);
        }
      }
      return numbers;
    };
  }
}

function isBig(array: object): array is BigIntArray {
  return array instanceof BigInt64Array || array instanceof BigUint64Array;
}

/** Returns the bytes that a value holds; TypeError where it holds none. */
export function bytesOf(operation: string, value: unknown): Uint8Array {
  const tag = describe(value);
  try {
    // A Buffer's slice and subarray are not quite those of the Uint8Array that it is.
    if (kindOf(value) === "Uint8Array") return bytesIn(value);
    if (tag === "ArrayBuffer") return new Uint8Array(value as ArrayBuffer, 0);
  } catch {
    throw new TypeError(`${operation}: the buffer of bytes is gone: transferred, or made smaller`);
  }
  let advice = "";
  if (/^(Response|Request|Blob|File)$/.test(tag)) advice = ": give await its arrayBuffer()";
  if (tag === "string") advice = ": give the bytes of the file, and not its name, address or text";
  throw new TypeError(
    `${operation}: bytes must be a Uint8Array or an ArrayBuffer, got ${describe(value)}${advice}`,
  );
}

/**
 * Returns the number of a shape's elements, or −1 where it, or that of their bits, is more than a
 * double counts exactly.
 */
function elementsOf(shape: readonly number[], dtype: SafetensorsDType): number {
  let size = 1;
  for (const length of shape) {
    size *= length;
    if (!Number.isSafeInteger(length) || !Number.isSafeInteger(size)) return -1;
  }
  return Number.isSafeInteger(size * bits[dtype]) ? size : -1;
}

/** Returns the number of a tensor's bytes, for messages. */
function byteCount(shape: readonly number[], dtype: SafetensorsDType): string {
  const size = elementsOf(shape, dtype);
  return size < 0 ? "over 2^50" : `${(size * bits[dtype]) / 8}`;
}

/**
 * Reads a safetensors file. The whole header is checked, and nothing of the tensors' bytes is
 * copied: the result holds the bytes that were given, and shows what is written into them later.
 * @throws FormatError for bytes that are no safetensors file, or have anything beside it
 */
export function readSafetensors(bytes: Uint8Array | ArrayBuffer): SafetensorsFile {
  return readHeader("readSafetensors", bytes, Entry);
}

/**
 * Does as readSafetensors for another call, which the errors name, and gives tensors that are
 * converted to floats.
 */
export function readFloats(operation: string, bytes: Uint8Array | ArrayBuffer) {
  return readHeader(operation, bytes, FloatTensor);
}

/** Does as readFloats, and gives the tensors as they are stored. */
export function readStored(operation: string, bytes: Uint8Array | ArrayBuffer): StoredFile {
  return readHeader(operation, bytes, StoredTensor);
}

function readHeader<E extends StoredTensor>(
  operation: string,
  bytes: Uint8Array | ArrayBuffer,
  Kind: new (...of: ConstructorParameters<typeof StoredTensor>) => E,
): { tensors: Map<string, E>; metadata: Map<string, string> } {
  const file = bytesOf(operation, bytes);
  const fail = (message: string) => new FormatError(`${operation}: ${message}`);

  const expected = (message: string) => fail(`expected ${message}${foundIn(file)}`);
  if (file.length < 8) throw expected(`at least 8 bytes, got ${file.length}`);
  const view = new DataView(file.buffer, file.byteOffset, 8);
  const headerBytes = view.getUint32(4, true) * 2 ** 32 + view.getUint32(0, true);
  if (headerBytes > MAX_HEADER_BYTES) {
    throw expected(`a header of at most ${MAX_HEADER_BYTES} bytes, got a length of ${headerBytes}`);
  }
  const dataStart = 8 + headerBytes;
  const available = file.length - dataStart;
  if (available < 0) {
    throw expected(
      `a header of ${headerBytes} bytes, got ${file.length - 8} before the file's end`,
    );
  }
  const text = decodeUtf8(file.subarray(8, dataStart));
  if (text === null) throw fail(`the header is not UTF-8${foundIn(file)}`);

  const tensors = new Map<string, E>();
  const metadata = new Map<string, string>();
  const spans: { name: string; begin: number; end: number }[] = [];
  const scanner = new Scanner(operation, text);
  scanner.object("the header", (name) => {
    if (name === METADATA) {
      scanner.object(METADATA, (key) => {
        metadata.set(key, scanner.string(`the value of ${quote(key)} in ${METADATA}`));
      });
      return;
    }
    const tensor = `tensor ${quote(name)}`;
    let dtype: string | undefined;
    const shape: number[] = [];
    const offsets: number[] = [];
    const missing = new Set(["dtype", "shape", "data_offsets"]);
    scanner.object(tensor, (key) => {
      if (key === "dtype") dtype = scanner.string(`${tensor}: dtype`);
      else if (key === "shape") {
        scanner.array(`${tensor}: shape`, () => {
          shape.push(scanner.whole(`${tensor}: a length in its shape`));
        });
      } else if (key === "data_offsets") {
        scanner.array(`${tensor}: data_offsets`, () => {
          offsets.push(scanner.whole(`${tensor}: a data offset`));
        });
      } else {
        throw fail(
          `${tensor} has a field ${quote(key)}, expected dtype, shape and data_offsets alone`,
        );
      }
      missing.delete(key);
    });
    for (const key of missing) throw fail(`${tensor} has no ${key}`);
    if (!isDType(dtype)) {
      throw fail(
        `${tensor}: dtype must be one of ${order.join(", ")}, got ${quote(dtype as string)}`,
      );
    }
    const [begin, end] = offsets as [number, number];
    if (offsets.length !== 2) {
      throw fail(
        `${tensor}: data_offsets must be a begin and an end, got ${offsets.length} numbers`,
      );
    }
    if (begin > end || end > available) {
      throw fail(
        `${tensor}: data_offsets [${begin}, ${end}] do not lie in the file's ${available} bytes of data`,
      );
    }
    const size = elementsOf(shape, dtype);
    if (size * bits[dtype] !== (end - begin) * 8) {
      throw fail(
        `${tensor}: ${dtype} of shape ${formatShape(shape)} takes ${byteCount(shape, dtype)} bytes, got data_offsets [${begin}, ${end}]`,
      );
    }
    const entry = new Kind(
      dtype,
      Object.freeze(shape),
      size,
      file,
      dataStart + begin,
      dataStart + end,
    );
    tensors.set(name, entry);
    spans.push({ name, begin, end });
  });
  scanner.end();

  // Each byte of data, from the first to the last, belongs to one tensor.
  spans.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let covered = 0;
  for (const { name, begin, end } of spans) {
    if (begin !== covered) {
      const fault = begin < covered ? "overlaps the tensor before it" : "leaves a hole before it";
      throw fail(
        `tensor ${quote(name)} ${fault}: expected its data to begin at ${covered}, got ${begin}`,
      );
    }
    covered = end;
  }
  if (covered !== available) {
    throw fail(`expected the file to end after ${covered} bytes of data, got ${available}`);
  }
  return { tensors, metadata };
}

function isDType(dtype: unknown): dtype is SafetensorsDType {
  return typeof dtype === "string" && Object.hasOwn(bits, dtype);
}

/** Orders texts by code points, as UTF-8 does; JavaScript itself orders them by UTF-16 units. */
function compare(a: string, b: string): number {
  let i = 0;
  while (a.charCodeAt(i) === b.charCodeAt(i)) i++; // behind the end it is NaN, which equals nothing
  return (a.codePointAt(i) ?? -1) - (b.codePointAt(i) ?? -1);
}

function* pairs<T>(operation: string, name: string, of: ByName<T>): Iterable<readonly [string, T]> {
  let list: Iterable<unknown> = [of];
  if (typeof of === "object" && of !== null && !ArrayBuffer.isView(of)) {
    list = Symbol.iterator in of ? (of as Iterable<unknown>) : Object.entries(of);
  }
  for (const pair of list) {
    if (!Array.isArray(pair)) {
      throw new TypeError(
        `${operation}: ${name} must be pairs, a Map or an object, got ${show(pair)}`,
      );
    }
    yield pair as unknown as readonly [string, T];
  }
}

/**
 * Writes a safetensors file. The same tensors and metadata give the same bytes, in whatever order
 * they come: tensors are sorted by dtype as in the reference implementation, so that each is
 * aligned, and then by name; metadata are sorted by key.
 * @param tensors by name: pairs, a Map or an object, of Tensors for example
 * @param metadata strings by name, in the same forms
 * @throws ShapeError where the data does not fill the shape, DTypeError for data of another dtype
 * @throws RangeError for a name that a file cannot have, or twice the same
 */
export function writeSafetensors(
  tensors: ByName<SafetensorsData>,
  metadata: ByName<string> = [],
): Uint8Array<ArrayBuffer> {
  const operation = "writeSafetensors";
  const checkName = (what: string, name: unknown, names: Set<string>): void => {
    if (typeof name !== "string") {
      throw new TypeError(`${operation}: a ${what} must be a string, got ${show(name)}`);
    }
    if (/\p{Surrogate}/u.test(name)) {
      throw new RangeError(`${operation}: ${what} ${quote(name)} is no well-formed string`);
    }
    if (names.has(name))
      throw new RangeError(`${operation}: ${what} ${quote(name)} is taken already`);
    names.add(name);
  };

  const names = new Set([METADATA]);
  const entries: {
    name: string;
    dtype: SafetensorsDType;
    shape: readonly number[];
    byteLength: number;
    bytes: Uint8Array;
    tensor: SafetensorsData;
  }[] = [];
  let dataBytes = 0;
  for (const [name, tensor] of pairs(operation, "tensors", tensors)) {
    checkName("tensor's name", name, names);
    const place = `tensor ${quote(name)}`;
    if (typeof tensor !== "object" || tensor === null) {
      throw new TypeError(
        `${operation}: ${place} must have dtype, shape and data, got ${show(tensor)}`,
      );
    }
    const { data, dtype: named } = tensor;
    const isOurs = typeof named === "string" && Object.hasOwn(fileDTypes, named);
    const dtype = isOurs ? fileDTypes[named as DType] : named;
    if (!isDType(dtype)) {
      throw new DTypeError(
        `${operation}: ${place}: dtype must be one of ${order.join(", ")}, got ${show(dtype)}`,
      );
    }
    const shape = checkShape(`${operation}: ${place}`, tensor.shape);
    if (!ArrayBuffer.isView(data)) {
      throw new TypeError(`${operation}: ${place}: data must be a typed array, got ${show(data)}`);
    }
    const tag = anyKindOf(data) ?? "DataView";
    const container = Object.hasOwn(containers, dtype)
      ? containers[dtype as keyof typeof containers].name
      : "Uint8Array";
    const isHalf = dtype === "F16" && tag === "Float16Array";
    if (tag !== "Uint8Array" && tag !== container && !isHalf) {
      throw new DTypeError(
        `${operation}: ${place}: ${dtype} takes a ${container} or bytes, got a ${tag}`,
      );
    }
    if (!isThere(data)) throw gone(`${operation}: ${place}: data`);
    const bytes = bytesIn(data);
    const byteLength = bytes.length;
    if (elementsOf(shape, dtype) * bits[dtype] !== byteLength * 8) {
      throw new ShapeError(
        `${operation}: ${place}: ${dtype} of shape ${formatShape(shape)} takes ${byteCount(shape, dtype)} bytes but data has ${byteLength}`,
      );
    }
    entries.push({ name, dtype, shape, byteLength, bytes, tensor });
    dataBytes += byteLength;
  }
  entries.sort(
    (a, b) => order.indexOf(b.dtype) - order.indexOf(a.dtype) || compare(a.name, b.name),
  );

  const keys = new Set<string>();
  const texts: [string, string][] = [];
  for (const [key, value] of pairs(operation, "metadata", metadata)) {
    checkName("key of the metadata", key, keys);
    checkName(`value of ${quote(key)} in the metadata`, value, new Set());
    texts.push([key, value]);
  }
  texts.sort(([a], [b]) => compare(a, b));

  // The header is written by hand: an object would move keys that look like array indices to its
  // front, and would take "__proto__" for its prototype.
  const list = texts.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`);
  const fields = list.length > 0 ? [`"${METADATA}":{${list.join(",")}}`] : [];
  let offset = 0;
  for (const { name, dtype, shape, byteLength } of entries) {
    const begin = offset;
    offset += byteLength;
    fields.push(
      `${JSON.stringify(name)}:{"dtype":"${dtype}","shape":[${shape.join(",")}],"data_offsets":[${begin},${offset}]}`,
    );
  }
  const header = encodeUtf8(`{${fields.join(",")}}`);
  const headerBytes = Math.ceil(header.length / 8) * 8;
  if (headerBytes > MAX_HEADER_BYTES) {
    throw new RangeError(
      `${operation}: expected a header of at most ${MAX_HEADER_BYTES} bytes, got ${headerBytes}`,
    );
  }
  const file = new Uint8Array(8 + headerBytes + dataBytes);
  new DataView(file.buffer).setUint32(0, headerBytes, true);
  file.set(header, 8);
  // Spaces follow the header, so that the data begins at a multiple of 8.
  file.fill(32, 8 + header.length, 8 + headerBytes);
  let at = 8 + headerBytes;
  for (const { name, tensor, byteLength, bytes } of entries) {
    // The view of a Tensor ends when the memory grows, as it may for a tensor that was made later:
    // then it is read again.
    const now = bytes.length === byteLength ? bytes : bytesIn(tensor.data);
    if (now.length !== byteLength) {
      throw new TypeError(`${operation}: tensor ${quote(name)}: its data are gone`);
    }
    file.set(now, at);
    at += byteLength;
  }
  return file;
}
