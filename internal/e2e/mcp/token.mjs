// Sends the access token MCP_TOKEN with every request to the origin MCP_ORIGIN, for programs that can't be given one.
// Usage: node --import=./token.mjs PROGRAM, with MCP_PACKAGES as the folder of the packages.
import http from "node:http";
import { createRequire } from "node:module";

const { MCP_PACKAGES: packages, MCP_ORIGIN: origin, MCP_TOKEN: token } = process.env;
const { Agent, setGlobalDispatcher } = createRequire(packages + "/")("undici");

const withToken = (dispatch) => (options, handler) => {
  if (String(options.origin) !== origin) return dispatch(options, handler);
  return dispatch({ ...options, headers: added(options.headers) }, handler);
};

// added adds the header field to each form in which undici accepts header fields.
function added(headers) {
  const authorization = `Bearer ${token}`;
  if (Array.isArray(headers)) return [...headers, "authorization", authorization];
  if (headers && typeof headers[Symbol.iterator] === "function") return { ...Object.fromEntries(headers), authorization };
  return { ...headers, authorization };
}

setGlobalDispatcher(new Agent().compose(withToken));

const { request } = http;
http.request = (...args) => {
  const sent = request(...args);
  if (`${sent.protocol}//${sent.getHeader("host")}` === origin) sent.setHeader("authorization", `Bearer ${token}`);
  return sent;
};
