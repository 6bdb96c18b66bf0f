// What a page says to the worker that trains for it, and what every such worker answers.

import type { Recipe } from "./recipe.ts";
import type { Speed } from "./reports.ts";
import type { Session } from "./session.ts";
import type { Settings } from "./settings.ts";

export type Command<Data> =
  /** Begins anew and follows a recipe. What is told from then on is of this generation. */
  | { type: "open"; recipe: Recipe<Data>; generation: number }
  /** Other settings or data; `isEntry` where Back is to undo it. */
  | { type: "apply"; settings: Settings; data: Data; isEntry: boolean }
  | { type: "run" | "pause" | "step" | "reset" };

export type Answer<Data> =
  | { type: "running"; isRunning: boolean }
  | { type: "built"; parameters: number }
  /** Nothing has changed, for the network cannot be as it should. */
  | { type: "refused"; message: string }
  /** A change that Back undoes: how it was before, and how it is. */
  | { type: "entry"; before: Recipe<Data>; recipe: Recipe<Data>; generation: number }
  | { type: "failed"; message: string };

const types = new Set(["open", "apply", "run", "pause", "step", "reset"]);

export const isCommand = <Data>(message: { type: string }): message is Command<Data> =>
  types.has(message.type);

/** The generation of what is told. */
let generation = 0;
export const currentGeneration = (): number => generation;

export async function obey<Data>(
  command: Command<Data>,
  session: Session<Data>,
  speed: Speed,
  send: (answer: Answer<Data>) => void,
): Promise<void> {
  let before: Recipe<Data> = [];
  const paused = () => {
    before = session.recipe;
  };
  const tellEntry = () => {
    send({ type: "entry", before, recipe: session.recipe, generation });
  };
  try {
    switch (command.type) {
      case "open":
        generation = command.generation;
        await session.follow(command.recipe);
        send({ type: "built", parameters: session.parameters });
        break;
      case "apply":
        await session.apply(command.settings, command.data, paused);
        send({ type: "built", parameters: session.parameters });
        if (command.isEntry) tellEntry();
        break;
      case "reset":
        await session.reset(paused);
        tellEntry();
        break;
      case "run":
        session.run(); // not waited for: it goes on until pause
        break;
      case "pause":
        await session.pause();
        break;
      case "step":
        await session.pause();
        await session.run(1);
        break;
    }
  } catch (error) {
    if (command.type !== "open" && command.type !== "apply") throw error;
    send({ type: "refused", message: (error as Error).message });
  }
  speed.restart();
  send({ type: "running", isRunning: session.isRunning });
}
