// A place to draw a digit, which becomes a picture as MNIST's are.

import { centredDigit } from "../../../support/centre_digit.js";
import { h } from "./dom.ts";
import { channels, withColours } from "./theme.ts";

const SIDE = 280;
const PEN = 22;

export class Pad {
  readonly element = h("canvas", {
    class: "pad",
    width: SIDE,
    height: SIDE,
    role: "img",
    "aria-label": "Draw a digit here with a mouse, a pen or a finger",
  });
  /** What is shown: strokes are drawn here in black, the element has the page's colours. */
  private readonly ink = new OffscreenCanvas(SIDE, SIDE).getContext("2d", {
    willReadFrequently: true,
  })!;
  private isFresh = true;
  private last: { x: number; y: number } | undefined;

  /** @param changed is told of the picture, 784 pixels from 0 to 255 */
  constructor(private readonly changed: (pixels: Uint8Array) => void) {
    const { element, ink } = this;
    Object.assign(ink, { lineWidth: PEN, lineCap: "round", lineJoin: "round" });
    element.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      element.setPointerCapture(event.pointerId);
      if (!this.isFresh) this.clear();
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
    const { ink } = this;
    ink.beginPath();
    ink.moveTo(this.last!.x, this.last!.y);
    for (const event of events) {
      this.last = this.place(event);
      ink.lineTo(this.last.x, this.last.y);
    }
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
  }
}

/** A drawing as MNIST has digits. */
function pixelsOf({ data, width, height }: ImageData): Uint8Array {
  const ink = Float64Array.from({ length: width * height }, (_, i) => data[4 * i + 3]!);
  return Uint8Array.from(centredDigit(ink, width, height));
}
