// The event loop gets a turn now and then while the one thread trains.

/** Milliseconds between turns: a frame of a page, well below the 50 that a page may stand still. */
const PATIENCE = 16;
/**
 * Steps between turns where the clock stands still, as in Workers that only let it move with input
 * and output.
 */
const STEPS = 8;

/**
 * The ways to run something in a task of its own, the best first. scheduler.yield is none of them:
 * what it resumes runs before timers that wait.
 */
const ways: readonly ((task: () => void) => void)[] = [
  (task) => setImmediate(task),
  (task) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      task();
    };
    port2.postMessage(null);
  },
  (task) => setTimeout(task, 0),
  // An AudioWorklet has none of the three: there the training goes on at once.
  (task) => task(),
];

/** Resolves in a task of its own, after timers, input and drawing that wait already. */
function macrotask(): Promise<void> {
  return new Promise((resolve) => {
    for (const way of ways) {
      try {
        way(resolve);
        return;
      } catch {
        // This way is missing here or, as in Next's edge runtime, a function that throws.
      }
    }
  });
}

/** The time in milliseconds. */
export function now(): number {
  return typeof performance === "object" ? performance.now() : Date.now();
}

/** Gives the event loop a turn when it is due. */
export class Turns {
  private last = now();
  private steps = 0;

  /**
   * Called after each step: returns a promise to wait for, or null where the turn is not due yet.
   */
  due(): Promise<void> | null {
    const passed = now() - this.last;
    const isStill = passed === 0 && ++this.steps >= STEPS;
    if (passed >= 0 && passed < PATIENCE && !isStill) return null;
    return macrotask().then(() => {
      this.last = now();
      this.steps = 0;
    });
  }
}
