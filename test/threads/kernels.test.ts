// Every kernel that threads share, raw: with any number of threads the bits of the default core, on
// sizes around the one from which on it is split, and nothing written beside its outputs.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import shared from "../../build/shared.js";
import { createRuntime, createRuntimeSync, type Runtime } from "../../src/index.ts";
import { named } from "../../src/nn/engine/kinds.ts";
import { kinds, OperationWords, RecurrenceWords, WindowWords } from "../../src/runtime/abi.ts";
import { fileOf } from "../nn/every.ts";
import { activations } from "../support/activations.ts";
import { type DType, dtypes, seeded } from "../support/core.ts";
import { inside, jobOf } from "./inside.ts";

const [float32, float64] = dtypes as [DType, DType];
const GUARD_BYTES = 64;
const GUARD = 0xa5;
type Kernel = (...args: number[]) => number;

/** The operands of one call in a runtime's memory. */
class Call {
  private readonly blocks: ReturnType<typeof this.linear.allocate>[] = [];
  private readonly placed: { address: number; bytes: number; isOutput: boolean }[] = [];
  private seed = 1;
  private workspace = 0;

  constructor(
    private readonly linear: ReturnType<typeof inside>["linear"],
    private readonly exports: Record<string, Kernel>,
    readonly dtype: DType,
  ) {}

  /** Calls an export: the dtype's own, or one for both. */
  run(name: string, ...args: number[]): number {
    const { exports, dtype } = this;
    return (exports[`${name}_${dtype.suffix}`] ?? (exports[name] as Kernel))(...args);
  }

  /** n numbers in [low, high), the same in every runtime. */
  input(n: number, low = -2, high = 2, { array, bytes } = this.dtype): number {
    const address = this.place(n * bytes, false);
    const random = seeded(this.seed++);
    // A thousand of them again and again.
    const values = array.from({ length: Math.min(n, 1009) }, () => low + (high - low) * random());
    const view = new array(this.linear.wasm.buffer as ArrayBuffer, address, n);
    for (let i = 0; i < n; i += 1009) view.set(values.subarray(0, Math.min(1009, n - i)), i);
    return address;
  }

  /** The same, which the kernel updates. */
  inout(n: number, low?: number, high?: number): number {
    const address = this.input(n, low, high);
    (this.placed.at(-1) as { isOutput: boolean }).isOutput = true;
    return address;
  }

  /** n labels below C. */
  labels(n: number, C: number): number {
    const address = this.place(4 * n, false);
    const view = new Int32Array(this.linear.wasm.buffer, address, n);
    for (let i = 0; i < n; i++) view[i] = (7 * i) % C;
    return address;
  }

  /** n weights of rows from 0 up, some of them 0; float64 for either dtype. */
  weights(n: number): number {
    const address = this.place(8 * n, false);
    const view = new Float64Array(this.linear.wasm.buffer, address, n);
    for (let i = 0; i < n; i++) view[i] = ((3 * i) % 11) / 7;
    return address;
  }

  output(n: number, bytes = this.dtype.bytes): number {
    return this.place(n * bytes, true);
  }

  /** As large a workspace as this core wants. */
  work(name: string, ...sizes: number[]): number {
    this.workspace = this.place(this.run(`${name}_work_bytes`, ...sizes), false);
    return this.workspace;
  }

  /**
   * Whether anything has been written into the eight bytes of the last workspace from this one on.
   */
  worksAt(offset: number): boolean {
    const bytes = new Uint8Array(this.linear.wasm.buffer, this.workspace + offset, 8);
    return bytes.some((byte) => byte !== GUARD);
  }

  bytes(n: number): number {
    return this.place(n, false);
  }

  /** Words of four bytes: a window, or axes. */
  words(values: number[]): number {
    const address = this.place(4 * values.length, false);
    new Uint32Array(this.linear.wasm.buffer, address, values.length).set(values);
    return address;
  }

  /** One operation of a predictor, from its words. Its numbers are 0. */
  operation(words: Readonly<Record<number, number>>): number {
    const address = this.place(4 * OperationWords.length, false);
    const whole = new Uint32Array(this.linear.wasm.buffer, address, OperationWords.length);
    Object.assign(whole.fill(0), words);
    return address;
  }

  /** A window, from its fields in their order. */
  window(...fields: number[]): number {
    const address = this.place(4 * WindowWords.length, false);
    new Uint32Array(this.linear.wasm.buffer, address, fields.length).set(fields);
    return address;
  }

