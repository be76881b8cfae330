// The console: asks its member how it is every two seconds, and shows the page that the address names.

import {call} from './api.js';
import {h, setText} from './dom.js';
import {formatTime} from './format.js';
import {History} from './history.js';
import {Keys} from './keys.js';
import {Overview, valuesOf} from './overview.js';

const POLL_MS = 2000;
const POLL_TIMEOUT_MS = 4000;
// One lost answer is no news.
const FAILURES_BEFORE_BANNER = 2;

const mode = document.querySelector('meta[name="raftkv-console"]').content;
const mayEdit = mode === 'on';

// What the last answer said. `leader` is null while none is known.
const state = {status: null, members: [], leader: null, answeredAt: null, failingSince: null, failures: 0, problem: ''};

const history = new History(sessionStorage);
const sections = {overview: document.getElementById('overview'), keys: document.getElementById('keys')};
const overview = new Overview(sections.overview, history);
const keys = new Keys(sections.keys, state, mayEdit);

function showBanners() {
  const banners = [];
  if (state.failingSince !== null && state.failures >= FAILURES_BEFORE_BANNER) {
    const old = state.answeredAt === null ? '' : ' What is shown is of then.';
    banners.push(h('p', {class: 'banner bad', id: 'no-answer'}, h('strong', {}, 'This member does not answer'),
        ` since ${formatTime(state.failingSince)}${state.problem}.${old}`));
  } else if (state.status !== null && state.leader === null) {
    banners.push(h('p', {class: 'banner bad', id: 'no-leader'}, h('strong', {}, 'No leader is known.'),
        ' Writes wait for one and fail when none comes; keys are shown as this member has them.'));
  }
  const down = (state.status?.peers ?? []).filter((peer) => !peer.reachable)
      .map((peer) => state.members.find((member) => member.id === peer.id)?.name ?? `member ${peer.id}`);
  if (down.length > 0 && state.failingSince === null) {
    banners.push(h('p', {class: 'banner warn', id: 'member-down'}, h('strong', {}, down.join(', ')),
        down.length === 1 ? ' does not answer this member.' : ' do not answer this member.'));
  }
  // Only what is new is read aloud.
  const key = banners.map((banner) => banner.textContent).join('\n');
  if (showBanners.shown !== key) {
    showBanners.shown = key;
    document.getElementById('banners').replaceChildren(...banners);
  }
}

function show() {
  showBanners();
  sections.overview.classList.toggle('stale', state.failingSince !== null && state.failures >= FAILURES_BEFORE_BANNER);
  if (state.status !== null) {
    setText(document.getElementById('who'), `member ${state.status.name}`);
    document.title = `${state.status.name} · raftkv`;
    overview.show(state);
  }
}

async function poll() {
  try {
    const [status, list] = await Promise.all([
      call('ClusterService', 'GetStatus', {}, POLL_TIMEOUT_MS),
      call('ClusterService', 'ListMembers', {consistency: 'CONSISTENCY_STALE'}, POLL_TIMEOUT_MS),
    ]);
    const hadLeader = state.status !== null && state.leader !== null;
    state.status = status;
    state.members = list.members;
    const id = status.header.leader_id;
    state.leader = id === '0' ? null : list.members.find((member) => member.id === id) ?? {id, name: `member ${id}`};
    Object.assign(state, {answeredAt: Date.now(), failingSince: null, failures: 0});
    history.open(status.header.cluster_id, status.header.member_id);
    history.add(Date.now(), valuesOf(status), state.leader?.name ?? null, status.header.raft_term);
    if (hadLeader !== (state.leader !== null) && keys.loaded) {
      keys.search();
    }
  } catch (error) {
    state.failingSince ??= state.answeredAt ?? Date.now();
    state.failures += 1;
    state.problem = error.code === 'unreachable' ? '' : `: ${error.message}`;
  }
  show();
}

async function pollForEver() {
  await poll();
  // Only now it is known how fresh keys can be read.
  route();
  while (true) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    await poll();
  }
}

// "#/", "#/keys", "#/keys/<key, percent-encoded>" and "#/new".
let shownHash = null;
async function route() {
  const hash = location.hash || '#/';
  if (hash === shownHash) {
    return;
  }
  const isKeys = hash === '#/keys' || hash.startsWith('#/keys/') || hash === '#/new';
  let key = null;
  try {
    key = hash.startsWith('#/keys/') ? decodeURIComponent(hash.slice('#/keys/'.length)) : null;
  } catch {
    // Somebody typed it: no such key.
  }
  const left = isKeys ? await keys.open(key, hash === '#/new' && mayEdit) : await keys.value.mayLeave();
  if (!left) {
    location.replace(shownHash);
    return;
  }
  if (hash !== (location.hash || '#/')) {
    return;  // It went on meanwhile.
  }
  if (!isKeys) {
    keys.value.clear();
  }
  shownHash = hash;
  sections.overview.hidden = isKeys;
  sections.keys.hidden = !isKeys;
  for (const [id, current] of [['nav-overview', !isKeys], ['nav-keys', isKeys]]) {
    const link = document.getElementById(id);
    if (current) {
      link.setAttribute('aria-current', 'page');
    } else {
      link.removeAttribute('aria-current');
    }
  }
}

function setUpTheme() {
  const button = document.getElementById('theme');
  const themes = ['auto', 'light', 'dark'];
  const remembered = () => {
    try {
      return localStorage.getItem('raftkv.theme');
    } catch {
      return null;
    }
  };
  let theme = themes.includes(remembered()) ? remembered() : 'auto';
  const apply = () => {
    document.documentElement.toggleAttribute('data-theme', theme !== 'auto');
    if (theme !== 'auto') {
      document.documentElement.dataset.theme = theme;
    }
    button.textContent = `Colours: ${theme}`;
  };
  button.addEventListener('click', () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length];
    try {
      localStorage.setItem('raftkv.theme', theme);
    } catch {
      // Then it holds for this page alone.
    }
    apply();
  });
  apply();
}

document.getElementById('readonly').hidden = mayEdit;
setUpTheme();
window.addEventListener('hashchange', route);
window.addEventListener('keydown', (event) => {
  if (event.key === '/' && !event.target.closest('input, textarea, select, dialog')) {
    event.preventDefault();
    location.hash = '#/keys';
    sections.keys.hidden = false;
    keys.focusSearch();
  }
});
// Charts move on while nobody answers.
setInterval(() => {
  if (state.status !== null && state.failingSince !== null) {
    showBanners();
    overview.draw(state);
  }
}, POLL_MS);
document.querySelector('.skip').addEventListener('click', (event) => {
  event.preventDefault();
  document.getElementById('main').focus();
});
pollForEver();
