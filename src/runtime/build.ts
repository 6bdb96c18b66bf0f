/** The build of a core that an entry has with it; scripts/build/inline.js makes it. */
export interface Build {
  /** The name by which people import it: "lamella/core.wasm". */
  readonly file: string;
  /** Its bytes in most entries. */
  readonly hex?: string;
  /**
   * Entries for hosts that compile nothing at run time have this instead: what the host, or a
   * bundler, makes of the import of the file.
   */
  readonly module?: unknown;
}
