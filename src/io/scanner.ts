import { FormatError, quote, rethrowUnless } from "../runtime/errors.ts";

/**
 * Reads JSON whose structure is known beforehand: the caller asks for what should come next. So a
 * file does not decide how deep the reader goes, nothing is built that was not asked for, and every
 * key is seen, even one that JSON.parse drops because another of the same name follows.
 */
export class Scanner {
  private at = 0;

  constructor(
    private readonly operation: string,
    private readonly text: string,
  ) {}

  fail(message: string): FormatError {
    return new FormatError(`${this.operation}: ${message}`);
  }

  private unexpected(expected: string): FormatError {
    const given = this.peek();
    return this.fail(
      `expected ${expected} at character ${this.at} of the header, got ${given ? quote(given) : "its end"}`,
    );
  }

  /** Returns the next character that is not white space, or "" at the end, and leaves it there. */
  private peek(): string {
    for (;;) {
      const char = this.text.charAt(this.at);
      if (char !== " " && char !== "\n" && char !== "\t" && char !== "\r") return char;
      this.at++;
    }
  }

  /** Takes this character if it comes next; returns true if it did. */
  private take(char: string): boolean {
    const found = this.peek() === char;
    if (found) this.at++;
    return found;
  }

  string(what: string): string {
    if (this.peek() !== '"') throw this.unexpected(`${what}, a string,`);
    const start = this.at++;
    for (;;) {
      const char = this.text.charAt(this.at++);
      if (char === '"') break;
      if (char === "\\") this.at++;
      if (char === "") throw this.fail(`${what} at character ${start} of the header has no end`);
    }
    const literal = this.text.slice(start, this.at);
    try {
      const value: string = JSON.parse(literal);
      // UTF-8 has no half of a surrogate pair, so that a name with one could not be written again.
      if (!/\p{Surrogate}/u.test(value)) return value;
    } catch (error) {
      rethrowUnless("SyntaxError", error);
    }
    throw this.fail(`${what} at character ${start} of the header is no valid string`);
  }

  /**
   * Takes a whole number that a double holds exactly; signs, fractions and exponents are refused.
   */
  whole(what: string): number {
    this.peek();
    const start = this.at;
    // At the end the character is "", which every text includes.
    while (!' \n\t\r,:[]{}"'.includes(this.text.charAt(this.at))) this.at++;
    const literal = this.text.slice(start, this.at);
    if (literal === "") throw this.unexpected(`${what}, a whole number,`);
    const value = /^(0|[1-9]\d{0,15})$/.test(literal) ? Number(literal) : -1;
    if (!(value >= 0 && value < 2 ** 53)) {
      throw this.fail(`${what} must be a whole number below 2^53, got ${quote(literal)}`);
    }
    return value;
  }

  /** Calls visit where each item begins. */
  array(what: string, visit: () => void): void {
    if (!this.take("[")) throw this.unexpected(`${what}, an array,`);
    if (this.take("]")) return;
    do visit();
    while (this.take(","));
    if (!this.take("]")) throw this.unexpected('"," or "]"');
  }

  /** Calls visit with each key, where its value begins. */
  object(what: string, visit: (key: string) => void): void {
    if (!this.take("{")) throw this.unexpected(`${what}, an object,`);
    if (this.take("}")) return;
    const keys = new Set<string>();
    do {
      const key = this.string("a key");
      if (keys.has(key)) throw this.fail(`${what} has the key ${quote(key)} twice`);
      keys.add(key);
      if (!this.take(":")) throw this.unexpected('":"');
      visit(key);
    } while (this.take(","));
    if (!this.take("}")) throw this.unexpected('"," or "}"');
  }

  end(): void {
    if (this.peek() !== "") throw this.unexpected("nothing more");
  }
}
