// What the pages can do better with a script. Each works without it, but passkeys.
"use strict";

const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
const say = (text) => {
  const spoken = document.getElementById("spoken");
  if (!spoken) return;
  spoken.textContent = "";
  // A screen reader speaks a change, so the same words have to change, too.
  setTimeout(() => { spoken.textContent = text; }, 50);
};

// Passkeys. The server gives the options as WebAuthn writes them in JSON; the browser's answer goes into the
// form, which is then posted like any other.

const knowsPasskeys = typeof PublicKeyCredential === "function"
  && "parseRequestOptionsFromJSON" in PublicKeyCredential;

async function ask(form, mediation, signal) {
  const field = (name) => form.elements.namedItem(name)?.value ?? "";
  const body = new URLSearchParams({ csrf: field("csrf"), purpose: field("purpose") });
  const response = await fetch(form.dataset.options, {
    method: "POST", body, signal, credentials: "same-origin", headers: { accept: "application/json" },
  });
  if (!response.ok) throw new Error("options");
  const json = await response.json();
  const options = json.publicKey ?? json;
  const credential = form.dataset.passkey === "create"
    ? await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options), signal })
    : await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options), mediation, signal });
  form.elements.namedItem("credential").value = JSON.stringify(credential.toJSON());
}

function refusal(error) {
  if (error.name === "NotAllowedError") return "It was cancelled, or took too long. Try again.";
  if (error.name === "InvalidStateError") return "This device has a passkey here already.";
  if (error.name === "SecurityError") return "Passkeys work only under the address that the server is set up for.";
  return "That did not work. Try again.";
}

let silent = null;

function passkey(form) {
  form.hidden = false;
  const error = form.querySelector("[data-passkey-error]");
  form.addEventListener("submit", async (event) => {
    if (form.elements.namedItem("credential").value) return;
    event.preventDefault();
    silent?.abort();
    error.hidden = true;
    busy(form, true);
    try {
      await ask(form);
      form.submit();
    } catch (problem) {
      busy(form, false);
      error.textContent = refusal(problem);
      error.hidden = false;
    }
  });
}

// Where the field of the address takes passkeys, the browser offers them there.
async function offer() {
  const form = document.querySelector('form[data-passkey="get"]');
  if (!form || !document.querySelector('input[autocomplete~="webauthn"]')) return;
  if (!(await PublicKeyCredential.isConditionalMediationAvailable?.())) return;
  silent = new AbortController();
  try {
    await ask(form, "conditional", silent.signal);
    form.submit();
  } catch { /* Nothing was chosen: the other ways remain. */ }
}

// Buttons: ask before what cannot be taken back, and send once.

function busy(form, is) {
  for (const button of $$("button[type=submit]", form)) {
    button.disabled = is;
    button.toggleAttribute("aria-busy", is);
    if (is) button.setAttribute("aria-busy", "true");
  }
}

function confirmed(form, submitter) {
  const dialog = document.createElement("dialog");
  const text = document.createElement("p");
  const actions = document.createElement("div");
  const [stay, go] = ["Cancel", submitter?.firstChild?.textContent || "Go on"].map((label) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = label;
    actions.append(button);
    return button;
  });
  text.textContent = form.dataset.confirm;
  text.id = "question";
  dialog.setAttribute("aria-labelledby", "question");
  go.className = "danger solid";
  actions.className = "actions";
  dialog.append(text, actions);
  document.body.append(dialog);
  return new Promise((answer) => {
    stay.addEventListener("click", () => dialog.close());
    go.addEventListener("click", () => dialog.close("go"));
    dialog.addEventListener("close", () => { dialog.remove(); answer(dialog.returnValue === "go"); });
    dialog.showModal();
  });
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post") return;
  if (form.dataset.confirm && !form.dataset.sure) {
    event.preventDefault();
    const { submitter } = event;
    if (!(await confirmed(form, submitter))) return;
    form.dataset.sure = "yes";
    form.requestSubmit(submitter);
    return;
  }
  // A disabled button would not be sent: it is disabled once the form is on its way.
  setTimeout(() => busy(form, true));
});

// Whoever comes back to a page finds its buttons working.
addEventListener("pageshow", () => $$("form").forEach((form) => { delete form.dataset.sure; busy(form, false); }));

// Copying, and showing a password.

function copies(button) {
  if (!navigator.clipboard) return;
  button.hidden = false;
  const label = button.firstChild;
  const before = label.textContent;
  button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copy);
    const lines = $$("li", source);
    const text = lines.length ? lines.map((line) => line.textContent).join("\n") : source.textContent;
    try { await navigator.clipboard.writeText(text); } catch { return; }
    label.textContent = "Copied";
    say("Copied.");
    setTimeout(() => { label.textContent = before; }, 2000);
  });
}

function reveals(button) {
  const field = document.getElementById(button.dataset.reveal);
  button.hidden = false;
  button.addEventListener("click", () => {
    const shows = field.type === "password";
    field.type = shows ? "text" : "password";
    button.setAttribute("aria-pressed", String(shows));
  });
  // A password manager keeps what is in a field of passwords.
  field.form?.addEventListener("submit", () => { field.type = "password"; });
}

// News: when the server says that something changed, the page is read again and the part replaced, unless
// somebody is writing in it.

function live(id, address) {
  const state = document.querySelector("[data-live-state]");
  const show = (word, text) => {
    if (!state) return;
    state.hidden = false;
    state.dataset.state = word;
    state.textContent = text;
  };
  let events, soon;
  const change = () => { clearTimeout(soon); soon = setTimeout(() => refresh(id), 150); };
  const open = () => {
    events = new EventSource(address);
    events.addEventListener("open", () => show("here", "Live"));
    events.addEventListener("error", () => show("away", "Not live: load the page again to see what is new"));
    events.addEventListener("change", change);
  };
  open();
  // A page that is kept to come back to holds no stream, and may have missed something.
  addEventListener("pagehide", () => events.close());
  addEventListener("pageshow", (event) => { if (event.persisted) { open(); change(); } });
}

async function refresh(id) {
  const before = document.getElementById(id);
  const stale = before.querySelector("[data-live-stale]");
  if (stale && $$("textarea", before).some((field) => field.value.trim())) {
    stale.hidden = false;
    say(before.dataset.news);
    return;
  }
  try {
    const response = await fetch(location.href, { credentials: "same-origin", headers: { accept: "text/html" } });
    // Whoever was signed out is led to the door: its page has no such part.
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const after = response.ok && page.getElementById(id);
    if (!after) return;
    const focused = before.contains(document.activeElement) && document.activeElement.id;
    before.replaceWith(document.adoptNode(after));
    enhance(after);
    if (focused) (document.getElementById(focused) ?? document.getElementById("content")).focus();
    say(after.dataset.news);
  } catch { /* The stream says when there is more. */ }
}

function enhance(root) {
  $$("[data-copy]", root).forEach(copies);
  $$("[data-reveal]", root).forEach(reveals);
  if (!knowsPasskeys) return;
  $$("form[data-passkey]", root).forEach(passkey);
  $$("[data-needs-script]", root).forEach((part) => { part.hidden = false; });
}

enhance(document);
if (knowsPasskeys) offer();
$$("[data-live]").forEach((part) => live(part.id, part.dataset.live));
