// The page of the chat. What people write is only ever set as text, so that it can not become markup.

import { Connection, RefusedError } from "./connection.js";
import { forget, load, save } from "./memory.js";

const TYPING_EVERY_MS = 2_000;
const TYPING_LASTS_MS = 4_000;
const ASK_PEOPLE_MS = 60_000;
const KEPT_ENTRIES = 300;
const TONES = 8;
const FINAL_REASONS = {
  moved: "You went on with the chat in another tab.",
  taken: "Somebody else came in with this name a moment before you. Choose another one.",
};
const OUT_OF_ORDER = "The chat can not be reached. Try again in a moment.";

const page = Object.fromEntries([...document.querySelectorAll("[id]")].map((element) => [element.id, element]));
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const calendar = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "short" });

let connection = null;
let me = null; // who I am, and where: {name, room, seat}
let greeted = false;
let history = []; // what stands in the log, so that it is there again after a reload
let seen = new Set(); // the messages that came: sender and id
let people = { names: [], time: "" };
let typists = new Map(); // who is typing, with the timer that forgets it
let typedAt = -Infinity;
let unread = 0;
let messageCount = 0;
const waiting = new Map(); // my messages that nobody has yet, by id: their items in the log

// Coming and going.

page.join.addEventListener("submit", (event) => {
  event.preventDefault();
  join(page.name.value, page["room-name"].value);
});

page.leave.addEventListener("click", () => {
  connection?.close();
  clearLog();
  forget("seat", "place", "history", "draft");
  page.text.value = "";
  fitComposer();
  showDoor();
});

async function join(name, room) {
  refuse(null);
  page.enter.disabled = true;
  page.enter.textContent = "Joining …";
  const wanted = { name, room, seat: load("seat", "") };
  let place = null;
  const candidate = new Connection(async () => {
    place = await negotiate(wanted);
    Object.assign(wanted, { name: place.name, room: place.room, seat: place.seat });
    save("seat", place.seat);
    return place.url;
  }, listener);
  try {
    await candidate.open();
    enter(candidate, wanted);
  } catch (error) {
    showDoor(error instanceof RefusedError ? error : new RefusedError(OUT_OF_ORDER));
  } finally {
    page.enter.disabled = false;
    page.enter.textContent = "Join";
  }
}

async function negotiate(wanted) {
  const answer = await fetch(page.door.dataset.negotiateUrl, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(wanted),
  });
  if (answer.ok) return answer.json();
  if (answer.status >= 500) throw new Error(OUT_OF_ORDER);
  const { message, field } = await answer.json();
  throw Object.assign(new RefusedError(message), { field });
}

const listener = {
  onMessage: (data) => receive[data?.type]?.(data),
  onLost: () => showBanner(true),
  onBack() {
    showBanner(false);
    askPeople();
  },
  isFinal: (reason) => Object.hasOwn(FINAL_REASONS, reason),
  onEnded(reason) {
    const error = reason instanceof RefusedError ? reason : new RefusedError(FINAL_REASONS[reason]);
    if (reason === "moved") forget("seat"); // the other tab has it
    showDoor(error);
  },
};

function enter(opened, place) {
  if (place.room !== me?.room) clearLog();
  connection = opened;
  me = place;
  greeted = history.length > 0;
  save("place", { name: me.name, room: me.room });
  window.history.replaceState(null, "", `?room=${encodeURIComponent(me.room)}`);
  page["room-title"].textContent = `# ${me.room}`;
  page.door.hidden = true;
  page.chat.hidden = false;
  showBanner(false);
  setPeople({ people: [me.name], time: "" });
  showTitle();
  scrollToEnd();
  page.text.focus();
}

function showDoor(error = null) {
  connection = null;
  showBanner(false);
  page.chat.hidden = true;
  page.door.hidden = false;
  unread = 0;
  showTitle();
  refuse(error);
}

function refuse(error) {
  const field = error?.field === "room" ? page["room-name"] : page.name;
  for (const input of [page.name, page["room-name"]]) {
    if (error?.field && input === field) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  }
  page.refusal.hidden = !error;
  page.refusal.textContent = error ? error.message : "";
  if (page.door.hidden) return;
  field.focus();
  field.select();
}

// What the app says.

