// The operation of a predictor's program. Programs are written by the facade, which has the offsets
// of these fields and the numbers of the kinds from build/abi.ts.

/**
 * One operation as it stands in memory: it says what to do, and has the addresses of its operands,
 * its sizes and its numbers.
 */
@unmanaged
export class Operation {
  kind: u32;
  out: usize;
  x: usize;
  /** These are the tensors of the layer; a kind takes as many of them as it needs. */
  a: usize;
  b: usize;
  c: usize;
  /** The Window of a layer that has one. */
  window: usize;
  work: usize;
  /** This many features has an example of x. */
  D: usize;
  /** This many features has an example of `out`, or its last axis. */
  M: usize;
  /** A kind takes as many of these numbers as it needs. */
  value0: f64;
  value1: f64;
}
