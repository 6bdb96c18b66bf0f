/** Symbol.dispose, and where the host has none yet the symbol that compilers put in its place. */
export const disposeSymbol: typeof Symbol.dispose =
  Symbol.dispose ?? (Symbol.for("Symbol.dispose") as typeof Symbol.dispose);

/**
 * console.log asks an object for its text by these names: Node and Bun by the first, Deno by the
 * second.
 */
export const inspectSymbol: unique symbol = Symbol.for("nodejs.util.inspect.custom") as never;
export const denoInspectSymbol: unique symbol = Symbol.for("Deno.customInspect") as never;

/** Something that holds memory until it is disposed, which `using` does as well. */
export abstract class Owner {
  /** Gives the memory back. A second call does nothing. */
  abstract dispose(): void;

  [disposeSymbol](): void {
    this.dispose();
  }

  /** A text of a few lines that says what it is. */
  abstract toString(): string;

  [inspectSymbol](..._: unknown[]): string {
    return this.toString();
  }

  [denoInspectSymbol](..._: unknown[]): string {
    return this.toString();
  }
}

/** Something that is disposed by hand, or with the scope that owns it. */
export abstract class Resource extends Owner {
  scope: Scope | null = null;
  /** The cache that holds and disposes this, where no scope does. */
  owner: Resource | null = null;
  disposed = false;

  override dispose(): void {
    if (this.disposed) return;
    this.disposed = true;
    this.detach();
    this.release();
  }

  /** No scope disposes this any longer; whoever calls this does. */
  detach(): void {
    this.scope?.owned.delete(this);
    this.scope = null;
  }

  /** Lets go of what is held; called once. */
  protected abstract release(): void;

  /** Outside all scopes the garbage collector is the net. */
  abstract leaveScopes(): void;
}

/** The resources that were made between the beginning and the end of one `runtime.scope`. */
export class Scope {
  readonly owned = new Set<Resource>();

  constructor(readonly parent: Scope | null) {}

  add(resource: Resource): void {
    resource.scope = this;
    this.owned.add(resource);
  }

  /** Moves the resources that are found in a result one scope up. */
  keep(result: unknown): void {
    for (const resource of resourcesIn(result)) {
      // What a cache holds lives as long as the cache: keep that.
      const kept = resource.owner ?? resource;
      if (kept.scope === this) this.handOver(kept);
    }
  }

  /** Moves everything one scope up. */
  keepAll(): void {
    for (const resource of this.owned) this.handOver(resource);
  }

  /** Disposes what is still owned. */
  end(): void {
    for (const resource of this.owned) resource.dispose();
  }

  private handOver(resource: Resource): void {
    resource.detach();
    if (this.parent) this.parent.add(resource);
    else resource.leaveScopes();
  }
}

/** The resources in a value: itself, or those in its arrays, plain objects, Maps and Sets. */
function* resourcesIn(result: unknown): Generator<Resource> {
  const seen = new Set<unknown>();
  const open = [result]; // a list rather than recursion: a result may be nested deeply
  while (open.length > 0) {
    const value = open.pop();
    if (value === null || typeof value !== "object" || seen.has(value)) continue;
    seen.add(value);
    if (value instanceof Resource) yield value;
    else for (const part of partsOf(value)) open.push(part);
  }
}

function partsOf(value: object): Iterable<unknown> {
  if (Array.isArray(value) || value instanceof Set) return value;
  if (value instanceof Map) return [...value.keys(), ...value.values()];
  const prototype = Object.getPrototypeOf(value);
  const isPlain = prototype === null || Object.getPrototypeOf(prototype) === null;
  return isPlain ? Object.values(value) : [];
}
