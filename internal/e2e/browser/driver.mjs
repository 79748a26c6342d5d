// Drives Chromium for the tests: reads commands as JSON lines {"id", "do", ...}, answers {"id", "result"} or {"id", "error"}.
// Commands run side by side; within one page the caller waits for each. Usage: node driver.mjs PACKAGES CHROMIUM
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { faultsOf } from "./look.mjs";

const [packages, executablePath] = process.argv.slice(2);
const { chromium } = createRequire(packages + "/")("playwright-core");
const timeout = 30_000; // of each step

const browser = await chromium.launch({
  executablePath,
  headless: true,
  chromiumSandbox: false,
  timeout: 60_000,
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP *.localhost 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost", // nothing leaves this machine
  ],
});

const kept = new Map(); // contexts and pages by number
let last = 0;
const keep = (what) => (kept.set(++last, what), last);

const originOf = (url) => new URL(url).origin;

// A page whose last answer at the top level is remembered: text says what was shown, status how it was meant.
// So is what its console complains of, but for the status of the page itself.
function watch(page) {
  page.status = 0;
  page.complaints = [];
  page.on("console", (m) => {
    if (m.type() !== "error" || m.text().includes("the server responded with a status")) return;
    page.complaints.push({ of: m.location().url, text: m.text() });
  });
  page.on("pageerror", (e) => page.complaints.push({ of: page.url(), text: String(e) }));
  page.on("response", (r) => {
    if (r.request().isNavigationRequest() && r.frame() === page.mainFrame()) page.status = r.status();
  });
  return page;
}

const commands = {
  newContext: async ({ script = true }) => {
    const context = await browser.newContext({ ignoreHTTPSErrors: true, javaScriptEnabled: script, viewport: { width: 1280, height: 800 } });
    context.setDefaultTimeout(timeout);
    context.requested = [];
    context.on("request", (r) => context.requested.push(r.url()));
    return keep(context);
  },
  closeContext: async ({ on }) => {
    await on.close();
  },
  newPage: async ({ on }) => keep(watch(await on.newPage())),
  goto: async ({ on, url }) => {
    await on.goto(url, { waitUntil: "load" });
  },
  fill: async ({ on, selector, text }) => on.fill(selector, text),
  click: async ({ on, selector }) => on.click(selector),
  doubleClick: async ({ on, selector }) => on.dblclick(selector),
  back: async ({ on }) => {
    await on.goBack({ waitUntil: "load" });
  },
  // form adds a form with one field and the button #send to the page.
  form: async ({ on, action, name, value }) =>
    on.evaluate(
      ([action, name, value]) => {
        const form = Object.assign(document.createElement("form"), { method: "post", action });
        form.append(Object.assign(document.createElement("input"), { name, value }));
        form.append(Object.assign(document.createElement("button"), { id: "send", textContent: "Send" }));
        document.body.append(form);
      },
      [action, name, value],
    ),
  waitFor: async ({ on, selector }) => {
    await on.waitForSelector(selector);
  },
  waitURL: async ({ on, url }) => on.waitForURL((u) => u.href === url, { waitUntil: "load" }),
  text: async ({ on, selector }) => on.innerText(selector),
  url: async ({ on }) => on.url(),
  status: async ({ on }) => on.status,
  cookies: async ({ on }) => on.cookies(),
  requested: async ({ on }) => on.requested,
  look: async ({ on, path, width, height, dark }) => {
    await on.setViewportSize({ width, height });
    await on.emulateMedia({ colorScheme: dark ? "dark" : "light" });
    await on.screenshot({ path, fullPage: true });
    // A complaint may come late, of the page before: its style sheet, say, whose loading the click to this page cut off.
    const own = on.complaints.splice(0).filter(({ of }) => !of || originOf(of) === originOf(on.url()));
    return [...own.map(({ text }) => text), ...(await on.evaluate(faultsOf, { dark }))];
  },
  screenshot: async ({ on, path, width, height, dark }) => {
    await on.setViewportSize({ width, height });
    await on.emulateMedia({ colorScheme: dark ? "dark" : "light" });
    await on.screenshot({ path });
    return on.evaluate(() => document.documentElement.scrollWidth); // wider than the window: the page overflows
  },
};

async function answer(line) {
  const command = JSON.parse(line);
  let reply;
  try {
    const on = command.target ? kept.get(command.target) : undefined;
    reply = { id: command.id, result: (await commands[command.do]({ ...command, on })) ?? null };
  } catch (e) {
    reply = { id: command.id, error: String(e.message ?? e) };
  }
  process.stdout.write(JSON.stringify(reply) + "\n");
}

const lines = createInterface({ input: process.stdin });
lines.on("line", answer);
lines.on("close", () => browser.close().finally(() => process.exit(0)));
process.stdout.write(JSON.stringify({ id: 0, result: browser.version() }) + "\n");
