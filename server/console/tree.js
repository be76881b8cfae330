// The keys as a tree: what stands before a '/' is a folder. Each folder is read when it is opened, a page of children
// at a time; a folder's keys are skipped, so that a page costs no more for large ones.

import {call} from './api.js';
import {h} from './dom.js';

const PAGE = 100;
// Requests for one page of children. Where each key is a folder of its own, more are for another click.
const STEPS_MAX = 30;

// The first key after all that begin with `folder`, which ends with '/'; '' after all keys.
function endOf(folder) {
  return folder === '' ? '' : `${folder.slice(0, -1)}0`;
}

// The next children of `folder`, from `from` on: {children: [{key, folder}], next}, `next` null at the end.
export async function listChildren(folder, from, consistency) {
  const children = [];
  let {start, token} = from ?? {start: folder, token: ''};
  for (let step = 0; step < STEPS_MAX && children.length < PAGE; ++step) {
    const page = await call('KvService', 'List', {
      range: {span: {start_key: start, end_key: endOf(folder)}}, page_size: PAGE, page_token: token, keys_only: true,
      consistency,
    });
    for (const {key} of page.kvs) {
      const slash = key.indexOf('/', folder.length);
      const child = slash < 0 ? {key, folder: false} : {key: key.slice(0, slash + 1), folder: true};
      if (!child.folder || children.at(-1)?.key !== child.key) {
        children.push(child);
      }
    }
    if (page.next_page_token === '') {
      return {children, next: null};
    }
    if (children.at(-1).folder) {
      start = endOf(children.at(-1).key);
      token = '';
    } else {
      token = page.next_page_token;
    }
  }
  return {children, next: {start, token}};
}

// An ARIA tree: arrows move and open, Enter chooses, one item takes the focus.
export class KeyTree {
  // `choose` is called with a key; `consistency` says how fresh to read; `fail` hears errors.
  constructor(element, {choose, consistency, fail}) {
    this.element = element;
    this.choose = choose;
    this.consistency = consistency;
    this.fail = fail;
    this.selected = null;
    this.open = new Set();
    this.root = h('ul', {role: 'group'});
    element.setAttribute('role', 'tree');
    element.append(this.root);
    element.addEventListener('keydown', (event) => this.onKey(event));
  }

  // Reads it anew; what was open is opened again. Returns how many children there are at the top.
  async reload() {
    this.generation = (this.generation ?? 0) + 1;
    const generation = this.generation;
    const root = h('ul', {role: 'group'});
    const count = await this.load(root, '', null, 1);
    if (generation !== this.generation) {
      return null;
    }
    const focused = this.element.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    this.root.replaceWith(root);
    this.root = root;
    const items = this.items();
    this.makeFocusable(items.find((item) => item.dataset.key === (focused ?? this.selected)) ?? items[0]);
    if (focused !== null) {
      this.focusable()?.focus();
    }
    return count;
  }

  // A flat list instead, as a search finds it.
  showKeys(keys) {
    this.generation = (this.generation ?? 0) + 1;
    this.root.replaceChildren(...keys.map((key) => this.item({key, folder: false}, '', 1)));
    this.makeFocusable(this.items()[0]);
  }

  // Opens the folders of a key when it is read the next time; null is none.
  reveal(key) {
    for (let at = key?.indexOf('/') ?? -1; at >= 0; at = key.indexOf('/', at + 1)) {
      this.open.add(key.slice(0, at + 1));
    }
  }

  select(key) {
    this.selected = key;
    for (const item of this.items()) {
      item.setAttribute('aria-selected', String(item.dataset.key === key && item.dataset.folder === 'false'));
    }
  }

  // Adds the next children to `list`. Returns how many there are then.
  async load(list, folder, from, level) {
    const {children, next} = await listChildren(folder, from, this.consistency());
    for (const child of children) {
      const item = this.item(child, folder, level);
      list.append(item);
      if (child.folder && this.open.has(child.key)) {
        await this.expand(item);
      }
    }
    if (next !== null) {
      list.append(this.moreItem(list, folder, next, level));
    }
    return list.childElementCount;
  }

