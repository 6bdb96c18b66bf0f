// Elements in one call.

import { describe, isWithin, type Range } from "../training/range.ts";

type Attributes = Record<string, string | number | boolean | ((event: Event) => void)>;

/** h("button", { class: "plain", onclick: run }, "Run"): functions are listeners, true and false say whether it is there. */
export function h<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (typeof value === "boolean") element.toggleAttribute(name, value);
    else element.setAttribute(name, `${value}`);
  }
  element.append(...children);
  return element;
}

/** The element of the page that has this id. */
export function byId<E extends HTMLElement = HTMLElement>(id: string): E {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no #${id}`);
  return element as E;
}

let labels = 0;

/**
 * A control under its name; `hint` says more to those who point at it, and `problem` what is wrong
 * with it.
 */
export function field(
  name: string,
  control: HTMLElement,
  { hint = "", problem }: { hint?: string; problem?: HTMLElement } = {},
): HTMLElement {
  control.id ||= `control-${++labels}`;
  const label = h("label", { class: "field", for: control.id }, h("span", {}, name), control);
  if (hint) label.title = hint;
  return problem ? h("div", { class: "with-problem" }, label, problem) : label;
}

export function select<Value extends string>(
  choices: Record<Value, string>,
  value: Value,
  change: (value: Value) => void,
  attributes: Attributes = {},
): HTMLSelectElement {
  const element = h(
    "select",
    { ...attributes, onchange: () => change(element.value as Value) },
    ...Object.entries<string>(choices).map(([key, title]) => h("option", { value: key }, title)),
  );
  element.value = value;
  return element;
}

/** A number that is typed, and words on what is wrong with it. */
export class NumberInput {
  readonly element: HTMLInputElement;
  readonly problem = h("p", { class: "problem small", role: "status" });

  /**
   * @param value the number in use
   * @param change is told of each number in the range
   */
  constructor(
    private value: number,
    private readonly range: Range,
    private readonly change: (value: number) => void,
    attributes: Attributes = {},
  ) {
    const { min, max, isWhole } = range;
    this.problem.id = `control-${++labels}`;
    this.element = h("input", {
      type: "number",
      value,
      step: isWhole ? 1 : "any",
      inputmode: isWhole ? "numeric" : "decimal",
      ...(min === undefined ? {} : { min }),
      ...(max === undefined ? {} : { max }),
      "aria-describedby": this.problem.id,
      ...attributes,
      onchange: () => this.read(),
    });
  }

  /** Shows another number; nobody is told. */
  show(value: number): void {
    this.value = value;
    this.element.value = `${value}`;
    this.say("");
  }

  /** Shows what is wrong with the number that is typed. */
  say(problem: string): void {
    this.problem.textContent = problem;
    this.element.setAttribute("aria-invalid", `${problem !== ""}`);
  }

  private read(): void {
    const { element, range } = this;
    const value = element.value === "" ? Number.NaN : element.valueAsNumber;
    if (isWithin(value, range)) {
      this.value = value;
      this.say("");
      this.change(value);
      return;
    }
    const given = element.validity.badInput ? "no number" : element.value || "nothing";
    const got = given.replace("-", "−");
    this.say(`Expected ${describe(range)}, got ${got}. ${signed(this.value)} stays in use.`);
  }
}

const signed = (value: number) => `${value}`.replaceAll("-", "−");

export function button(
  text: string,
  click: () => void,
  attributes: Attributes = {},
): HTMLButtonElement {
  return h("button", { type: "button", ...attributes, onclick: click }, text);
}