  /** Runs an affine operation with ReLU on top, x (N, D) → out (N, M). */
  predictProduct(N: number, D: number, M: number): void {
    const [out, x] = [this.output(N * M), this.input(N * D)];
    const words = {
      [OperationWords.kind]: kinds.affine,
      [OperationWords.out]: out,
      [OperationWords.x]: x,
      [OperationWords.a]: this.bytes(D * M * this.dtype.bytes),
      [OperationWords.b]: this.input(M),
      [OperationWords.D]: D,
      [OperationWords.M]: M,
      // No upper bound: the upper half of a float64 ∞.
      [OperationWords.value1 + 1]: 0x7ff00000,
    };
    const sized = this.operation(words);
    this.run("predict_pack", sized, this.input(D * M));
    const work = this.work("predict", sized, N);
    this.run("predict", this.operation({ ...words, [OperationWords.work]: work }), 1, N);
  }

  set(address: number, index: number, value: number): void {
    new this.dtype.array(this.linear.wasm.buffer as ArrayBuffer, address, index + 1)[index] = value;
  }

  /** What has been written; throws where that is beside a buffer. */
  end(): Buffer {
    const memory = Buffer.from(this.linear.wasm.buffer);
    const results: Buffer[] = [];
    for (const { address, bytes, isOutput } of this.placed) {
      for (let i = 1; i <= GUARD_BYTES; i++) {
        if (memory[address - i] !== GUARD || memory[address + bytes + i - 1] !== GUARD) {
          throw new Error(`${i} bytes beside a buffer of ${bytes} have changed`);
        }
      }
      if (isOutput) results.push(memory.subarray(address, address + bytes));
    }
    for (const block of this.blocks) this.linear.release(block);
    return Buffer.concat(results);
  }

  private place(bytes: number, isOutput: boolean): number {
    const block = this.linear.allocate(bytes + 2 * GUARD_BYTES);
    this.blocks.push(block);
    const address = block.address + GUARD_BYTES;
    const { buffer } = this.linear.wasm;
    new Uint8Array(buffer, block.address, bytes + 2 * GUARD_BYTES).fill(GUARD);
    this.placed.push({ address, bytes, isOutput });
    return address;
  }
}

interface Case {
  name: string;
  /** The elements, rows or columns from which on it is split. */
  from(dtype: DType): number;
  /** How many there are that the job is cut by, where that is another dimension. */
  job?: number | ((n: number) => number);
  /** With so many of them; what it returns is compared too. */
  // biome-ignore lint/suspicious/noConfusingVoidType: most return nothing
  call(call: Call, n: number): number | void;
}

const RANGE = 131072;
/** From how many on a call is split, one of which costs so much: assembly/threads/split.ts. */
function splitFrom(cost: number, unit = 16): number {
  const each = Math.max(Math.floor(RANGE / cost / unit) * unit, unit);
  return Math.max(4 * each, Math.ceil((16 * RANGE) / cost));
}
/** Elements, each of which costs as much as so many of ReLU's. */
const elements =
  (cost: number) =>
  ({ bytes }: DType) =>
    splitFrom(cost * bytes);
/** Rows of C of them. */
const rows =
  (C: number, cost: number) =>
  ({ bytes }: DType) =>
    splitFrom(cost * C * bytes, 1);
/** Columns of so many, or whole `unit`s of rows. */
const lines =
  (length: number, cost: number, unit: number) =>
  ({ bytes }: DType) =>
    splitFrom(Math.floor(cost * length * bytes), unit);

/** Layers over elements: out from x, and dx from dout and x, or out. */
function layer(name: string, cost: number, numbers: number[] = [], back = 1.5): Case[] {
  const [forward, backward] = [`${name}_forward`, `${name}_backward`];
  return [
    {
      name: forward,
      from: name === "gelu" ? () => splitFrom(24 * 8) : elements(cost),
      call: (c, n) => void c.run(forward, c.output(n), c.input(n), n, ...numbers),
    },
    {
      name: backward,
      from: name === "gelu" ? () => splitFrom(24 * 8) : elements(back),
      call: (c, n) =>
        void c.run(backward, c.output(n), c.input(n), c.input(n, -1, 1), n, ...numbers),
    },
  ];
}

