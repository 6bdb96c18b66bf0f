// The sizes of attention. The facade writes them, and has the offsets of these fields from
// build/abi.ts.

/** Queries and outputs are (N, T, E), keys and values (N, S, E), in so many heads. */
@unmanaged
export class Attention {
  T: u32;
  S: u32;
  E: u32;
  /** They divide E. */
  heads: u32;
  /** 1 if key j serves query i where j ≤ i + S − T alone, and 0 if there is no such bound. */
  isCausal: u32;
  /** 1 if the mask is int32, which is 0 where a key serves a query not; 0 if it is added. */
  isBoolean: u32;
  /**
   * From one example of the mask to the next there are this many elements, and from one query to
   * the next: 0 where all have the same.
   */
  maskExample: u32;
  maskRow: u32;
}
