// Divides a range of addresses into blocks. The books are JavaScript objects beside the memory, so
// that no write into the memory can spoil them.
//
// A two-level segregated fit (Masmano et al., "TLSF", ECRTS 2004): free blocks hang in bins by
// size, eight bins to each power of two, and a bitmap finds the first bin that surely fits.
// Neighbouring free blocks are joined at once. Everything counts in units of 64 bytes, so that
// every block is aligned to a cache line and 4 GiB of them are whole numbers below 2²⁶.

const UNIT = 64;
const BINS = 8 * 25;

/**
 * A piece of the range, from start to start + size (units), with its neighbours in memory and in
 * its bin.
 */
export class Block {
  free = false;
  lower: Block | null = null;
  upper: Block | null = null;
  previous: Block | null = null;
  next: Block | null = null;

  constructor(
    public start: number,
    public size: number,
  ) {}

  /** Byte address. */
  get address(): number {
    return this.start * UNIT;
  }

  get bytes(): number {
    return this.size * UNIT;
  }
}

/** The bin of free blocks of this size. */
function binOf(size: number): number {
  if (size < 8) return size;
  const log = 31 - Math.clz32(size);
  return (log - 2) * 8 + ((size >>> (log - 3)) & 7);
}

/** The smallest size of which every block's bin holds nothing below size. */
function roundToBin(size: number): number {
  if (size < 8) return size;
  const granule = 1 << (31 - Math.clz32(size) - 3);
  return (size + granule - 1) & -granule;
}

export class Allocator {
  /** Bytes in blocks that are in use, and the most there have been. */
  bytesLive = 0;
  bytesPeak = 0;
  private last: Block | null = null;
  private end: number;
  private readonly bins: (Block | null)[] = new Array(BINS).fill(null);
  private readonly bitmap = new Int32Array((BINS + 31) >>> 5);

  /** An empty range that starts at this byte address, rounded up to the alignment; never at 0. */
  constructor(start: number) {
    this.end = Math.max(1, Math.ceil(start / UNIT));
  }

  /** The range goes up to this byte address now. */
  extend(end: number): void {
    const size = Math.floor(end / UNIT) - this.end;
    if (size <= 0) return;
    const block = new Block(this.end, size);
    this.end += size;
    block.lower = this.last;
    if (this.last) this.last.upper = block;
    this.last = block;
    this.insert(this.join(block));
  }

  /** A block of at least this many bytes (more than 0), or null where none is free. */
  allocate(bytes: number): Block | null {
    if (bytes > this.limit) return null;
    const size = Math.ceil(bytes / UNIT);
    const block = this.find(size);
    if (!block) return null;
    this.remove(block);
    if (block.size > size) {
      const rest = new Block(block.start + size, block.size - size);
      block.size = size;
      rest.lower = block;
      rest.upper = block.upper;
      if (rest.upper) rest.upper.lower = rest;
      else this.last = rest;
      block.upper = rest;
      this.insert(rest);
    }
    this.bytesLive += block.bytes;
    if (this.bytesLive > this.bytesPeak) this.bytesPeak = this.bytesLive;
    return block;
  }

  /** Takes a block of this allocator back, once. */
  release(block: Block): void {
    this.bytesLive -= block.bytes;
    this.insert(this.join(block));
  }

  /** The bytes by which the range must be extended for such a block to fit at its end. */
  shortfall(bytes: number): number {
    const tail = this.last?.free ? this.last.size : 0;
    return (Math.ceil(bytes / UNIT) - tail) * UNIT;
  }

  /** The byte address at which the range ends. */
  get limit(): number {
    return this.end * UNIT;
  }

  /** What is in use and what is free, in order of address: for tests and reports. */
  *blocks(): Generator<{ address: number; bytes: number; free: boolean }> {
    let block = this.last;
    while (block?.lower) block = block.lower;
    for (; block; block = block.upper) {
      yield { address: block.address, bytes: block.bytes, free: block.free };
    }
  }

  private find(size: number): Block | null {
    const bin = binOf(roundToBin(size));
    let word = bin >>> 5;
    let bits = (this.bitmap[word] ?? 0) & (-1 << (bin & 31));
    while (bits === 0 && ++word < this.bitmap.length) bits = this.bitmap[word] as number;
    if (bits !== 0) {
      return this.bins[word * 32 + 31 - Math.clz32(bits & -bits)] as Block;
    }
    // A block of the size's own bin may be large enough as well; worth a look before growing.
    let block = this.bins[binOf(size)] ?? null;
    while (block && block.size < size) block = block.next;
    return block;
  }

  /** The block with the free ones on both sides of it, which leave their bins. */
  private join(block: Block): Block {
    const { lower, upper } = block;
    let joined = block;
    if (lower?.free) {
      this.remove(lower);
      lower.size += block.size;
      lower.upper = upper;
      if (upper) upper.lower = lower;
      else this.last = lower;
      joined = lower;
    }
    if (upper?.free) {
      this.remove(upper);
      joined.size += upper.size;
      joined.upper = upper.upper;
      if (upper.upper) upper.upper.lower = joined;
      else this.last = joined;
    }
    return joined;
  }

  private insert(block: Block): void {
    const bin = binOf(block.size);
    const head = this.bins[bin] as Block | null;
    block.free = true;
    block.next = head;
    if (head) head.previous = block;
    this.bins[bin] = block;
    (this.bitmap[bin >>> 5] as number) |= 1 << (bin & 31);
  }

  private remove(block: Block): void {
    const { previous, next } = block;
    if (next) next.previous = previous;
    if (previous) {
      previous.next = next;
    } else {
      const bin = binOf(block.size);
      this.bins[bin] = next;
      if (!next) (this.bitmap[bin >>> 5] as number) &= ~(1 << (bin & 31));
    }
    block.free = false;
    block.previous = null;
    block.next = null;
  }
}