/** Layers over rows. */
function rowsOf(name: string): Case[] {
  return [
    {
      name: `${name}_forward`,
      from: rows(C, 16),
      call: (c, n) => void c.run(`${name}_forward`, c.output(n * C), c.input(n * C), n, C, 1),
    },
    {
      name: `${name}_backward`,
      from: rows(C, name === "softmax" ? 4 : 16),
      call: (c, n) =>
        void c.run(
          `${name}_backward`,
          ...[c.output(n * C), c.input(n * C), c.input(n * C, 0, 1), n, C, 1],
        ),
    },
  ];
}

function update(name: string, cost: number, state: number, numbers: number[]): Case {
  return {
    name,
    from: elements(cost),
    call(c, n) {
      const states = Array.from({ length: state }, () => c.inout(n, 0, 1));
      c.run(name, c.inout(n), ...states, c.input(n), n, ...numbers);
    },
  };
}

// Two chunks of 1,024 rows, and no whole number of eights.
const N = 1037;
const [C, D, K, LONG] = [37, 61, 301, 16400];
// Places of an image, and groups of three channels.
const [S, G] = [23, 5];

/** Rows, of which so many columns as are split by columns are not split by rows. */
const few = ({ bytes }: DType) => Math.ceil(532 / bytes);

function batchnormForward(
  c: Call,
  rows: number,
  n: number,
  training: number,
  x = c.input(rows * n),
): void {
  const work = c.work("batchnorm", n);
  c.run(
    "batchnorm_forward",
    ...[c.output(rows * n), c.output(2 * n, 8), c.inout(n), c.inout(n, 1, 2)],
    ...[x, c.input(n), c.input(n), work, rows, n, 1e-5, 0.9, training],
  );
}

/** The words of a window over images of this size, all of whose numbers are here. */
function windowOf(c: Call, [H, W, C, OH, OW, KH, KW, SH, SW, top, left]: number[]): number {
  return c.words([H!, W!, C!, OH!, OW!, C!, KH!, KW!, SH!, SW!, top!, left!, 1, 1, 1]);
}

// Two images of 5 columns and 37 channels are as many rows as the job has: n is their height, all
// told, and windows overlap.
const POOLED = { W: 5, OW: 3 };
const pooled = (c: Call, n: number) =>
  windowOf(c, [n, POOLED.W, C, n, POOLED.OW, 3, 3, 1, 2, 1, 1]);

