// The operation of a predictor's program. Programs are written by the facade, which has the offsets of these fields and the
// numbers of the kinds from build/abi.ts.

/** One operation as it stands in memory: what to do, the addresses of its operands, its sizes, and a number. */
@unmanaged
export class Operation {
  kind: u32;
  out: usize;
  x: usize;
  /** The tensors of the layer, of which a kind takes as many as it has. */
  a: usize;
  b: usize;
  c: usize;
  work: usize;
  /** Features of an example. */
  D: usize;
  /** Features of an example of `out`, or the length of the last axis. */
  M: usize;
  value: f64;
}
