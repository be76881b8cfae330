// The key browser: a tree or what a search finds on one side, a key's value on the other.

import {call} from './api.js';
import {h, setText} from './dom.js';
import {formatCount} from './format.js';
import {KeyTree} from './tree.js';
import {ValueView} from './value.js';

const PAGE = 200;
// A search for what keys contain reads keys in order, so many at most.
const SCANNED_PAGE = 2000;
const SCANNED_MAX = 20000;
const FOUND_MAX = 500;

export class Keys {
  // `state` is main.js's; `mayEdit` is false for a console that is read-only.
  constructor(section, state, mayEdit) {
    this.state = state;
    this.section = section;
    this.loaded = false;
    this.input = h('input', {
      type: 'search', id: 'search', placeholder: 'Find keys', 'aria-label': 'Find keys', autocomplete: 'off',
      spellcheck: 'false', maxlength: '4096',
    });
    this.how = h('select', {id: 'how', 'aria-label': 'How to find keys'},
        h('option', {value: 'prefix'}, 'begin with'), h('option', {value: 'contains'}, 'contain'));
    this.note = h('p', {class: 'hint', id: 'keys-note', role: 'status'});
    this.problem = h('div', {id: 'keys-problem'});
    this.treeElement = h('div', {class: 'tree', 'aria-label': 'Keys', id: 'tree'});
    this.empty = h('div', {class: 'empty', id: 'empty-store', hidden: true},
        h('p', {}, 'This store holds no keys yet.'),
        h('code', {}, `curl -X PUT ${location.origin}/v1/kv/greeting -d '{"value": "hello"}'`));
    this.more = h('button', {
      type: 'button', class: 'link', id: 'search-more', hidden: true, onclick: () => this.searchOn(),
    }, 'more …');
    this.tree = new KeyTree(this.treeElement, {
      choose: (key) => { location.hash = `#/keys/${encodeURIComponent(key)}`; },
      consistency: () => this.consistency(),
      fail: (error) => this.showProblem(error),
    });
    const valuePane = h('div', {class: 'card pane value', id: 'value', 'aria-label': 'Value', role: 'region'});
    this.value = new ValueView(valuePane, {
      mayEdit,
      consistency: () => this.consistency(),
      close: () => { location.hash = '#/keys'; },
      changed: (key) => this.onChanged(key),
    });
    const create = h('button', {
      type: 'button', id: 'new-key', hidden: !mayEdit, onclick: () => { location.hash = '#/new'; },
    }, 'New key');
    this.panes = h('div', {class: 'panes'},
        h('div', {class: 'card pane browse'},
            h('form', {
              class: 'search', role: 'search', onsubmit: (event) => { event.preventDefault(); this.search(); },
            }, this.how, this.input),
            h('div', {class: 'line-up'}, this.note,
                h('span', {class: 'inline'}, create,
                    h('button', {type: 'button', id: 'reload', onclick: () => this.search()}, 'Reload'))),
            this.problem, this.empty, this.treeElement, this.more),
        valuePane);
    section.append(this.panes);
    this.input.addEventListener('input', () => {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.search(), 250);
    });
    this.how.addEventListener('change', () => this.search());
  }

  // Without a leader there is still what this member has.
  consistency() {
    return this.state.leader === null ? 'CONSISTENCY_STALE' : 'CONSISTENCY_LINEARIZABLE';
  }

  // `key` is null for none, `creating` for a form for a new one. Returns false when the user would rather stay.
  async open(key, creating) {
    if (!await this.value.mayLeave()) {
      return false;
    }
    this.tree.reveal(key);
    if (!this.loaded) {
      this.loaded = true;
      this.search();
    }
    this.panes.classList.toggle('shows-value', key !== null || creating);
    this.tree.select(key);
    if (creating) {
      this.value.create();
    } else if (key === null) {
      this.value.clear();
    } else if (key !== this.value.key) {
      await this.value.open(key);
    }
    return true;
  }

  onChanged(key) {
    this.search();
    if (key !== null) {
      location.hash = `#/keys/${encodeURIComponent(key)}`;
    }
  }

  showProblem(error) {
    this.problem.replaceChildren(...(error === null ? [] : [h('p', {class: 'message bad'}, error.message)]));
  }

  say(text) {
    const stale = this.consistency() === 'CONSISTENCY_STALE' ? ', as this member has them: there is no leader' : '';
    setText(this.note, text + stale);
  }

  // Shows what the search field asks for; the tree when it is empty.
  async search() {
    clearTimeout(this.timer);
    const text = this.input.value;
    this.searching = (this.searching ?? 0) + 1;
    const searching = this.searching;
    const current = () => searching === this.searching;
    this.more.hidden = true;
    try {
      if (text === '') {
        await this.showTree(current);
      } else if (this.how.value === 'prefix') {
        await this.showPrefix(text, current);
      } else {
        await this.showContaining(text, current);
      }
      if (current()) {
        this.showProblem(null);
      }
    } catch (error) {
      if (current()) {
        this.showProblem(error);
      }
    }
  }

  async count(prefix) {
    const answer = await call('KvService', 'List',
        {range: {prefix}, count_only: true, consistency: this.consistency()});
    return answer.count;
  }

  async showTree(current) {
    const [shown, count] = await Promise.all([this.tree.reload(), this.count('')]);
    if (current() && shown !== null) {
      this.empty.hidden = count !== '0';
      this.say(count === '1' ? '1 key' : `${formatCount(count)} keys`);
    }
  }

  async showPrefix(prefix, current) {
    const [page, count] = await Promise.all([this.page(prefix, ''), this.count(prefix)]);
    if (!current()) {
      return;
    }
    this.found = {prefix, keys: page.kvs.map(({key}) => key), token: page.next_page_token};
    this.empty.hidden = true;
    this.say(count === '1' ? '1 key begins so' : `${formatCount(count)} keys begin so`);
    this.tree.showKeys(this.found.keys);
    this.more.hidden = page.next_page_token === '';
  }

  async searchOn() {
    try {
      const found = this.found;
      const page = await this.page(found.prefix, found.token);
      if (found === this.found) {
        found.keys.push(...page.kvs.map(({key}) => key));
        found.token = page.next_page_token;
        this.tree.showKeys(found.keys);
        this.more.hidden = found.token === '';
      }
    } catch (error) {
      this.showProblem(error);
    }
  }

  page(prefix, token) {
    return call('KvService', 'List',
        {range: {prefix}, page_size: PAGE, page_token: token, keys_only: true, consistency: this.consistency()});
  }

  async showContaining(text, current) {
    const keys = [];
    let token = '';
    let looked = 0;
    this.empty.hidden = true;
    this.tree.showKeys([]);
    do {
      const page = await call('KvService', 'List', {
        range: {prefix: ''}, page_size: SCANNED_PAGE, page_token: token, keys_only: true,
        consistency: this.consistency(),
      });
      if (!current()) {
        return;
      }
      looked += page.kvs.length;
      keys.push(...page.kvs.map(({key}) => key).filter((key) => key.includes(text)));
      token = page.next_page_token;
      this.tree.showKeys(keys.slice(0, FOUND_MAX));
      this.say(`${formatCount(keys.length)} of ${formatCount(looked)} keys`);
    } while (token !== '' && looked < SCANNED_MAX && keys.length < FOUND_MAX);
    if (token !== '' || keys.length > FOUND_MAX) {
      const shown = formatCount(Math.min(keys.length, FOUND_MAX));
      this.say(`the first ${shown}, of ${formatCount(looked)} keys looked at: find others by how they begin`);
    }
  }

  focusSearch() {
    this.input.focus();
    this.input.select();
  }
}
