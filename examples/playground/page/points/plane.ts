// The plane: what the network says of every place, and the points.

import { announcer } from "../ui/announcer.ts";
import { h } from "../ui/dom.ts";
import { channels, colour, withColours } from "../ui/theme.ts";
import { EXTENT, GRID } from "./messages.ts";
import type { Points } from "./toys.ts";

const SIDE = 480;
/** Colours of the classes in style.css. */
const classColours = ["blue", "orange", "green"];

export class Plane {
  readonly element = h("canvas", {
    class: "plane",
    width: SIDE,
    height: SIDE,
    tabindex: 0,
    role: "application",
    "aria-roledescription": "plane",
    "aria-label": "The plane of the points",
    "aria-describedby": "plane-hint",
  });
  /** For people who add points by keys. */
  readonly hint = h(
    "p",
    { id: "plane-hint", class: "small hint" },
    "A click adds a point. By keys: arrows move (with Shift further), Enter adds a point.",
  );
  readonly announcer = announcer();
  /** Does somebody use the keyboard here? */
  private isByKeys = false;
  private readonly map = new OffscreenCanvas(GRID, GRID);
  private hasMap = false;
  private points: Points = { x: new Float32Array(0), y: new Int32Array(0) };
  /** Where the keyboard stands; shown while the canvas has the focus. */
  private cursor = { x: 0, y: 0 };

  /** @param told is told where a point is to be */
  constructor(told: (x: number, y: number) => void) {
    // Thousandths, as the address has them.
    const round = (value: number) => Math.floor(1000 * value + 0.5) / 1000;
    const add = (x: number, y: number) => told(round(x), round(y));
    const { element, cursor } = this;
    element.addEventListener("pointerdown", ({ button, offsetX, offsetY }) => {
      if (button !== 0) return;
      this.isByKeys = false;
      const { clientWidth, clientHeight } = element;
      const x = EXTENT * ((2 * offsetX) / clientWidth - 1);
      add(x, EXTENT * (1 - (2 * offsetY) / clientHeight));
    });
    element.addEventListener("keydown", (event) => {
      const step = event.shiftKey ? 0.2 : 0.05;
      const moves: Record<string, [number, number]> = {
        ArrowLeft: [-step, 0],
        ArrowRight: [step, 0],
        ArrowUp: [0, step],
        ArrowDown: [0, -step],
      };
      const move = moves[event.key];
      if (move) {
        cursor.x = Math.max(-EXTENT, Math.min(EXTENT, cursor.x + move[0]));
        cursor.y = Math.max(-EXTENT, Math.min(EXTENT, cursor.y + move[1]));
      } else if (event.key === "Enter" || event.key === " ") add(cursor.x, cursor.y);
      else return;
      event.preventDefault();
      this.isByKeys = true;
      const place = `${cursor.x.toFixed(2)}, ${cursor.y.toFixed(2)}`.replaceAll("-", "−");
      this.announcer.textContent = move ? place : `A point at ${place}`;
      this.draw();
    });
    for (const change of ["focus", "blur"]) {
      element.addEventListener(change, () => {
        this.isByKeys = element.matches(":focus-visible");
        this.draw();
      });
    }
    withColours(() => this.draw());
  }

  showPoints(points: Points): void {
    this.points = points;
    this.draw();
  }

  /** @param probabilities of the classes, cell by cell */
  showMap(probabilities: Float32Array, classes: number): void {
    const image = new ImageData(GRID, GRID);
    const colours = classColours.map(channels);
    const paper = channels("card");
    for (let cell = 0; cell < GRID * GRID; cell++) {
      const shares = probabilities.subarray(cell * classes, (cell + 1) * classes);
      const best = shares.indexOf(Math.max(...shares));
      // From nothing, where all classes are as likely, to most of the class' colour.
      const strength = (0.75 * (shares[best]! * classes - 1)) / (classes - 1);
      for (let c = 0; c < 3; c++) {
        const from = paper[c]!;
        image.data[4 * cell + c] = from + strength * ((colours[best] ?? paper)[c]! - from);
      }
      image.data[4 * cell + 3] = 255;
    }
    this.map.getContext("2d")!.putImageData(image, 0, 0);
    this.hasMap = true;
    this.draw();
  }

  private draw(): void {
    const context = this.element.getContext("2d")!;
    const at = (value: number) => ((value / EXTENT + 1) * SIDE) / 2;
    context.fillStyle = colour("card");
    context.fillRect(0, 0, SIDE, SIDE);
    if (this.hasMap) context.drawImage(this.map, 0, 0, SIDE, SIDE);
    const { x, y } = this.points;
    const colours = classColours.map(colour); // once a drawing: each is a look at the computed style
    context.strokeStyle = colour("card");
    context.lineWidth = 1.5;
    for (let i = 0; i < y.length; i++) {
      context.fillStyle = colours[y[i]!]!;
      context.beginPath();
      mark(context, y[i]!, at(x[2 * i]!), at(-x[2 * i + 1]!));
      context.fill();
      context.stroke();
    }
    if (!this.isByKeys) return;
    context.strokeStyle = colour("text");
    context.beginPath();
    const [column, row] = [at(this.cursor.x), at(-this.cursor.y)];
    context.moveTo(column - 12, row);
    context.lineTo(column + 12, row);
    context.moveTo(column, row - 12);
    context.lineTo(column, row + 12);
    context.stroke();
  }
}

/** A circle, a square or a triangle, so that classes differ not by their colour alone. */
function mark(context: CanvasRenderingContext2D, label: number, x: number, y: number): void {
  if (label === 0) context.arc(x, y, 5, 0, 2 * Math.PI);
  else if (label === 1) context.rect(x - 4.5, y - 4.5, 9, 9);
  else {
    context.moveTo(x, y - 6);
    context.lineTo(x + 6, y + 5);
    context.lineTo(x - 6, y + 5);
    context.closePath();
  }
}