const images: Case[] = [
  {
    name: "max_pool_forward",
    from: ({ bytes }) => splitFrom(3 * POOLED.W * C * bytes, 1),
    call(c, n) {
      const outs = n * POOLED.OW * C;
      const [out, argmax] = [c.output(outs), c.output(outs, 4)];
      if (n > 2) c.run("max_pool_forward", out, argmax, c.input(n * POOLED.W * C), pooled(c, n), 1);
    },
  },
  {
    name: "average_pool_forward",
    from: ({ bytes }) => splitFrom(3 * POOLED.W * C * bytes, 1),
    call(c, n) {
      const [out, x] = [c.output(n * POOLED.OW * C), c.input(n * POOLED.W * C)];
      if (n > 2) c.run("average_pool_forward", out, x, pooled(c, n), 1, 1);
    },
  },
  {
    name: "max_pool_backward",
    from: ({ bytes }) => splitFrom(POOLED.W * C * bytes, 1),
    call(c, n) {
      const outs = n * POOLED.OW * C;
      const [dx, dout, argmax] = [c.output(n * POOLED.W * C), c.input(outs), c.labels(outs, 9)];
      c.run("max_pool_backward", dx, dout, argmax, pooled(c, n), 1);
    },
  },
  {
    name: "average_pool_backward",
    from: ({ bytes }) => splitFrom(POOLED.W * C * bytes, 1),
    call(c, n) {
      const [dx, dout] = [c.output(n * POOLED.W * C), c.input(n * POOLED.OW * C)];
      c.run("average_pool_backward", dx, dout, pooled(c, n), 1, 2);
    },
  },
  {
    name: "global_average_pool_forward",
    from: rows(K, 1),
    call: (c, n) => void c.run("global_average_pool_forward", c.output(n), c.input(n * K), n, K),
  },
  {
    name: "global_average_pool_backward",
    from: rows(K, 1),
    call: (c, n) => void c.run("global_average_pool_backward", c.output(n * K), c.input(n), n, K),
  },
  {
    name: "layernorm_forward",
    from: rows(D, 2),
    call(c, n) {
      const [out, saved, x] = [c.output(n * D), c.output(2 * n, 8), c.input(n * D)];
      c.run("layernorm_forward", out, saved, x, c.input(D), c.input(D), n, D, 1e-5);
    },
  },
  {
    name: "layernorm_backward, dx",
    from: rows(D, 2),
    call(c, n) {
      const [dx, dout, x] = [c.output(n * D), c.input(n * D), c.input(n * D)];
      const saved = c.input(2 * n, 0.5, 1, float64);
      c.run("layernorm_backward", dx, 0, 0, dout, x, c.input(D), saved, 0, n, D);
    },
  },
  {
    name: "layernorm_backward, dgamma and dbeta",
    from: (dtype) => lines(few(dtype), 2, 16)(dtype),
    call(c, n) {
      const N = few(c.dtype);
      const work = c.work("layernorm", n);
      const [dgamma, dbeta, dout, x] = [c.output(n), c.output(n), c.input(N * n), c.input(N * n)];
      const saved = c.input(2 * N, 0.5, 1, float64);
      c.run("layernorm_backward", 0, dgamma, dbeta, dout, x, c.input(n), saved, work, N, n);
    },
  },
  {
    name: "groupnorm_forward",
    from: rows(S * G * 3, 2),
    call(c, n) {
      const each = S * G * 3;
      const work = c.work("groupnorm", n, G * 3);
      const [out, saved, x] = [c.output(n * each), c.output(2 * n * G, 8), c.input(n * each)];
      const gains = [c.input(G * 3), c.input(G * 3)];
      c.run("groupnorm_forward", out, saved, x, ...gains, work, n, S, G * 3, G, 1e-5);
    },
  },
  {
    name: "groupnorm_backward",
    from: rows(S * G * 3, 2),
    call(c, n) {
      const each = S * G * 3;
      const work = c.work("groupnorm", n, G * 3);
      const to = [c.output(n * each), c.output(G * 3), c.output(G * 3)];
      const [dout, x] = [c.input(n * each), c.input(n * each)];
      const saved = c.input(2 * n * G, 0.5, 1, float64);
      c.run("groupnorm_backward", ...to, dout, x, c.input(G * 3), saved, work, n, S, G * 3, G);
    },
  },
  {
    name: "strided_copy",
    from: rows(C * D, 1),
    call(c, n) {
      const axes = c.words([...[n, C * D, C * D], ...[C, D, 1], ...[D, 1, C]]);
      if (n > 0) c.run("strided_copy", c.output(n * C * D), c.input(n * C * D), axes, 3);
    },
  },
  ...["add_broadcast", "multiply_broadcast"].flatMap((name): Case[] => [
    {
      name,
      from: elements(1.5),
      call(c, n) {
        c.run(name, c.output(n), c.input(n), c.input(n), c.words([n, 1, 1]), 1);
      },
    },
    {
      name: `${name} of a row`,
      from: rows(D, 1.5),
      call(c, n) {
        const axes = c.words([...[n, D, 0], ...[D, 1, 1]]);
        c.run(name, c.output(n * D), c.input(n * D), c.input(D), axes, 2);
      },
    },
  ]),
];

/** States of a recurrent layer, and its features: 21 and 5 are no whole number of vectors. */
const [STATES, FEATURES] = [21, 5];

