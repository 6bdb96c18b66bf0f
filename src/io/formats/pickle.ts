// Python's pickle format is a program for a small stack machine. This machine builds numbers,
// strings, lists, tuples, sets and dictionaries alone. Everything else that a pickle asks for goes
// through the caller's `globals`, so that a file can name nothing that the caller does not know.
//
// Source: the opcodes of CPython's Lib/pickletools.py, protocols 2 to 5.

import { FormatError } from "lamella";
import { quote } from "../../runtime/errors.ts";
import { decodeUtf8 } from "../utf8.ts";

/** A value of a pickle; a dictionary is a Map, and a list, a tuple and a set are arrays. */
export type PickleValue = unknown;

/** What a pickle calls with arguments. It returns what the call gives. */
export type PickleFunction = (args: readonly PickleValue[]) => PickleValue;

export interface UnpickleOptions {
  /** It begins every message: the name of the public function. */
  readonly operation: string;
  /** Returns what stands for a global, or undefined for one that is refused. */
  readonly globals: (name: string) => PickleValue | undefined;
  /** Returns what stands for an object that lies outside the pickle. */
  readonly persistent: (id: PickleValue) => PickleValue;
}

const MARK = Symbol("mark");
/** A whole number of more bytes than this is no number of a model. */
const MAX_INTEGER_BYTES = 64;

/**
 * Runs the pickle that begins at a place of the bytes.
 * @returns the value, and the place behind the pickle
 * @throws FormatError for an opcode or a global that is not known, and for a pickle that is cut or
 *   contradicts itself
 */
