// @ts-check
// What the demo shows: digits, progress, a curve and a table. Into a pipe or a file it writes plain
// lines, without a control character.

import { styleText } from "node:util";
import asciichart from "asciichart";
import cliProgress from "cli-progress";

const { stdout } = process;
const watched = Boolean(stdout.isTTY) && process.env.TERM !== "dumb";
const coloured = watched && stdout.hasColors(); // which says no where NO_COLOR is set
const columns = Math.max(40, stdout.columns || 80);

/**
 * @param {"bold" | "dim" | "green" | "red" | "yellow"} style
 * @param {string} text
 */
const paint = (style, text) => (coloured ? styleText(style, text) : text);

/** @param {string} text */
export const heading = (text) => `\n${paint("bold", text)}\n`;
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

/** How many digits are drawn side by side, with a space between two. */
export const digitsInRow = Math.min(6, Math.floor((columns + 1) / (WIDTH + 1)));

/**
 * Digits side by side, two pixels above each other in each character, with a caption below.
 *
 * @param {{ image: Uint8Array, caption: string, good?: boolean }[]} digits
 */
export function drawDigits(digits) {
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
    const width = Math.min(30, Math.max(8, columns - 69));
    this.bar = new cliProgress.SingleBar({
      stream: stdout,
      format: () => {
        const full = Math.floor((width * this.done) / examples);
        return this.line(`${"█".repeat(full)}${"░".repeat(width - full)}  `);
      },
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
    else console.log(this.line(""));
  }

  /** Since training began. */
  get seconds() {
    return (performance.now() - this.began) / 1000;
  }

  /** Examples a second, since training began. */
  get speed() {
    return ((this.epoch - 1) * this.examples + this.done) / this.seconds;
  }

  /** @param {string} bar */
  line(bar) {
    const { epoch, epochs, examples, done, speed } = this;
    const left = ((epochs - epoch + 1) * examples - done) / speed;
    const figures = [
      `loss ${(this.lossSum / done).toFixed(4)}`,
      `acc ${percent(this.right / done)}`,
      `${integer(speed)} digits/s`,
      `${Math.ceil(left)} s left`,
    ];
    const number = `${epoch}`.padStart(`${epochs}`.length);
    return `epoch ${number}/${epochs}  ${bar}${done > 0 ? figures.join("  ") : ""}`;
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
  const points = Math.min(columns - 12, 90, losses.length);
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
 * How often each digit (a row) was read as which (a column).
 *
 * @param {number[][]} counts
 */
export function drawConfusion(counts) {
  const cell = (/** @type {string | number} */ value) => `${value}`.padStart(6);
  const header = paint("dim", cell("") + counts.map((_, digit) => cell(digit)).join(""));
  const rows = counts.map((row, truth) => {
    const cells = row.map((count, read) => {
      if (read === truth) return paint("green", cell(count));
      return count > 0 ? paint("yellow", cell(count)) : paint("dim", cell("·"));
    });
    return paint("dim", cell(truth)) + cells.join("");
  });
  return [header, ...rows].join("\n");
}
