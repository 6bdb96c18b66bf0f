// The slow plain twin of src/io: it shares no code with it, reads the header with JSON.parse, finds
// with tokens what JSON.parse does not tell, counts how often each byte of data is owned, and
// decodes numbers by arithmetic.

/** Bits per element. */
export const bitsOf: Record<string, number> = {
  ...{ BOOL: 8, U8: 8, I8: 8, I16: 16, U16: 16, I32: 32, U32: 32, I64: 64, U64: 64 },
  ...{ F16: 16, BF16: 16, F32: 32, F64: 64, C64: 64, F4: 4, F6_E2M3: 6, F6_E3M2: 6 },
  ...{ F8_E5M2: 8, F8_E4M3: 8, F8_E8M0: 8, F8_E4M3FNUZ: 8, F8_E5M2FNUZ: 8 },
};

export interface TwinTensor {
  dtype: string;
  shape: number[];
  data: Uint8Array;
}

export interface TwinFile {
  tensors: Map<string, TwinTensor>;
  metadata: Map<string, string>;
}

const LIMIT = 2n ** 53n;

/** What a file holds; undefined for one that is to be refused. */
export function read(file: Uint8Array): TwinFile | undefined {
  const buffer = Buffer.from(file);
  if (buffer.length < 8) return undefined;
  const headerBytes = buffer.readBigUInt64LE();
  if (headerBytes > 100_000_000n || headerBytes > BigInt(buffer.length - 8)) return undefined;
  const start = 8 + Number(headerBytes);
  const header = buffer.subarray(8, start);
  const text = header.toString();
  if (!Buffer.from(text).equals(header)) return undefined; // not UTF-8
  let root: unknown;
  try {
    root = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isObject(root) || hides(text)) return undefined;

  const tensors = new Map<string, TwinTensor>();
  const metadata = new Map<string, string>();
  const owners = new Array<number>(buffer.length - start).fill(0);
  const empty: number[] = [];
  const bounds = new Set([0]);
  for (const [name, value] of Object.entries(root)) {
    if (!isObject(value)) return undefined;
    if (name === "__metadata__") {
      for (const [key, content] of Object.entries(value)) {
        if (typeof content !== "string") return undefined;
        metadata.set(key, content);
      }
      continue;
    }
    if (Object.keys(value).sort().join() !== "data_offsets,dtype,shape") return undefined;
    const { dtype, shape, data_offsets: offsets } = value;
    if (!isNumbers(shape) || !isNumbers(offsets) || offsets.length !== 2) return undefined;
    const bits = Object.entries(bitsOf).find(([known]) => known === dtype)?.[1];
    if (bits === undefined) return undefined;
    let size = 1n;
    for (const length of shape) {
      size *= BigInt(length);
      if (size >= LIMIT) return undefined;
    }
    const [begin, end] = offsets as [number, number];
    const total = size * BigInt(bits);
    if (total >= LIMIT || begin > end || end > owners.length) return undefined;
    if (total !== BigInt(end - begin) * 8n) return undefined;
    for (let i = begin; i < end; i++) owners[i]! += 1;
    if (begin === end) empty.push(begin);
    else bounds.add(end);
    tensors.set(name, {
      dtype: dtype as string,
      shape,
      data: buffer.subarray(start + begin, start + end),
    });
  }
  if (owners.some((count) => count !== 1) || empty.some((at) => !bounds.has(at))) return undefined;
  return { tensors, metadata };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isNumbers(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => typeof item === "number");
}

/**
 * Whether valid JSON has what JSON.parse hides: a key twice, a number that is not plainly written,
 * half a surrogate pair.
 */
function hides(text: string): boolean {
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[{}[\]:,]|[^\s"{}[\]:,]+/g) ?? [];
  const open: Set<string>[] = [];
  for (const [i, token] of tokens.entries()) {
    if (token === "{" || token === "[") open.push(new Set());
    else if (token === "}" || token === "]") open.pop();
    else if (token.startsWith('"')) {
      const value: string = JSON.parse(token);
      if (Buffer.from(value).toString() !== value) return true;
      if (tokens[i + 1] !== ":") continue;
      const keys = open.at(-1)!;
      if (keys.has(value)) return true;
      keys.add(value);
    } else if (/^[-\d]/.test(token)) {
      if (!/^\d+$/.test(token) || BigInt(token) >= LIMIT) return true;
    }
  }
  return false;
}

/** The number that 16 bits are, by sign · fraction · 2^exponent. */
export function half(bits: number, exponentBits: number): number {
  const fractionBits = 15 - exponentBits;
  const bias = 2 ** (exponentBits - 1) - 1;
  const sign = bits >= 2 ** 15 ? -1 : 1;
  const exponent = Math.floor(bits / 2 ** fractionBits) % 2 ** exponentBits;
  const fraction = (bits % 2 ** fractionBits) / 2 ** fractionBits;
  if (exponent === 2 ** exponentBits - 1) return fraction === 0 ? sign * Infinity : NaN;
  if (exponent === 0) return sign * fraction * 2 ** (1 - bias);
  return sign * (1 + fraction) * 2 ** (exponent - bias);
}

/**
 * A tensor's numbers one by one; undefined for a dtype without any. Big integers stay what they
 * are.
 */
export function numbersOf({ dtype, data }: TwinTensor): (number | bigint)[] | undefined {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const at: Record<string, (i: number) => number | bigint> = {
    BOOL: (i) => view.getUint8(i),
    U8: (i) => view.getUint8(i),
    I8: (i) => view.getInt8(i),
    I16: (i) => view.getInt16(2 * i, true),
    U16: (i) => view.getUint16(2 * i, true),
    F16: (i) => half(view.getUint16(2 * i, true), 5),
    BF16: (i) => half(view.getUint16(2 * i, true), 8),
    I32: (i) => view.getInt32(4 * i, true),
    U32: (i) => view.getUint32(4 * i, true),
    F32: (i) => view.getFloat32(4 * i, true),
    F64: (i) => view.getFloat64(8 * i, true),
    I64: (i) => view.getBigInt64(8 * i, true),
    U64: (i) => view.getBigUint64(8 * i, true),
  };
  const get = at[dtype];
  if (!get) return undefined;
  return Array.from({ length: (data.length * 8) / bitsOf[dtype]! }, (_, i) => get(i));
}

/** A file from its parts, without any check. */
export function file(header: string | Uint8Array, data: Uint8Array | number = 0): Uint8Array {
  const text = typeof header === "string" ? Buffer.from(header) : header;
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  const body = typeof data === "number" ? Buffer.alloc(data) : data;
  return new Uint8Array(Buffer.concat([length, text, body]));
}
