// What src/cli imports without types of its own.

declare module "asciichart" {
  interface PlotOptions {
    height?: number;
    colors?: (string | undefined)[];
    format?: (value: number, index: number) => string;
    symbols?: string[];
  }
  const asciichart: {
    plot(series: number[] | number[][], options?: PlotOptions): string;
    readonly blue: string;
    readonly yellow: string;
  };
  export default asciichart;
}

/** Its bytes, which the build puts in the place of the import. */
declare module "*.wasm" {
  const bytes: Uint8Array<ArrayBuffer>;
  export default bytes;
}

/** Of the package; the build puts it in. */
declare const VERSION: string;