/** A recurrent layer over so many sequences of so many steps, of which some are shorter. */
function recurrent(name: string, G: number, resetAfter = 0): Case[] {
  const kind = resetAfter ? "after" : "before";
  const title = name === "gru" ? ` with the reset gate ${kind} the product` : "";
  const T = 40;
  const [D, H] = [FEATURES, STATES];
  const run = (c: Call, n: number, direction: "forward" | "backward") => {
    const lengths = c.labels(n, T + 1);
    const words = {
      ...{ [RecurrenceWords.N]: n, [RecurrenceWords.T]: T, [RecurrenceWords.D]: D },
      ...{ [RecurrenceWords.H]: H, [RecurrenceWords.pitch]: H },
      [RecurrenceWords.resetAfter]: resetAfter,
      [RecurrenceWords.lengths]: lengths,
      [RecurrenceWords.x]: c.input(n * T * D),
      [RecurrenceWords.h0]: c.input(n * H),
      [RecurrenceWords.c0]: c.input(n * H),
      [RecurrenceWords.wx]: c.input(D * G * H, -0.5, 0.5),
      [RecurrenceWords.wh]: c.input(H * G * H, -0.3, 0.3),
      [RecurrenceWords.b]: c.input(G * H),
      [RecurrenceWords.bh]: name === "gru" ? c.input(G * H) : 0,
    };
    const isBack = direction === "backward";
    const kept = isBack ? "input" : "inout";
    const array = (size: number) => (isBack ? c.input(size, 0.1, 0.9) : c.output(size));
    const fields: Record<number, number> = {
      ...words,
      [RecurrenceWords.out]: array(n * T * H),
      // Forward may leave what is beyond a sequence's length as it is.
      [RecurrenceWords.gates]: name === "rnn" ? 0 : c[kept](n * T * G * H, 0.1, 0.9),
      [RecurrenceWords.cells]: name === "rnn" ? 0 : c[kept](n * T * H),
      ...(isBack
        ? {
            [RecurrenceWords.dout]: c.input(n * T * H),
            [RecurrenceWords.dh]: c.input(n * H),
            [RecurrenceWords.dc]: c.input(n * H),
            [RecurrenceWords.dx]: c.output(n * T * D),
            [RecurrenceWords.dh0]: c.output(n * H),
            [RecurrenceWords.dc0]: name === "lstm" ? c.output(n * H) : 0,
            [RecurrenceWords.dwx]: c.output(D * G * H),
            [RecurrenceWords.dwh]: c.output(H * G * H),
            [RecurrenceWords.db]: c.output(G * H),
            [RecurrenceWords.dbh]: name === "gru" ? c.output(G * H) : 0,
          }
        : {
            [RecurrenceWords.h]: c.output(n * H),
            [RecurrenceWords.c]: name === "lstm" ? c.output(n * H) : 0,
          }),
    };
    const struct = Array.from({ length: RecurrenceWords.length }, (_, word) => fields[word] ?? 0);
    const work = c.work(`${name}_${direction}`, c.words(struct));
    struct[RecurrenceWords.work] = work;
    c.run(`${name}_${direction}`, c.words(struct));
  };
  return (["forward", "backward"] as const).map((direction) => ({
    name: `${name}_${direction}${title}`,
    // 3,000,000 multiply-adds, as of a product.
    from: () => Math.ceil(3_000_000 / (T * H * G * H)),
    call: (c, n) => run(c, n, direction),
  }));
}

