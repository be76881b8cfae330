// One key: its value as text, JSON or bytes, and changes to it. Every change says which revision its author has seen,
// so nothing is overwritten unseen: when another one is stored by then, both are shown.

import {ApiError, call} from './api.js';
import {ask, h, setText} from './dom.js';
import {
  base64OfBytes, bytesOfBase64, bytesOfHex, formatBytes, formatCount, formatHex, formatSpan, indentJson, isJson,
  plainHex, secondsOf,
} from './format.js';

// More is not shown; an edit has all of it.
const TEXT_SHOWN_MAX = 256 * 1024;
const HEX_SHOWN_MAX = 16 * 1024;
const ABSENT = '0';

// {text, bytes}; `text` is null when it is none.
function valueOf(kv) {
  if (kv.text !== undefined) {
    return {text: kv.text, bytes: new TextEncoder().encode(kv.text)};
  }
  return {text: null, bytes: bytesOfBase64(kv.data ?? '')};
}

// A text field would change what it cannot hold: line ends of other systems, and control characters.
function fitsTextField(value) {
  // eslint-disable-next-line no-control-regex
  return value.text !== null && !/[\u0000-\u0008\u000b-\u001f\u007f]/.test(value.text);
}

// Numbers and words alone are JSON, too, but nobody wants them indented.
function isDocument(text) {
  return /^\s*[[{]/.test(text) && isJson(text);
}

function viewsOf(value) {
  const json = value.text !== null && isDocument(value.text);
  return [...(value.text !== null ? ['Text'] : []), ...(json ? ['JSON'] : []), 'Hex'];
}

function bestView(value) {
  const views = viewsOf(value);
  return views.includes('JSON') ? 'JSON' : views[0];
}

// What `view` shows of a value: the element, and a note when it is not all.
function shown(value, view) {
  if (view === 'Hex') {
    const cut = value.bytes.length > HEX_SHOWN_MAX;
    const note = `The first ${formatCount(HEX_SHOWN_MAX)} of ${formatCount(value.bytes.length)} bytes.`;
    return [h('pre', {class: 'hex', tabindex: '0'}, formatHex(value.bytes, HEX_SHOWN_MAX)),
      cut ? h('p', {class: 'hint'}, note) : null];
  }
  const text = view === 'JSON' ? indentJson(value.text) : value.text;
  const cut = text.length > TEXT_SHOWN_MAX;
  return [h('pre', {tabindex: '0'}, cut ? text.slice(0, TEXT_SHOWN_MAX) : text),
    cut ? h('p', {class: 'hint'}, `The first ${formatCount(TEXT_SHOWN_MAX)} characters.`) : null];
}

export class ValueView {
  constructor(element, {mayEdit, consistency, close, changed}) {
    this.element = element;
    this.mayEdit = mayEdit;
    this.consistency = consistency;
    this.close = close;
    this.changed = changed;
    this.key = null;
    this.kv = null;
    this.form = null;
    this.opening = 0;
    setInterval(() => this.tick(), 1000);
    window.addEventListener('beforeunload', (event) => {
      if (this.isDirty()) {
        event.preventDefault();
      }
    });
    this.clear();
  }

  isDirty() {
    return this.form !== null && this.form.isDirty();
  }

  async mayLeave() {
    return !this.isDirty() || await ask('Leave without saving?', 'What you typed is not stored.',
        [{label: 'Leave', value: 'leave', kind: 'danger'}]) === 'leave';
  }

  show(...children) {
    this.form = null;
    this.ttl = null;
    this.element.replaceChildren(...children.flat().filter((child) => child !== null));
  }

  back() {
    return h('button', {type: 'button', class: 'back', onclick: () => this.close()}, '← Keys');
  }

  clear() {
    this.opening += 1;
    this.key = null;
    this.kv = null;
    this.show(h('p', {class: 'empty'}, 'Choose a key to see its value.'));
  }

  // Shows the key as it is stored now. `note` is what was done with it.
  async open(key, note = null) {
    this.opening += 1;
    const opening = this.opening;
    if (key !== this.key) {
      this.view = null;
      this.show(this.back(), h('p', {class: 'key-name'}, key), h('p', {class: 'hint'}, 'Reading …'));
    }
    this.key = key;
    try {
      const kv = await this.read(key);
      if (opening === this.opening) {
        this.kv = kv;
        this.showKey(note);
      }
    } catch (error) {
      if (opening === this.opening) {
        this.show(this.back(), h('p', {class: 'key-name'}, key), h('p', {class: 'message bad'}, error.message),
            h('div', {class: 'actions'}, h('button', {type: 'button', onclick: () => this.open(key)}, 'Try again')));
      }
    }
  }

  // null: no such key.
  async read(key) {
    const answer = await call('KvService', 'Get', {key, as_text: true, consistency: this.consistency()});
    this.readAt = Date.now();
    return answer.kv ?? null;
  }

  facts(kv) {
    const value = valueOf(kv);
    const ttl = secondsOf(kv.ttl_remaining);
    const fact = (name, text, id) => h('div', {}, h('dt', {}, name), h('dd', {id}, text));
    const list = h('dl', {class: 'facts'},
        fact('Revision', formatCount(kv.mod_revision), 'mod-revision'),
        fact('Created at', formatCount(kv.create_revision), 'create-revision'),
        fact('Version', formatCount(kv.version), 'version'),
        fact('Size', formatBytes(value.bytes.length), 'size'),
        fact('Expires', ttl === null ? 'never' : '', 'ttl'));
    this.ttl = ttl === null ? null : {element: list.querySelector('#ttl'), at: this.readAt + ttl * 1000};
    this.tick();
    return list;
  }

  tick() {
    if (!this.ttl) {
      return;
    }
    const left = (this.ttl.at - Date.now()) / 1000;
    setText(this.ttl.element, left > 0 ? `in ${formatSpan(Math.ceil(left))}` : 'now');
    if (left < -1 && this.form === null && this.key !== null) {
      this.ttl = null;
      this.open(this.key);
    }
  }

  showKey(note) {
    const {key, kv} = this;
    const done = note === null ? null : h('p', {class: 'message good', id: 'done', role: 'status'}, note);
    if (kv === null) {
      this.show(this.back(), h('h2', {class: 'key-name', id: 'key-name'}, key), done,
          h('p', {class: 'message warn', id: 'no-such-key'}, 'There is no such key.'),
          h('div', {class: 'actions'}, this.button('Look again', () => this.open(key)),
              this.mayEdit ? this.button('Create it', () => this.create(key)) : null));
      return;
    }
    const value = valueOf(kv);
    const views = viewsOf(value);
    this.view = views.includes(this.view) ? this.view : bestView(value);
    const body = h('div', {id: 'shown'}, shown(value, this.view));
    const choices = views.map((view) => h('button', {
      type: 'button', 'aria-pressed': String(view === this.view),
      onclick: () => {
        this.view = view;
        body.replaceChildren(...shown(value, view).filter(Boolean));
        choices.forEach((choice) => choice.setAttribute('aria-pressed', String(choice.textContent === view)));
      },
    }, view));
    const facts = this.facts(kv);
    const ttl = this.ttl;
    this.show(this.back(), h('h2', {class: 'key-name', id: 'key-name'}, key), done, facts,
        h('div', {class: 'views', role: 'group', 'aria-label': 'Show as'}, choices), body,
        h('div', {class: 'actions'},
            this.mayEdit ? this.button('Edit', () => this.edit(), 'main', 'edit') : null,
            this.button('Look again', () => this.open(key), '', 'look-again'),
            this.mayEdit ? this.button('Delete', () => this.askToDelete(), 'danger', 'delete') : null));
    this.ttl = ttl;
  }

  button(label, onclick, kind = '', id = null) {
    return h('button', {type: 'button', class: kind, id, onclick}, label);
  }

  create(key = '') {
    this.opening += 1;
    this.key = null;
    this.kv = null;
    this.showForm({key, seen: ABSENT, value: {text: '', bytes: new Uint8Array()}, fresh: true});
  }

  edit() {
    this.showForm({key: this.key, seen: this.kv.mod_revision, value: valueOf(this.kv), fresh: false,
      expires: this.kv.ttl_remaining !== undefined && this.kv.ttl_remaining !== null});
  }

  // A form for a value that is based on revision `seen`. `draft` is what its fields say already.
  showForm({key, seen, value, fresh, expires = false, draft = null}) {
    const asText = fitsTextField(value);
    const original = asText ? value.text : plainHex(value.bytes);
    const field = h('textarea', {id: 'edit-value', spellcheck: 'false', rows: '14'});
    field.value = draft?.value ?? original;
    const keyField = fresh
        ? h('input', {id: 'edit-key', maxlength: '4096', autocomplete: 'off', spellcheck: 'false'}) : null;
    const expiry = h('select', {id: 'edit-expiry'},
        fresh ? null : h('option', {value: 'keep'}, expires ? 'as it does now' : 'never, as now'),
        fresh || expires ? h('option', {value: 'never'}, 'never') : null, h('option', {value: 'in'}, 'in'));
    const amount = h('input', {id: 'edit-ttl', type: 'number', min: '0.001', step: 'any', 'aria-label': 'How long'});
    const unit = h('select', {id: 'edit-ttl-unit', 'aria-label': 'Unit'},
        h('option', {value: '1'}, 'seconds'), h('option', {value: '60'}, 'minutes'),
        h('option', {value: '3600'}, 'hours'), h('option', {value: '86400'}, 'days'));
    const span = h('span', {class: 'inline'}, amount, unit);
    expiry.value = draft?.expiry ?? (fresh ? 'never' : 'keep');
    amount.value = draft?.amount ?? '60';
    unit.value = draft?.unit ?? '1';
    span.hidden = expiry.value !== 'in';
    expiry.addEventListener('change', () => { span.hidden = expiry.value !== 'in'; });
    const hint = h('p', {class: 'hint', id: 'edit-hint', role: 'status'});
    const wasJson = asText && isDocument(value.text);
    const look = () => setText(hint, wasJson && !isJson(field.value) ? 'This is not JSON any more.' : '');
    field.addEventListener('input', look);
    const message = h('div', {id: 'edit-message', role: 'alert'});
    const save = h('button', {type: 'submit', class: 'main', id: 'save'}, fresh ? 'Create' : 'Save');
    const form = h('form', {onsubmit: (event) => { event.preventDefault(); submit(); }},
        this.back(),
        fresh ? h('h2', {}, 'New key') : h('h2', {class: 'key-name', id: 'key-name'}, key),
        fresh ? h('label', {for: 'edit-key'}, 'Key')
              : h('p', {class: 'hint'}, `Written only if revision ${formatCount(seen)} is still stored.`),
        keyField,
        h('label', {for: 'edit-value'},
            asText ? 'Value' : 'Value, as pairs of hexadecimal digits: a text field would change it'),
        field, hint,
        h('label', {for: 'edit-expiry'}, 'Expires'), h('span', {class: 'inline'}, expiry, span), message,
        h('div', {class: 'actions'}, save,
            this.button('Cancel', () => {
              this.form = null;
              if (fresh) {
                this.close();
              } else {
                this.open(key);
              }
            }, '', 'cancel')));
    if (keyField !== null) {
      keyField.value = key;
    }
    form.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') {
        this.mayLeave().then((leave) => leave && form.querySelector('#cancel').click());
      } else if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        submit();
      }
    });
    const say = (kind, ...children) => message.replaceChildren(h('div', {class: `message ${kind}`}, children));
    const submit = async () => {
      const bytes = asText ? null : bytesOfHex(field.value);
      if (!asText && bytes === null) {
        say('bad', 'The value must be pairs of hexadecimal digits, 0 to 9 and a to f.');
        return;
      }
      const seconds = Number(amount.value) * Number(unit.value);
      if (expiry.value === 'in' && !(seconds > 0)) {
        say('bad', 'The time until it expires must be more than 0.');
        return;
      }
      const change = {
        kind: 'put',
        key: fresh ? keyField.value : key,
        value: asText ? {text: field.value, bytes: new TextEncoder().encode(field.value)} : {text: null, bytes},
        body: asText ? {text: field.value} : {data: base64OfBytes(bytes)},
        expiry: {keep: {keep_ttl: true}, never: {}, in: {ttl: `${seconds.toFixed(3)}s`}}[expiry.value],
        draft: {value: field.value, expiry: expiry.value, amount: amount.value, unit: unit.value},
        fresh,
        expires,
      };
      save.disabled = true;
      await this.apply(change, seen, say);
      save.disabled = false;
    };
    this.show(form);
    this.form = {isDirty: () => field.value !== original || (keyField !== null && keyField.value !== key)};
    look();
    (keyField !== null && keyField.value === '' ? keyField : field).focus();
  }

  async askToDelete() {
    const {key, kv} = this;
    const answer = await ask('Delete this key?', [h('p', {class: 'key-name'}, key),
      h('p', {class: 'hint'}, `Deleted only if revision ${formatCount(kv.mod_revision)} is still stored.`)],
    [{label: 'Delete', value: 'delete', kind: 'danger'}]);
    if (answer === 'delete') {
      const say = (kind, ...children) => {
        this.element.querySelector('#delete-message')?.remove();
        this.element.append(h('div', {id: 'delete-message', class: `message ${kind}`, role: 'alert'}, children));
      };
      await this.apply({kind: 'delete', key}, kv.mod_revision, say);
    }
  }

  // Does a change if `seen` is still stored; `say` shows what went wrong.
  async apply(change, seen, say) {
    const precondition = {mod_revision: seen};
    try {
      if (change.kind === 'put') {
        const answer = await call('KvService', 'Put',
            {key: change.key, ...change.body, ...change.expiry, precondition});
        this.finish(change, `Stored as revision ${formatCount(answer.mod_revision)}.`);
      } else {
        await call('KvService', 'Delete', {key: change.key, precondition});
        this.finish(change, 'Deleted.');
      }
    } catch (error) {
      if (!(error instanceof ApiError)) {
        throw error;
      }
      if (error.code === 'aborted') {
        await this.showConflict(change, seen, say);
      } else if (error.outcomeUnknown) {
        say('warn', `${error.message}: it may have been done, or may yet. `,
            this.button('Look what is stored', () => this.findOutcome(change, seen, say), '', 'find-outcome'));
      } else {
        say('bad', error.message);
      }
    }
  }

  finish(change, note) {
    this.form = null;
    this.key = change.key;
    this.open(change.key, note);
    this.changed(change.key);
  }

  // After a write of which nobody knows.
  async findOutcome(change, seen, say) {
    try {
      const kv = await this.read(change.key);
      const now = kv?.mod_revision ?? ABSENT;
      const same = kv !== null && change.kind === 'put' && plainHex(valueOf(kv).bytes) === plainHex(change.value.bytes);
      if (now === seen) {
        say('warn', 'It was not done so far. ', this.button('Try again', () => this.apply(change, seen, say)));
      } else if (same || (kv === null && change.kind === 'delete')) {
        this.finish(change, kv === null ? 'It was deleted.' : `It was stored, as revision ${formatCount(now)}.`);
      } else {
        await this.showConflict(change, seen, say);
      }
    } catch (error) {
      say('bad', error.message);
    }
  }

  // Somebody else was faster: shows what is stored now beside what was to be done.
  async showConflict(change, seen, say) {
    let kv;
    try {
      kv = await this.read(change.key);
    } catch (error) {
      say('bad', `Another revision is stored by now, but it cannot be read: ${error.message}`);
      return;
    }
    const now = kv?.mod_revision ?? ABSENT;
    const text = (revision) => (revision === ABSENT ? 'no such key' : `revision ${formatCount(revision)}`);
    const view = (value) => shown(value, fitsTextField(value) ? 'Text' : 'Hex');
    const message = h('div', {id: 'conflict-message', role: 'alert'});
    const sayHere = (kind, ...children) => message.replaceChildren(h('div', {class: `message ${kind}`}, children));
    const mine = change.kind === 'put' ? view(change.value) : [h('p', {class: 'hint'}, 'to be deleted')];
    const overwrite = change.kind === 'put'
        ? (kv === null ? 'Create it again with mine' : `Replace revision ${formatCount(now)} by mine`)
        : `Delete revision ${formatCount(now)}`;
    const actions = [];
    if (kv !== null || change.kind === 'put') {
      actions.push(this.button(overwrite, () => this.apply(change, now, sayHere), 'danger', 'overwrite'));
    }
    if (change.kind === 'put') {
      const expires = kv !== null && kv.ttl_remaining !== undefined && kv.ttl_remaining !== null;
      const keeps = change.draft.expiry === 'keep';
      const draft = {...change.draft, expiry: kv === null && keeps ? 'never' : change.draft.expiry};
      actions.push(this.button('Edit mine', () => this.showForm({
        key: change.key, seen: now, value: kv === null || !fitsTextField(change.value) ? change.value : valueOf(kv),
        fresh: kv === null, expires, draft,
      }), '', 'edit-mine'));
    }
    actions.push(this.button('Discard mine', () => {
      this.form = null;
      this.open(change.key);
      this.changed(change.key);
    }, '', 'discard'));
    this.key = change.key;
    this.show(this.back(), h('h2', {class: 'key-name', id: 'key-name'}, change.key),
        h('div', {class: 'message warn', id: 'conflict', role: 'alert'}, h('strong', {}, 'Somebody else changed it. '),
            `You saw ${text(seen)}; stored now is ${text(now)}. Nothing was written.`),
        h('div', {class: 'both'},
            h('div', {id: 'theirs'}, h('h3', {}, `Stored now: ${text(now)}`),
                kv === null ? h('p', {class: 'hint'}, 'It was deleted.') : view(valueOf(kv))),
            h('div', {id: 'mine'}, h('h3', {}, 'Yours'), mine)),
        message, h('div', {class: 'actions'}, actions));
    this.form = {isDirty: () => change.kind === 'put'};
    this.element.querySelector('#conflict').scrollIntoView({block: 'nearest'});
    this.element.querySelector('.actions button')?.focus();
  }
}
