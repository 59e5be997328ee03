// A connection to Azure Web PubSub that comes back by itself: the subprotocol json.reliable.webpubsub.azure.v1, by hand.
//
// The service keeps a lost connection for half a minute. Who returns in time goes on with it: the others notice nothing,
// and what was said meanwhile arrives late, but it arrives. After that the page asks for a new connection.

const SUBPROTOCOL = "json.reliable.webpubsub.azure.v1";
const CANNOT_RECOVER = 1008;

const RECOVERY_MS = 30_000;
const DIAL_MS = 10_000;
const PING_MS = 20_000;
const ACKNOWLEDGE_MS = 1_000;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;

// Raised by `negotiate` when asking again would not help.
export class RefusedError extends Error {}

export class Connection {
  #negotiate;
  #listener;
  #socket = null;
  #recovery = null; // what the service recognises the connection by: {url, id, token}
  #last = 0; // the number of the last message that came
  #acknowledging = null;
  #ackId = 0;
  #unanswered = new Map(); // events that the app has not answered yet, by ackId: {frame, resolve, reject}
  #heard = 0;
  #pinged = 0;
  #timer = null;
  #wake = null;
  #farewell = null; // why the service says that it closes the connection
  #ended = false;

  // negotiate: gives the URL to connect with, or raises a RefusedError.
  // listener: onMessage(data), onLost(), onBack(); isFinal(reason) says of a reason of the service whether to stay
  // away, and onEnded(reason or RefusedError) that it is over.
  constructor(negotiate, listener) {
    this.#negotiate = negotiate;
    this.#listener = listener;
  }

  // Connect for the first time.
  async open() {
    await this.#dial(await this.#negotiate());
  }

  // Send an event to the app. The promise holds when the app has answered, however often the network breaks until then.
  send(event, data) {
    const ackId = ++this.#ackId;
    const frame = JSON.stringify({ type: "event", event, dataType: "json", data, ackId });
    return new Promise((resolve, reject) => {
      this.#unanswered.set(ackId, { frame, resolve, reject });
      this.#write(frame);
    });
  }

  // Send an event that may be lost.
  mention(event, data) {
    this.#write(JSON.stringify({ type: "event", event, dataType: "json", data }));
  }

  // Look at once whether the network is there.
  check() {
    if (this.#wake) this.#wake();
    else this.#ping();
  }

  // Go. The service forgets the connection at once.
  close() {
    this.#end();
    this.#socket?.close(1000);
    this.#socket = null;
  }

  #end() {
    this.#ended = true;
    clearInterval(this.#timer);
    clearTimeout(this.#acknowledging);
    this.#wake?.();
    for (const { reject } of this.#unanswered.values()) reject(new Error("The connection has ended."));
    this.#unanswered.clear();
  }

  // The promise holds when the service talks to us. A connection that can not be recovered opens, and is closed unheard.
  #dial(url, isRecovery = false) {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(url, SUBPROTOCOL);
      const limit = setTimeout(() => socket.close(), DIAL_MS);
      let isOpen = false;
      socket.onopen = () => {
        if (isRecovery) socket.send('{"type":"ping"}');
      };
      socket.onmessage = ({ data }) => {
        const frame = JSON.parse(data);
        this.#heard = performance.now();
        this.#handle(frame, url);
        if (isOpen || !(isRecovery || frame.event === "connected")) return;
        isOpen = true;
        clearTimeout(limit);
        if (this.#ended) return socket.close(1000);
        this.#use(socket);
        resolve();
      };
      socket.onclose = ({ code }) => {
        clearTimeout(limit);
        if (code === CANNOT_RECOVER) this.#recovery = null;
        if (isOpen) this.#lose(socket);
        else reject(new Error(`The connection was closed (${code}).`));
      };
    });
  }

  #use(socket) {
    this.#socket = socket;
    this.#farewell = null;
    this.#pinged = 0;
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.#ping(), PING_MS);
    // An event that arrived before is known by its ackId, and not handled twice.
    for (const { frame } of this.#unanswered.values()) socket.send(frame);
  }

  // A network that is gone says nothing, not even that it is gone: so ask, and see whether anything was heard since.
  #ping() {
    const socket = this.#socket;
    if (!socket) return;
    if (this.#pinged > this.#heard) {
      if (performance.now() - this.#pinged < PING_MS / 2) return;
      socket.onmessage = socket.onclose = null;
      socket.close();
      this.#lose(socket);
    } else {
      this.#pinged = performance.now();
      this.#write('{"type":"ping"}');
    }
  }

  async #lose(socket) {
    if (socket !== this.#socket || this.#ended) return;
    this.#socket = null;
    clearInterval(this.#timer);
    if (this.#farewell !== null) {
      this.#recovery = null;
      if (this.#listener.isFinal(this.#farewell)) {
        this.#end();
        this.#listener.onEnded(this.#farewell);
        return;
      }
    }
    this.#listener.onLost();
    await this.#comeBack();
  }

  async #comeBack() {
    const lost = performance.now();
    for (let pause = FIRST_PAUSE_MS; !this.#ended; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
      await this.#sleep(pause * (0.75 + Math.random() / 2)); // not all clients of a service at once
      if (this.#ended) return;
      try {
        await this.#redial(lost);
      } catch (error) {
        if (!(error instanceof RefusedError)) continue;
        this.#end();
        this.#listener.onEnded(error);
        return;
      }
      if (!this.#ended) this.#listener.onBack();
      return;
    }
  }

  async #redial(lost) {
    if (this.#recovery && performance.now() - lost < RECOVERY_MS) {
      try {
        await this.#dial(this.#recoveryUrl(), true);
        return;
      } catch (error) {
        if (this.#recovery) throw error;
      }
    }
    await this.open();
  }

  #sleep(ms) {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#wake?.(), ms);
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = null;
        resolve();
      };
    });
  }

  #recoveryUrl() {
    const { url, id, token } = this.#recovery;
    return `${url}?${new URLSearchParams({ awps_connection_id: id, awps_reconnection_token: token })}`;
  }

  #handle(frame, url) {
    switch (frame.type) {
      case "message":
        if (frame.sequenceId <= this.#last) return;
        this.#last = frame.sequenceId;
        this.#acknowledging ??= setTimeout(() => this.#acknowledge(), ACKNOWLEDGE_MS);
        this.#listener.onMessage(frame.data);
        break;
      case "ack":
        this.#settle(frame);
        break;
      case "system":
        if (frame.event === "connected") this.#remember(frame, url);
        else if (frame.event === "disconnected") this.#farewell = frame.message ?? "";
        break;
    }
  }

  #remember({ connectionId, reconnectionToken }, url) {
    if (this.#recovery?.id !== connectionId) this.#last = 0;
    this.#recovery = { url: url.split("?")[0], id: connectionId, token: reconnectionToken };
  }

  #acknowledge() {
    this.#acknowledging = null;
    this.#write(JSON.stringify({ type: "sequenceAck", sequenceId: this.#last }));
  }

  #settle({ ackId, success, error }) {
    const event = this.#unanswered.get(ackId);
    this.#unanswered.delete(ackId);
    if (success || error?.name === "Duplicate") event?.resolve();
    else event?.reject(new Error(error?.message));
  }

  #write(frame) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(frame);
  }
}
