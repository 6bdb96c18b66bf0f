// @ts-check
// What the demo shows: digits, progress, a curve and a table. Into a pipe or a file it writes plain
// lines, without a control character.

import { styleText } from "node:util";
import asciichart from "asciichart";
import cliProgress from "cli-progress";

const { stdout } = process;
const watched = Boolean(stdout.isTTY) && process.env.TERM !== "dumb";
const coloured = watched && stdout.hasColors(); // which says no where NO_COLOR is set

/** The width of a line. It is asked for anew each time, as a terminal may be resized. */
const columns = () => stdout.columns || 80;

/**
 * A text in lines that are no wider than the terminal, broken at spaces; a pipe gets it as it is.
 *
 * @param {string} text
 */
export function wrap(text) {
  if (!watched) return text;
  const breakLine = (/** @type {string} */ line) => {
    const lines = [""];
    for (const word of line.split(" ")) {
      const longer = lines[lines.length - 1] ? `${lines[lines.length - 1]} ${word}` : word;
      if (longer.length <= columns()) lines[lines.length - 1] = longer;
      else lines.push(word);
    }
    return lines.join("\n");
  };
  return text.split("\n").map(breakLine).join("\n");
}

/**
 * @param {"bold" | "dim" | "green" | "red" | "yellow"} style
 * @param {string} text
 */
const paint = (style, text) => (coloured ? styleText(style, text) : text);

/** @param {string} text */
export const heading = (text) => `\n${paint("bold", wrap(text))}\n`;
/** @param {number} value */
export const integer = (value) => Math.round(value).toLocaleString("en-US");
/** @param {number} share */
export const percent = (share) => `${(100 * share).toFixed(2)} %`;

/** Ctrl-C and a polite request to end: the exit code that shells expect, and exit handlers run. */
export function endOnSignals() {
  process.once("SIGINT", () => process.exit(130));
  process.once("SIGTERM", () => process.exit(143));
  // A reader that has seen enough, such as `head`, is no error.
  stdout.on("error", (/** @type {NodeJS.ErrnoException} */ error) => {
    if (error.code !== "EPIPE") throw error;
    process.exit(0);
  });
}

// ——— digits

const SIDE = 28;
// MNIST centres its digits: the two outermost pixels are as good as always empty.
const [FIRST, END] = [2, SIDE - 2];
const WIDTH = END - FIRST;

/** How many digits fit beside each other, with a space between two. */
const digitsInRow = Math.max(1, Math.min(6, Math.floor((columns() + 1) / (WIDTH + 1))));
/** How many digits are shown: a row, and never fewer than one that is read right and one wrong. */
export const digitsShown = Math.max(2, digitsInRow);

/**
 * Digits side by side, two pixels above each other in each character, with a caption below.
 *
 * @param {{ image: Uint8Array, caption: string, good?: boolean }[]} digits
 */
export function drawDigits(digits) {
  const rows = [];
  for (let i = 0; i < digits.length; i += digitsInRow) {
    rows.push(drawRow(digits.slice(i, i + digitsInRow)));
  }
  return rows.join("\n\n");
}

/** @param {{ image: Uint8Array, caption: string, good?: boolean }[]} digits */
function drawRow(digits) {
  const lines = [];
  for (let y = FIRST; y < END; y += 2) {
    const parts = digits.map(({ image }) => {
      let part = "";
      for (let x = FIRST; x < END; x++) {
        const upper = image[SIDE * y + x] > 100;
        const lower = image[SIDE * (y + 1) + x] > 100;
        part += " ▀▄█"[(upper ? 1 : 0) + (lower ? 2 : 0)];
      }
      return part;
    });
    lines.push(parts.join(" ").trimEnd());
  }
  const captions = digits.map(({ caption, good }) => {
    const centred = caption.padStart((WIDTH + caption.length) >> 1).padEnd(WIDTH);
    return good === undefined ? centred : paint(good ? "green" : "red", centred);
  });
  return [...lines, captions.join(" ").trimEnd()].join("\n");
}

// ——— progress

/** A line for each epoch: a bar where somebody watches, else what came of the epoch, at its end. */
export class Progress {
  /**
   * @param {number} epochs
   * @param {number} examples In an epoch
   */
  constructor(epochs, examples) {
    this.epochs = epochs;
    this.examples = examples;
    this.epoch = 0;
    // Of this epoch, so far.
    this.done = 0;
    this.lossSum = 0;
    this.right = 0;
    this.began = performance.now();
    this.bar = new cliProgress.SingleBar({
      stream: stdout,
      format: () => this.line(columns()),
      hideCursor: true,
    });
    // However the process ends, with an error or by Ctrl-C, the cursor comes back.
    process.once("exit", () => this.bar.stop());
  }

  startEpoch() {
    this.epoch++;
    this.done = 0;
    this.lossSum = 0;
    this.right = 0;
    if (watched) this.bar.start(this.examples, 0);
  }

  /**
   * @param {number} count The examples of one step
   * @param {number} loss Their mean loss
   * @param {number} right How many of them the network got right
   */
  step(count, loss, right) {
    this.done += count;
    this.lossSum += loss * count;
    this.right += right;
    if (watched) this.bar.update(this.done);
  }

  endEpoch() {
    if (watched) this.bar.stop();
    else console.log(this.line());
  }

  /** Since training began. */
  get seconds() {
    return (performance.now() - this.began) / 1000;
  }

