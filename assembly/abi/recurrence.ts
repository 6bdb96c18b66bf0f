// One pass of a recurrent layer over sequences. The facade writes it, and has the offsets of these
// fields from build/abi.ts.

/**
 * N sequences of T steps with D features, and states of H. A gate is a block of H columns: rnn has
 * one, lstm i, f, o, g and gru r, z, n, which is G · H columns. An address of 0 leaves an optional
 * array out.
 */
@unmanaged
export class Recurrence {
  N: usize;
  T: usize;
  D: usize;
  H: usize;
  /** From one step of `out` and of `dout` to the next there are this many elements. */
  pitch: usize;
  /** 1 goes from the last step of each sequence to its first. */
  isReverse: u32;
  /** 1 if gru multiplies by the reset gate after the product, 0 if before it. */
  resetAfter: u32;
  /** (N,) int32, the steps of each sequence, or 0 where all have T. */
  lengths: usize;
  /** (N, T, D) */
  x: usize;
  /** (N, H), the first states, or 0 for zeros. */
  h0: usize;
  c0: usize;
  /** (D, G · H), (H, G · H), and the biases (G · H,), or 0 for none. */
  wx: usize;
  wh: usize;
  b: usize;
  bh: usize;
  /** (N, T, H) with rows that are `pitch` apart; forward can leave it out. */
  out: usize;
  /** (N, H), the last states; they may be h0 and c0. */
  h: usize;
  c: usize;
  /** (N, T, G · H), what the gates are; forward puts it into the workspace where it is 0. */
  gates: usize;
  /** (N, T, H): the cells of lstm, or h · un + bhn of gru; forward can leave it out. */
  cells: usize;
  /** As `out`, or 0 for zeros. */
  dout: usize;
  /** (N, H), the gradients of the last states, or 0 for zeros. */
  dh: usize;
  dc: usize;
  /** The gradients, each of which can be left out. */
  dx: usize;
  dh0: usize;
  dc0: usize;
  dwx: usize;
  dwh: usize;
  db: usize;
  dbh: usize;
  work: usize;

  // The kernels alone write and read the rest.

  /** 1 if wx and wh are in the panels of packPanels. */
  isPacked: u32;
  /** The gates, and those of them that the first product of a step computes. */
  G: usize;
  first: usize;
  /**
   * The functions for the rows of a step, by their numbers: after its first product, and after its
   * second one, 0 where it has none.
   */
  row: u32;
  secondRow: u32;
  /** (N, T, G · H), `gates` or their place in the workspace. */
  a: usize;
  /** (N, first · H), what a product with the state gives, or takes in backward. */
  sums: usize;
  /** (N, H), what the second product takes. */
  second: usize;
  /** wh in panels: the columns of the first product, and those of the second. */
  panels: usize;
  secondPanels: usize;
  /** (H,) zeros. */
  zeros: usize;
  /** (N,), the number of each sequence's first row among all steps there are, and their number. */
  starts: usize;
  R: usize;
  /** (R, G · H), the gradients of the sums that gates are computed of: by x, and by h. */
  dgates: usize;
  dhidden: usize;
  /** (R, H), the state before each step, and the same times the reset gate. */
  before: usize;
  reset: usize;
  /** (N, H), what a product gives that is no sum of the first gates. */
  product: usize;
  /** (N, H), the gradients of the states. */
  dstate: usize;
  dcell: usize;
  /** The next free byte of the workspace; then the parts that each thread has for itself. */
  rest: usize;
  restEach: usize;
}

/** Recurrent layers on top of each other, as a predictor has them in one operation. */
@unmanaged
export class RecurrentStack {
  T: usize;
  D: usize;
  H: usize;
  G: usize;
  layers: usize;
  /** 1 or 2. */
  directions: usize;
  /** 1 gives all steps, 0 the last states. */
  returnSequences: u32;
  resetAfter: u32;
  /** The examples that there is room for in states that are kept. */
  capacity: usize;
}
