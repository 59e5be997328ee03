// What this tab remembers over a reload. A browser may keep nothing, and then the tab does without.

export function save(name, value) {
  try {
    sessionStorage.setItem(`chat.${name}`, JSON.stringify(value));
  } catch {
    // full, or forbidden
  }
}

export function load(name, otherwise) {
  try {
    return JSON.parse(sessionStorage.getItem(`chat.${name}`)) ?? otherwise;
  } catch {
    return otherwise;
  }
}

export function forget(...names) {
  try {
    for (const name of names) sessionStorage.removeItem(`chat.${name}`);
  } catch {
    // forbidden
  }
}
