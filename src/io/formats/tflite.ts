// The tables of a TFLite file, by the library flatbuffers. That library checks nothing: an offset
// that leads out of the file gives NaN there, so that every offset is checked here.
//
// Source: the field numbers are those of tensorflow/lite/schema/schema.fbs, version 3.

import { ByteBuffer } from "flatbuffers";
import { FormatError } from "lamella";

/** A file may have this many operators and tensors each. */
const MAX_ITEMS = 100_000;

/** A table, whose fields are read by their numbers; a field that is not there has its default. */
export class Table {
  constructor(
    private readonly file: ByteBuffer,
    private readonly place: number,
    private readonly fail: (message: string) => FormatError,
  ) {
    this.checked(place, 4);
  }

  /** Returns a place if so many bytes there are within the file. */
  private checked(place: number, bytes: number): number {
    if (!(place >= 0 && place + bytes <= this.file.capacity())) {
      throw this.fail(`leads to byte ${place}, beyond its ${this.file.capacity()} bytes`);
    }
    return place;
  }

  /** Returns where a field is, or 0. */
  private field(id: number, bytes: number): number {
    const vtable = this.checked(this.place - this.file.readInt32(this.place), 4);
    const length = this.file.readUint16(vtable);
    const entry = 4 + 2 * id;
    if (entry + 2 > length) return 0;
    const offset = this.file.readUint16(this.checked(vtable + entry, 2));
    return offset === 0 ? 0 : this.checked(this.place + offset, bytes);
  }

  private indirect(place: number): number {
    return this.checked(place + this.file.readUint32(place), 4);
  }

  /** Returns where a vector's elements begin and how many there are, [0, 0] where there is none. */
  private vector(id: number, width: number): [begin: number, length: number] {
    const field = this.field(id, 4);
    if (field === 0) return [0, 0];
    const at = this.indirect(field);
    const length = this.file.readUint32(at);
    this.checked(at + 4, length * width);
    return [at + 4, length];
  }

  int32(id: number, fallback = 0): number {
    const field = this.field(id, 4);
    return field === 0 ? fallback : this.file.readInt32(field);
  }

  int8(id: number, fallback = 0): number {
    const field = this.field(id, 1);
    return field === 0 ? fallback : this.file.readInt8(field);
  }

  uint8(id: number): number {
    const field = this.field(id, 1);
    return field === 0 ? 0 : this.file.readUint8(field);
  }

  float32(id: number, fallback = 0): number {
    const field = this.field(id, 4);
    return field === 0 ? fallback : this.file.readFloat32(field);
  }

  table(id: number): Table | null {
    const field = this.field(id, 4);
    return field === 0 ? null : new Table(this.file, this.indirect(field), this.fail);
  }

  tables(id: number): Table[] {
    const [begin, length] = this.vector(id, 4);
    if (length > MAX_ITEMS) throw this.fail(`claims ${length} tables in one list`);
    return Array.from(
      { length },
      (_, i) => new Table(this.file, this.indirect(begin + 4 * i), this.fail),
    );
  }

  int32s(id: number): number[] {
    const [begin, length] = this.vector(id, 4);
    if (length > MAX_ITEMS) throw this.fail(`claims ${length} numbers in one list`);
    return Array.from({ length }, (_, i) => this.file.readInt32(begin + 4 * i));
  }

  int64s(id: number): number[] {
    const [begin, length] = this.vector(id, 8);
    if (length > MAX_ITEMS) throw this.fail(`claims ${length} numbers in one list`);
    return Array.from({ length }, (_, i) => Number(this.file.readInt64(begin + 8 * i)));
  }

  float32s(id: number): number[] {
    const [begin, length] = this.vector(id, 4);
    if (length > MAX_ITEMS) throw this.fail(`claims ${length} numbers in one list`);
    return Array.from({ length }, (_, i) => this.file.readFloat32(begin + 4 * i));
  }

  /** A view of the bytes. */
  bytes(id: number): Uint8Array {
    const [begin, length] = this.vector(id, 1);
    return this.file.bytes().subarray(begin, begin + length);
  }

  text(id: number): string {
    return String.fromCharCode(...this.bytes(id).subarray(0, 200));
  }
}

/**
 * Returns the table that a TFLite file begins with.
 * @throws FormatError for bytes that are no such file, here and by everything that it returns
 */
export function openTflite(operation: string, bytes: Uint8Array): Table {
  const fail = (message: string) => new FormatError(`${operation}: the TFLite file ${message}`);
  const mark = String.fromCharCode(...bytes.subarray(4, 8));
  if (bytes.length < 8 || mark !== "TFL3") {
    throw new FormatError(
      `${operation}: expected a TFLite file, whose bytes 4 to 7 are TFL3, got ${bytes.length} bytes with ${JSON.stringify(mark)} there`,
    );
  }
  const file = new ByteBuffer(bytes);
  return new Table(file, file.readUint32(0), fail);
}
