import type { Meter } from "./reports.ts";
import type { Session } from "./session.ts";

/** What the buttons of a training say. */
export interface Command {
  type: "run" | "pause" | "step" | "reset";
}

export async function obey({ type }: Command, session: Session, meter: Meter): Promise<void> {
  if (type === "run") {
    meter.restart();
    session.run(); // not waited for: it goes on until pause
    return;
  }
  if (type === "reset") return session.reset(); // goes on, if it ran
  await session.pause();
  if (type === "step") await session.run(1);
}