const cases: Case[] = [
  ...images,
  ...recurrent("rnn", 1),
  ...recurrent("lstm", 4),
  ...recurrent("gru", 3, 1),
  ...recurrent("gru", 3, 0),
  ...layer("relu", 1),
  ...layer("leaky_relu", 1.5, [0.1]),
  ...layer("sigmoid", 16),
  ...layer("tanh", 16),
  ...layer("gelu", 24),
  ...Object.entries(activations).flatMap(([kind, { cost }]) =>
    layer(fileOf(kind), cost, named[kind]?.values?.({ alpha: 0.3, beta: 0.4 }, []), cost),
  ),
  ...["softmax", "log_softmax"].flatMap((name) => rowsOf(name)),
  {
    name: "prelu_forward of channels that come last",
    from: rows(D, 2),
    call: (c, n) =>
      void c.run("prelu_forward", c.output(n * D), c.input(n * D), c.input(D), n, D, 1),
  },
  {
    name: "prelu_forward of one channel",
    from: elements(1.5),
    call: (c, n) => void c.run("prelu_forward", c.output(n), c.input(n), c.input(1), 1, 1, n),
  },
  {
    name: "prelu_backward",
    from: rows(D, 2),
    call: (c, n) =>
      void c.run(
        "prelu_backward",
        ...[c.output(n * D), c.output(D), c.input(n * D), c.input(n * D), c.input(D), n, D, 1],
      ),
  },
  {
    name: "normalize_forward",
    from: rows(D, 2),
    call: (c, n) =>
      void c.run(
        "normalize_forward",
        ...[c.output(n * D), c.input(n * D), c.input(D), c.input(D, 1, 2), n, D],
      ),
  },
  {
    name: "normalize_backward",
    from: rows(D, 2),
    call: (c, n) =>
      void c.run("normalize_backward", c.output(n * D), c.input(n * D), c.input(D, 1, 2), n, D),
  },
  ...[0, 1].flatMap((training): Case[] => [
    {
      // By rows, once the statistics are there.
      name: `batchnorm_forward, training = ${training}`,
      from: ({ bytes }) => Math.ceil(Math.ceil((16 * RANGE) / N) / (bytes / 2)),
      job: N,
      call: (c, n) => batchnormForward(c, N, n, training),
    },
    {
      name: `batchnorm_forward of many columns, training = ${training}`,
      from: (dtype) => lines(few(dtype), 1, 1024)(dtype),
      call: (c, n) => batchnormForward(c, few(c.dtype), n, training),
    },
    {
      name: `batchnorm_backward of many columns, training = ${training}`,
      from: (dtype) => lines(few(dtype), 1.5, 1024)(dtype),
      call(c, n) {
        const rows = few(c.dtype);
        const work = c.work("batchnorm", n);
        c.run(
          "batchnorm_backward",
          ...[c.output(rows * n), c.output(n), c.output(n), c.input(rows * n), c.input(rows * n)],
          ...[c.input(n), c.input(2 * n, 0.5, 1, float64), work, rows, n, training],
        );
      },
    },
  ]),
  {
    // Float32 squares that overflow, infinities and NaN in some columns: what is done about them
    // touches no other.
    name: "batchnorm_forward of many columns that overflow",
    from: (dtype) => lines(few(dtype), 1, 1024)(dtype),
    call(c, n) {
      const rows = few(c.dtype);
      const x = c.input(rows * n);
      if (n > 1) {
        c.set(x, 3, 1e30);
        c.set(x, 21, Number.POSITIVE_INFINITY);
      }
      batchnormForward(c, rows, n, 1, x);
    },
  },
  {
    name: "batchnorm_moments of many columns",
    from: lines(N, 1, 1024),
    call(c, n) {
      const work = c.work("batchnorm", n);
      c.run("batchnorm_moments", c.output(n, 8), c.output(n, 8), c.input(N * n), work, N, n);
    },
  },
  {
    name: "dropout_forward",
    from: ({ bytes }) => splitFrom(2 * bytes, 8192),
    call(c, n) {
      const work = c.work("dropout");
      const counter = [2 ** 32 - 9, 5]; // whose lower word overflows on the way
      c.run("dropout_forward", c.output(n), c.output(n), c.input(n), work, n, 0.3, 231, ...counter);
    },
  },
  {
    name: "dropout_backward",
    from: elements(1.5),
    call: (c, n) => void c.run("dropout_backward", c.output(n), c.input(n), c.input(n), n),
  },
  {
    name: "softmax_loss",
    from: rows(C, 24),
    call(c, n) {
      const [dx, x, y] = [c.output(n * C), c.input(n * C), c.labels(n, C)];
      return c.run("softmax_loss", dx, x, y, 0, 0, n, C, n);
    },
  },
  {
    name: "softmax_loss with weights",
    from: rows(C, 24),
    call(c, n) {
      const [dx, x, y] = [c.output(n * C), c.input(n * C), c.labels(n, C)];
      return c.run("softmax_loss", dx, x, y, c.weights(n), 0, n, C, 0.7 * n);
    },
  },
  ...[true, false].flatMap((hasGradient) =>
    [true, false].map(
      (hasWeights): Case => ({
        name: `svm_loss ${hasGradient ? "with" : "without"} dx, ${hasWeights ? "with" : "without"} weights`,
        from: rows(C, 8),
        call(c, n) {
          const dx = hasGradient ? c.output(n * C) : 0;
          const [x, y, weights] = [c.input(n * C), c.labels(n, C), hasWeights ? c.weights(n) : 0];
          return c.run("svm_loss", dx, x, y, weights, n, C, hasWeights ? 0.7 * n : n);
        },
      }),
    ),
  ),
  ...[true, false].map(
    (hasGradient): Case => ({
      name: `bce_with_logits_loss ${hasGradient ? "with" : "without"} dx`,
      from: () => splitFrom(48 * 8),
      call: (c, n) =>
        c.run(
          "bce_with_logits_loss",
          hasGradient ? c.output(n) : 0,
          c.input(n),
          c.input(n, 0, 1),
          n,
        ),
    }),
  ),
  update("sgd", 0.25, 0, [0.1]),
  update("sgd_momentum", 0.5, 1, [0.1, 0.9]),
  update("sgd_nesterov", 0.5, 1, [0.1, 0.9]),
  update("rmsprop", 0.5, 1, [0.1, 0.99, 1e-8]),
  update("adam", 0.5, 2, [0.1, 0.9, 0.999, 1e-8, 0.1, 0.001]),
  update("adamw", 0.5, 2, [0.1, 0.9, 0.999, 1e-8, 0.1, 0.001, 0.01]),
  {
    name: "axpy",
    from: elements(0.25),
    call: (c, n) => void c.run("axpy", n, 0.3, c.input(n), c.inout(n)),
  },
  {
    name: "scal",
    from: elements(0.25),
    call: (c, n) => void c.run("scal", n, 0.3, c.inout(n)),
  },
  {
    name: "argmax",
    from: rows(C, 8),
    call: (c, n) => void c.run("argmax", c.output(n, 4), c.input(n * C), n, C),
  },
  {
    name: "affine_forward to one column",
    from: lines(K, 0.5, 16),
    call(c, n) {
      const work = c.work("affine_forward", n, K, 1);
      c.run("affine_forward", c.output(n), c.input(n * K), c.input(K), c.input(1), work, n, K, 1);
    },
  },
  {
    name: "affine_backward of one row, dx",
    from: lines(K, 0.5, 16),
    call(c, n) {
      const work = c.work("affine_backward", 1, n, K);
      c.run("affine_backward", c.output(n), 0, 0, c.input(K), 0, c.input(n * K), work, 1, n, K);
    },
  },
  {
    name: "affine_backward of one row, dw",
    from: rows(D, 0.25),
    call(c, n) {
      const work = c.work("affine_backward", 1, n, D);
      c.run("affine_backward", 0, c.output(n * D), 0, c.input(D), c.input(n), 0, work, 1, n, D);
    },
  },
  ...[1, 3].map(
    (batch): Case => ({
      name: `predict, a product of ${batch}`,
      from: (dtype) => lines(batch * K, 0.5, 128 / dtype.bytes)(dtype),
      call(c, n) {
        c.predictProduct(batch, K, n);
      },
    }),
  ),
  {
    // Of float32 alone, and cut as any product of tiles: from 3,000,000 multiply-adds on.
    name: "predict, a product of long sums",
    from: (dtype) => (dtype.bytes === 4 ? 61 : lines(3 * LONG, 0.5, 16)(dtype)),
    call(c, n) {
      c.predictProduct(3, LONG, n);
    },
  },
  {
    name: "predict, batchnorm",
    from: rows(D, 0.5),
    call(c, n) {
      const [out, x] = [c.output(n * D), c.input(n * D)];
      const operation = c.operation({
        [OperationWords.kind]: kinds.batchnorm,
        [OperationWords.out]: out,
        [OperationWords.x]: x,
        [OperationWords.a]: c.input(D),
        [OperationWords.b]: c.input(D),
        [OperationWords.c]: c.input(D),
        [OperationWords.D]: D,
        [OperationWords.M]: D,
      });
      c.run("predict", operation, 1, n);
    },
  },
];

