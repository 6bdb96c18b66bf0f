// Runs the code of a notebook in Deno without Jupyter: all cells in order, as one module in this folder, so that imports are found.

const [file] = Deno.args;
const { cells } = JSON.parse(Deno.readTextFileSync(file));
const code = cells
  .filter((cell) => cell.cell_type === "code")
  .map((cell) => cell.source.join(""))
  .join(";\n");
const { success } = await new Deno.Command(Deno.execPath(), {
  args: ["eval", "--ext=ts", code],
}).spawn().status;
if (!success) Deno.exit(1);