  item({key, folder}, parent, level) {
    const name = key.slice(parent.length);
    const item = h('li', {
      role: 'treeitem', tabindex: '-1', 'aria-level': String(level), 'data-key': key, 'data-folder': String(folder),
      'aria-expanded': folder ? 'false' : null, 'aria-selected': String(!folder && key === this.selected),
    }, h('div', {class: 'row', onclick: () => this.activate(item)},
        h('span', {class: 'twist', 'aria-hidden': 'true'}, folder ? '▸' : ''), h('span', {class: 'name'}, name)));
    item.setAttribute('aria-label', folder ? `folder ${name}` : name);
    return item;
  }

  moreItem(list, folder, next, level) {
    const item = h('li', {role: 'treeitem', tabindex: '-1', 'aria-level': String(level), 'data-more': 'true'},
        h('div', {class: 'row', onclick: () => this.activate(item)}, h('span', {class: 'name'}, 'more …')));
    item.loadMore = async () => {
      const before = item.previousElementSibling;
      await this.load(list, folder, next, level);
      item.remove();
      this.focusOn(before?.nextElementSibling ?? before);
    };
    return item;
  }

  async activate(item) {
    this.focusOn(item);
    try {
      if (item.loadMore !== undefined) {
        await item.loadMore();
      } else if (item.dataset.folder === 'false') {
        this.choose(item.dataset.key);
      } else if (item.getAttribute('aria-expanded') === 'true') {
        this.collapse(item);
      } else {
        await this.expand(item);
      }
    } catch (error) {
      this.fail(error);
    }
  }

  async expand(item) {
    const list = h('ul', {role: 'group'});
    this.open.add(item.dataset.key);
    item.setAttribute('aria-expanded', 'true');
    item.querySelector('.twist').textContent = '▾';
    item.append(list);
    await this.load(list, item.dataset.key, null, Number(item.getAttribute('aria-level')) + 1);
  }

  collapse(item) {
    this.open.delete(item.dataset.key);
    item.setAttribute('aria-expanded', 'false');
    item.querySelector('.twist').textContent = '▸';
    item.querySelector('ul')?.remove();
  }

  // In the order in which they are seen.
  items() {
    return [...this.element.querySelectorAll('[role="treeitem"]')];
  }

  focusable() {
    return this.element.querySelector('[role="treeitem"][tabindex="0"]');
  }

  makeFocusable(item) {
    this.focusable()?.setAttribute('tabindex', '-1');
    item?.setAttribute('tabindex', '0');
  }

  focusOn(item) {
    if (item) {
      this.makeFocusable(item);
      item.focus();
    }
  }

  onKey(event) {
    const item = event.target.closest('[role="treeitem"]');
    if (item === null || event.altKey || event.ctrlKey || event.metaKey) {
      return;
    }
    const items = this.items();
    const at = items.indexOf(item);
    const folder = item.dataset.folder === 'true';
    const expanded = item.getAttribute('aria-expanded') === 'true';
    const actions = {
      ArrowDown: () => this.focusOn(items[at + 1]),
      ArrowUp: () => this.focusOn(items[at - 1]),
      Home: () => this.focusOn(items[0]),
      End: () => this.focusOn(items.at(-1)),
      ArrowRight: () => (folder && !expanded ? this.activate(item) : this.focusOn(folder ? items[at + 1] : null)),
      ArrowLeft: () => (folder && expanded ? this.activate(item)
                                           : this.focusOn(item.parentElement.closest('[role="treeitem"]'))),
      Enter: () => this.activate(item),
      ' ': () => this.activate(item),
    };
    if (actions[event.key] !== undefined) {
      event.preventDefault();
      actions[event.key]();
    }
  }
}
