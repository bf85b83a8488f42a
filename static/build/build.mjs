// Builds static/app (style sheet, icon sprite) and static/vendor (third-party files with their manifest).
// Run `npm ci && npm run build` here after changing a template's classes, portal.css or icons.txt.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";

const here = import.meta.dirname;
const app = join(here, "..", "app");
const vendor = join(here, "..", "vendor");
const modules = join(here, "node_modules");
const sha256 = (file) => createHash("sha256").update(readFileSync(file)).digest("hex");
const write = (file, data) => writeFileSync(file, JSON.stringify(data, null, 2) + "\n");

const subsets = ["latin", "latin-ext", "cyrillic"];
const packages = [
  {
    name: "inter",
    npm: "@fontsource-variable/inter",
    files: {
      LICENSE: "LICENSE",
      ...Object.fromEntries(subsets.map((s) => [`inter-${s}.woff2`, `files/inter-${s}-wght-normal.woff2`])),
    },
  },
  { name: "alpine-csp", npm: "@alpinejs/csp", files: { "alpine.min.js": "dist/cdn.min.js" }, notice: "licences/alpine.txt" },
  { name: "lucide", npm: "lucide-static", files: { LICENSE: "LICENSE" }, sprite: "icons.svg" },
];

function sprite(source) {
  const names = readFileSync(join(here, "icons.txt"), "utf8").split("\n").filter(Boolean);
  const symbols = names.map((name) => {
    const svg = readFileSync(join(source, "icons", `${name}.svg`), "utf8");
    const shapes = svg.slice(svg.indexOf(">", svg.indexOf("<svg")) + 1, svg.lastIndexOf("</svg>"));
    return `<symbol id="${name}" viewBox="0 0 24 24">${shapes.replace(/\n\s*/g, "")}</symbol>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg">\n${symbols.join("\n")}\n</svg>\n`;
}

rmSync(vendor, { recursive: true, force: true });
const manifest = packages.map(({ name, npm, files, notice, sprite: spriteName }) => {
  const source = join(modules, npm);
  const { version, license } = JSON.parse(readFileSync(join(source, "package.json"), "utf8"));
  const folder = join(vendor, `${name}@${version}`);
  mkdirSync(folder, { recursive: true });
  for (const [to, from] of Object.entries(files)) copyFileSync(join(source, from), join(folder, to));
  if (notice) copyFileSync(join(here, notice), join(folder, "LICENSE")); // the package brings none
  if (spriteName) writeFileSync(join(folder, spriteName), sprite(source));
  const sums = Object.fromEntries(readdirSync(folder).sort().map((file) => [file, sha256(join(folder, file))]));
  return { name, package: npm, version, licence: license, files: sums };
});
write(join(vendor, "MANIFEST.json"), manifest);

mkdirSync(app, { recursive: true });
const css = join(app, "portal.css");
execFileSync(join(modules, ".bin", "tailwindcss"), ["--input", "portal.css", "--output", css, "--minify"], {
  cwd: here,
  stdio: "inherit",
});
const sources = ["portal.css", "icons.txt", "package-lock.json", "build.mjs"];
write(join(app, "BUILD.json"), {
  sources: Object.fromEntries(sources.map((file) => [file, sha256(join(here, file))])),
  files: { [relative(app, css)]: sha256(css) },
});
