// Before all hosts, once: the package, packed and installed into an empty project.

import type { TestProject } from "vitest/node";
import { Project } from "../package/installed.ts";
import "./hosts.ts"; // the types of what is provided

export default async function setup({ provide }: TestProject): Promise<() => void> {
  const project = new Project();
  await project.install();
  provide("folder", project.folder);
  return () => project.remove();
}
