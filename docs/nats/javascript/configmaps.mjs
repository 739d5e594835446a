// Uses the cluster's API over NATS: node configmaps.mjs nats://127.0.0.1:4222 client@ci.nk ci
import { readFileSync } from "node:fs";
import { decode } from "@msgpack/msgpack";
import { connect, createInbox, headers, nkeyAuthenticator } from "@nats-io/transport-node";

const [url, key, user] = process.argv.slice(2);
const seed = new TextEncoder().encode(readFileSync(key, "utf8").trim());
const inboxPrefix = `ws.default.inbox.client.${user}`;
const connection = await connect({ servers: url, authenticator: nkeyAuthenticator(seed), inboxPrefix });

const subject = (verb, resource, namespace, name, group = "core") => `ws.default.api.${user}.${verb}.${group}.${resource}.${namespace}.${name}`;

function headersOf(given) {
  const all = headers();
  for (const [name, value] of Object.entries(given)) all.set(name, value);
  return all;
}

/** One request; returns the document, or throws what the cluster says went wrong. */
async function ask(verb, resource, namespace, name, body = "", given = {}) {
  const answer = await connection.request(subject(verb, resource, namespace, name), body, { timeout: 10_000, headers: headersOf(given) });
  const code = answer.headers.get("Nats-Service-Error-Code");
  if (code) throw new Error(`${code}: ${answer.headers.get("Nats-Service-Error")}`);
  return answer.headers.get("Content-Type") === "application/msgpack" ? decode(answer.data) : answer.json();
}

/** The events of a watch, until it ends. */
async function* watch(resource, namespace, given = {}) {
  const inbox = createInbox(inboxPrefix);
  const events = connection.subscribe(inbox);
  connection.publish(subject("watch", resource, namespace, "="), "", { reply: inbox, headers: headersOf(given) });
  for await (const message of events) {
    if (message.reply) message.respond();
    if (message.data.length === 0) break;
    const event = message.json();
    if (event.type !== "HEARTBEAT") yield event;
  }
  events.unsubscribe();
}

const made = await ask("create", "configmaps", "default", "=", JSON.stringify({ metadata: { name: "javascript" }, data: { a: "b" } }));
console.log("created", made.metadata.name);
console.log("read", (await ask("get", "configmaps", "default", "javascript", "", { Accept: "application/msgpack" })).data);
console.log("patched", (await ask("patch", "configmaps", "default", "javascript", JSON.stringify({ data: { c: "d" } }))).data);
setTimeout(() => ask("delete", "configmaps", "default", "javascript"), 500);
for await (const event of watch("configmaps", "default", { fieldSelector: "metadata.name=javascript", timeoutSeconds: "10" })) {
  console.log(event.type, event.object.metadata.name);
  if (event.type === "DELETED") break;
}
await ask("get", "configmaps", "default", "javascript").catch((error) => console.log(error.message));
await connection.close();
