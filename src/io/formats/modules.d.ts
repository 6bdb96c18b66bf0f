// The files in src/io/formats import libraries that have no types of their own; these are theirs.

declare module "jsfive" {
  export interface Dataset {
    readonly shape: readonly number[];
    /** "<f4", or an array for strings and references. */
    readonly dtype: string | readonly unknown[];
    readonly value: ArrayLike<unknown>;
  }
  export interface Group {
    readonly keys: string[];
    readonly attrs: Record<string, unknown>;
    get(path: string): Group | Dataset;
  }
  export class File implements Group {
    constructor(bytes: ArrayBuffer, name: string);
    readonly keys: string[];
    readonly attrs: Record<string, unknown>;
    get(path: string): Group | Dataset;
  }
}
