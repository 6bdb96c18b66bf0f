// This file counts the rows and cells of CSV before it is parsed: the parser holds a whole row, and
// the cells of a row of a gigabyte of commas take tens of gigabytes.

import { checkLimit, type Limits, limits } from "./files.ts";

const [QUOTE, LF, CR] = [0x22, 0x0a, 0x0d];

/** Sees the bytes of a table chunk by chunk, in their order, each chunk before the parser does. */
export class RowLimits {
  private readonly delimiter: Uint8Array;
  /** This many bytes of the delimiter have just been seen; one character can take four. */
  private matched = 0;
  private isQuoted = false;
  /** The bytes of this row so far. */
  private length = 0;
  private columns = 1;
  private rows = 0;
  private cells = 0;
  private readonly mostBytes: number;
  private readonly mostColumns: number;

  /** @param name the name of the table in messages */
  constructor(
    private readonly name: string,
    delimiter: string,
    private readonly given: Partial<Limits>,
  ) {
    this.delimiter = new TextEncoder().encode(delimiter);
    this.mostBytes = given.maxRowBytes ?? limits.maxRowBytes;
    this.mostColumns = given.maxColumns ?? limits.maxColumns;
  }

  /** Refuses a table that is beyond a limit by a Fault. */
  check(chunk: Uint8Array): void {
    const { delimiter } = this;
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i] as number;
      if ((byte === LF || byte === CR) && !this.isQuoted) {
        if (this.length > 0) this.endRow();
        continue;
      }
      if (++this.length > this.mostBytes) {
        checkLimit("maxRowBytes", this.given, this.length, this.place, "bytes");
      }
      if (byte === QUOTE) this.isQuoted = !this.isQuoted;
      if (this.isQuoted) continue;
      if (byte === delimiter[this.matched]) this.matched++;
      else this.matched = byte === delimiter[0] ? 1 : 0;
      if (this.matched < delimiter.length) continue;
      this.matched = 0;
      if (++this.columns > this.mostColumns) {
        checkLimit("maxColumns", this.given, this.columns, this.place, "columns");
      }
    }
  }

  private get place(): string {
    return `${this.name}, row ${this.rows + 1}`;
  }

  private endRow(): void {
    this.rows++;
    this.cells += this.columns;
    this.length = 0;
    this.columns = 1;
    this.matched = 0;
    // The names of the columns are one more row.
    checkLimit("maxRows", this.given, this.rows - 1, this.name, "rows");
    checkLimit("maxCells", this.given, this.cells, this.name, "cells");
  }
}
