// The page's address holds what the tab in front is at: `#digits?layers=…&steps=120`. Back,
// Forward, Reload and whoever is sent the address find it again. What the other tabs are at goes
// with the entry of the history.

/**
 * Milliseconds between changes of the address while something trains: browsers bear only so many of
 * them.
 */
const INTERVAL = 1000;

interface Kept {
  queries: Record<string, string>;
}

/** A tab's part of the address. */
export interface Place {
  /** Without the question mark; empty for the tab as it is at first. */
  readonly query: string;
  /** Back or Forward has brought another one up. */
  set opened(listener: (query: string) => void);
  /** The same entry of the history, soon or at once. */
  replace(query: string, isAtOnce: boolean): void;
  /** A new entry of the history; the one before is left as `before`. */
  push(before: string, query: string): void;
}

export class Address {
  private readonly queries = new Map<string, string>();
  private readonly listeners = new Map<string, (query: string) => void>();
  private current: string;
  private timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * @param names of the tabs; the first is shown where the address names none
   * @param shown is told which tab Back or Forward brings up
   */
  constructor(
    private readonly names: readonly string[],
    private readonly shown: (name: string) => void,
  ) {
    const kept = (history.state as Kept | null)?.queries ?? {};
    for (const [name, query] of Object.entries(kept)) this.queries.set(name, query);
    const { name, query } = this.read();
    this.current = name;
    this.queries.set(name, query);
    this.write("replaceState");
    addEventListener("popstate", () => this.follow());
    addEventListener("pagehide", () => this.flush());
  }

  /** The tab in front. */
  get tab(): string {
    return this.current;
  }

  /** Another tab comes to the front, by hand. */
  show(name: string): void {
    if (name === this.current) return;
    this.flush();
    this.current = name;
    this.write("pushState");
  }

  place(name: string): Place {
    const { queries, listeners } = this;
    return {
      get query() {
        return queries.get(name) ?? "";
      },
      set opened(listener: (query: string) => void) {
        listeners.set(name, listener);
      },
      replace: (query, isAtOnce) => {
        queries.set(name, query);
        if (isAtOnce) this.write("replaceState");
        else this.timer ??= setTimeout(() => this.write("replaceState"), INTERVAL);
      },
      push: (before, query) => {
        queries.set(name, before);
        this.write("replaceState");
        queries.set(name, query);
        // What happens to a tab behind is no step that Back should take.
        this.write(name === this.current ? "pushState" : "replaceState");
      },
    };
  }

  private read(): { name: string; query: string } {
    const [name = "", query = ""] = location.hash.slice(1).split("?", 2);
    return this.names.includes(name) ? { name, query } : { name: this.names[0]!, query: "" };
  }

  private write(method: "pushState" | "replaceState"): void {
    this.cancel();
    const query = this.queries.get(this.current);
    const kept: Kept = { queries: Object.fromEntries(this.queries) };
    history[method](kept, "", `#${this.current}${query ? `?${query}` : ""}`);
  }

  private flush(): void {
    if (this.timer !== undefined) this.write("replaceState");
  }

  private cancel(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  private follow(): void {
    this.cancel(); // what was to be written belongs to the entry that was left
    const { name, query } = this.read();
    this.current = name;
    const isOther = query !== (this.queries.get(name) ?? "");
    this.queries.set(name, query);
    this.write("replaceState");
    this.shown(name);
    if (isOther) this.listeners.get(name)?.(query);
  }
}
