// Talks to the emulator in raw frames, by npm's ws, and writes what happened as JSON.
// Reads {url: {name: URL of a client}} as JSON.

import { text } from "node:stream/consumers";
import WebSocket from "ws";

const { url } = JSON.parse(await text(process.stdin));

// A client whose frames and end can be waited for.
class Client {
  frames = [];
  waiting = [];

  constructor(address, protocols = []) {
    this.socket = new WebSocket(address, protocols);
    this.socket.on("message", (data, isBinary) => {
      const frame = isBinary ? { binary: data.toString("hex") } : { text: data.toString() };
      const next = this.waiting.shift();
      next ? next(frame) : this.frames.push(frame);
    });
    this.closed = new Promise((resolve) =>
      this.socket.on("close", (code, reason) => resolve({ code, reason: reason.toString() })),
    );
    this.opened = new Promise((resolve, reject) => {
      this.socket.on("open", () => resolve(this));
      this.socket.on("error", reject);
    });
  }

  next() {
    return this.frames.length ? this.frames.shift() : new Promise((resolve) => this.waiting.push(resolve));
  }

  ask(data) {
    this.socket.send(data);
    return this.next();
  }
}

const open = (address, protocols) => new Client(address, protocols).opened;

// What a client is told that is not let in.
const refused = (address) =>
  new Promise((resolve) => {
    const socket = new WebSocket(address);
    socket.on("unexpected-response", async (request, response) =>
      resolve({ status: response.statusCode, body: await text(response) }),
    );
    socket.on("open", () => resolve("open"));
  });

const results = {};

const alice = await open(url.alice);
results.protocol = alice.socket.protocol;
results.text = await alice.ask("hä");
results.binary = await alice.ask(Buffer.from([0, 255]));
alice.socket.send("in ", { fin: false });
alice.socket.send("pieces", { fin: true });
results.pieces = await alice.next();
results.pong = await new Promise((resolve) => {
  alice.socket.on("pong", (data) => resolve(data.toString()));
  alice.socket.ping("are you there");
});
results.order = [];
for (let number = 0; number < 50; number += 1) alice.socket.send(`${number}`);
for (let number = 0; number < 50; number += 1) results.order.push((await alice.next()).text);
const largest = await alice.ask("x".repeat(1048576));
results.largest = largest.text.length;
alice.socket.send("x".repeat(1048577));
results.tooLarge = await alice.closed;

const closing = await open(url.alice);
closing.socket.send("close me");
results.closedByRest = await closing.closed;

const broken = await open(url.alice);
broken.socket.send("break");
results.broken = await broken.closed;

const subprotocol = await open(url.alice, ["first.v1", "second.v2"]);
results.subprotocol = subprotocol.socket.protocol;
results.subprotocolText = await subprotocol.ask("ho");
subprotocol.socket.close(1000, "enough");
await subprotocol.closed;

results.refused = await refused(url.mallory);
results.noToken = await refused(url.alice.split("?")[0]);
results.badToken = await refused(`${url.alice}x`);
results.badHub = await refused(url.alice.replace("/chat?", "/no-hub?"));

const [one, two, member] = await Promise.all([
  open(`${url.speaker}&webpubsub_mode=sendToGroup&group=g`),
  open(`${url.alice}&webpubsub_mode=sendToGroup&group=g`),
  open(url.member),
]);
one.socket.send("to the group");
results.group = await member.next();
two.socket.send("not allowed");
results.notAllowed = await two.closed;

const lost = await open(url.lost);
lost.socket.terminate();
await lost.closed;
member.socket.close();
one.socket.close();
await Promise.all([member.closed, one.closed]);
console.log(JSON.stringify(results));
process.exit(0);
