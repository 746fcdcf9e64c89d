// Draws the panels in Chromium and takes pictures of them.
//
//   draw.mjs FOLDER DATA [PICTURE FROM TO]…    FOLDER has out.js and out.css; FROM and TO are rows of the dashboard
//
// Exits 1 and names each panel that is empty.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [folder, data, ...pictures] = process.argv.slice(2);
const { chromium } = createRequire(`${process.env.NODE_FOLDER}/`)("playwright-core");
const spec = JSON.parse(readFileSync(data, "utf8"));
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
const page = await browser.newPage({ viewport: { width: spec.width, height: Math.ceil(spec.height) } });
page.on("pageerror", (error) => console.error(String(error)));
const body = '<body style="margin: 0; font-family: Inter, Helvetica, Arial, sans-serif"><div id="root"></div></body>';
await page.route("**/*", (route) => route.fulfill({ contentType: "text/html", body }));
await page.goto("http://localhost/");
await page.addStyleTag({ path: `${folder}/out.css` });
await page.addScriptTag({ path: `${folder}/out.js` });
await page.evaluate((spec) => window.draw(spec), spec);
await page.waitForFunction((count) => document.querySelectorAll("[data-panel]").length === count, spec.panels.length);
await page.waitForTimeout(2000);

const empty = await page.evaluate(() => {
  const isDrawn = (canvas) => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return data.some((part, at) => at % 4 === 3 && part > 0);
  };
  return [...document.querySelectorAll("[data-panel]")]
    .filter((panel) => {
      const canvases = [...panel.querySelectorAll("canvas")];
      const text = panel.querySelector("[data-body]")?.textContent ?? "";
      return canvases.length > 0 ? !canvases.some(isDrawn) : !/\w/.test(text) || text === "No data";
    })
    .map((panel) => panel.dataset.title);
});
for (let at = 0; at < pictures.length; at += 3) {
  const [top, bottom] = [spec.rows[pictures[at + 1]], spec.rows[pictures[at + 2]] ?? spec.height];
  await page.screenshot({
    path: pictures[at],
    clip: { x: 0, y: top + 34, width: spec.width, height: bottom - top - 34 },
  });
}
await browser.close();
for (const title of empty) console.error(`the panel "${title}" is empty`);
process.exit(empty.length > 0 ? 1 : 0);