/**
 * Two images of n lines of 11 pixels, windows of 3 × 3, padded: lines of both are cut, and rows of
 * the filter.
 */
function convolutions(kind: string, C: number, F: number, groups: number): Case[] {
  const [images, W] = [2, 11];
  const K = (9 * C) / groups;
  // From 3,000,000 multiply-adds on.
  const from = () => Math.ceil(3e6 / (images * W * K * F));
  const place = (c: Call, n: number) => c.window(n, W, C, n, W, F, 3, 3, 1, 1, 1, 1, 1, 1, groups);
  const pixels = (n: number) => images * n * W;
  const gradient = (c: Call, n: number, dx: number, dw: number) => {
    const window = place(c, n);
    const work = c.work("conv2d_backward", window, images);
    const [dout, x, w] = [c.input(pixels(n) * F), c.input(pixels(n) * C), c.input(K * F)];
    c.run("conv2d_backward", dx, dw, 0, dout, x, w, work, window, images);
  };
  return [
    {
      name: `conv2d_forward, ${kind}`,
      from,
      job: (n) => images * n,
      call(c, n) {
        const window = place(c, n);
        const [out, x, w] = [c.output(pixels(n) * F), c.input(pixels(n) * C), c.input(K * F)];
        const work = c.work("conv2d_forward", window, images);
        c.run("conv2d_forward", out, x, w, c.input(F), work, window, images);
      },
    },
    {
      name: `conv2d_backward, ${kind}, dx`,
      from,
      job: (n) => images * n,
      call: (c, n) => gradient(c, n, c.output(pixels(n) * C), 0),
    },
    {
      name: `conv2d_backward, ${kind}, dw`,
      from,
      job: groups === 1 ? K : C,
      call: (c, n) => gradient(c, n, 0, c.output(K * F)),
    },
    {
      name: `conv_transpose2d_forward, ${kind}`,
      from,
      job: (n) => images * n,
      call(c, n) {
        const window = place(c, n);
        const [out, x, w] = [c.output(pixels(n) * C), c.input(pixels(n) * F), c.input(K * F)];
        const work = c.work("conv_transpose2d_forward", window, images);
        c.run("conv_transpose2d_forward", out, x, w, c.input(C), work, window, images);
      },
    },
    {
      name: `conv_transpose2d_backward, ${kind}, dx`,
      from,
      job: (n) => images * n,
      call(c, n) {
        const window = place(c, n);
        const work = c.work("conv_transpose2d_backward", window, images);
        const [dx, dout, x] = [c.output(pixels(n) * F), c.input(pixels(n) * C), c.input(1)];
        const w = c.input(K * F);
        c.run("conv_transpose2d_backward", dx, 0, 0, dout, x, w, work, window, images);
      },
    },
    {
      name: `predict, conv2d, ${kind}`,
      from,
      job: (n) => images * n,
      call(c, n) {
        const words: Record<number, number> = {
          [OperationWords.kind]: kinds.conv2d,
          [OperationWords.out]: c.output(pixels(n) * F),
          [OperationWords.x]: c.input(pixels(n) * C),
          [OperationWords.b]: c.input(F),
          [OperationWords.window]: place(c, n),
        };
        words[OperationWords.a] = c.bytes(c.run("predict_pack_bytes", c.operation(words)));
        words[OperationWords.work] = c.work("predict", c.operation(words), images);
        c.run("predict_pack", c.operation(words), c.input(K * F));
        c.run("predict", c.operation(words), 1, images);
      },
    },
  ];
}
cases.push(...convolutions("dense", 8, 13, 1), ...convolutions("depthwise", 37, 37, 37));

