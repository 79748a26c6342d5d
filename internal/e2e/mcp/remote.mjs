// An MCP client that reaches the server through mcp-remote, a proxy from standard input and output to streamable HTTP with an OAuth
// client. Usage: node remote.mjs PACKAGES SETTINGS
//
// See client.mjs for SETTINGS (without sdk), the commands and the events. There are no events for OAuth requests. mcp-remote doesn't end
// its session with DELETE.
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { createInterface } from "node:readline";

const [packages, json] = process.argv.slice(2);
const settings = JSON.parse(json);
const require = createRequire(packages + "/");
const { Client } = require("@modelcontextprotocol/sdk/client/index.js");
const { StdioClientTransport } = require("@modelcontextprotocol/sdk/client/stdio.js");
const { ToolListChangedNotificationSchema } = require("@modelcontextprotocol/sdk/types.js");
const print = (line) => process.stdout.write(JSON.stringify(line) + "\n");

const folder = path.join(process.env.HOME, "mcp-remote"); // where it keeps tokens

const args = [path.join(packages, "node_modules/mcp-remote/dist/proxy.js"), settings.url, String(settings.redirectPort),
  "--allow-http", "--transport", "http-only", "--host", "127.0.0.1", "--callback-path", "/cb"];
if (settings.clientId) args.push("--static-oauth-client-info", JSON.stringify({ client_id: settings.clientId }));
if (settings.clientMetadataUrl) args.push("--client-metadata-url", settings.clientMetadataUrl);

const transport = new StdioClientTransport({
  command: process.execPath,
  args,
  stderr: "pipe",
  env: { ...process.env, MCP_REMOTE_CONFIG_DIR: folder, BROWSER: "true", DISPLAY: "", WAYLAND_DISPLAY: "" }, // it opens no browser
});
createInterface({ input: transport.stderr }).on("line", (line) => {
  console.error(line);
  if (/^http\S+[?&]response_type=code/.test(line)) print({ event: "authorize", url: line });
});

// printTokens prints the tokens in mcp-remote's folder, if they are new.
let last;
function printTokens() {
  const name = readdirSync(folder, { recursive: true }).find((name) => name.endsWith("tokens.json"));
  const tokens = name && JSON.parse(readFileSync(path.join(folder, name), "utf8"));
  if (!tokens || tokens.access_token === last) return;
  last = tokens.access_token;
  print({ event: "tokens", tokens });
}

const client = new Client({ name: "sallyport-test-client", version: "1.0.0" });
client.setNotificationHandler(ToolListChangedNotificationSchema, () => print({ event: "list_changed" }));

const commands = {
  async connect() {
    await client.connect(transport, { timeout: 120_000 });
  },
  tools: async () => (await client.listTools()).tools.map(({ name }) => name),
  async call({ tool, arguments: args }) {
    const onprogress = ({ progress }) => print({ event: "progress", progress });
    const result = await client.callTool({ name: tool, arguments: args ?? {} }, undefined, { onprogress, timeout: 120_000 });
    if (result.isError) throw new Error(result.content[0].text);
    return result.content[0].text;
  },
  end: () => client.close(),
};

async function answer(line) {
  const command = JSON.parse(line);
  try {
    const result = await commands[command.do](command);
    printTokens();
    print({ id: command.id, result: result ?? null });
  } catch (e) {
    print({ id: command.id, error: `${e?.name}: ${e?.message}` });
  }
}

const lines = createInterface({ input: process.stdin });
lines.on("line", answer);
lines.on("close", () => client.close().finally(() => process.exit(0)));