const receive = {
  message({ from, id, text, time }) {
    const key = `${from}\n${id}`;
    if (id && seen.has(key)) return;
    if (id) seen.add(key);
    stopTyping(from);
    if (from === me.name && waiting.has(id)) return confirm(id, time);
    addMessage({ kind: "message", id, from, text, time, own: from === me.name });
    if (document.hidden && from !== me.name) {
      unread += 1;
      showTitle();
    }
  },
  joined(event) {
    setPeople(event);
    if (event.name !== me.name) addNote(`${event.name} joined`, event.time);
    else if (!greeted) addNote(`You are in ${me.room}. Say hello!`, event.time);
    else addNote("You are back. What was said meanwhile is not shown.", event.time);
    greeted ||= event.name === me.name;
  },
  left(event) {
    setPeople(event);
    stopTyping(event.name);
    if (event.name !== me.name) addNote(`${event.name} left`, event.time);
  },
  people: setPeople,
  typing({ name }) {
    if (name === me.name) return;
    clearTimeout(typists.get(name));
    typists.set(name, setTimeout(() => stopTyping(name), TYPING_LASTS_MS));
    showTyping();
  },
};

function setPeople({ people: names, time }) {
  if (time < people.time && time !== "") return;
  people = { names, time };
  page["people-count"].textContent = String(names.length);
  page["people-list"].replaceChildren(...names.map(makePerson));
}

function makePerson(name) {
  const item = make("li", "person");
  item.append(makeBadge(name), make("span", "person-name", name));
  if (name === me.name) item.append(make("span", "you", "you"));
  return item;
}

function askPeople() {
  connection?.mention("people", {});
}

// Somebody may have left while the app was down, and nobody was told.
setInterval(askPeople, ASK_PEOPLE_MS);

function stopTyping(name) {
  clearTimeout(typists.get(name));
  if (typists.delete(name)) showTyping();
}

function showTyping() {
  const names = [...typists.keys()];
  const who = names.length > 2 ? "Several people" : names.join(" and ");
  page.typists.textContent = names.length ? `${who} ${names.length === 1 ? "is" : "are"} typing` : "";
  page.typing.classList.toggle("shown", names.length > 0);
}

// What I say.

page.composer.addEventListener("submit", (event) => {
  event.preventDefault();
  say(page.text.value.trim());
  page.text.focus();
});

page.text.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  page.composer.requestSubmit();
});

page.text.addEventListener("input", () => {
  fitComposer();
  save("draft", page.text.value);
  if (!page.text.value.trim() || performance.now() - typedAt < TYPING_EVERY_MS) return;
  typedAt = performance.now();
  connection?.mention("typing", {});
});

function say(text) {
  if (!text || !connection) return;
  page.text.value = "";
  forget("draft");
  typedAt = -Infinity;
  fitComposer();
  const time = new Date().toISOString();
  const id = `${me.seat.slice(0, 8)}-${time}-${++messageCount}`;
  const item = addMessage({ kind: "message", id, from: me.name, text, time, own: true, pending: true });
  waiting.set(id, item);
  deliver(id, text);
  scrollToEnd();
}

async function deliver(id, text) {
  const item = waiting.get(id);
  setStatus(item, "Sending …");
  try {
    await connection.send("message", { id, text });
    // The message comes back too, with the time of the app.
    settle(item, id, {});
  } catch {
    setStatus(item, "Not sent.", () => deliver(id, text));
  }
}

function confirm(id, time) {
  const item = waiting.get(id);
  waiting.delete(id);
  setTime(item.querySelector("time"), time);
  settle(item, id, { time });
}

function settle(item, id, changes) {
  setStatus(item, "");
  const entry = history.find((kept) => kept.id === id);
  if (!entry) return;
  Object.assign(entry, { pending: false, ...changes });
  saveHistory();
}

function fitComposer() {
  page.text.style.height = "auto";
  page.text.style.height = `${page.text.scrollHeight + 2}px`;
  const left = page.text.maxLength - page.text.value.length;
  page.letters.textContent = left <= 100 ? `${left} letters left` : "";
}

// The log.

function addMessage(entry) {
  const item = make("li", entry.own ? "message own" : "message");
  if (page.log.lastElementChild?.dataset.from === entry.from) item.classList.add("follows");
  item.dataset.from = entry.from;
  const text = make("p", "text", entry.text);
  text.dir = "auto";
  const meta = make("p", "meta");
  const time = make("time");
  setTime(time, entry.time);
  meta.append(make("span", "status"), time);
  const bubble = make("div", "bubble");
  bubble.append(make("p", "author", entry.own ? "You" : entry.from), text, meta);
  item.append(makeBadge(entry.from), bubble);
  add(item, entry);
  return item;
}

