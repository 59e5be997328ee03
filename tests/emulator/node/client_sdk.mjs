// Talks to the emulator by @azure/web-pubsub-client, and writes what happened as JSON.
// Reads {protocol: "json" | "reliable", url: {name: URL of a client}} as JSON.

import { WebPubSubClient, WebPubSubJsonProtocol, WebPubSubJsonReliableProtocol } from "@azure/web-pubsub-client";
import { text } from "node:stream/consumers";

const { protocol, url } = JSON.parse(await text(process.stdin));

// A client that notes what it hears, and lets that be waited for.
class Client {
  heard = [];
  waiting = [];

  constructor(address) {
    this.sdk = new WebPubSubClient(
      { getClientAccessUrl: async () => address },
      {
        protocol: protocol === "json" ? WebPubSubJsonProtocol() : WebPubSubJsonReliableProtocol(),
        messageRetryOptions: { maxRetries: 0 },
      },
    );
    this.sdk.on("connected", (e) => this.note("connected", { connectionId: e.connectionId, userId: e.userId }));
    this.sdk.on("disconnected", (e) => this.note("disconnected", { message: e.message?.message ?? null }));
    this.sdk.on("stopped", () => this.note("stopped", {}));
    this.sdk.on("rejoin-group-failed", (e) => this.note("rejoin-group-failed", { group: e.group }));
    this.sdk.on("group-message", ({ message }) =>
      this.note("group", {
        group: message.group,
        from: message.fromUserId ?? null,
        type: message.dataType,
        data: plain(message.data),
      }),
    );
    this.sdk.on("server-message", ({ message }) =>
      this.note("server", { type: message.dataType, data: plain(message.data) }),
    );
  }

  note(kind, values) {
    this.heard.push({ kind, ...values });
    this.waiting.splice(0).forEach((wake) => wake());
  }

  async wait(kind, count = 1) {
    while (this.of(kind).length < count) await new Promise((resolve) => this.waiting.push(resolve));
    return this.of(kind)[count - 1];
  }

  of(kind) {
    return this.heard.filter((event) => event.kind === kind);
  }

  take(kind) {
    const taken = this.of(kind).map(({ kind: ignored, ...values }) => values);
    this.heard = this.heard.filter((event) => event.kind !== kind);
    return taken;
  }
}

const plain = (data) => (data instanceof ArrayBuffer ? { hex: Buffer.from(data).toString("hex") } : data);

async function start(name) {
  const client = new Client(url[name]);
  await client.sdk.start();
  await client.wait("connected");
  return client;
}

// The name of the error that an operation fails with.
async function failure(operation) {
  try {
    await operation;
    return "no error";
  } catch (error) {
    return error.errorDetail?.name ?? String(error);
  }
}

const results = {};
const [alice, bob, carol] = await Promise.all(["alice", "bob", "carol"].map(start));
results.connected = alice.of("connected").map(({ userId }) => userId);
const bytes = Uint8Array.from([0, 255]).buffer;

await alice.sdk.joinGroup("g");
await bob.sdk.joinGroup("g");
await alice.sdk.sendToGroup("g", "hä", "text");
await alice.sdk.sendToGroup("g", { n: [1, null] }, "json");
await alice.sdk.sendToGroup("g", bytes, "binary");
await alice.sdk.sendToGroup("g", "not to myself", "text", { noEcho: true });
await bob.wait("group", 4);
results.bobHears = bob.take("group");
await alice.wait("group", 3);
results.aliceHears = alice.take("group");

await bob.sdk.leaveGroup("g");
await alice.sdk.sendToGroup("g", "bob is gone", "text");
await alice.wait("group");
alice.take("group");
results.bobLeft = bob.take("group");

for (const [data, type] of [["hä", "text"], [{ n: 1 }, "json"], [bytes, "binary"]]) {
  await alice.sdk.sendEvent("echo", data, type);
}
results.replies = alice.take("server");
await alice.sdk.sendEvent("echo", "fire", "text", { fireAndForget: true });
await alice.wait("server");
results.fired = alice.take("server");

results.broken = await failure(alice.sdk.sendEvent("broken", "", "text"));
results.unhandled = await failure(alice.sdk.sendEvent("nobody", "", "text"));
results.forbiddenJoin = await failure(carol.sdk.joinGroup("g"));
results.forbiddenSend = await failure(carol.sdk.sendToGroup("g", "x", "text"));

const first = await alice.sdk.sendToGroup("g", "once", "text", { ackId: 1000 });
const second = await alice.sdk.sendToGroup("g", "twice", "text", { ackId: 1000 });
results.duplicated = [first.isDuplicated, second.isDuplicated];
await alice.wait("group");
results.once = alice.take("group").map(({ data }) => data);

// Alice loses her connection, and bob goes on talking.
const before = alice.take("connected")[0].connectionId;
await bob.sdk.sendEvent("cut", before, "text");
if (protocol === "json") {
  const again = await alice.wait("connected");
  results.cut = { sameConnection: again.connectionId === before, disconnected: alice.take("disconnected").length };
  // The SDK joins the groups again by itself, which takes a moment.
  for (let tries = 0; tries < 100 && !alice.of("group").length; tries += 1) {
    await bob.sdk.sendToGroup("g", "are you back?", "text");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  results.rejoined = alice.take("group").length > 0;
} else {
  for (let number = 0; number < 20; number += 1) await bob.sdk.sendToGroup("g", number, "json");
  await alice.wait("group", 20);
  await alice.sdk.sendEvent("echo", "still here", "text");
  results.cut = { disconnected: alice.take("disconnected").length, connected: alice.take("connected").length };
  results.numbers = alice.take("group").map(({ data }) => data);
  // It comes too late, and has to begin anew.
  await bob.sdk.sendEvent("cut-and-refuse", before, "text");
  const again = await alice.wait("connected");
  results.late = { sameConnection: again.connectionId === before, disconnected: alice.take("disconnected").length };
}

const last = alice.take("connected").at(-1).connectionId;
await bob.sdk.sendEvent("close", last, "text");
results.closedByRest = (await alice.wait("disconnected")).message;
results.newConnection = (await alice.wait("connected")).connectionId !== last;

for (const client of [alice, bob, carol]) {
  client.sdk.stop();
  await client.wait("stopped");
}
results.rejoinFailed = alice.of("rejoin-group-failed").length;
console.log(JSON.stringify(results));
process.exit(0);
