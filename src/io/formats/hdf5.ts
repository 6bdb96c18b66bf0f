// Groups, attributes and arrays of an HDF5 file, by the library jsfive.

import { type Dataset, File, type Group } from "jsfive";
import { FormatError } from "lamella";
import { quote } from "../../runtime/errors.ts";

/** An array may have this many bytes for each byte of the file, as its chunks are compressed. */
const MAX_RATIO = 64;

/** An array of numbers, row-major. */
export interface Hdf5Array {
  readonly shape: readonly number[];
  readonly values: Float32Array<ArrayBuffer> | Float64Array<ArrayBuffer>;
}

/** A group by its path; every look that fails is a FormatError. */
export interface Hdf5Group {
  readonly names: readonly string[];
  /** Returns an attribute that is a string, or undefined where there is none of that name. */
  text(name: string): string | undefined;
  /** Returns an attribute that is a list of strings, or undefined likewise. */
  texts(name: string): readonly string[] | undefined;
  group(name: string): Hdf5Group;
  array(path: string): Hdf5Array;
  isGroup(name: string): boolean;
}

/** Strings of a fixed length are filled up with zeros. */
const trimmed = (text: string) => text.replace(/\0+$/, "");

const isDataset = (value: Group | Dataset): value is Dataset => "dtype" in value;

/**
 * Opens an HDF5 file.
 * @throws FormatError for bytes that are no such file, here and by everything that it returns
 */
export function openHdf5(operation: string, bytes: Uint8Array): Hdf5Group {
  const fail = (message: string) => new FormatError(`${operation}: the HDF5 file ${message}`);
  /** Runs a look into the file: the library throws strings, and stumbles over what is cut. */
  const look = <T>(what: string, get: () => T): T => {
    try {
      return get();
    } catch (error) {
      if (error instanceof FormatError) throw error;
      const reason = typeof error === "string" ? error : (error as Error).message;
      throw fail(`cannot be read at ${what}: ${reason.slice(0, 200)}`);
    }
  };

  const groupOf = (group: Group, path: string): Hdf5Group => {
    const attributes = look(path, () => group.attrs);
    const names = look(path, () => group.keys);
    const attribute = (name: string): unknown =>
      Object.hasOwn(attributes, name) ? attributes[name] : undefined;
    const item = (name: string): Group | Dataset => {
      if (!names.includes(name.split("/")[0] as string)) {
        throw fail(`has no ${quote(name)} in ${path}: there are ${names.slice(0, 20).map(quote)}`);
      }
      const found = look(`${path}${name}`, () => group.get(name));
      if (!found) throw fail(`has no ${quote(name)} in ${path}`);
      return found;
    };
    return {
      names,
      text(name) {
        const value = attribute(name);
        return typeof value === "string" ? trimmed(value) : undefined;
      },
      texts(name) {
        const value = attribute(name);
        if (!Array.isArray(value)) return undefined;
        return value.map((text) => {
          if (typeof text !== "string") throw fail(`has no strings in ${name} of ${path}`);
          return trimmed(text);
        });
      },
      isGroup: (name) => names.includes(name) && !isDataset(item(name)),
      group(name) {
        const found = item(name);
        if (isDataset(found)) throw fail(`has an array where ${path}${name} should be a group`);
        return groupOf(found, `${path}${name}/`);
      },
      array(name) {
        const found = item(name);
        if (!isDataset(found)) throw fail(`has a group where ${path}${name} should be an array`);
        const where = `${path}${name}`;
        const { shape, dtype } = look(where, () => ({ shape: found.shape, dtype: found.dtype }));
        const [, kind, width] = /^[<>=|]?([fiu])([1248])$/.exec(String(dtype)) ?? [];
        if (!kind) throw fail(`has elements of type ${String(dtype)} in ${where}`);
        const size = shape.reduce((product, length) => product * length, 1);
        if (!(size * Number(width) <= MAX_RATIO * bytes.length)) {
          throw fail(`claims an array of shape (${shape}) in ${where}, larger than it can be`);
        }
        const values = look(where, () => found.value);
        if (values.length !== size) {
          throw fail(`has ${values.length} numbers in ${where}, whose shape is (${shape})`);
        }
        const isDouble = width === "8" || (kind !== "f" && width === "4");
        const numbers = new (isDouble ? Float64Array : Float32Array)(size);
        for (let i = 0; i < size; i++) numbers[i] = Number(values[i]);
        return { shape: [...shape], values: numbers };
      },
    };
  };

  // The library wants a buffer that begins with the file; Buffer's own slice() would copy nothing.
  const { buffer } = new Uint8Array(bytes);
  return look("its beginning", () => groupOf(new File(buffer, ""), "/"));
}
