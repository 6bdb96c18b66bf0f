// A place to draw a digit, which becomes a picture as MNIST's are.

import { centredDigit } from "../../../support/centre_digit.js";
import { announcer } from "./announcer.ts";
import { h } from "./dom.ts";
import { channels, colour, withColours } from "./theme.ts";

const SIDE = 280;
const PEN = 22;
/** Cells of the grid on which the arrow keys move, in a row and in a column. */
const CELLS = 14;
const CELL = SIDE / CELLS;

const moves: Record<string, [number, number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

export class Pad {
  readonly element = h("canvas", {
    class: "pad",
    width: SIDE,
    height: SIDE,
    tabindex: 0,
    // No role of a grid's: screen readers would keep the arrow keys for themselves.
    role: "application",
    "aria-roledescription": "drawing pad",
    "aria-label": "Draw a digit here",
    "aria-describedby": "pad-hint",
  });
  /** For people who draw by keys. */
  readonly hint = h(
    "p",
    { id: "pad-hint", class: "small hint" },
    "Draw by mouse, pen or finger. By keys: arrows move, Space makes a dot, Enter puts the pen down and lifts it, Delete clears.",
  );
  readonly announcer = announcer();
  /** Does somebody use the keyboard here? */
  private isByKeys = false;
  /** The cell where the keyboard stands; shown while the pad has the focus by keys. */
  private readonly cursor = { column: CELLS / 2, row: CELLS / 2 };
  private isPenDown = false;
  /** What is shown: strokes are drawn here in black, the element has the page's colours. */
  private readonly ink = new OffscreenCanvas(SIDE, SIDE).getContext("2d", {
    willReadFrequently: true,
  })!;
  private isFresh = true;
  private last: { x: number; y: number } | undefined;

  /**
   * @param changed is told of the picture, 784 pixels from 0 to 255
   * @param started is told when somebody begins to draw
   * @param cleared is told when somebody wants an empty pad
   */
  constructor(
    private readonly changed: (pixels: Uint8Array) => void,
    private readonly started: () => void,
    private readonly cleared: () => void,
  ) {
    const { element, ink } = this;
    Object.assign(ink, { lineWidth: PEN, lineCap: "round", lineJoin: "round" });
    element.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      element.setPointerCapture(event.pointerId);
      this.isByKeys = false;
      if (!this.isFresh) this.clear();
      this.started();
      this.last = this.place(event);
      this.stroke([event]);
    });
    element.addEventListener("pointermove", (event) => {
      if (!this.last) return;
      // All places since the last frame, so that fast strokes stay round.
      const places = event.getCoalescedEvents?.() ?? [];
      this.stroke(places.length ? places : [event]);
    });
    for (const end of ["pointerup", "pointercancel"] as const) {
      element.addEventListener(end, () => {
        this.last = undefined;
      });
    }
    element.addEventListener("keydown", (event) => this.key(event));
    for (const change of ["focus", "blur"]) {
      element.addEventListener(change, () => {
        this.isPenDown = false;
        this.isByKeys = element.matches(":focus-visible");
        this.draw();
      });
    }
    withColours(() => this.draw());
  }

  clear(): void {
    this.ink.clearRect(0, 0, SIDE, SIDE);
    this.isFresh = true;
    this.draw();
  }

  /** Shows a picture from elsewhere; what is drawn next begins anew. */
  show(pixels: Uint8Array): void {
    const image = new ImageData(28, 28);
    for (let i = 0; i < 784; i++) image.data[4 * i + 3] = pixels[i]!;
    const small = new OffscreenCanvas(28, 28);
    small.getContext("2d")!.putImageData(image, 0, 0);
    this.clear();
    this.ink.drawImage(small, 0, 0, SIDE, SIDE);
    this.isFresh = false;
    this.draw();
    this.changed(pixels);
  }

  private place({ clientX, clientY }: PointerEvent): { x: number; y: number } {
    const { left, top, width, height } = this.element.getBoundingClientRect();
    return { x: ((clientX - left) / width) * SIDE, y: ((clientY - top) / height) * SIDE };
  }

  private stroke(events: PointerEvent[]): void {
    const places = events.map((event) => this.place(event));
    this.line([this.last!, ...places]);
    this.last = places.at(-1)!;
  }

  private key(event: KeyboardEvent): void {
    const { cursor } = this;
    const { key, ctrlKey, altKey, metaKey } = event;
    if (ctrlKey || altKey || metaKey) return;
    const before = this.centre();
    const move = moves[key];
    if (move) {
      const bounded = (value: number) => Math.max(0, Math.min(CELLS - 1, value));
      cursor.column = bounded(cursor.column + move[0]);
      cursor.row = bounded(cursor.row + move[1]);
      if (this.isPenDown) this.line([before, this.centre()]);
    } else if (key === " ") this.dot();
    else if (key === "Enter") {
      this.isPenDown = !this.isPenDown;
      if (this.isPenDown) this.dot();
    } else if (key === "Delete" || key === "Backspace") this.cleared();
    else return;
    event.preventDefault();
    this.isByKeys = true;
    this.draw();
    const pen = this.isPenDown ? ", pen down" : "";
    const said = key === "Delete" || key === "Backspace" ? "Cleared. " : key === " " ? "Dot. " : "";
    this.announcer.textContent = `${said}Row ${cursor.row + 1}, column ${cursor.column + 1} of ${CELLS}${pen}`;
  }

  private dot(): void {
    if (!this.isFresh) this.clear();
    this.started();
    this.line([this.centre(), this.centre()]);
  }

  /** The middle of the cell where the keyboard stands. */
  private centre(): { x: number; y: number } {
    return { x: (this.cursor.column + 0.5) * CELL, y: (this.cursor.row + 0.5) * CELL };
  }

  private line([first, ...others]: { x: number; y: number }[]): void {
    const { ink } = this;
    ink.beginPath();
    ink.moveTo(first!.x, first!.y);
    for (const { x, y } of others) ink.lineTo(x, y);
    ink.stroke();
    this.draw();
    this.changed(pixelsOf(ink.getImageData(0, 0, SIDE, SIDE)));
  }

  /** The ink in the page's colours. */
  private draw(): void {
    const context = this.element.getContext("2d")!;
    context.clearRect(0, 0, SIDE, SIDE);
    context.drawImage(this.ink.canvas, 0, 0);
    context.globalCompositeOperation = "source-in";
    context.fillStyle = `rgb(${channels("text")})`;
    context.fillRect(0, 0, SIDE, SIDE);
    context.globalCompositeOperation = "source-over";
    if (!this.isByKeys) return;
    context.lineWidth = this.isPenDown ? 4 : 2;
    context.strokeStyle = colour("orange");
    const { x, y } = this.centre();
    context.strokeRect(x - CELL / 2, y - CELL / 2, CELL, CELL);
  }
}

/** A drawing as MNIST has digits. */
function pixelsOf({ data, width, height }: ImageData): Uint8Array {
  const ink = Float64Array.from({ length: width * height }, (_, i) => data[4 * i + 3]!);
  return Uint8Array.from(centredDigit(ink, width, height));
}