const THREADS = [1, 2, 3, 4, 7, 16];

describe("the bits of one thread, and nothing beside the outputs", () => {
  const one = createRuntimeSync();
  let pools: { threads: number; runtime: Runtime }[] = [];
  beforeAll(async () => {
    pools = await Promise.all(
      THREADS.map(async (threads) => ({
        threads,
        runtime: await createRuntime({ wasm: shared, threads }),
      })),
    );
  });
  afterAll(() => {
    for (const { runtime } of pools) runtime.dispose();
    one.dispose();
  });

  function run(runtime: Runtime, { call }: Case, dtype: DType, n: number) {
    const { linear, core } = inside(runtime);
    const c = new Call(linear, core.exports as never, dtype);
    const value = call(c, n);
    return { value, written: c.end() };
  }

  for (const dtype of [float32, float64]) {
    test.each(cases)(`$name, ${dtype.dtype}`, (kernel) => {
      const from = kernel.from(dtype);
      for (const n of [0, 1, from - 1, from, from + 13]) {
        const isMean = /loss/.test(kernel.name);
        if (n === 0 && isMean) continue;
        const expected = run(one, kernel, dtype, n);
        for (const { threads, runtime } of pools) {
          jobOf(runtime).fill(0);
          const { value, written } = run(runtime, kernel, dtype, n);
          expect(value, `${threads} threads, ${n}`).toBe(expected.value);
          if (!written.equals(expected.written)) {
            throw new Error(`${threads} threads, ${n}: other bits`);
          }
          const { job = n } = kernel;
          const jobs = typeof job === "number" ? job : job(n);
          // Proof that there was a job.
          expect(jobOf(runtime)[1], `${threads} threads, ${n}`).toBe(
            threads > 1 && n >= from ? jobs : 0,
          );
        }
      }
    });
  }

  // With one place for all, whose turn it is would decide: too seldom for the tests above to see
  // it.
  test.each(cases.filter(({ name }) => name.startsWith("batchnorm") && name.includes("columns")))(
    "$name: each range has a workspace of its own",
    ({ name, from, call }) => {
      if (name === "batchnorm_forward of many columns, training = 0") return; // it has no sums
      const { runtime } = pools[1]!;
      const { linear, core } = inside(runtime);
      const c = new Call(linear, core.exports as never, float32);
      const n = from(float32) + 13;
      call(c, n);
      const [, , each] = jobOf(runtime);
      expect(each).toBeGreaterThan(0);
      for (let range = 0; range < n; range += each!) expect(c.worksAt(48 * range)).toBe(true);
      c.end();
    },
  );
});
