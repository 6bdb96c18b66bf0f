// What both trainings have on the page: the forms for network and settings, the buttons, and the
// address, which go together.

import type { Place } from "../ui/address.ts";
import { NetworkEditor } from "../ui/network_editor.ts";
import { TrainingForm } from "../ui/training_form.ts";
import { Transport } from "../ui/transport.ts";
import type { Answer, Command } from "./commands.ts";
import {
  type DataFormat,
  MOST_STAGES,
  type Recipe,
  readRecipe,
  type Stage,
  stepsOf,
  writeRecipe,
} from "./recipe.ts";
import type { Progress } from "./reports.ts";
import type { Task } from "./session.ts";
import { problemOf, type Settings } from "./settings.ts";

/** What is seen of a tab beside its training, such as the digit that is read. */
export interface View {
  write(): [key: string, value: string][];
  /** @returns whether the key is one of the view's; throws for a value that cannot be */
  read(key: string, value: string): boolean;
  /** As it is where the address says nothing. */
  clear(): void;
}

export interface DeskOptions<Data> {
  place: Place;
  /** What holds where the address says nothing. */
  start: Stage<Data>;
  format: DataFormat<Data>;
  view: View;
  /** What goes into the network, for people. */
  input: string;
  task: Pick<Task<Data>, "input" | "classes" | "atOnce">;
  post(command: Command<Data>): void;
  /** Data come from the address: the forms show them. */
  showData(data: Data): void;
  say(text: string, isWrong?: boolean): void;
}

export class Desk<Data> {
  readonly editor: NetworkEditor;
  readonly form: TrainingForm;
  readonly transport: Transport;
  /** As the forms have them; the worker may refuse them. */
  private settings: Settings;
  private data: Data;
  private generation = 0;
  private recipe: Recipe<Data> = [];
  /** Where a recipe that is followed ends. */
  private target = 0;
  private isRunning = false;
  private hasFile = false;
  /** Has the notice said that the address holds too little? */
  private isTooLong = false;

  constructor(private readonly options: DeskOptions<Data>) {
    const { start, input, post } = options;
    this.settings = start.settings;
    this.data = start.data;
    this.editor = new NetworkEditor(input, (layers) => this.change({ layers }));
    this.form = new TrainingForm(start.settings, (part) => this.change(part));
    this.transport = new Transport((type) => post({ type }));
    options.place.opened = (query) => this.open(query);
  }

  /** What the forms say. */
  get wanted(): { settings: Settings; data: Data } {
    return { settings: this.settings, data: this.data };
  }

  /**
   * Follows the address. One that makes no sense is said so, and leaves what holds where it says
   * nothing.
   */
  open(query = this.options.place.query): void {
    const { start, format, view, post, say, showData, task } = this.options;
    let recipe: Recipe<Data> = [start];
    view.clear();
    say("");
    try {
      const parts = query.split("&").filter((part) => {
        const [key = "", value = ""] = part.split("=", 2);
        return !view.read(key, value);
      });
      recipe = readRecipe(parts.join("&"), start, format);
      for (const { settings, data } of recipe) {
        const { input, classes, atOnce } = task;
        const { layers, batchSize } = settings;
        const problem = problemOf(layers, input, classes(data), Math.max(batchSize, atOnce));
        if (problem) throw new Error(problem);
      }
    } catch (error) {
      recipe = [start];
      view.clear();
      say(`The address cannot be followed: ${(error as Error).message}.`, true);
    }
    const { settings, data } = recipe.at(-1)!;
    Object.assign(this, { settings, data });
    this.editor.show(settings.layers);
    this.form.show(settings);
    showData(data);
    this.target = stepsOf(recipe);
    this.generation++;
    post({ type: "open", recipe, generation: this.generation });
  }

  /**
   * Takes a part of the settings, or other data.
   * @param isEntry says whether Back is to undo it
   */
  change(part: Partial<Settings>, data: Data = this.data, isEntry = true): void {
    this.settings = { ...this.settings, ...part };
    this.data = data;
    const { settings } = this;
    this.options.post({ type: "apply", settings, data, isEntry });
  }

  /** A layer that the worker took from a file. */
  showLoaded(layers: Settings["layers"]): void {
    this.settings = { ...this.settings, layers };
    this.editor.show(layers);
  }

  /** Something of the view has changed. */
  viewed(): void {
    if (this.recipe.length) this.options.place.replace(this.queryOf(this.recipe), true);
  }

  /** What a worker answers. */
  readonly answers: {
    [Type in Answer<Data>["type"]]: (answer: Extract<Answer<Data>, { type: Type }>) => void;
  } = {
    running: ({ isRunning }) => {
      this.isRunning = isRunning;
      this.transport.show(isRunning);
      if (!isRunning && this.target > 0) {
        this.target = 0;
        this.options.say("");
      }
    },
    built: ({ parameters }) => this.editor.showBuilt(parameters),
    refused: ({ message }) => this.editor.showWrong(message),
    entry: ({ before, recipe, generation }) => {
      if (generation !== this.generation) return;
      this.recipe = recipe;
      this.options.place.push(this.queryOf(before), this.queryOf(recipe));
    },
    failed: ({ message }) => this.options.say(message, true),
  };

  /** @returns false for what is told of a training that the address has left */
  follow({ generation, recipe, steps, file }: Progress<Data>): boolean {
    if (generation !== this.generation) return false;
    this.recipe = recipe;
    this.hasFile = file !== undefined;
    if (this.target > 0) {
      const [at, end] = [steps, this.target].map((value) => value.toLocaleString("en"));
      this.options.say(`Training again to step ${end}, as the address has it: ${at}.`);
    } else {
      this.options.place.replace(this.queryOf(recipe), !this.isRunning);
      this.tellLength();
    }
    return true;
  }

  /** Who copies an address is to know that it leads to the settings alone. */
  private tellLength(): void {
    const isTooLong = !this.hasFile && writeRecipe(this.recipe, this.options.format) === undefined;
    if (isTooLong === this.isTooLong) return;
    this.isTooLong = isTooLong;
    this.options.say(
      isTooLong
        ? `After more than ${MOST_STAGES} changes the address has the settings, but not the weights.`
        : "",
    );
  }

  private queryOf(recipe: Recipe<Data>): string {
    const { format, view, start } = this.options;
    const parts = view.write().map(([key, value]) => `${key}=${value}`);
    // Weights from a file, and those of too long a story, are not in the address: it has the
    // settings then.
    const last = recipe.at(-1)!;
    const fresh = [{ ...last, steps: 0 }];
    const written =
      (this.hasFile ? undefined : writeRecipe(recipe, format)) ?? writeRecipe(fresh, format)!;
    if (written !== writeRecipe([start], format)) parts.push(written);
    return parts.join("&");
  }
}