export function unpickle(
  bytes: Uint8Array,
  begin: number,
  { operation, globals, persistent }: UnpickleOptions,
): { value: PickleValue; end: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = begin;
  const fail = (message: string) =>
    new FormatError(`${operation}: the pickle ${message}, at byte ${at}`);

  /** Returns where the next `count` bytes begin, and goes behind them. */
  const take = (count: number): number => {
    const start = at;
    if (!(count <= bytes.length - at)) {
      throw fail(`needs ${count} more bytes, got ${bytes.length - at}`);
    }
    at += count;
    return start;
  };
  const byte = () => bytes[take(1)] as number;
  const uint16 = () => view.getUint16(take(2), true);
  const uint32 = () => view.getUint32(take(4), true);
  const uint64 = () => {
    const start = take(8);
    return view.getUint32(start + 4, true) * 2 ** 32 + view.getUint32(start, true);
  };
  const raw = (count: number) => {
    const start = take(count);
    return bytes.subarray(start, start + count);
  };
  const text = (count: number): string => {
    const value = decodeUtf8(raw(count));
    if (value === null) throw fail("has a string that is not UTF-8");
    return value;
  };
  const line = (): string => {
    const end = bytes.indexOf(10, at);
    if (end < 0) throw fail("ends within a line");
    const value = text(end - at);
    at++;
    return value;
  };
  /** Returns a number, or a BigInt where a number would be rounded. */
  const integer = (count: number): number | bigint => {
    if (count > MAX_INTEGER_BYTES) throw fail(`has a whole number of ${count} bytes`);
    const digits = raw(count);
    const negative = count > 0 && (digits[count - 1] as number) > 127;
    let value = negative ? -1n : 0n;
    for (let i = count - 1; i >= 0; i--) value = value * 256n + BigInt(digits[i] as number);
    // The first step has added 256 · (−1), which is the sign of two's complement.
    return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  };

  const stack: PickleValue[] = [];
  const memo = new Map<number, PickleValue>();
  const pop = (): PickleValue => {
    if (stack.length === 0) throw fail("takes a value from an empty stack");
    const value = stack.pop();
    if (value === MARK) throw fail("takes a mark for a value");
    return value;
  };
  const top = (): PickleValue => {
    const value = pop();
    stack.push(value);
    return value;
  };
  const popToMark = (): PickleValue[] => {
    const mark = stack.lastIndexOf(MARK);
    if (mark < 0) throw fail("goes back to a mark that is not there");
    const values = stack.splice(mark);
    values.shift();
    return values;
  };
  const tuple = (count: number) => {
    const values = Array.from({ length: count }, pop);
    stack.push(values.reverse());
  };
  const list = (value: PickleValue): PickleValue[] => {
    if (!Array.isArray(value)) throw fail("appends to what is no list");
    return value;
  };
  const set = (values: PickleValue[]) => {
    const map = top();
    if (!(map instanceof Map)) throw fail("sets an item of what is no dictionary");
    if (values.length % 2) throw fail("has a key without a value");
    for (let i = 0; i < values.length; i += 2) map.set(values[i], values[i + 1]);
  };
  const get = (index: number) => {
    if (!memo.has(index)) throw fail(`recalls value ${index}, which it has not stored`);
    stack.push(memo.get(index));
  };
  const global = (module: string, name: string) => {
    const value = globals(`${module}.${name}`);
    if (value === undefined) {
      throw new FormatError(
        `${operation}: the pickle asks for ${quote(`${module}.${name}`)}, and only what tensors are made of is built here: save a state_dict, torch.save(net.state_dict(), "net.pt")`,
      );
    }
    stack.push(value);
  };
  const call = (args: PickleValue, callee: PickleValue) => {
    if (typeof callee !== "function") throw fail("calls what is no function");
    if (!Array.isArray(args)) throw fail("calls a function without a tuple of arguments");
    stack.push((callee as PickleFunction)(args));
  };

  const opcodes: Readonly<Record<number, () => void>> = {
    128: () => {
      const protocol = byte();
      if (protocol > 5) throw fail(`is of protocol ${protocol}, expected at most 5`);
    },
    149: () => void take(8), // FRAME: its length is of no use here
    40: () => void stack.push(MARK), // MARK
    48: () => void pop(), // POP
    49: () => void popToMark(), // POP_MARK
    50: () => void stack.push(top()), // DUP
    78: () => void stack.push(null), // NONE
    136: () => void stack.push(true), // NEWTRUE
    137: () => void stack.push(false), // NEWFALSE
    74: () => void stack.push(view.getInt32(take(4), true)), // BININT
    75: () => void stack.push(byte()), // BININT1
    77: () => void stack.push(uint16()), // BININT2
    138: () => void stack.push(integer(byte())), // LONG1
    139: () => void stack.push(integer(uint32())), // LONG4
    71: () => void stack.push(view.getFloat64(take(8), false)), // BINFLOAT
    88: () => void stack.push(text(uint32())), // BINUNICODE
    140: () => void stack.push(text(byte())), // SHORT_BINUNICODE
    141: () => void stack.push(text(uint64())), // BINUNICODE8
    84: () => void stack.push(text(uint32())), // BINSTRING
    85: () => void stack.push(text(byte())), // SHORT_BINSTRING
    66: () => void stack.push(raw(uint32())), // BINBYTES
    67: () => void stack.push(raw(byte())), // SHORT_BINBYTES
    142: () => void stack.push(raw(uint64())), // BINBYTES8
    150: () => void stack.push(raw(uint64())), // BYTEARRAY8
    93: () => void stack.push([]), // EMPTY_LIST
    41: () => void stack.push([]), // EMPTY_TUPLE
    143: () => void stack.push([]), // EMPTY_SET
    125: () => void stack.push(new Map()), // EMPTY_DICT
    97: () => {
      const value = pop(); // APPEND
      list(top()).push(value);
    },
    101: () => {
      const values = popToMark(); // APPENDS
      const target = list(top());
      for (const value of values) target.push(value);
    },
    144: () => {
      const values = popToMark(); // ADDITEMS
      const target = list(top());
      for (const value of values) target.push(value);
    },
    108: () => void stack.push(popToMark()), // LIST
    116: () => void stack.push(popToMark()), // TUPLE
    145: () => void stack.push(popToMark()), // FROZENSET
    133: () => tuple(1), // TUPLE1
    134: () => tuple(2), // TUPLE2
    135: () => tuple(3), // TUPLE3
    100: () => {
      const values = popToMark(); // DICT
      stack.push(new Map());
      set(values);
    },
    115: () => {
      const value = pop(); // SETITEM
      const key = pop();
      set([key, value]);
    },
    117: () => set(popToMark()), // SETITEMS
    104: () => get(byte()), // BINGET
    106: () => get(uint32()), // LONG_BINGET
    113: () => void memo.set(byte(), top()), // BINPUT
    114: () => void memo.set(uint32(), top()), // LONG_BINPUT
    148: () => void memo.set(memo.size, top()), // MEMOIZE
    99: () => global(line(), line()), // GLOBAL
    147: () => {
      const name = pop(); // STACK_GLOBAL
      const module = pop();
      if (typeof module !== "string" || typeof name !== "string") {
        throw fail("names a global by what is no string");
      }
      global(module, name);
    },
    82: () => call(pop(), pop()), // REDUCE
    129: () => call(pop(), pop()), // NEWOBJ
    98: () => {
      pop(); // BUILD: the attributes of an object
      if (!(top() instanceof Map)) throw fail("gives attributes to what is no dictionary");
    },
    81: () => void stack.push(persistent(pop())), // BINPERSID
  };

  for (;;) {
    const opcode = byte();
    if (opcode === 0x2e) return { value: pop(), end: at }; // STOP
    const run = opcodes[opcode];
    if (!run) throw fail(`has the opcode 0x${opcode.toString(16)}, which is not known here`);
    run();
  }
}