function addNote(text, time) {
  const item = make("li", "note");
  const when = make("time");
  setTime(when, time);
  item.append(make("span", "", text), " ", when);
  add(item, { kind: "note", text, time });
}

function add(item, entry) {
  const wasAtEnd = isAtEnd();
  page.log.append(item);
  history.push(entry);
  if (history.length > KEPT_ENTRIES) {
    history.shift();
    page.log.firstElementChild.remove();
  }
  saveHistory();
  if (wasAtEnd) scrollToEnd();
  else page["to-end"].hidden = false;
}

function clearLog() {
  history = [];
  seen = new Set();
  waiting.clear();
  page.log.replaceChildren();
}

function saveHistory() {
  save("history", history);
}

function restoreHistory() {
  for (const entry of load("history", [])) {
    if (entry.kind === "note") addNote(entry.text, entry.time);
    else setStatus(addMessage({ ...entry, pending: false }), entry.pending ? "Not sent." : "");
    if (entry.id) seen.add(`${entry.from}\n${entry.id}`);
  }
}

function setStatus(item, text, retry = null) {
  const status = item.querySelector(".status");
  status.replaceChildren(text);
  item.classList.toggle("unsent", text !== "");
  if (!retry) return;
  const button = make("button", "quiet", "Send again");
  button.type = "button";
  button.addEventListener("click", retry);
  status.append(" ", button);
}

function setTime(element, time) {
  const date = new Date(time);
  element.dateTime = time;
  element.textContent = clock.format(date);
  element.title = calendar.format(date);
}

function makeBadge(name) {
  const badge = make("span", `badge tone-${toneOf(name)}`, [...name][0].toUpperCase());
  badge.setAttribute("aria-hidden", "true");
  return badge;
}

function toneOf(name) {
  let sum = 0;
  for (const letter of name) sum = (sum * 31 + letter.codePointAt(0)) % 9973;
  return sum % TONES;
}

function make(tag, className = "", text = null) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== null) element.textContent = text;
  return element;
}

// Where one is in the log.

function isAtEnd() {
  const { scrollHeight, scrollTop, clientHeight } = page.scroller;
  return scrollHeight - scrollTop - clientHeight < 60;
}

function scrollToEnd() {
  page.scroller.scrollTop = page.scroller.scrollHeight;
  page["to-end"].hidden = true;
}

page.scroller.addEventListener("scroll", () => {
  if (isAtEnd()) page["to-end"].hidden = true;
});
page["to-end"].addEventListener("click", () => {
  scrollToEnd();
  page.text.focus();
});
new ResizeObserver(() => {
  if (page["to-end"].hidden) scrollToEnd();
}).observe(page.scroller);

// The rest of the page.

function showBanner(isLost) {
  page.banner.hidden = !isLost;
}

function showTitle() {
  const place = page.chat.hidden ? "Chat" : `# ${me.room}`;
  document.title = unread ? `(${unread}) ${place}` : place;
}

function showPeople(isShown) {
  page["people-toggle"].setAttribute("aria-expanded", String(isShown));
  page.people.classList.toggle("shown", isShown);
}

page["people-toggle"].addEventListener("click", () => {
  showPeople(page["people-toggle"].getAttribute("aria-expanded") === "false");
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !page.people.classList.contains("shown")) return;
  showPeople(false);
  page["people-toggle"].focus();
});

page.retry.addEventListener("click", () => {
  connection?.check();
  page.text.focus();
});
window.addEventListener("online", () => connection?.check());
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  connection?.check();
  unread = 0;
  showTitle();
});

// Say goodbye, so that the others see at once who left; and come back if the browser kept the page.
window.addEventListener("pagehide", () => connection?.close());
window.addEventListener("pageshow", (event) => {
  if (event.persisted && connection) join(me.name, me.room);
});

function start() {
  const place = load("place", null);
  const room = new URLSearchParams(window.location.search).get("room");
  page["room-name"].value = room ?? place?.room ?? "lobby";
  page.name.value = place?.name ?? "";
  page.text.value = load("draft", "");
  if (place && (room ?? place.room) === place.room) {
    me = { ...place };
    restoreHistory();
    join(place.name, place.room);
  }
  showDoor();
  fitComposer();
}

start();