  /** Examples a second, since training began. */
  get speed() {
    return ((this.epoch - 1) * this.examples + this.done) / this.seconds;
  }

  /**
   * @param {number} [width] The terminal's. Only those figures are shown that fit into it, and a
   *   bar only where they leave room for one. Without a width, it has all figures and no bar.
   */
  line(width) {
    const { epoch, epochs, examples, done, speed } = this;
    const left = ((epochs - epoch + 1) * examples - done) / speed;
    const figures =
      done === 0
        ? ["", "", "", ""]
        : [
            `loss ${(this.lossSum / done).toFixed(4)}`,
            `acc ${percent(this.right / done)}`,
            `${integer(speed)} digits/s`,
            `${Math.ceil(left)} s left`,
          ];
    const start = `epoch ${`${epoch}`.padStart(`${epochs}`.length)}/${epochs}`;
    if (width === undefined) return [start, ...figures].join("  ");

    // Each figure has the room of its longest usual text, so that none comes and goes.
    const widths = [11, 12, 16, 10];
    const shown = new Set();
    let room = width - start.length;
    // The speed matters least.
    for (const i of [0, 1, 3, 2]) {
      const needed = 2 + Math.max(widths[i], figures[i].length);
      if (needed > room) continue;
      room -= needed;
      shown.add(i);
    }
    const texts = figures.map((text, i) => text.padEnd(widths[i])).filter((_, i) => shown.has(i));
    const length = Math.min(30, room - 2);
    const full = Math.floor((length * done) / examples);
    const bar = length < 4 ? [] : [`${"█".repeat(full)}${"░".repeat(length - full)}`];
    return [start, ...bar, ...texts].join("  ").trimEnd();
  }
}

// ——— results

/**
 * The loss over all steps, on a logarithmic scale: it falls fast at first, and what comes later
 * matters too.
 *
 * @param {number[]} losses One for each step
 */
export function drawLosses(losses) {
  const points = Math.max(1, Math.min(columns() - 12, 90, losses.length));
  const curve = Array.from({ length: points }, (_, i) => {
    const from = Math.floor((i * losses.length) / points);
    const to = Math.floor(((i + 1) * losses.length) / points);
    const sum = losses.slice(from, to).reduce((a, b) => a + b);
    return Math.log10(sum / (to - from));
  });
  const plot = asciichart.plot(curve, {
    height: 10,
    format: (/** @type {number} */ exponent) => (10 ** exponent).toFixed(3).padStart(8),
    // One symbol for the whole axis: where the library would mark a 0, the logarithm has none.
    symbols: ["┤", "┤", "╶", "╴", "─", "╰", "╭", "╮", "╯", "│"],
  });
  return plot.replace(/ +$/gm, "");
}

/**
 * How often each digit (a row) was read as which (a column). Where a row is wider than the
 * terminal, the columns come in blocks, one below the other.
 *
 * @param {number[][]} counts
 */
export function drawConfusion(counts) {
  const longest = Math.max(...counts.flat().map((count) => `${count}`.length));
  const width = 6 * (counts.length + 1) <= columns() ? 6 : longest + 1;
  const across = Math.max(1, Math.floor(columns() / width) - 1);
  // Blocks of one size: 5 and 5 columns look better than 7 and 3.
  const size = Math.ceil(counts.length / Math.ceil(counts.length / across));
  const cell = (/** @type {string | number} */ value) => `${value}`.padStart(width);
  const blocks = [];
  for (let from = 0; from < counts.length; from += size) {
    const digits = Array.from(counts.keys()).slice(from, from + size);
    const header = paint("dim", cell("") + digits.map(cell).join(""));
    const rows = counts.map((row, truth) => {
      const cells = digits.map((read) => {
        const count = row[read];
        if (read === truth) return paint("green", cell(count));
        return count > 0 ? paint("yellow", cell(count)) : paint("dim", cell("·"));
      });
      return paint("dim", cell(truth)) + cells.join("");
    });
    blocks.push([header, ...rows].join("\n"));
  }
  return blocks.join("\n\n");
}

/**
 * The filters of a convolution over images of one channel, side by side: two characters a weight,
 * the darker the smaller it is among those of its filter.
 *
 * @param {ArrayLike<number>} weights (KH, KW, 1, F)
 * @param {readonly number[]} shape
 */
export function drawFilters(weights, [height, width, , count]) {
  const shades = " ░▒▓█";
  const across = Math.max(1, Math.floor((columns() + 2) / (2 * width + 2)));
  const size = Math.ceil(count / Math.ceil(count / across)); // rows of one length
  const drawn = Array.from({ length: count }, (_, f) => {
    const own = Array.from({ length: height * width }, (_, i) => weights[i * count + f]);
    const [least, most] = [Math.min(...own), Math.max(...own)];
    const shade = (/** @type {number} */ value) =>
      shades[Math.min(4, Math.floor((5 * (value - least)) / (most - least || 1)))].repeat(2);
    return Array.from({ length: height }, (_, y) =>
      own
        .slice(y * width, (y + 1) * width)
        .map(shade)
        .join(""),
    );
  });
  const rows = [];
  for (let from = 0; from < count; from += size) {
    const row = drawn.slice(from, from + size);
    rows.push(
      row[0]
        .map((_, y) =>
          row
            .map((lines) => lines[y])
            .join("  ")
            .trimEnd(),
        )
        .join("\n"),
    );
  }
  return rows.join("\n\n");
}
