import { Allocator, type Block } from "./allocator.ts";
import { MemoryError, rethrowUnless, show } from "./errors.ts";

const PAGE = 65536;
const MIB = 1 << 20;
const MOST = 65536 * PAGE;
// The last cache line below 4 GiB stays unused, so that no address behind a block wraps to 0.
const HIGHEST = 2 ** 32 - 64;

export interface MemoryLimits {
  /**
   * Bytes at the start, rounded up to pages of 64 KiB; default 1 MiB, or maxMemory where that is
   * less.
   */
  initialMemory?: number | undefined;
  /**
   * The most bytes it may grow to, rounded down to pages; default what the host gives, up to 4 GiB.
   * A shared memory reserves addresses for as many: where the host refuses, the default is halved
   * until it does not, and what is said here is not.
   */
  maxMemory?: number | undefined;
}

function checkBytes(operation: string, name: string, value: unknown): void {
  if (!(typeof value === "number" && value >= PAGE && value <= MOST)) {
    throw new RangeError(
      `${operation}: ${name} must be a number of bytes from ${PAGE} (64 KiB) to ${MOST} (4 GiB), got ${show(value)}`,
    );
  }
}

/** Refuses limits that are no numbers of bytes or contradict each other. */
export function checkLimits(operation: string, { initialMemory, maxMemory }: MemoryLimits): void {
  if (initialMemory !== undefined) checkBytes(operation, "initialMemory", initialMemory);
  if (maxMemory !== undefined) checkBytes(operation, "maxMemory", maxMemory);
  // If one of them is undefined, the comparison is false.
  if ((initialMemory as number) > (maxMemory as number)) {
    throw new RangeError(
      `${operation}: initialMemory (${initialMemory} bytes) is above maxMemory (${maxMemory} bytes)`,
    );
  }
}

/** One linear memory and who has which part of it. */
export class Memory {
  /** The memory itself, which is let go at close. */
  wasm: WebAssembly.Memory;
  private readonly maximum: number;
  private allocator: Allocator | null = null;
  /** The end of a MemoryError's message, after the bytes. */
  advice = (): string => "";

  /** Limits that checkLimits has passed; shared is for a core that threads share. */
  constructor(
    operation: string,
    { initialMemory = MIB, maxMemory }: MemoryLimits,
    shared: boolean,
  ) {
    let maximum = Math.floor((maxMemory ?? MOST) / PAGE);
    const initial = Math.min(Math.ceil(initialMemory / PAGE), maximum);
    const unlimited = maxMemory === undefined;
    for (;;) {
      try {
        this.wasm = new WebAssembly.Memory(
          unlimited && !shared ? { initial } : { initial, maximum, shared },
        );
        break;
      } catch (cause) {
        rethrowUnless("RangeError", cause);
        // A shared memory reserves the addresses for all that it may become.
        if (unlimited && shared && maximum > initial) {
          maximum = Math.max(maximum >> 1, initial);
          continue;
        }
        const bytes = initial * PAGE;
        const reserve = shared ? ` that may grow to ${maximum * PAGE}` : "";
        const error = new MemoryError(
          `${operation}: the host gave no memory of ${bytes} bytes${reserve}`,
          bytes,
          0,
        );
        throw Object.assign(error, { cause });
      }
    }
    this.maximum = maximum;
  }

  /** Everything from this byte address on may be given out. */
  open(start: number): void {
    this.allocator = new Allocator(start);
    this.allocator.extend(Math.min(this.wasm.buffer.byteLength, HIGHEST));
  }

  get bytesLive(): number {
    return (this.allocator as Allocator).bytesLive;
  }

  get bytesPeak(): number {
    return (this.allocator as Allocator).bytesPeak;
  }

  get bytesReserved(): number {
    return this.wasm.buffer.byteLength;
  }

  /** What is given out and what is free, in order of address. */
  blocks() {
    return (this.allocator as Allocator).blocks();
  }

  /**
   * A block of at least so many bytes (more than 0), aligned to 64; the memory grows where none is
   * free.
   */
  allocate(bytes: number): Block {
    const allocator = this.allocator as Allocator;
    return allocator.allocate(bytes) ?? this.grow(allocator, bytes);
  }

  release(block: Block): void {
    this.allocator?.release(block);
  }

  /** Lets go of the memory, and ends the views that others have of it. */
  close(): void {
    this.wasm.grow(0); // which detaches the buffer, where it is not shared
    this.wasm = undefined as never;
    this.allocator = null;
  }

  /**
   * Grows by a quarter of what there is, 1 MiB to 64 MiB; where the host refuses, by just the bytes
   * that are missing.
   */
  private grow(allocator: Allocator, bytes: number): Block {
    const reserved = this.wasm.buffer.byteLength;
    const step = Math.min(Math.max(reserved / 4, MIB), 64 * MIB);
    const missing = allocator.shortfall(bytes);
    if (allocator.limit + missing <= HIGHEST) {
      const room = this.maximum - reserved / PAGE;
      const needed = Math.ceil((allocator.limit + missing - reserved) / PAGE);
      for (const pages of [Math.max(needed, Math.ceil(step / PAGE)), needed]) {
        if (needed > room) break;
        try {
          this.wasm.grow(Math.min(pages, room));
        } catch (error) {
          rethrowUnless("RangeError", error);
          continue;
        }
        allocator.extend(Math.min(this.wasm.buffer.byteLength, HIGHEST));
        return allocator.allocate(bytes) as Block;
      }
    }
    throw new MemoryError(
      `out of memory: ${bytes} bytes asked for, ${allocator.bytesLive} in use, ${reserved} reserved of at most ${this.maximum * PAGE}${this.advice()}`,
      bytes,
      allocator.bytesLive,
    );
  }
}
