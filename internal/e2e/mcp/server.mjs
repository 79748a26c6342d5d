// An MCP server over streamable HTTP with sessions, for the tests. Usage: node server.mjs PACKAGES PORT
// It prints "ready", then one JSON line for each request when it arrives {"method", "url", "headers", "calls"}, where calls has the
// JSON-RPC methods of the body, and {"ended": SESSION} when a session ends by DELETE.
import { randomUUID } from "node:crypto";
import http from "node:http";
import { createRequire } from "node:module";

const [packages, port] = process.argv.slice(2);
const require = createRequire(packages + "/");
const { McpServer } = require("@modelcontextprotocol/sdk/server/mcp.js");
const { StreamableHTTPServerTransport } = require("@modelcontextprotocol/sdk/server/streamableHttp.js");
const { z } = require("zod");

const print = (line) => process.stdout.write(JSON.stringify(line) + "\n");
const text = (value) => ({ content: [{ type: "text", text: typeof value === "string" ? value : JSON.stringify(value) }] });

function newServer() {
  const server = new McpServer({ name: "sallyport-test-server", version: "1.0.0" });
  let proceed; // lets a call of the tool progress continue

  server.registerTool("echo", { inputSchema: { text: z.string() } }, ({ text: said }) => text(said));
  server.registerTool("whoami", {}, (extra) => text(extra.requestInfo.headers));

  // progress sends two notifications and then the result, and waits for a call of the tool proceed after each notification. A client that
  // calls proceed only when it has the notification finds out whether a proxy holds back the stream.
  server.registerTool("progress", {}, async (extra) => {
    for (const progress of [1, 2]) {
      const allowed = new Promise((resolve) => (proceed = resolve));
      const progressToken = extra._meta?.progressToken ?? "";
      await extra.sendNotification({ method: "notifications/progress", params: { progressToken, progress, total: 2 } });
      await allowed;
    }
    return text("done");
  });
  server.registerTool("proceed", {}, () => {
    proceed?.();
    return text(proceed ? "proceeding" : "no call of progress waits");
  });

  // idle sends nothing for some seconds, then the result.
  server.registerTool("idle", { inputSchema: { seconds: z.number().max(120) } }, async ({ seconds }) => {
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    return text(`idle for ${seconds} s`);
  });

  // announce adds a tool. The server tells of it with notifications/tools/list_changed on the stream that a GET request opened.
  server.registerTool("announce", {}, () => {
    server.registerTool("announced-" + randomUUID(), {}, () => text("announced"));
    return text("announced");
  });
  return server;
}

const sessions = new Map(); // transports by session ID

async function begin() {
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    onsessioninitialized: (id) => void sessions.set(id, transport),
    onsessionclosed: (id) => {
      sessions.delete(id);
      print({ ended: id });
    },
  });
  await newServer().connect(transport);
  return transport;
}

const refuse = (res, status, message) => {
  res.writeHead(status, { "Content-Type": "application/json" });
  res.end(JSON.stringify({ jsonrpc: "2.0", error: { code: -32000, message }, id: null }));
};

async function bodyOf(req) {
  const parts = [];
  for await (const part of req) parts.push(part);
  return parts.length ? JSON.parse(Buffer.concat(parts).toString()) : undefined;
}

async function serve(req, res) {
  const body = await bodyOf(req);
  const messages = body === undefined ? [] : [body].flat();
  print({ method: req.method, url: req.url, headers: req.headers, calls: messages.map((m) => m.method ?? "") });
  if (new URL(req.url, "http://localhost").pathname !== "/mcp") return refuse(res, 404, "Not found");
  const id = req.headers["mcp-session-id"];
  if (id && !sessions.has(id)) return refuse(res, 404, "Session not found");
  if (!id && !messages.some((m) => m.method === "initialize")) return refuse(res, 400, "No session");
  const transport = id ? sessions.get(id) : await begin();
  await transport.handleRequest(req, res, body);
}

const server = http.createServer((req, res) => {
  serve(req, res).catch((e) => {
    console.error(e);
    if (!res.headersSent) refuse(res, 500, String(e));
  });
});
server.listen(Number(port), "127.0.0.1", () => print("ready"));
