// An MCP client of the TypeScript SDK, with the SDK's own OAuth client. Usage: node client.mjs PACKAGES SETTINGS
//
// SETTINGS is JSON: sdk ("v1", "v2", or "v2 auto", which also speaks MCP without sessions), url of the MCP server, redirectPort, and
// clientId or clientMetadataUrl. With neither of them the client registers dynamically.
//
// It reads commands as JSON lines {"id", "do", ...} and answers {"id", "result"} or {"id", "error"}. Commands run at the same time.
//   connect                     connects, and logs in if the server asks for it
//   tools                       returns the names of the tools
//   call {tool, arguments}      returns the text of the result
//   listen                      opens a stream of changes of the tools (subscriptions/listen, only v2 auto)
//   end                         ends the session with DELETE
//
// Besides it prints events:
//   {"event": "authorize", "url"}                          a browser has to open the URL
//   {"event": "tokens", "tokens"}                          the SDK stored these tokens
//   {"event": "client", "client_id"}                       the SDK stored this client
//   {"event": "request", "method", "url", "status", "form"} an OAuth request of the SDK; form is its body
//   {"event": "progress", "progress"}, {"event": "list_changed"}
// It exits at the end of its standard input.
import { randomUUID } from "node:crypto";
import { EventEmitter, once } from "node:events";
import http from "node:http";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const [packages, json] = process.argv.slice(2);
const settings = JSON.parse(json);
const require = createRequire(packages + "/");
const print = (line) => process.stdout.write(JSON.stringify(line) + "\n");

const sdks = {
  v1() {
    const { Client } = require("@modelcontextprotocol/sdk/client/index.js");
    const { StreamableHTTPClientTransport } = require("@modelcontextprotocol/sdk/client/streamableHttp.js");
    const { UnauthorizedError } = require("@modelcontextprotocol/sdk/client/auth.js");
    const { ToolListChangedNotificationSchema } = require("@modelcontextprotocol/sdk/types.js");
    return {
      Client, StreamableHTTPClientTransport, UnauthorizedError,
      listChanged: ToolListChangedNotificationSchema,
      finish: (transport, redirected) => transport.finishAuth(redirected.get("code")),
      call: (client, request, options) => client.callTool(request, undefined, options),
    };
  },
  v2() {
    const { Client, StreamableHTTPClientTransport, UnauthorizedError } = require("@modelcontextprotocol/client");
    return {
      Client, StreamableHTTPClientTransport, UnauthorizedError,
      listChanged: "notifications/tools/list_changed",
      finish: (transport, redirected) => transport.finishAuth(redirected),
      call: (client, request, options) => client.callTool(request, options),
    };
  },
};
sdks["v2 auto"] = () => ({ ...sdks.v2(), options: { versionNegotiation: { mode: "auto" } } });
const sdk = sdks[settings.sdk]();

const responses = new EventEmitter(); // the authorization responses, as queries of the redirect URI
const receiver = http.createServer((req, res) => {
  const url = new URL(req.url, redirectUrl);
  if (url.pathname !== "/cb") return res.writeHead(404).end();
  res.end("The client has the authorization response.\n");
  responses.emit("response", url.searchParams);
});
const redirectUrl = `http://127.0.0.1:${settings.redirectPort}/cb`;
await new Promise((resolve) => receiver.listen(settings.redirectPort, "127.0.0.1", resolve));

const state = randomUUID();
const kept = { client: settings.clientId ? { client_id: settings.clientId } : undefined };
const authProvider = {
  redirectUrl,
  clientMetadataUrl: settings.clientMetadataUrl,
  clientMetadata: {
    client_name: `The test client of the TypeScript SDK ${settings.sdk}`,
    redirect_uris: [redirectUrl],
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
    token_endpoint_auth_method: "none",
  },
  state: () => state,
  clientInformation: () => kept.client,
  saveClientInformation(client) {
    kept.client = client;
    print({ event: "client", client_id: client.client_id });
  },
  tokens: () => kept.tokens,
  saveTokens(tokens) {
    kept.tokens = tokens;
    print({ event: "tokens", tokens });
  },
  redirectToAuthorization: (url) => print({ event: "authorize", url: String(url) }),
  saveCodeVerifier: (verifier) => void (kept.verifier = verifier),
  codeVerifier: () => kept.verifier,
  discoveryState: () => kept.discovery,
  saveDiscoveryState: (discovery) => void (kept.discovery = discovery),
  invalidateCredentials(scope) {
    print({ event: "invalidated", scope });
    if (scope === "all" || scope === "tokens") kept.tokens = undefined;
  },
};

// observed prints the OAuth requests; those of MCP go to settings.url.
async function observed(url, init) {
  const response = await fetch(url, init);
  if (String(url) !== settings.url) {
    const form = init?.body === undefined ? undefined : String(init.body);
    print({ event: "request", method: init?.method ?? "GET", url: String(url), status: response.status, form });
  }
  return response;
}

let client, transport;

function prepare() {
  client = new sdk.Client({ name: "sallyport-test-client", version: "1.0.0" }, sdk.options);
  client.setNotificationHandler(sdk.listChanged, () => print({ event: "list_changed" }));
  transport = new sdk.StreamableHTTPClientTransport(new URL(settings.url), { authProvider, fetch: observed });
}

// authorized tries something again when the user has authorized the client, if the SDK says that this is necessary.
async function authorized(attempt) {
  const responded = once(responses, "response");
  try {
    return await attempt();
  } catch (e) {
    if (!(e instanceof sdk.UnauthorizedError)) throw e;
    const [response] = await responded;
    if (response.get("state") !== state) throw new Error("the state of the authorization response is not ours");
    if (!response.get("code")) throw new Error(`the authorization response is ${response}`);
    await sdk.finish(transport, response);
    return attempt();
  }
}

const commands = {
  async connect() {
    await authorized(() => {
      prepare();
      return client.connect(transport);
    });
    return { protocol: transport.protocolVersion };
  },
  tools: async () => (await client.listTools()).tools.map(({ name }) => name),
  async call({ tool, arguments: args }) {
    const onprogress = ({ progress }) => print({ event: "progress", progress });
    const request = { name: tool, arguments: args ?? {} };
    const result = await authorized(() => sdk.call(client, request, { onprogress, timeout: 120_000 }));
    if (result.isError) throw new Error(result.content[0].text);
    return result.content[0].text;
  },
  async listen() {
    await client.listen({ toolsListChanged: true });
  },
  async end() {
    await transport.terminateSession();
    await client.close();
  },
};

async function answer(line) {
  const command = JSON.parse(line);
  try {
    print({ id: command.id, result: (await commands[command.do](command)) ?? null });
  } catch (e) {
    print({ id: command.id, error: `${e?.name}: ${e?.message}` });
  }
}

const lines = createInterface({ input: process.stdin });
lines.on("line", answer);
lines.on("close", () => process.exit(0));
