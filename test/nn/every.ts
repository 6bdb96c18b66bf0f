// One layer of each kind that there is, as the records tell of them: what is tried on all layers
// goes through this list, so that a new kind is tried without a line of its own.

import * as lamella from "../../src/index.ts";
import { Augment } from "../../src/nn/engine/augment.ts";
import { Elementwise } from "../../src/nn/engine/elementwise.ts";
import { Identity } from "../../src/nn/engine/identity.ts";
import { type Kind, named } from "../../src/nn/engine/kinds.ts";
import { settingsOf } from "../../src/nn/graph/record.ts";
import { records } from "../../src/nn/layers/all.ts";

const { affine, avgPool1d, avgPool2d, conv1d, conv2d, convTranspose2d } = lamella;
const { dropout, groupnorm, maxPool1d, maxPool2d, normalize, permute, reshape } = lamella;
const { gru, lstm, rnn, upsample2d, zeroPad2d } = lamella;
type Make = () => lamella.LayerSpec;

/** Layers that have a setting without a default. */
const given: Readonly<Record<string, Make>> = {
  affine: () => affine(5),
  avgPool1d: () => avgPool1d(2),
  avgPool2d: () => avgPool2d(2),
  conv1d: () => conv1d(4, 3),
  conv2d: () => conv2d(4, 3),
  convTranspose2d: () => convTranspose2d(4, 3),
  dropout: () => dropout(0.3),
  groupnorm: () => groupnorm({ groups: 1 }),
  gru: () => gru(3),
  lstm: () => lstm(3),
  maxPool1d: () => maxPool1d(2),
  maxPool2d: () => maxPool2d(2),
  normalize: () => normalize({ mean: 0.3, std: 2 }),
  permute: () => permute([0]),
  reshape: () => reshape([-1]),
  rnn: () => rnn(3),
  upsample2d: () => upsample2d(2),
  zeroPad2d: () => zeroPad2d(1),
};

export const kinds: readonly string[] = Object.keys(records).sort();

export const layers: Readonly<Record<string, Make>> = Object.fromEntries(
  kinds.map((kind) => [kind, given[kind] ?? (lamella as unknown as Record<string, Make>)[kind]]),
) as Record<string, Make>;

const engineOf = (kind: string) => named[kind]?.Engine;

/** The shape of an example that a kind takes. */
export const inputOf = (kind: string): readonly number[] =>
  [[6], [6, 4], [6, 5, 4]].find((shape) => {
    const record = named[kind] as Kind;
    const settings = settingsOf("test", record, layers[kind]!() as never);
    return !record.refusal?.(shape, settings, [shape, shape]);
  }) as readonly number[];

/** Those that take several inputs, and belong into a graph. */
export const joining = kinds.filter((kind) => named[kind]?.inputs);

/** Those that take features, and may stand between two affine layers. */
export const flat = kinds.filter((kind) => inputOf(kind).length === 1 && !joining.includes(kind));

/** Those that have calls by hand. */
export const computing = kinds.filter(
  (kind) => ![Identity, Augment].includes(engineOf(kind) as typeof Augment),
);

/**
 * The files of a kind's kernels, calls, tests and page, the first word of its twin, and the kernel
 * that threads share, where that has not the twin's name; null where they share none.
 */
interface Files {
  readonly kernel: string;
  readonly calls: string;
  readonly tests: string;
  readonly page: string;
  readonly twin: string;
  readonly shared?: string | null;
}

const pool = { kernel: "pool", calls: "pool", tests: "pool", page: "pooling" };
const conv = { kernel: "conv2d", calls: "conv", tests: "conv", page: "conv2d", twin: "conv2d" };
const recurrent = { tests: "recurrent", page: "recurrent" };
const combine = { kernel: "broadcast", calls: "broadcast", twin: "broadcast" };
const moves = { tests: "movement", page: "movement" };
/** Kinds that share files with others; all the rest have their own name everywhere. */
const sharing: Readonly<Record<string, Files>> = {
  add: { ...combine, ...moves, shared: "add_broadcast" },
  multiply: { ...combine, ...moves, shared: "multiply_broadcast" },
  concat: {
    ...moves,
    ...{ kernel: "permute", calls: "concat", twin: "permuted", shared: "strided_copy" },
  },
  avgPool1d: { ...pool, twin: "averagePool" },
  avgPool2d: { ...pool, twin: "averagePool" },
  globalAvgPool: { ...pool, calls: "global_average_pool", twin: "averagePool" },
  maxPool1d: { ...pool, twin: "maxPool" },
  maxPool2d: { ...pool, twin: "maxPool" },
  conv1d: conv,
  conv2d: conv,
  convTranspose2d: { ...conv, kernel: "conv_transpose2d", twin: "convTranspose2d" },
  rnn: { ...recurrent, kernel: "rnn", calls: "rnn", twin: "rnn" },
  lstm: { ...recurrent, kernel: "lstm", calls: "lstm", twin: "lstm" },
  gru: { ...recurrent, kernel: "gru", calls: "gru", twin: "gru" },
  permute: {
    ...moves,
    ...{ kernel: "permute", calls: "permute", twin: "permuted", shared: "strided_copy" },
  },
  upsample2d: { ...moves, kernel: "pool", calls: "upsample", twin: "averagePool" },
  // A copy of each line of an image, which the host's own does.
  zeroPad2d: {
    ...moves,
    ...{ kernel: "zero_pad", calls: "zero_pad", twin: "padded", shared: null },
  },
};

/** Normalisations, whose twin is that of any groups. */
const grouped = ["groupnorm", "layernorm"];

/** Kinds that share pages with others: windows, and what moves. */
export const windowed: readonly string[] = Object.keys(sharing);

/**
 * Kinds without a row of errors: those that only move numbers, or add the few that one was copied
 * to, and recurrent ones, whose errors are bounded in the tests of their kernels.
 */
export const unmeasured: readonly string[] = windowed.filter((kind) =>
  [moves.page, recurrent.page].includes(sharing[kind]?.page ?? ""),
);

export function filesOf(kind: string): Files {
  const name = fileOf(kind);
  const own = { kernel: name, calls: name, tests: name, page: name, twin: kind };
  if (!grouped.includes(kind)) return sharing[kind] ?? own;
  return { ...own, tests: "layernorm", twin: "groups", shared: name };
}

/** Those whose calls by hand take x and, at most, settings that have a default. */
export const unary = kinds.filter((kind) => engineOf(kind) === Elementwise);

/** "leaky_relu" of "leakyRelu": its name in files and in the core. */
export const fileOf = (kind: string) => kind.replace(/[A-Z]/g, (x) => `_${x.toLowerCase()}`);
